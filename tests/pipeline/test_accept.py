"""``earshift accept``: after a change of code, a sample is computed again and the rest is taken if it is the same."""

import pytest

from earshift.errors import UserError
from earshift.pipeline import artifacts, paths
from earshift.pipeline.artifacts import Artifact, Output, make_key, making, open_output, read_index

FOLDER = paths.METRICS / "test"


@pytest.fixture(autouse=True)
def code(tmp_path, monkeypatch):
    """A function that sets the hash of today's code."""
    monkeypatch.chdir(tmp_path)

    def is_now(sha256: str) -> None:
        monkeypatch.setattr(artifacts, "_code", lambda *modules: (sha256, {}))

    is_now("before")
    return is_now


def wanted(option: int = 1) -> list[Artifact]:
    return [Artifact(name, make_key("test", contents={}, options=[name, option], code=[]), (FOLDER / name,))
            for name in "abcdef"]  # fmt: skip


def compute(output: Output, text: str = "") -> list[str]:
    """What a stage does; gives the names of what it computed."""
    missing = output.missing()
    for each in missing:
        with making(each) as root:
            (root / each.places[0]).parent.mkdir(parents=True)
            (root / each.places[0]).write_text(each.name + text)
        output.take(each)
    return [each.name for each in missing]


def test_equal_bytes_are_accepted_and_nothing_is_computed_then(code, monkeypatch, capsys):
    compute(open_output(FOLDER, wanted()))
    code("today")
    monkeypatch.setenv(artifacts.ACCEPT, "2")
    assert compute(open_output(FOLDER, wanted())) == ["a", "d"]
    assert "2 computed again, the same bytes; 4 more accepted" in capsys.readouterr().out
    monkeypatch.delenv(artifacts.ACCEPT)
    assert compute(open_output(FOLDER, wanted())) == []
    assert [entry["key"] for entry in read_index(FOLDER).values()] == [each.key.sha256 for each in wanted()]


def test_other_bytes_are_named_and_nothing_is_accepted(code, monkeypatch):
    compute(open_output(FOLDER, wanted()))
    code("today")
    monkeypatch.setenv(artifacts.ACCEPT, "2")
    with pytest.raises(UserError, match="a comes out otherwise"):
        compute(open_output(FOLDER, wanted()), text=" changed")
    assert (FOLDER / "a").read_text() == "a"  # outputs stay as they are
    monkeypatch.delenv(artifacts.ACCEPT)
    assert compute(open_output(FOLDER, wanted()), text=" changed") == ["b", "c", "d", "e", "f"]


def test_other_options_and_damaged_files_are_not_accepted(code, monkeypatch, capsys):
    compute(open_output(FOLDER, wanted()))
    code("today")
    monkeypatch.setenv(artifacts.ACCEPT, "9")
    assert compute(open_output(FOLDER, wanted(option=2))) == []
    assert "nothing to accept" in capsys.readouterr().out
    (FOLDER / "b").unlink()
    (FOLDER / "b").write_text("damaged")
    assert compute(open_output(FOLDER, wanted())) == ["a", "c", "d", "e", "f"]
    monkeypatch.delenv(artifacts.ACCEPT)
    assert compute(open_output(FOLDER, wanted())) == ["b"]
