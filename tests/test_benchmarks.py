"""How benchmarks collect and write what they found; the measurements themselves are ``make bench``."""

import sys
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import _growth, _one, _results, _workspace, pipeline, scaling
from benchmarks._results import Table, compared
from earshift.pipeline import paths, profile
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.storage.clips import read_clips
from earshift.storage.packed_audio import AudioReader

HERE = {"processor": "a processor", "cores": 2, "memory": "8.0 GiB", "system": "Linux 6", "gpu": "none"}


def found(what="loop", seconds=12.0, machine=HERE):
    table = compared([(what, "s", 2.0, 6.0, ""), ("rate", "clips/s", 300.0, 100.0, "same | vectors")], "Both")
    return {"date": "2026-01-02", "load": 0.25, "tables": [table], "about": "A stage against a loop.",
            "machine": machine, "packages": {"python": "3.11.9", "numpy": "2.4"}, "seconds": seconds}  # fmt: skip


@pytest.fixture
def fake(monkeypatch):
    """Put a benchmark called ``fake`` in place, whose main is the function that is given."""
    monkeypatch.setattr(_results, "machine", lambda: HERE)

    def put(main):
        module = SimpleNamespace(main=main, __doc__="A made-up thing: ``python -m benchmarks.fake``.\n\nMore.")
        monkeypatch.setitem(sys.modules, "benchmarks.fake", module)

    return put


def test_growth_takes_the_start_up_away():
    growth = _growth.Growth((64, 128, 256, 512), tuple(3 + 0.1 * n for n in (64, 128, 256, 512)), 3 + 0.1 * 8, 8)

    assert growth.line() == pytest.approx((3, 0.1))
    assert growth.slope() == pytest.approx(1)
    assert growth.ratios()[-1] == pytest.approx(54.2 / 28.6)
    assert growth.ratios(3)[-1] == pytest.approx(2)


def test_growth_with_the_square_has_slope_two():
    sizes = (48, 96, 192, 384)

    assert _growth.Growth(sizes, tuple(1 + n**2 / 1000 for n in sizes), 1.0).slope() == pytest.approx(2)


def test_no_slope_where_no_work_shows_above_the_start_up():
    assert _growth.Growth((1, 2), (1.0, 2.0), 1.5).slope() != _growth.Growth((1, 2), (1.0, 2.0), 1.5).slope()  # NaN


def test_ratios_say_how_many_times_as_fast_we_are_for_times_and_for_rates():
    rows = compared(
        [("a", "ms/clip", 2.0, 6.0, ""), ("b", "clips/s", 300.0, 100.0, ""), ("c", "s", 1.0, None, "")]
    ).rows

    assert [row[4] for row in rows] == [3, 3, None]


def test_numbers_have_three_digits_and_text_does_not_break_the_table():
    texts = [_results.cell(value) for value in (None, 1234567, 1234.5, 123.4, 12.34, 1.234, 0.01234, 0.001234, 0.0)]

    assert texts == ["", "1,234,567", "1,234", "123", "12.3", "1.23", "0.01", "0.0012", "0"]
    assert _results.cell("a | b") == r"a \| b"


def test_page_has_machines_once_and_a_section_each(tmp_path):
    other = {**HERE, "cores": 64}
    for name, machine in {"one": HERE, "two": other, "three": HERE}.items():
        _results.keep(name, found(name, machine=machine), tmp_path)

    _results.write_page(["one", "two", "never_ran", "three"], tmp_path, tmp_path / "results.md")

    text = (tmp_path / "results.md").read_text()
    assert text.count("a processor, 2 cores") == text.count("a processor, 64 cores") == 1
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## one", "## two", "## three"]
    assert "A stage against a loop. 2026-01-02, machine 2, 12 s; load of the machine before: 0.2." in text
    assert "| two | s | 2.00 | 6.00 | 3.00 |  |" in text
    assert r"same \| vectors" in text


def test_columns_without_anything_are_left_out():
    lines = _results._markdown(Table(("a", "b", "c"), [(1, None, "x"), (2, "", "y")]))

    assert lines == ["| a | c |", "| ---: | --- |", "| 1 | x |", "| 2 | y |"]


def test_one_benchmark_leaves_its_tables(tmp_path, fake):
    fake(lambda arguments: [Table(("n", "seconds"), [(64, 1.5)], "Clips")])

    assert _one.main("fake", tmp_path) == 0

    content = _results.kept("fake", tmp_path)
    assert content["about"] == "A made-up thing."
    assert content["machine"] == HERE
    assert content["tables"][0]["rows"] == [[64, 1.5]]
    assert content["packages"]["numpy"]


def test_failed_benchmark_keeps_its_last_tables_and_names_the_reason(tmp_path, fake, capfd):
    def fail(arguments):
        raise RuntimeError("stage embed failed:\n no space")

    _results.keep("fake", found("before"), tmp_path)
    fake(fail)

    assert _one.main("fake", tmp_path) == _one.FAILED

    _results.write_page(["fake"], tmp_path, tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    assert "RuntimeError: stage embed failed: no space; the numbers below are from before." in text
    assert "| before | s | 2.00 |" in text
    assert "no space" in capfd.readouterr().err


def test_later_success_forgets_the_failure(tmp_path, fake):
    _results.keep("fake", {"failed": "an error", "date": "2026-01-01", "seconds": 1.0}, tmp_path)
    fake(lambda arguments: [])

    _one.main("fake", tmp_path)

    assert "failed" not in _results.kept("fake", tmp_path)


def test_running_some_leaves_the_sections_of_the_others(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        _results.keep(name, found(name), tmp_path)
    monkeypatch.setattr(benchmarks, "run", lambda name, folder: _results.keep(name, found("new"), folder) or True)

    assert benchmarks.main(["b"], ["a", "b", "c"], tmp_path, tmp_path / "results.md") == 0

    text = (tmp_path / "results.md").read_text()
    assert "| a | s |" in text and "| new | s |" in text and "| b | s |" not in text
    assert "1/1 b, 12 s last time" in capsys.readouterr().out


def test_one_that_fails_stops_no_other(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(benchmarks, "run", lambda name, folder: ran.append(name) or name != "a")

    assert benchmarks.main([], ["a", "b"], tmp_path, tmp_path / "results.md") == 1

    assert ran == ["a", "b"]
    assert "failed: a" in capsys.readouterr().out


def test_unknown_benchmark_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        benchmarks.main(["ca"], ["cca"], tmp_path)
    assert "unknown benchmark ca; known: cca" in capsys.readouterr().err


def test_process_that_fails_or_dies_is_named_in_the_results(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(_workspace.REPOSITORY)
    assert not benchmarks.run("not_there", tmp_path)
    assert "ModuleNotFoundError" in _results.kept("not_there", tmp_path)["failed"]["failed"]

    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert not benchmarks.run("dies", tmp_path)
    assert _results.kept("dies", tmp_path)["failed"]["failed"] == "its process ended with 1"


def test_kept_page_is_made_of_the_kept_results():
    kept = {name: content for name in benchmarks.names() if (content := _results.kept(name))}

    assert {"scaling", "workers"} <= kept.keys()
    assert {path.stem for path in _results.FOLDER.glob("*.json")} == kept.keys()
    assert _results.document(kept) == _results.PAGE.read_text(encoding="utf-8")


def test_workspace_is_what_stages_expect():
    with _workspace.workspace():
        _workspace.configure({"run.encoders": ["mfcc"], "perturbations.gain.grid": [-4, 5]})
        _workspace.write_corpus(3)

        from earshift.pipeline.config import load

        assert load().run.encoders == ("mfcc",)
        assert len(read_clips(paths.CLIPS)) == 3
        with AudioReader(corpus_audio_path()) as reader:
            assert reader[2][0].shape == (2, 3 * 44100)
        before = corpus_audio_path()
        _workspace.write_corpus(2)
        _workspace.write_corpus(3)
        assert corpus_audio_path() == before and before.is_file()


@pytest.mark.parametrize(("stage", "measure", "counted"), [
    ("embed@mfcc", lambda: scaling._embed("mfcc", 4, 3), {"clips": 4 * 3}),
    ("distances", lambda: scaling._distances(5, 3), {"pairs": 5**2 * 3}),
    ("cca", lambda: scaling._cca(32, 4), {"pairs": 1}),
], ids=["embed", "distances", "cca"])  # fmt: skip
def test_a_stage_is_measured_again_with_nothing_to_reuse(stage, measure, counted):
    with _workspace.workspace():
        for _ in range(2):
            assert measure().peak > 0
            found = profile.read_profiles()[stage]["counted"]
            assert {unit: (of["computed"], of["reused"]) for unit, of in found.items()} == {
                unit: (number, 0) for unit, number in counted.items()
            }  # fmt: skip


def test_time_of_a_run_is_split_into_stages_and_what_lies_between_them():
    def took(stage, seconds, ended):
        return {"stage": stage, "seconds": seconds, "ended": ended}

    profiles = [took("embed@a", 4.0, 104), took("embed@b", 2.0, 107), took("cca", 1.0, 110)]

    assert pipeline._span(profiles) == 10
    assert pipeline._split("run", profiles, 10.0, 0.5, 2.0) == ("run", 3, 10.0, 7.0, 1.5, 3.0, 2.0, 0.15, 0.3, 0.2)
    assert pipeline._by_kind(profiles) == [("embed", 2, 6.0), ("cca", 1, 1.0)]
