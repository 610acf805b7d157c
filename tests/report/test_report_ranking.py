"""What removing gains, and who loses least: points, intervals, order and what is said where a number is missing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from results_on_disk import AREAS, dump, with_study, write_comparison, write_robustness

from earshift.pipeline import report_inputs
from earshift.report import methods
from earshift.report.figures import ranking, style

METHODS = [name for name in AREAS if name != "none"]


def colour(results, encoder):
    return to_hex(style.encoder_look(encoder, results.study.configured_encoders)[0])


def marks(axes, of):
    """Single points of a colour: {row of the method: (x, filled)}."""
    return {
        round(float(line.get_ydata()[0])): (line.get_xdata()[0], to_hex(line.get_markerfacecolor()) == of)
        for line in axes.get_lines()
        if len(line.get_xdata()) == 1 and to_hex(line.get_color()) == of
    }


def test_gains_of_every_method(results):
    figure = ranking.gains(results)
    assert len(figure.axes) == 4 and [axes.get_title() for axes in figure.axes[:2]] == ["gain", "reverb"]
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [methods.short(name) for name in METHODS]
    for encoder in ("mfcc", "musicnn"):
        shown = marks(axes, colour(results, encoder))
        assert len(shown) == len(METHODS)
        for row, name in enumerate(METHODS):
            x, filled = shown[row]
            assert filled == (abs(AREAS[name]) > 0.005), "p after Holm is 0.02 there, 0.5 elsewhere"
            assert x == pytest.approx(AREAS[name])
    spans = [segment for c in axes.collections for segment in c.get_segments()]
    cca = [s for s in spans if round(float(s[0][1])) == METHODS.index("cca")]
    assert len(cca) == 2 and cca[0][:, 0] == pytest.approx([-0.03515625, -0.02734375], rel=1e-5)
    assert figure.axes[2].get_xlabel() == "gained ROC AUC" and "each value" in axes.get_ylabel()


def test_open_marks_follow_the_confidence_that_is_asked_for(results):
    robustness = dataclasses.replace(results.study.robustness, confidence=0.99)
    results = with_study(results, robustness=robustness)
    figure = ranking.gains(results)
    assert not any(filled for _, filled in marks(figure.axes[0], colour(results, "mfcc")).values()), "0.02 > 0.01"
    assert "p < 0.01 after Holm" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_what_lies_beyond_the_axis_is_marked_with_its_number(results, world):
    path = world / "metrics/robustness/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["methods"]["lda"]["forward"] |= {"area": -0.4, "area_low": -0.5, "area_high": -0.3}
    dump(path, numbers)
    axes = ranking.gains(results).axes[0]
    assert axes.get_xlim()[0] > -0.3
    assert [text.get_text() for text in axes.texts] == ["\N{MINUS SIGN}0.40"]
    assert marks(axes, colour(results, "mfcc"))[0][0] == axes.get_xlim()[0], "an arrow at the edge"


def test_nothing_gained_is_always_on_the_axis(results, world):
    for path in world.glob("metrics/robustness/*/gain.json"):
        numbers = json.loads(path.read_text())
        for of in numbers["methods"].values():
            for direction in ("forward", "backward"):
                if of[direction] is not None:
                    of[direction] |= {"area": 0.25, "area_low": 0.24, "area_high": 0.26}
        dump(path, numbers)
    low, high = ranking.gains(results).axes[0].get_xlim()
    assert low < 0 and high > 0.26


def test_a_method_that_one_encoder_lacks(results, world):
    path = world / "metrics/robustness/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["methods"]["leace"]["forward"] = None
    dump(path, numbers)
    forward = ranking.gains(results).axes[0]
    assert not forward.texts and METHODS.index("leace") in marks(forward, colour(results, "musicnn"))


def test_a_method_without_numbers_says_so(results, world):
    for path in world.glob("metrics/robustness/*/gain.json"):
        numbers = json.loads(path.read_text())
        numbers["methods"]["leace"] |= {"problem": "no", **dict.fromkeys(("forward", "backward", "matched"))}
        dump(path, numbers)
    forward, reverb, backward, _ = ranking.gains(results).axes
    assert [text.get_text() for text in forward.texts] == ["no value"] and not reverb.texts
    assert [text.get_text() for text in backward.texts] == ["no value", "trained on all values"]
    assert METHODS.index("leace") not in marks(forward, colour(results, "mfcc"))


def test_ranking_orders_encoders_by_slope(results, world):
    figure = ranking.ranking(results)
    top, bottom = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title() for axes in top] == ["gain", "reverb", "overall"]
    assert [text.get_text() for text in top[0].get_yticklabels()] == ["1. mfcc", "2. musicnn"]
    numbers = report_inputs.results().comparison["measures"]["lsd_db"]
    for axes, perturbation in zip(top[:2], ("gain", "reverb"), strict=True):
        for place, encoder in enumerate(("mfcc", "musicnn")):
            of = numbers[perturbation][encoder]
            assert marks(axes, colour(results, encoder))[place][0] == of["slope"]
            (span,) = [s for c in axes.collections for s in c.get_segments() if s[0][1] == place]
            assert span[:, 0].tolist() == [of["slope_low"], of["slope_high"]]
        assert axes.get_xlim()[0] <= 0 and axes.get_xlabel() == "AUC lost per dB"
        assert [text.get_text() for text in axes.texts] == ["100 %", "0 %"]
    assert [text.get_text() for text in top[2].get_yticklabels()] == ["mfcc", "musicnn"]
    assert {axes.get_xlabel() for axes in bottom[:2]} == {"log-spectral distance (dB)"}
    labels = [text.get_text() for text in bottom[2].get_legend().get_texts()]
    assert labels[:2] == ["mfcc", "musicnn"] and any("slope" in label for label in labels)


def test_ranking_shows_the_drops_that_slopes_rest_on(results):
    drops = ranking.ranking(results).axes[3]
    by_colour = {}
    for line in drops.get_lines():
        by_colour.setdefault(to_hex(line.get_color()), []).append(line)
    points, slope = by_colour[colour(results, "musicnn")]
    np.testing.assert_allclose(points.get_xdata(), 1 + 12 * np.linspace(0, 1, 6))
    np.testing.assert_allclose(points.get_ydata(), 0.25 * np.linspace(0, 1, 6), atol=1e-6)
    assert slope.get_xdata()[0] == slope.get_ydata()[0] == 0
    assert slope.get_ydata()[1] / slope.get_xdata()[1] == pytest.approx(2 * 3.675 / 394.8, rel=1e-5)


def test_the_measure_is_chosen_in_params(world):
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("severity: lsd_db", "severity: loudness_lu"))
    write_comparison(world)
    figure = ranking.ranking(report_inputs.results())
    assert (
        figure.axes[0].get_xlabel() == "AUC lost per LU" and figure.axes[3].get_xlabel() == "loudness difference (LU)"
    )
    np.testing.assert_allclose(figure.axes[3].get_lines()[0].get_xdata(), 3 * np.linspace(0, 1, 6))
    # drop 0.125 x against 3 x: 0.125 / 3
    assert ranking.table(report_inputs.results())["slope"].iloc[0] == pytest.approx(0.125 / 3, rel=1e-5)


def test_an_encoder_without_numbers_is_listed(results, world):
    path = world / "metrics/robustness/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["original"]["roc_auc"] = None
    numbers["methods"]["none"]["problem"] = "every vector is the same"
    dump(path, numbers)
    write_comparison(world)
    figure = ranking.ranking(results)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["1. musicnn", "mfcc"]
    assert "every vector is the same" in [text.get_text() for text in figure.axes[0].texts]
    assert "not ranked under gain" in [text.get_text() for text in figure.axes[2].texts]
    drawn = [line for line in figure.axes[3].get_lines() if len(line.get_xdata())]
    assert len(drawn) == 3, "musicnn's drops and slope, and the axis"


def test_tables_for_dvc_plots(results, world):
    gains = ranking.gains_table(results)
    assert list(gains) == ["encoder", "perturbation", "method", "area", "low", "high", "p_holm", "significant"]
    assert len(gains) == 4 * len(AREAS)
    leace = gains[(gains["encoder"] == "musicnn") & (gains["method"] == "leace")].iloc[0]
    assert leace[["area", "low", "high", "p_holm"]].tolist() == pytest.approx(
        [0.015625, 0.01171875, 0.01953125, 0.02], rel=1e-5
    )
    table = ranking.table(report_inputs.results())
    assert table[["perturbation", "encoder", "rank"]].values.tolist() == [
        ["gain", "mfcc", 1], ["gain", "musicnn", 2], ["reverb", "mfcc", 1], ["reverb", "musicnn", 2],
        ["overall", "mfcc", 1], ["overall", "musicnn", 2],
    ]  # fmt: skip
    assert len(pd.read_csv(world / "plots/comparison/ranking.csv")) == 3 * len(table)


def test_more_encoders_take_more_room(world):
    two = ranking.ranking(report_inputs.results()).get_size_inches()[1]
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("encoders: [mfcc, musicnn]", "encoders: [mfcc, musicnn, yamnet]"))
    for perturbation in ("gain", "reverb"):
        write_robustness(world, "yamnet", perturbation, 0.5)
    write_comparison(world)
    assert ranking.ranking(report_inputs.results()).get_size_inches()[1] > two
