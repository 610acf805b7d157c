"""The second study's streams: subsets and their intervals, the order that it found, and what the page makes of them."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from page_on_disk import PICTURE, write_page_inputs
from results_on_disk import STREAMS, write_combination, write_results

from earshift.report import results
from earshift.report import verma2023 as second_study
from earshift.report.figures import style, subsets
from earshift.report.kim2019 import AGREES, DISAGREES, OPEN
from earshift.report.page import captions, page, tables
from earshift.report.page.content import gathered

ENCODERS = ("mfcc", "diverse_all")
ALL = "+".join(STREAMS)


@pytest.fixture
def streams(tmp_path, monkeypatch):
    """A run with the combination, entered; single streams have mAP 1/8 to 1/2, all four 7/8."""
    write_results(tmp_path, ENCODERS, ("gain",))
    write_combination(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verdicts(name="top5"):
    return {c.claim: c.verdict for c in second_study.checks(subsets.table()) if c.title == second_study._TITLES[name]}


def test_the_order_of_the_study(streams):
    assert verdicts() == verdicts("map") == {
        "timbre above pitch": OPEN, "end to end above timbre": OPEN, "Neuralogram above end to end": OPEN,
        "all four above Neuralogram": AGREES, "all four above end to end": AGREES,
        "features add to what was learned: all four above end to end + Neuralogram": AGREES,
    }  # fmt: skip
    # a width of 1/16 on either side of steps of 1/8: ends touch


def test_intervals_that_lie_apart_agree_or_disagree(streams):
    write_combination(streams, error=0.05)
    assert set(verdicts().values()) == {AGREES}
    write_combination(streams, singles=(0.5, 0.25, 0.125, 0.375), more=-0.05, error=0.01)
    found = verdicts()
    assert found["timbre above pitch"] == found["all four above Neuralogram"] == DISAGREES
    assert found["Neuralogram above end to end"] == AGREES


def test_without_intervals_nothing_can_be_told(streams):
    rows = subsets.table()
    rows[["map_low", "map_high", "top5_low", "top5_high"]] = float("nan")
    found = second_study.checks(rows)
    assert {c.verdict for c in found} == {OPEN} and {c.why for c in found} == {"there are no intervals"}
    assert {c.why for c in second_study.checks(rows[rows["streams"] > 4])} == {"the subset is missing"}


def test_published_numbers_stand_beside(streams):
    found = {c.claim: c for c in second_study.checks(subsets.table())[:6]}
    assert found["all four above Neuralogram"].published == "all four 0.449 and Neuralogram 0.437"
    assert found["timbre above pitch"].published == "timbre 0.342 and pitch 0.272"
    assert found["timbre above pitch"].ours == "0.312 [0.250,\xa00.375] and 0.188 [0.125,\xa00.250]"


def test_the_text(streams, capsys):
    second_study.main([])
    printed = capsys.readouterr().out
    assert "Of 12 checks 6 agree with the study, 0 do not, and 6 cannot be told." in printed
    assert max(map(len, printed.splitlines())) <= 112


def test_a_run_without_the_combination_says_so(world):
    assert not subsets.run(results.document())
    with pytest.raises(SystemExit, match="run.encoders lacks diverse_all"):
        second_study.main([])


def test_a_missing_file_is_named(streams):
    Path("data/models/diverse_all/subsets.csv").unlink()
    with pytest.raises(SystemExit, match=re.escape("diverse_all/subsets.csv is missing")):
        second_study.main([])


def test_all_subsets_are_drawn_with_intervals_chance_and_the_study(streams):
    content = results.document()
    of_map, of_top = subsets.subsets(content).axes
    rows = subsets.table()
    assert rows["subset"].iloc[0] == ALL and rows["map"].is_monotonic_decreasing and len(rows) == 15
    names = [label.get_text() for label in of_map.get_yticklabels()]
    assert names[0] == "all four" and names[-1] == "pitch" and "end to end + Neuralogram" in names
    lines = [c.get_segments()[0][:, 0].tolist() for c in of_map.collections]
    assert lines == rows[["map_low", "map_high"]].values.tolist()
    marks = {}
    for line in of_map.get_lines():
        if len(line.get_xdata()) == 1:
            face = to_hex(line.get_markerfacecolor())
            marks.setdefault(int(line.get_ydata()[0]), []).append((line.get_xdata()[0], line.get_marker(), face))
    assert marks[0] == [(0.875, "s", to_hex(style.encoder_look("diverse_all", content["encoders"])[0])),
                        (0.596, "D", "#ffffff")]  # fmt: skip
    assert marks[14] == [(0.125, "o", to_hex(style.encoder_look("diverse_pitch", content["encoders"])[0]))]
    (chance,) = [line for line in of_map.get_lines() if len(line.get_xdata()) == 2]
    assert chance.get_xdata() == [0.0625, 0.0625]
    hollow = {line.get_xdata()[0] for line in of_top.get_lines() if line.get_marker() == "D"}
    assert hollow == {0.272, 0.342, 0.419, 0.437, 0.449}
    (band,) = of_map.patches
    assert band.get_x() == 0.4375 and band.get_width() == pytest.approx(0.125), "Neuralogram's interval"


def test_subsets_without_intervals_are_drawn(streams):
    path = streams / "data/models/diverse_all/subsets.csv"
    rows = subsets.table()
    rows[["map_low", "map_high", "top5_low", "top5_high"]] = float("nan")
    rows.to_csv(path, index=False)
    assert not subsets.subsets(results.document()).axes[0].patches


def test_the_page_has_subsets_and_classes(streams):
    write_page_inputs(streams, ENCODERS, ("gain",))
    for kind in ("svg", "png"):
        (streams / f"plots/figures/subsets.{kind}").write_text(PICTURE)
    g = gathered(results.document())
    table = tables.of_classes(g)
    assert [cell.text for cell in table.columns] == ["test clips", "pitch", "timbre", "end to end", "Neuralogram",
                                                     "all four"]  # fmt: skip
    ((_, rows),) = table.groups
    assert [(tag, [cell.text for cell in cells]) for tag, cells in rows] == [
        ("NA", ["4", "0.06", "0.19", "0.31", "0.44", "0.81"]), ("Rain", ["8", "0.00", "0.12", "0.25", "0.38", "0.75"]),
        ("Bark", ["0", *["–"] * 5]),
    ]  # fmt: skip
    ((_, rows),) = tables.of_subsets(g).groups
    assert len(rows) == 15 and rows[0][1][1].text == "0.875" and rows[0][1][1].note == "[0.812,\xa00.938]"
    html, _ = page.page(results.document())
    for wanted in ('id="second"', 'href="#second"', "All classes", "Does bringing features back help?", "arXiv 2309"):
        assert wanted in html, wanted
    assert "mAP of 0.88 [0.81,\xa00.94], on the best alone, Neuralogram, 0.50 [0.44,\xa00.56]; chance is 0.06" in html
    assert "Pitch and timbre surely add to the two learned streams: 0.875" in html
    assert "all four 0.88, " in captions.caption("subsets", g).alt


def test_a_page_without_streams_is_silent_about_them(inputs):
    html, _ = page.page(results.document())
    assert 'id="second"' not in html and "#second" not in html and "bringing features back" not in html.lower()
