"""A stage, or a worker of its pool, that is killed, interrupted or asleep: the next run ends as if it were not.

What was finished is not made again, and neither is it without the output: the store has it too.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from disturbed import computed, ended, finished, forget, outputs, pausing_after, start, target, written

from earshift.pipeline import paths
from earshift.pipeline.corpus import build

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
MANY = [-40 + i for i in range(30)]
MIDI = {"corpus.general_midi.pieces": 4, "corpus.general_midi.excerpts": 1, "corpus.general_midi.clip_seconds": 0.5}


def test_kill_distances(bench, wait, capsys):
    """One artifact is lost, that under way, and no more where one of the two places is lost that have the others."""
    pipeline = bench({"perturbations.gain.grid": MANY, "perturb.keep_audio": False})
    pipeline.perturb()
    process = start("stages.distances")
    wait(lambda: len(finished(paths.DISTANCES)) > 2)
    ended(process)
    kept, before = finished(paths.DISTANCES), written(paths.DISTANCES / "gain")
    assert 2 < len(kept) <= len(MANY)
    for folder in (paths.DISTANCES, paths.STORE):
        shutil.copytree(folder, f"killed/{folder}")
    found = []
    for lost in (None, paths.DISTANCES, paths.STORE):
        if lost:
            for folder in (paths.DISTANCES, paths.STORE):
                shutil.rmtree(folder)
                shutil.copytree(f"killed/{folder}", folder)
            shutil.rmtree(lost)
        capsys.readouterr()
        pipeline.distances()
        assert computed(capsys.readouterr().out) == len(MANY) + 1 - len(kept), lost
        found.append(outputs())
        if not lost:
            after = written(paths.DISTANCES / "gain")
            files = [f"{name.partition('/')[2]}.h5" for name in kept if "/" in name]
            assert [after[name] for name in files] == [before[name] for name in files], "neither written nor touched"
    shutil.rmtree(paths.DISTANCES)
    forget()
    pipeline.distances()
    assert found == [outputs()] * 3, "the same as if nothing had happened"


def test_kill_corpus(bench, wait):
    pipeline = bench(MIDI)
    shutil.rmtree("data")
    build(pipeline.params)
    undisturbed = outputs()
    shutil.rmtree("data")
    forget()
    process = start("stages.corpus")
    wait(lambda: any(p.stat().st_size > 100_000 for p in Path("data/audio/corpus").glob(".*.tmp")))
    ended(process)
    left = outputs()
    assert left and not paths.CLIPS.exists()
    build(pipeline.params)
    assert outputs() == undisturbed, "no leftovers"


@pytest.fixture
def slow(bench):
    """An encoder that takes its time, two workers, and what the stage writes undisturbed."""
    pipeline = bench({"compute.workers": 2, "perturb.keep_audio": False}, delay=0.15)
    pipeline.perturb()
    pipeline.embed()
    undisturbed = outputs()
    shutil.rmtree("data/embeddings")
    forget()
    return pipeline, undisturbed


def two_are_finished():
    """Of the four artifacts of the encoder."""
    return len(finished(paths.embeddings("toy"))) == 2


def test_kill_everything(slow, wait, capsys):
    """Stage and workers at once, as where memory runs out or a machine goes down: what was under way is lost."""
    pipeline, undisturbed = slow
    with pausing_after("-20"):
        process = start("stages.embed", "toy")
        wait(two_are_finished)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=1800)
    before = written(target("-20").parent)
    capsys.readouterr()
    pipeline.embed()
    assert "computed 2 of 4 values (gain/-10, gain/5;" in capsys.readouterr().out
    assert outputs() == undisturbed
    assert before.items() <= written(target("-20").parent).items()


def test_kill_a_worker(slow, pool, wait):
    pipeline, undisturbed = slow
    with pausing_after("-20"):
        process = start("stages.embed", "toy")
        wait(two_are_finished)
        before = written(target("-20").parent)
        pool(process)[0].kill()
        out, err = process.communicate(timeout=1800)
    assert process.returncode == 1
    assert "Traceback" not in err
    message = err.splitlines()[-1]  # a slow machine shows progress before
    assert message.startswith("earshift: a worker process died") and "finished values stay" in message
    pipeline.embed()
    assert outputs() == undisturbed
    assert before.items() <= written(target("-20").parent).items()


def test_interrupt_a_stage(slow, wait):
    """Ctrl-C reaches the whole group: the stage and its workers."""
    pipeline, undisturbed = slow
    with pausing_after("-20"):
        process = start("stages.embed", "toy")
        wait(two_are_finished)
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 1
    assert "Traceback" not in err
    message = "earshift: interrupted; what is finished stays, and the next run goes on from there"
    assert err.splitlines()[-1] == message  # a slow machine shows progress before
    assert 2 <= len(finished(paths.embeddings("toy"))) < 4
    before = written(target("-20").parent)
    pipeline.embed()
    assert outputs() == undisturbed and before.items() <= written(target("-20").parent).items()


def test_a_laptop_that_sleeps(slow, wait):
    """Stage and workers stop in the middle and go on, in this order, seconds later."""
    pipeline, undisturbed = slow
    process = start("stages.embed", "toy")
    wait(target("-20").exists)
    os.killpg(process.pid, signal.SIGSTOP)
    stopped = outputs()
    time.sleep(2)
    assert process.poll() is None and outputs() == stopped
    os.killpg(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, err
    assert outputs() == undisturbed


def test_a_clock_that_jumps(bench, monkeypatch):
    """Hours back at every look, and files from the future and from the past: what is whole stays, the rest is made."""
    undisturbed = bench().run()
    missing = [target("-10"), paths.distances("gain", "5"), paths.perturbed("gain") / "5.json"]
    for path in missing:
        path.unlink()
    forget()
    stamps = {}
    kept = (p for p in Path("data").rglob("*.h5") if not p.name.startswith("5-"))  # audio belongs to its recipe
    for i, path in enumerate(kept):
        stamps[path] = 4e9 if i % 2 else 0
        os.utime(path, (stamps[path], stamps[path]))
    now = [2e9]

    def jumping():
        now[0] -= 5000
        return now[0]

    monkeypatch.setattr(time, "time", jumping)
    assert bench().run() == undisturbed
    assert all(path.is_file() for path in missing)
    assert {path: path.stat().st_mtime for path in stamps} == stamps, "whole files are neither rewritten nor touched"
