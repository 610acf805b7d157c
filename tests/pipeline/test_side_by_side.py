"""Artifacts that are computed side by side: one that fails, in whatever way, costs itself."""

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import artifacts, paths
from earshift.pipeline.artifacts import Artifact, Output, make_key, read_index
from earshift.pipeline.config import Compute
from earshift.pipeline.side_by_side import compute_missing

FOLDER = paths.METRICS / "test"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class LocalError(Exception):
    """What another process could not tell this one as it is."""

    def __init__(self, one, other):
        super().__init__(one)


def write(task, root, compute):
    """Write what a task says, or fail as it says; a task is written down when it begins."""
    name, behaviour = task
    with open("begun.txt", "a") as file:
        file.write(f"{name} {compute.workers}\n")
    if Path("mended").exists():
        behaviour = "fine"
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / f"{name}.json").write_text(f"result of {name}")
    if behaviour == "user error":
        raise UserError(f"there are no clips for {name}")
    if behaviour == "exception":
        raise LocalError("of a library", 2)
    if behaviour == "exit":
        sys.exit("a library gives up")
    if behaviour == "killed":
        os._exit(9)


def settings(workers=1):
    return Compute(workers=workers, scheduler=None, device="cpu", chunk=4, gpu_batch=4)


def tasks(**behaviours):
    return {
        Artifact(name, make_key("test", contents={}, options=name, code=[]), (FOLDER / f"{name}.json",)): (name, how)
        for name, how in behaviours.items()
    }


def run(wanted, workers=1, *, into_output=True):
    output = Output(FOLDER, list(wanted)) if into_output else None
    compute_missing("test", write, wanted, output, settings(workers), unit="pairs")


def begun():
    """Names of the tasks that were begun since this was asked for, in order, and the cores that they were told."""
    lines = Path("begun.txt").read_text().split() if Path("begun.txt").exists() else []
    Path("begun.txt").unlink(missing_ok=True)
    return lines[::2], lines[1::2]


def results():
    return {path.stem: path.read_text() for path in FOLDER.glob("*.json") if path.name != artifacts.INDEX}


def whole(*names):
    return {name: f"result of {name}" for name in names}


def test_one_after_the_other(capsys):
    run(wanted := tasks(a="fine", b="fine"))
    assert begun() == (["a", "b"], ["1", "1"]) and results() == whole("a", "b")
    assert "test: computed 2 of 2 pairs, reused 0" in capsys.readouterr().out
    run(wanted)
    assert begun() == ([], []) and "test: computed 0 of 2 pairs, reused 2" in capsys.readouterr().out
    assert not list((paths.STORE / "work").iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_named_when_all_others_are_finished(workers, capsys):
    behaviours = {"a": "fine", "b": "user error", "c": "fine", "d": "exception", "e": "fine", "x": "exit"}
    if workers > 1:
        behaviours |= {"f": "killed", "g": "fine"}
    wanted = tasks(**behaviours)
    fine = [name for name, how in behaviours.items() if how == "fine"]
    with pytest.raises(UserError) as error:
        run(wanted, workers)
    lines = str(error.value).splitlines()
    failed = len(behaviours) - len(fine)
    assert lines[0] == f"{failed} of {len(behaviours)} pairs failed, the others are finished:"
    assert "b: there are no clips for b" in lines and any(line.startswith("d: Traceback") for line in lines)
    assert any("LocalError: of a library" in line for line in lines)
    assert "SystemExit: a library gives up" in lines
    assert ("f: its process was killed, or there was not enough memory for it" in lines) == (workers > 1)
    assert results() == whole(*fine) and list(read_index(FOLDER)) == fine
    assert f"computed {len(fine)} of {len(behaviours)} pairs, reused 0" in capsys.readouterr().out
    begun()
    Path("mended").touch()
    run(wanted)
    assert begun()[0] == [name for name in behaviours if name not in fine]
    assert results() == whole(*behaviours) and list(read_index(FOLDER)) == list(behaviours)


def test_a_killed_stage_goes_on_at_what_was_under_way():
    """With one worker the artifacts are computed in the process of the stage itself."""
    wanted = tasks(a="fine", b="fine", c="killed", d="fine")
    stage = multiprocessing.get_context("fork").Process(target=run, args=(wanted,))
    stage.start()
    stage.join()
    assert stage.exitcode == 9 and begun()[0] == ["a", "b", "c"] and results() == whole("a", "b")
    Path("mended").touch()
    run(wanted)
    assert begun()[0] == ["c", "d"] and results() == whole("a", "b", "c", "d")
    artifacts.store().remove_leftovers()
    assert not list((paths.STORE / "work").iterdir())


@pytest.mark.parametrize("names, cores", [("a", ["2"]), ("ab", ["1", "1"])])
def test_one_alone_has_all_cores_and_one_beside_others_has_one(names, cores):
    run(tasks(**dict.fromkeys(names, "fine")), workers=2)
    assert sorted(begun()[1]) == cores and results() == whole(*names)


def test_into_the_store_alone():
    wanted = tasks(a="fine")
    run(wanted, into_output=False)
    assert not FOLDER.exists() and begun()[0] == ["a"]
    run(wanted, into_output=False)
    assert begun()[0] == []
    (one,) = wanted
    artifacts.store().file(one.key.sha256, "metrics/test/a.json").write_text("damaged")
    run(wanted, into_output=False)
    assert begun()[0] == ["a"]
    run(wanted)
    assert begun()[0] == [] and results() == whole("a")


def test_what_another_process_has_finished_meanwhile_is_taken(monkeypatch):
    wanted = tasks(a="fine", b="fine")
    missing = Output.missing

    def another_is_quicker(output):
        found = missing(output)
        run({each: task for each, task in wanted.items() if each.name == "b"}, into_output=False)
        return found

    monkeypatch.setattr(Output, "missing", another_is_quicker)
    run(wanted)
    assert begun()[0] == ["b", "a"] and results() == whole("a", "b")


def test_an_interruption_is_no_failure_of_a_pair():
    def interrupted(task, root, compute):
        (root / FOLDER).mkdir(parents=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_missing("test", interrupted, tasks(a="fine"), None, settings(), unit="pairs")
    assert not list((paths.STORE / "work").iterdir())


def test_all_that_failed_are_named_whatever_there_is_to_say_of_each():
    names = [f"pair{number}" for number in range(40)]
    with pytest.raises(UserError) as error:
        run(tasks(**dict.fromkeys(names, "exception")))
    assert f"\n{', '.join(names)}\n" in str(error.value)
