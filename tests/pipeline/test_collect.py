"""``earshift gc``: what an output holds and what was asked for lately stays, the rest goes."""

import os
import time
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import artifacts, paths
from earshift.pipeline.artifacts import Artifact, make_key, making, open_output
from earshift.pipeline.collect import collect

DAY = 86_400


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def artifact(name: str, *, by_rows: bool = False) -> Artifact:
    key = make_key("test", contents={"clips": f"clips of {name}"}, options=name, code=[])
    return Artifact(name, key, (paths.METRICS / "test" / f"{name}.json",), by_rows)


def write(of: Artifact) -> None:
    with making(of) as root:
        (root / of.places[0]).parent.mkdir(parents=True)
        (root / of.places[0]).write_text(of.name)


def age(of: Artifact, days: float) -> None:
    manifest = artifacts.store().folder / "objects" / of.key.sha256[:2] / of.key.sha256 / "manifest.json"
    os.utime(manifest, (time.time() - days * DAY,) * 2)


def in_store(*of: Artifact) -> list[bool]:
    return [each.key.sha256 in artifacts.store() for each in of]


def test_what_no_output_holds_and_nobody_asked_for_goes(capsys):
    held, late, old = artifact("held"), artifact("late"), artifact("old")
    for each in (held, late, old):
        write(each)
    open_output(paths.METRICS / "test", [held]).missing()
    age(held, 90)
    age(late, 10)
    age(old, 40)
    collect(keep_days=30)
    assert in_store(held, late, old) == [True, True, False]
    assert "2 artifacts" in capsys.readouterr().out
    collect(keep_days=0)
    assert in_store(held, late) == [True, False]
    assert (paths.METRICS / "test/held.json").read_text() == "held"


def test_asking_for_an_artifact_keeps_it():
    of = artifact("asked")
    write(of)
    age(of, 40)
    open_output(paths.METRICS / "test", [of]).missing()
    open_output(paths.METRICS / "test", []).missing()
    collect(keep_days=30)
    assert in_store(of) == [True]


def test_notes_on_rows_go_with_their_artifacts():
    first, second = artifact("first", by_rows=True), artifact("second", by_rows=True)
    store = artifacts.store()
    for each in (first, second):
        write(each)
        store.remember_rows(str(each.key.contents["clips"]), ["a", "b"])
    age(first, 40)
    collect(keep_days=30)
    assert not list(store.relatives(first.key.family))
    assert store.rows("clips of first") is None
    assert [key for key, _ in store.relatives(second.key.family)] == [second.key.sha256]
    assert store.rows("clips of second") == ["a", "b"]


def test_what_killed_processes_left_goes():
    folder = Path(artifacts.store().folder)
    for name in ("work/aa.99999999", "objects/aa/.aa.99999999.tmp"):
        (folder / name).mkdir(parents=True)
    (folder / f"work/bb.{os.getpid()}").mkdir()
    collect(keep_days=30)
    assert [path.name for path in folder.glob("work/*")] == [f"bb.{os.getpid()}"]
    assert not list(folder.glob("objects/*/.*"))


def test_days_below_zero_are_refused():
    with pytest.raises(UserError, match="--keep-days is -1"):
        collect(keep_days=-1)
