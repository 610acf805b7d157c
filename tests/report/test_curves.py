"""ROC AUC in the study's layout: which curve stands where, on which axis, under which name."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from results_on_disk import dump, with_study, write_params, write_robustness

from earshift.analysis import desensitise
from earshift.pipeline import report_inputs
from earshift.report import methods
from earshift.report.figures import curves

STRENGTH = np.linspace(0, 1, 6)


def panel(figure, row, column):
    return figure.axes[4 * row + column]


def lines(axes):
    """Curves over the values, in the order drawn: (colour, y)."""
    return [(to_hex(line.get_color()), line.get_ydata()) for line in axes.get_lines() if len(line.get_xdata()) == 6]


def select(world, chosen, threshold="[0.3, 0.4, 0.5]"):
    path = world / "params.yaml"
    section = json.dumps({"methods": chosen, "svd_threshold": json.loads(threshold), "positives": 288,
                          "seed": 0, "bootstrap": 40, "confidence": 0.95})  # fmt: skip
    text = path.read_text()
    start, end = text.index("\nrobustness:") + 1, text.index("\nconsistency:") + 1
    path.write_text(f"{text[:start]}robustness: {section}\n{text[end:]}")
    return report_inputs.results()


def test_methods_in_the_order_of_the_report(results, world):
    assert methods.selected(results.study.robustness) == [
        "none", "lda", "average_displacement", "pca", "pca_normalised", "cca", "samplewise_cca_svd_0.3",
        "samplewise_cca_svd_0.4", "samplewise_cca_svd_0.5", "leace", "conditional_displacement", "augmentation",
    ]  # fmt: skip
    assert methods.selected(select(world, ["leace", "samplewise_cca_svd", "none"], "0.4").study.robustness) == [
        "none", "samplewise_cca_svd", "leace"
    ]  # fmt: skip
    for name in methods.METHODS:
        assert len(methods.short(name)) <= 12
    assert set(desensitise.METHODS) == set(methods.METHODS), "every method of the analysis has its name and colour here"
    assert methods.look("samplewise_cca_svd_0.35")[1] == "sample-wise CCA SVD 0.35"


def test_layout_of_the_study(results):
    figure = curves.roc_auc(results, "mfcc")
    assert len(figure.axes) == 2 * 4, "a row for every perturbation"
    for row, lost in ((0, 0.125), (1, 0.1875)):
        for column, (share, names) in enumerate((
            (1, ("none", "average_displacement", "samplewise_cca_svd_0.4", "pca")),
            (0.5, ("none", "average_displacement", "samplewise_cca_svd_0.4", "pca")),
            (1, ("none", "samplewise_cca_svd_0.3", "samplewise_cca_svd_0.4", "samplewise_cca_svd_0.5")),
            (0.5, ("none", "samplewise_cca_svd_0.3", "samplewise_cca_svd_0.4", "samplewise_cca_svd_0.5")),
        )):  # fmt: skip
            gains = {"average_displacement": -0.001, "pca": 0.002, "samplewise_cca_svd_0.3": 0.001,
                     "samplewise_cca_svd_0.4": 0.0078125, "samplewise_cca_svd_0.5": 0.004}  # fmt: skip
            drawn = lines(panel(figure, row, column))
            assert [colour for colour, _ in drawn] == [to_hex(methods.look(name)[0]) for name in names]
            for (_, y), name in zip(drawn, names, strict=True):
                np.testing.assert_allclose(y, 0.9375 - share * lost * STRENGTH + gains.get(name, 0), atol=1e-9)
    assert [panel(figure, 0, c).get_title().replace("\n", " ") for c in range(4)] == [
        "trained on originals, tested on each value", "trained on each value, tested on originals"
    ] * 2  # fmt: skip


def test_axes(results):
    figure = curves.roc_auc(results, "mfcc")
    axes = panel(figure, 1, 2)
    assert axes.get_xlabel() == "reverb (room size)" and panel(figure, 1, 0).get_ylabel() == "ROC AUC"
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks[:2] == ["orig.", "0.01"] and ticks[-1] == "1"
    assert axes.get_xticks()[0] < 0 and axes.get_xlim()[0] < axes.get_xticks()[0], "a place of its own"
    assert len({panel(figure, 1, c).get_ylim() for c in range(4)}) == 1
    low, high = axes.get_ylim()
    assert low < 0.75 < 0.9453125 < high < 1, "all curves of the row are within"


def test_originals_have_a_place_of_their_own(results):
    axes = panel(curves.roc_auc(results, "mfcc"), 0, 2)
    marks = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert [mark.get_ydata()[0] for mark in marks] == pytest.approx([0.9375, 0.93775, 0.939453125, 0.9385])
    assert len({mark.get_xdata()[0] for mark in marks}) == 1 and marks[0].get_xdata()[0] < -0.1
    level = [line for line in axes.get_lines() if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {0.9375}]
    assert len(level) == 1, "the level without effect crosses the panel"


def test_the_mean_has_its_interval_and_one_instrument_has_none(results):
    (band,) = panel(curves.roc_auc(results, "mfcc"), 0, 0).collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(0.95) and corners[:, 1].min() == pytest.approx(0.8)
    flute = panel(curves.roc_auc(results, "mfcc", "flute"), 0, 0)
    assert not [c for c in flute.collections if c.get_paths() and len(c.get_paths()[0].vertices)]
    np.testing.assert_allclose(lines(flute)[0][1], 0.9375 - 0.125 * STRENGTH - 0.015625)


def test_every_curve_is_in_the_legend(results):
    for figure, names in (
        (curves.roc_auc(results, "mfcc"), ("none", "average_displacement", "samplewise_cca_svd_0.4", "pca",
                                           "samplewise_cca_svd_0.3", "samplewise_cca_svd_0.5")),
        (curves.other_methods(results, "mfcc"), ("none", "lda", "cca", "pca_normalised", "leace",
                                                 "conditional_displacement", "augmentation")),
    ):  # fmt: skip
        (legend,) = figure.legends
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels[: len(names)] == [methods.look(name)[1] for name in names]
        assert "interval of nothing removed" in " ".join(labels) and "orig." in labels[-1]
        shown = {to_hex(h.get_color()) for h in legend.get_lines()}
        assert {colour for axes in figure.axes for colour, _ in lines(axes)} <= shown


def test_beyond_shows_ceiling_and_matched_training(results):
    figure = curves.other_methods(results, "mfcc")
    forward, backward = panel(figure, 0, 2), panel(figure, 0, 3)
    matched = 0.9375 - 0.125 / 4 * STRENGTH
    for axes in (forward, backward):
        dotted = [line for line in axes.get_lines() if len(line.get_xdata()) == 6 and line.get_linestyle() != "-"]
        np.testing.assert_allclose([line.get_ydata() for line in dotted], [matched])
    ceiling = to_hex(methods.look("augmentation")[0])
    (above,) = [y for colour, y in lines(forward) if colour == ceiling]
    np.testing.assert_allclose(above, 1 - 0.125 * STRENGTH)
    assert ceiling not in {colour for colour, y in lines(backward) if np.isfinite(y).any()}
    assert forward.get_ylim()[1] > 1, "the ceiling is within the axis"


def test_matched_training_is_within_the_axis_where_it_is_drawn(results, world):
    path = world / "plots/robustness/mfcc/gain/curves.csv"
    table = pd.read_csv(path)
    table.loc[(table["method"] == "none") & (table["direction"] == "matched"), "roc_auc"] = 1.125
    table.to_csv(path, index=False)
    assert panel(curves.other_methods(results, "mfcc"), 0, 2).get_ylim()[1] > 1.125
    assert panel(curves.roc_auc(results, "mfcc"), 0, 2).get_ylim()[1] < 1


def test_a_method_far_below_is_cut_and_says_how_far_it_goes(results, world):
    write_robustness(world, "mfcc", "gain", 0.125, area=8)  # LDA: 0.5 below none
    figure = curves.other_methods(results, "mfcc")
    axes = panel(figure, 0, 0)
    low, high = axes.get_ylim()
    assert 0.55 < low < 0.8125, "none goes down to 0.8125, LDA to 0.3125"
    assert any(text.get_text() == "LDA down to 0.31" for text in axes.texts)
    assert not panel(figure, 1, 0).texts


def test_only_selected_methods(world):
    results = select(world, ["none", "pca", "samplewise_cca_svd"], "0.4")
    for path in world.glob("plots/robustness/*/*/curves.csv"):
        table = pd.read_csv(path)
        table["method"] = table["method"].replace("samplewise_cca_svd_0.4", "samplewise_cca_svd")
        table[table["method"].isin(["none", "pca", "samplewise_cca_svd"])].to_csv(path, index=False)
    figure = curves.roc_auc(results, "mfcc")
    assert [len(lines(panel(figure, 0, column))) for column in range(4)] == [3, 3, 2, 2]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["nothing removed", "sample-wise CCA SVD", "PCA"]
    assert [len(lines(panel(curves.other_methods(results, "mfcc"), 0, column))) for column in range(4)] == [1, 1, 2, 2]


def test_one_instrument_under_what_costs_each_encoder_most(results):
    """Drops grow from pair to pair: reverb costs both encoders more than gain."""
    figure = curves.roc_auc_of_instrument(with_study(results, instrument="flute"))
    assert figure.get_suptitle().startswith("flute: ") and len(figure.axes) == 8
    assert [panel(figure, row, 0).get_ylabel() for row in (0, 1)] == ["mfcc\nROC AUC", "musicnn\nROC AUC"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"reverb (room size)"}
    np.testing.assert_allclose(lines(panel(figure, 1, 0))[0][1], 0.9375 - 0.3125 * STRENGTH - 0.015625)


def test_an_instrument_that_is_not_there(results):
    title = curves.roc_auc_of_instrument(with_study(results, instrument="theremin")).get_suptitle()
    assert title.startswith("cello: ") and "no numbers for theremin" in title


def test_a_pair_without_numbers_says_why(results, world):
    path = world / "metrics/robustness/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["original"] = dict.fromkeys(numbers["original"])
    numbers["methods"]["none"]["problem"] = "every vector is the same"
    dump(path, numbers)
    table = pd.read_csv(world / "plots/robustness/mfcc/gain/curves.csv")
    table[["roc_auc", "low", "high"]] = np.nan
    table.to_csv(world / "plots/robustness/mfcc/gain/curves.csv", index=False)
    for figure in (curves.roc_auc(results, "mfcc"), curves.other_methods(results, "mfcc")):
        assert [text.get_text() for text in panel(figure, 0, 1).texts] == ["no value:\nevery vector is the same"]
        assert not panel(figure, 1, 1).texts
    numbers["skipped"] = {"flute": "two positive clips"}
    dump(path, numbers)
    (text,) = panel(curves.roc_auc(report_inputs.results(), "mfcc", "flute"), 0, 0).texts
    assert text.get_text() == "no value:\ntwo positive clips"


def test_table_for_dvc_plots(results, world):
    table = curves.table(results)
    columns = ["encoder", "perturbation", "method", "direction", "strength", "value", "roc_auc", "low", "high"]
    assert list(table) == columns and len(table) == 4 * (11 * 3 + 1) * 7
    row = table[(table.encoder == "musicnn") & (table.perturbation == "gain") & (table.method == "leace")
                & (table.direction == "forward") & (table.value == "5")].iloc[0]  # fmt: skip
    assert row["roc_auc"] == pytest.approx(0.9375 - 0.25 + 0.015625) and row["high"] - row["low"] == pytest.approx(
        0.025
    )
    assert table.loc[table["value"] == "original", "strength"].isna().all()
    write_params(world, ("musicnn",), ("gain",))
    assert set(curves.table(report_inputs.results())["encoder"]) == {"musicnn"}
