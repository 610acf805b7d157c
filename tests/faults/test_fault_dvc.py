"""Faults around ``dvc repro`` and experiments: two at once, Ctrl-C, kills, damaged outputs, files from other times.

One repository with two stages of dvc.yaml and its .dvc/config; every test leaves it as an undisturbed run does.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from disturbed import (
    REPOSITORY,
    SETTINGS,
    TOYS,
    Bench,
    finished,
    flipped,
    forget,
    kill_all,
    outputs,
    pausing_after,
    start,
    target,
    toy,
)
from ruamel.yaml import YAML

from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.storage.files import read_json

STAGES = ("perturb", "embed")
EMBEDDINGS = paths.embeddings("toy")


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
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc")
    (root / ".gitignore").write_text("/data/audio/\n/.earshift/\n/pause\n__pycache__/\n")
    sys.path.insert(0, str(root))
    sys.modules.pop("toys", None)
    with contextlib.chdir(root):
        corpus_writer(np.random.default_rng(440))
        pipeline = Bench(params.load())
        pipeline.perturb()
        pipeline.embed()
        undisturbed = outputs()
        shutil.rmtree(paths.EMBEDDINGS)
        shutil.rmtree(paths.PERTURBED)
        shutil.rmtree(paths.AUDIO / "gain")
        forget()
    sys.path.remove(str(root))
    git(root, "init", "-q")
    commit(root)
    return root, undisturbed


def git(root, *arguments):
    by = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *by, *arguments], cwd=root, check=True, capture_output=True)


def commit(root):
    git(root, "add", "-A")
    git(root, "commit", "-qm", "state", "--allow-empty")


def dvc(root, *arguments):
    """What a command of DVC prints."""
    process = start("dvc", *arguments, folder=root)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, out + err
    return out + err


@pytest.fixture
def made(repository):
    """The same with everything made and committed, also where a test is run alone."""
    root, _ = repository
    if not (root / target("-10")).exists():
        dvc(root, "repro")
        commit(root)
    return repository


def test_two_at_once(repository):
    """DVC lets one of them through; the other says so and fails, or finds all done."""
    root, undisturbed = repository
    both = [start("dvc", "repro", folder=root) for _ in range(2)]
    printed = ["".join(process.communicate(timeout=1800)) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, printed
    for code, said in zip(codes, printed, strict=True):
        assert "Traceback" not in said
        assert code == 0 or "busy" in said or "Unable to acquire lock" in said, said
    dvc(root, "repro")
    assert outputs(root).items() >= undisturbed.items()
    commit(root)


def test_two_stages_at_once_on_one_output(made):
    """Without DVC nobody watches but the stage itself: the second waits, and finds all done."""
    root, undisturbed = made
    shutil.rmtree(root / target("-10").parent)
    forget(root)
    both = [start("stages.embed", "toy", folder=root) for _ in range(2)]
    printed = ["".join(process.communicate(timeout=1800)) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert sorted("computed 0 of 4 values, reused 4" in said for said in printed) == [False, True]
    assert ["is being written by another process; waiting" in said for said in printed].count(True) == 1
    assert outputs(root).items() >= undisturbed.items()


def interrupted(process):
    """What a group prints after Ctrl-C; pressed again, because Python loses one that falls into a destructor."""
    while True:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return "".join(process.communicate(timeout=120))


@pytest.mark.parametrize("how", ["interrupt", "kill dvc alone", "kill everything"])
def test_dvc_is_stopped(made, wait, how):
    """Ctrl-C reaches DVC and the stage; a kill of DVC alone leaves the stage, for which the next one waits."""
    root, undisturbed = made
    shutil.rmtree(root / target("-10").parent)
    forget(root)
    with pausing_after("-20", root):
        process = start("dvc", "repro", folder=root)
        wait(lambda: "gain/-20" in finished(root / EMBEDDINGS) and (root / target("-20")).exists())
        if how == "interrupt":
            said = interrupted(process)
            assert process.returncode != 0 and "earshift: interrupted; what is finished stays" in said, said
            assert "Traceback" not in said or "Exception ignored in" in said, "other than of an interrupt that was lost"
        elif how == "kill dvc alone":
            process.kill()
            process.wait()
        else:
            kill_all(root)
            process.wait()
    printed = dvc(root, "repro")
    process.communicate(timeout=1800)
    if how == "kill dvc alone":
        assert not re.search("computed [1-9]", printed), "the stage has finished what DVC had begun"
    else:
        assert "embed toy: computed 2 of 4 values (gain/-10, gain/5;" in printed
    assert outputs(root).items() >= undisturbed.items()


HOW = {
    "in the workspace": ["exp", "run"],
    "in a folder of its own": ["exp", "run", "--temp"],
    "in the queue": ["exp", "run", "--queue"],
}


@pytest.mark.parametrize("how", HOW)
def test_an_experiment_is_killed(made, wait, how):
    """DVC begins an experiment with a checkout of all outputs and makes folders anew: the store has what was finished.

    Two of four artifacts are finished when everything is killed. The next experiment makes the other two.
    """
    (root, undisturbed), number = made, [*HOW].index(how) + 2

    def stored():
        manifests = (read_json(path) or {} for path in (root / paths.STORE).glob("objects/*/[!.]*/manifest.json"))
        return sum(manifest.get("name", "").startswith("embed/") for manifest in manifests)

    def run(name):
        options = [*HOW[how], "--name", name, "-S", f"encoders.toy.bands={number}"]
        if "--queue" not in options:
            return start("dvc", *options, folder=root)
        dvc(root, *options)
        return start("earshift", "queue", "--jobs", "1", folder=root)

    before = stored()
    with pausing_after("-20", root):
        process = run(f"killed-{number}")
        wait(lambda: stored() == before + 2 or process.poll() is not None)
        kill_all(root)
        said = "".join(process.communicate(timeout=1800))
    assert stored() == before + 2, said
    process = run(f"whole-{number}")
    said = "".join(process.communicate(timeout=1800))
    if how == "in the queue":
        assert f"1 of 2 experiments have no result: killed-{number} (running)" in said
        said = dvc(root, "queue", "logs", f"whole-{number}")
    assert "embed toy: computed 2 of 4 values (gain/-10, gain/5;" in said, said
    assert stored() == before + 4
    git(root, "checkout", "-q", ".")
    dvc(root, "exp", "apply", f"whole-{number}")
    assert {name: content for name, content in outputs(root).items() if name.endswith(".h5")} == {
        name: content for name, content in undisturbed.items() if name.endswith(".h5")
    }
    git(root, "checkout", "-q", ".")
    assert "computed 0 of 4 values, reused 4" in dvc(root, "repro"), "and back again"


def test_damage_and_other_times(made):
    """DVC sees that a file has changed and runs its stage, which brings that file back alone.

    What DVC keeps of it is not put back where it was damaged with the output.
    """
    root, undisturbed = made
    flipped(root / target("-10"), 0.5)
    flipped(root / paths.originals("toy"), 0.5)
    flipped(root / paths.perturbed("gain") / "5.json", 0.5)
    printed = dvc(root, "repro")
    assert printed.count("is damaged, its checksum does not hold; it is made again") == 3
    # from the store, or computed where the output was a link to what the store has
    perturbed = re.search(r"perturb gain: computed (\d) of 3 values(?: \(([^;]*))?", printed)
    embedded = re.search(r"embed toy: computed (\d) of 4 values(?: \(([^;]*))?", printed)
    assert perturbed and embedded
    assert perturbed[2] in (None, "5")
    assert {*(embedded[2] or "original").split(", ")} <= {"original", "gain/-10"}
    assert outputs(root).items() >= undisturbed.items()
    flipped(root / target("-10"), 0.5)
    forget(root)
    printed = dvc(root, "repro")
    assert "perturb gain" not in printed and "embed toy: computed 1 of 4 values (gain/-10;" in printed
    assert outputs(root).items() >= undisturbed.items()
    for i, path in enumerate(sorted(p for p in (root / "data").rglob("*") if p.is_file())):
        os.utime(path, (4e9, 4e9) if i % 2 else (0, 0))
    printed = dvc(root, "repro")
    assert "computed" not in printed and outputs(root).items() >= undisturbed.items()
