"""The perturb stage: what it writes, reuses, removes and survives."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.artifacts import INDEX
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.perturb import perturb
from earshift.storage.packed_audio import AudioReader

GRID = [-20, -10, 5]
KEEP = {"perturb.keep_audio": True}


def run(edited, grid=GRID, **changes):
    """Bytes of what the stage writes, and of the audio that it keeps, by name."""
    settings = {"perturbations.gain.grid": grid, "compute.workers": 1, "compute.chunk": 2}
    perturb(edited({**settings, **KEEP, **changes}), "gain")
    return {p.name: p.read_bytes() for p in [*paths.perturbed("gain").iterdir(), *kept("gain").values()]}


def kept(perturbation):
    """Packed audio by value."""
    found = sorted((paths.AUDIO / perturbation).glob("*.h5"))
    return {path.stem.rpartition("-")[0]: path for path in found}


def forget(name="gain"):
    """Remove all that the stage has written, from the store too."""
    for folder in (paths.perturbed(name), paths.AUDIO / name, paths.STORE):
        shutil.rmtree(folder)


def test_writes_one_packed_file_per_value(tiny_corpus, edited):
    files = run(edited)
    assert {"-20.json", "-10.json", "5.json", "severity.csv", INDEX} < set(files) and len(files) == 8
    with AudioReader(corpus_audio_path()) as original, AudioReader(kept("gain")["-20"]) as perturbed:
        assert len(perturbed) == len(original) == len(tiny_corpus)
        for i in range(len(original)):
            np.testing.assert_allclose(perturbed[i][0], original[i][0] * 0.1, atol=1e-7)
            assert perturbed[i][1] == original[i][1]


def test_severity_table(tiny_corpus, edited):
    run(edited)
    table = pd.read_csv(paths.severity("gain"), dtype={"value": str})
    assert list(table.value) == ["-20", "-10", "5"]
    assert list(table.strength) == [0, 0.5, 1]
    assert list(table.distance_from_neutral) == [20, 10, 5]
    np.testing.assert_allclose(table.loudness_lu, [-20, -10, 5], atol=1e-2)
    assert (table.clips == tiny_corpus.valid.sum()).all()


def test_one_value_more_costs_one_value(tiny_corpus, edited, capsys):
    before = run(edited)
    stamps = {p: p.stat().st_mtime_ns for p in kept("gain").values()}
    after = run(edited, [*GRID, -15])
    assert "computed 1 of 4 values (-15;" in capsys.readouterr().out
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())
    assert all(after[name] == before[name] for name in before if name not in ("severity.csv", INDEX))


def test_values_that_left_the_grid_are_removed_and_computed_no_more(tiny_corpus, edited, capsys):
    before = run(edited)
    run(edited, [-20, 5])
    assert {p.name for p in paths.perturbed("gain").iterdir()} == {"-20.json", "5.json", "severity.csv", INDEX}
    assert set(kept("gain")) == {"-20", "-10", "5"}, "another experiment may be reading it"
    capsys.readouterr()
    assert run(edited) == before and "computed 0 of 3 values, reused 3" in capsys.readouterr().out


def test_another_switch_recomputes(tiny_corpus, edited, capsys):
    run(edited)
    run(edited, **{"perturb.clip": True})
    assert "computed 3 of 3" in capsys.readouterr().out


def test_fused_keeps_only_recipes(tiny_corpus, edited):
    run(edited, **{"perturb.keep_audio": False})
    assert not kept("gain")
    fused = {p.name: p.read_bytes() for p in paths.perturbed("gain").iterdir()}
    assert set(fused) == {"-20.json", "-10.json", "5.json", "severity.csv", INDEX}
    assert fused.items() < run(edited).items()


def test_workers_write_the_same_bytes(tiny_corpus, edited):
    alone = run(edited)
    forget()
    assert run(edited, **{"compute.workers": 2}) == alone


NEW = ["pitch", "tempo", "pink_noise", "ambient_noise", "mp3"]


@pytest.mark.parametrize("name", NEW)
def test_those_of_kim2019_write_the_same_bytes_whatever_the_chunks_and_workers(tiny_corpus, edited, name):
    def made(**changes):
        values = params.read()["perturbations"][name]["grid"]
        grid = [64, 128] if name == "mp3" else [values[0], values[-1]]
        perturb(edited({f"perturbations.{name}.grid": grid, **KEEP, **changes}), name)
        files = [*paths.perturbed(name).iterdir(), *kept(name).values()]
        content = {path.name: path.read_bytes() for path in files}
        forget(name)
        return content

    alone = made(**{"compute.workers": 1, "compute.chunk": 100})
    assert len(alone) == 6 and made(**{"compute.workers": 2, "compute.chunk": 1}) == alone


def test_tempo_changes_lengths_and_leaves_snr_empty(tiny_corpus, edited):
    perturb(edited({"perturbations.tempo.grid": [0.5, 1, 1.5], "compute.workers": 1, **KEEP}), "tempo")
    table = pd.read_csv(paths.severity("tempo"), dtype={"value": str})
    assert list(table.value) == ["0.5", "1", "1.5"] and list(table.strength) == [0, 0.5, 1]
    assert list(table.distance_from_neutral) == [0.5, 0, 0.5] and list(table.snr_db.isna()) == [True, False, True]
    assert (table.loudness_lu.abs() < 0.1).all() and table.lsd_db[1] == 0 and (table.lsd_db[[0, 2]] > 1).all()
    with AudioReader(corpus_audio_path()) as original, AudioReader(kept("tempo")["0.5"]) as slow:
        for i in range(len(original)):
            assert slow[i][0].shape == (len(original[i][0]), 2 * original[i][0].shape[1])


def test_illegal_bit_rates_stop_before_the_work(tiny_corpus, edited, capsys):
    with pytest.raises(UserError, match="holds 320, 192 kb/s, which MPEG-2 layer III does not have at 22050 Hz"):
        perturb(edited({"perturbations.mp3.grid": [64, 192, 320]}), "mp3")
    assert not paths.perturbed("mp3").exists()
    perturb(edited({"perturbations.mp3.grid": [64, 320], "fidelity": "paper", "compute.workers": 1}), "mp3")
    assert "320 as 160 kb/s" in capsys.readouterr().out


def test_tail_follows_the_order_of_clips(tiny_corpus, edited):
    """With ``reverb_tail`` the second clip holds what the first one left, whatever the chunking."""
    changes = {"perturbations.reverb.grid": [0.5, 1.0], "perturb.reverb_tail": True, "compute.workers": 2, **KEEP}
    perturb(edited({**changes, "compute.chunk": 1}), "reverb")
    by_one = kept("reverb")["1"].read_bytes()
    forget("reverb")
    perturb(edited({**changes, "compute.chunk": 100}), "reverb")
    assert kept("reverb")["1"].read_bytes() == by_one

    from pedalboard import Pedalboard, Reverb

    board = Pedalboard([Reverb(room_size=1.0)])
    with AudioReader(corpus_audio_path()) as original, AudioReader(kept("reverb")["1"]) as perturbed:
        for i in range(3):
            expected = board(original[i][0], original[i][1], reset=False)
            np.testing.assert_array_equal(perturbed[i][0], expected)


def test_leftovers_of_a_killed_run_are_removed_and_the_rest_is_kept(tiny_corpus, edited, capsys):
    before = run(edited)
    (paths.perturbed("gain") / ".-10.json.77.tmp").write_bytes(b"half")
    (paths.perturbed("gain") / "-10.json").write_text("{half")  # in place, and so in the store as well
    assert run(edited) == before
    assert "computed 1 of 3 values (-10;" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="kills processes the POSIX way")
def test_kill_and_resume(tiny_corpus, edited):
    """kill -9 in the middle: whole values stay, the next run computes the others, and the bytes are the same."""
    grid = [round(-40 + 0.5 * i, 1) for i in range(30)]
    folder = paths.perturbed("gain")
    undisturbed = run(edited, grid)
    forget()
    imports = "from earshift.pipeline.config import load; from earshift.pipeline.perturb import perturb"
    script = f"{imports}; perturb(load(), 'gain')"
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root})
    deadline = time.monotonic() + 600
    while len(list(folder.glob("-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    finished = {p: p.stat().st_mtime_ns for p in folder.glob("-*.json")}
    assert 3 <= len(finished) < len(grid)
    assert run(edited, grid) == undisturbed
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())


def test_disk_too_small_is_said_before_the_work(tiny_corpus, edited, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match=r"needs .* GiB and its disk has .* left; .*keep_audio: false"):
        run(edited)
    assert not kept("gain")
