"""The second study's streams: subsets and their intervals, the order that it found, and what the page makes of them."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from results_on_disk import STREAMS, write_combination, write_results

from earshift.errors import UserError
from earshift.pipeline import report_inputs
from earshift.report import verma2023
from earshift.report.figures import style, subsets
from earshift.report.verdicts import AGREES, DISAGREES, OPEN

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
    found = verma2023.checks(subsets.table(report_inputs.results()))
    return {c.claim: c.verdict for c in found if c.title == verma2023._TITLES[name]}


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
    rows = subsets.table(report_inputs.results())
    rows[["map_low", "map_high", "top5_low", "top5_high"]] = float("nan")
    found = verma2023.checks(rows)
    assert {c.verdict for c in found} == {OPEN} and {c.why for c in found} == {"there are no intervals"}
    assert {c.why for c in verma2023.checks(rows[rows["streams"] > 4])} == {"the subset is missing"}


def test_published_numbers_stand_beside(streams):
    found = {c.claim: c for c in verma2023.checks(subsets.table(report_inputs.results()))[:6]}
    assert found["all four above Neuralogram"].published == "all four 0.449 and Neuralogram 0.437"
    assert found["timbre above pitch"].published == "timbre 0.342 and pitch 0.272"
    assert found["timbre above pitch"].ours == "0.312 [0.250,\xa00.375] and 0.188 [0.125,\xa00.250]"


def test_the_text(streams):
    printed = verma2023.text(report_inputs.results())
    assert "Of 12 checks 6 agree with the study, 0 do not, and 6 are undecided." in printed
    assert max(map(len, printed.splitlines())) <= 112


def test_a_run_without_the_combination_says_so(world):
    assert not subsets.present(report_inputs.results().study)
    with pytest.raises(UserError, match="run.encoders lacks diverse_all"):
        verma2023.text(report_inputs.results())


def test_a_missing_file_is_named(streams):
    Path("data/models/diverse_all/subsets.csv").unlink()
    with pytest.raises(UserError, match=re.escape("diverse_all/subsets.csv is missing")):
        verma2023.text(report_inputs.results())


def test_all_subsets_are_drawn_with_intervals_chance_and_the_study(streams):
    results = report_inputs.results()
    known = results.study.configured_encoders
    of_map, of_top = subsets.subsets(results).axes
    rows = subsets.table(report_inputs.results())
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
    assert marks[0] == [(0.875, "s", to_hex(style.encoder_look("diverse_all", known)[0])),
                        (0.596, "D", "#ffffff")]  # fmt: skip
    assert marks[14] == [(0.125, "o", to_hex(style.encoder_look("diverse_pitch", known)[0]))]
    (chance,) = [line for line in of_map.get_lines() if len(line.get_xdata()) == 2]
    assert chance.get_xdata() == [0.0625, 0.0625]
    hollow = {line.get_xdata()[0] for line in of_top.get_lines() if line.get_marker() == "D"}
    assert hollow == {0.272, 0.342, 0.419, 0.437, 0.449}
    (band,) = of_map.patches
    assert band.get_x() == 0.4375 and band.get_width() == pytest.approx(0.125), "Neuralogram's interval"


def test_subsets_without_intervals_are_drawn(streams):
    path = streams / "data/models/diverse_all/subsets.csv"
    rows = subsets.table(report_inputs.results())
    rows[["map_low", "map_high", "top5_low", "top5_high"]] = float("nan")
    rows.to_csv(path, index=False)
    assert not subsets.subsets(report_inputs.results()).axes[0].patches
