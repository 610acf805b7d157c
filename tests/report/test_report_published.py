"""The side-by-side of the published figure: what the table says, and what is drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earshift.analysis.published import PublishedResult
from earshift.pipeline import paths
from earshift.pipeline.published import TABLE, show_figure
from earshift.report.figures import published, style
from earshift.storage.files import write_table
from earshift.storage.results import write_result

METHODS = ["none", "average_displacement", "pca", "samplewise_cca_svd_0.3", "samplewise_cca_svd_0.4",
           "samplewise_cca_svd_0.5"]  # fmt: skip
DIRECTIONS = ["orig->effected", "effected->orig"]
PANEL = "panns-gain-organ"


def numbers(points=30, offset=0.0):
    return {
        "points": points, "published": 0.9812, "ours": 0.9712 + offset, "difference": -0.01 + offset,
        "largest_difference": -0.0412, "original_published": 0.9861, "original_ours": 0.9751,
        "gain_published": 0.0012, "gain_ours": -0.0034,
    }  # fmt: skip


def panel(**changes):
    of_methods = {method: {direction: numbers() for direction in DIRECTIONS} for method in METHODS}
    return {
        "encoder": "panns", "perturbation": "gain", "instrument": "organ", "unit": "dB", "train_clips": 3168,
        "test_clips": 1666, "deviations": [], "removed": dict.fromkeys(METHODS, 1), "notes": [],
        "methods": of_methods, "fingerprint": "0", **changes,
    }  # fmt: skip


def curves(values=(-40.0, -10.0, 0.5, 5.0)):
    """Published 0.9 + and ours 0.8 + something that tells the curves apart; -10 dB is not on our grid."""
    rows = []
    for i, method in enumerate(METHODS):
        for j, direction in enumerate(DIRECTIONS):
            for k, value in enumerate([0.0, *values]):
                here = 0.8 + i / 100 + j / 1000 + k / 10000
                rows.append((PANEL, direction, method, value, int(k == 0), here + 0.1, np.nan if k == 2 else here))
    table = pd.DataFrame(rows, columns=["panel", "direction", "method", "param", "original", "published", "ours"])
    table["difference"] = table["ours"] - table["published"]
    table["note"] = np.where(table["ours"].isna(), "not on this grid", "")
    return table


@pytest.fixture
def on_disk(workspace):
    def write(content=None):
        write_result(
            paths.PUBLISHED, PublishedResult, content or {"panels": {PANEL: panel()}, "skipped": {}, "curves": ""}
        )
        write_table(TABLE, curves())

    return write


@pytest.fixture(autouse=True)
def project_style():
    with style.styled():
        yield


# ----------------------------------------------------------------------------------------------------------- the table


def test_table_has_a_row_per_method_and_direction():
    lines = published.table({"panels": {PANEL: panel()}, "skipped": {}}).splitlines()
    assert lines[0] == "PANNs, gain, organ: 3168 training and 1666 test clips"
    assert lines[1] == "The study's conditions, as far as the files tell."
    rows = [line for line in lines if line.startswith("  ") and " 30 " in line]
    assert len(rows) == 12
    cells = rows[1].split("average displacement")[1].split()
    assert cells == ["30", "0.9812", "0.9712", "-0.0100", "-0.0412", "+0.0012", "-0.0034", "0.9861", "0.9751"]
    assert len(rows[0].split("none")[1].split()) == 7  # nothing to compare itself with
    heads = [line for line in lines if line.startswith("trained on")]
    assert heads == ["trained on original, tested on perturbed", "trained on perturbed, tested on original"]
    assert max(map(len, lines)) <= published.WIDTH


def test_table_stands_in_columns():
    lines = published.table({"panels": {PANEL: panel()}, "skipped": {}}).splitlines()
    head = next(line for line in lines if line.startswith("directions removed"))
    row = next(line for line in lines if line.startswith("  PCA"))
    over = lines[lines.index(head) - 1]
    pairs = {"mean AUC": ("0.9812", "0.9712"), "here - published": ("-0.0100", "-0.0412"),
             "minus none": ("+0.0012", "-0.0034"), "no effect": ("0.9861", "0.9751")}  # fmt: skip
    for name, (first, second) in pairs.items():
        assert row.index(first) <= over.index(name) and over.index(name) + len(name) <= row.index(second) + len(second)
    ends = [i for i in range(1, len(head) + 1) if head[i - 1] != " " and (i == len(head) or head[i : i + 2] == "  ")]
    assert all(row[end - 1] != " " for end in ends) and len(row) == len(head)


def test_table_says_what_is_not_as_in_the_study():
    deviations = ["The corpus is general_midi, not IRMAS.", "A sentence of many words " * 8 + "ends here."]
    notes = [
        {"note": "2 positive training clips, 3 folds need 3", "methods": METHODS, "points": 384},
        {"note": "all displacements are the same", "methods": ["pca"], "points": 64},
    ]
    content = {"panels": {PANEL: panel(deviations=deviations, notes=notes)}, "skipped": {"clap-x": "files are missing"}}
    text = published.table(content)
    lines = text.splitlines()
    assert lines[1] == "Not the study's conditions, so do not expect its numbers:"
    assert lines[2] == "  - The corpus is general_midi, not IRMAS."
    assert "  - 384 points: 2 positive training clips, 3 folds need 3." in lines
    assert "  - 64 points (PCA, non-normalised): all displacements are the same." in lines
    assert "clap-x is left out: files are missing" in lines
    assert "ends here." in text and max(map(len, lines)) <= published.WIDTH


def test_numbers_that_are_missing_are_dashes():
    missing = {**dict.fromkeys(numbers(), None), "points": 0}
    content = panel()
    content["methods"]["pca"]["effected->orig"] = missing
    lines = published.table({"panels": {PANEL: content}, "skipped": {}}).splitlines()
    row = [line for line in lines if line.startswith("  PCA")][1]
    assert row.split("non-normalised")[1].split() == ["0", *["-"] * 8]


# --------------------------------------------------------------------------------------------------------- the pictures


def drawn(figure):
    """Curves by (row, column): lists of (x, y, colour), of the published and of ours."""
    found = {}
    for i, axes in enumerate(figure.axes):
        curves = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
        parts = [[line for line in curves if line.get_marker() == marker] for marker in ("o", "|")]
        found[i // 2, i % 2] = parts
    return found


def test_directions_stand_across_and_groups_of_methods_down():
    figure = published.picture(panel(), curves())
    places = drawn(figure)
    assert len(places) == 4
    groups = [(0, 1, 4, 2), (0, 3, 4, 5)]  # which methods
    for (down, across), (theirs, here) in places.items():
        for i, a, b in zip(groups[down], theirs, here, strict=True):
            base = 0.8 + i / 100 + across / 1000
            # by value, the point without effect (0 dB) among them
            assert a.get_xdata().tolist() == [-40, -10, 0, 0.5, 5]
            assert a.get_ydata() == pytest.approx(base + 0.1 + np.array([1, 2, 0, 3, 4]) / 10000)
            assert b.get_xdata().tolist() == [-40, 0, 0.5, 5]
            assert b.get_ydata() == pytest.approx(base + np.array([1, 0, 3, 4]) / 10000)
            assert a.get_color() == b.get_color() == published._METHODS[METHODS[i]][1]
            assert a.get_linewidth() < b.get_linewidth()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["trained on original, tested on perturbed", "trained on perturbed, tested on original", "", ""]
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["gain (dB)"] * 2
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == 9 and texts[6:8] == ["published", "here"]


def test_published_curves_have_gaps_where_points_are_missing():
    table = curves()
    table.loc[(table["param"] == -10) & (table["direction"] == "orig->effected"), "published"] = np.nan
    theirs, _ = drawn(published.picture(panel(), table))[0, 0]
    assert [np.isnan(line.get_ydata()).tolist() for line in theirs] == [[False, True, False, False, False]] * 4


def test_picture_says_under_which_conditions():
    assert "the study's conditions" in published.picture(panel(), curves()).get_suptitle()
    title = published.picture(panel(deviations=["x"]), curves()).get_suptitle()
    assert title == "PANNs, gain, organ (not the study's conditions: the table says why)"


def test_low_pass_is_drawn_over_a_logarithmic_axis():
    low = panel(encoder="clap", perturbation="lowpass", instrument="guitar_acc", unit="Hz")
    figure = published.picture(low, curves((1882.47, 5874.687, 12210.155, 18333.333)).replace({"param": {0: 22500}}))
    assert figure.axes[2].get_xscale() == "log" and figure.axes[2].get_xlabel() == "cutoff frequency (Hz)"
    assert [t.get_text() for t in figure.axes[2].get_xticklabels()] == ["2000", "4000", "8000", "16000"]
    assert figure.get_suptitle().startswith("CLAP, lowpass, acoustic guitar")


# ---------------------------------------------------------------------------------------------------------- the command


def test_command_prints_and_draws_the_same_twice(on_disk, capsys):
    on_disk()
    show_figure()
    first, picture = capsys.readouterr().out, Path("plots/published/panns-gain-organ.png")
    drawn_first = picture.read_bytes()
    assert drawn_first.startswith(b"\x89PNG") and first.startswith("PANNs, gain, organ")
    assert first.rstrip().endswith(f"Points: {TABLE}")
    show_figure()
    assert capsys.readouterr().out == first and picture.read_bytes() == drawn_first


def test_every_method_of_the_analysis_has_a_look():
    from earshift.analysis.published import BACKWARD, FORWARD
    from earshift.analysis.published import METHODS as computed

    assert list(published._METHODS) == [method.name for method in computed.values()] == METHODS
    assert list(published._DIRECTIONS) == DIRECTIONS == [FORWARD, BACKWARD]
