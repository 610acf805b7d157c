"""Faults around ``dvc repro``: two at once, Ctrl-C, outputs that were damaged, and files from other times.

One repository with three stages of dvc.yaml and its .dvc/config; every test leaves it as an undisturbed run does.
"""

import contextlib
import os
import shutil
import signal
import sys

import numpy as np
import pytest
from disturbed import REPOSITORY, SETTINGS, TOYS, Bench, flipped, outputs, pausing_after, start, target, toy, written
from ruamel.yaml import YAML

from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.embed import embed

STAGES = ("perturb", "embed", "original")


@pytest.fixture(scope="module")
def repository(tmp_path_factory, corpus_writer):
    """The folder, nothing run yet, and what an undisturbed run writes there."""
    root = tmp_path_factory.mktemp("repository")
    yaml = YAML(typ="safe")
    settings = yaml.load((REPOSITORY / "params.yaml").read_text())
    for key, value in (SETTINGS | toy(0.2)).items():
        *path, last = key.split(".")
        section = settings
        for part in path:
            section = section[part]
        section[last] = value
    stages = {name: yaml.load((REPOSITORY / "dvc.yaml").read_text())["stages"][name] for name in STAGES}
    for stage in stages.values():
        stage["deps"] = [dep for dep in stage["deps"] if dep.startswith(("data/corpus", "data/perturbed"))]
    for name, document in (("params.yaml", settings), ("dvc.yaml", {"stages": stages})):
        with open(root / name, "w") as file:
            yaml.dump(document, file)
    shutil.copy(TOYS, root)
    (root / ".dvc").mkdir()
    config = (REPOSITORY / ".dvc/config").read_text()
    (root / ".dvc/config").write_text(config.replace("[core]\n", "[core]\n    no_scm = true\n"))
    sys.path.insert(0, str(root))
    sys.modules.pop("toys", None)
    with contextlib.chdir(root):
        corpus_writer(np.random.default_rng(440))
        pipeline = Bench(params.load())
        pipeline.perturb()
        pipeline.embed()
        embed(pipeline.params, "toy", "original")
        undisturbed = outputs()
        shutil.rmtree(paths.EMBEDDINGS)
        shutil.rmtree(paths.PERTURBED)
        shutil.rmtree(paths.AUDIO / "gain")
    sys.path.remove(str(root))
    return root, undisturbed


def repro(root):
    process = start("dvc", "repro", folder=root)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return out + err


@pytest.fixture
def made(repository):
    """The same with everything made, also where a test is run alone."""
    root, _ = repository
    if not (root / target("-10")).exists():
        repro(root)
    return repository


def test_two_at_once(repository):
    """DVC lets one of them through; the other says so and fails, or finds all done."""
    root, undisturbed = repository
    both = [start("dvc", "repro", folder=root) for _ in range(2)]
    printed = ["".join(process.communicate(timeout=120)) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, printed
    for code, said in zip(codes, printed, strict=True):
        assert "Traceback" not in said
        assert code == 0 or "busy" in said or "Unable to acquire lock" in said, said
    repro(root)
    assert outputs(root) == undisturbed


def test_two_stages_at_once_on_one_output(made):
    """Without DVC nobody watches but the stage itself: the second waits, and finds all done."""
    root, undisturbed = made
    shutil.rmtree(root / target("-10").parent)
    both = [start("stages.embed", "toy", "gain", folder=root) for _ in range(2)]
    printed = ["".join(process.communicate(timeout=120)) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert sorted("computed 0 of 3 values, reused 3" in said for said in printed) == [False, True]
    assert ["is being written by another process; waiting" in said for said in printed].count(True) == 1
    assert outputs(root) == undisturbed


@pytest.mark.parametrize("how", ["interrupt", "kill dvc alone"])
def test_dvc_is_stopped(made, wait, how):
    """Ctrl-C reaches DVC and the stage; a kill of DVC alone leaves the stage, for which the next one waits."""
    root, undisturbed = made
    shutil.rmtree(root / target("-10").parent)
    with pausing_after("-20", root):
        process = start("dvc", "repro", folder=root)
        wait((root / target("-20")).exists)
        finished = written(root / target("-20").parent)
        if how == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
            said = "".join(process.communicate(timeout=60))
            assert process.returncode != 0 and "earshift: interrupted; what is finished stays" in said, said
            assert "Traceback" not in said
        else:
            process.kill()
            process.wait()
    repro(root)
    process.communicate(timeout=60)
    assert outputs(root) == undisturbed
    assert finished.items() <= written(root / target("-20").parent).items()


def test_damage_and_other_times(made):
    """DVC sees that a file has changed and runs its stage, which makes that file alone.

    What DVC keeps of it must not be the same file, or it would be damaged with it and put back again.
    """
    root, undisturbed = made
    flipped(root / target("-10"), 0.5)
    flipped(root / paths.originals("toy"), 0.5)
    flipped(root / paths.perturbed("gain") / "5.json", 0.5)
    printed = repro(root)
    assert (
        "perturb gain: computed 1 of 3 values (5;" in printed
        and "embed toy gain: computed 1 of 3 values (-10;" in printed
    )
    assert outputs(root) == undisturbed
    for i, path in enumerate(sorted(p for p in (root / "data").rglob("*") if p.is_file())):
        os.utime(path, (4e9, 4e9) if i % 2 else (0, 0))
    printed = repro(root)
    assert "computed" not in printed and outputs(root) == undisturbed
