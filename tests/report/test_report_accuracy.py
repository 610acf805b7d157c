"""Robustness against accuracy: what is drawn, which pairs the question is about, and what counts as a finding."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from results_on_disk import dump, write_comparison, write_robustness

from earshift.pipeline import report_inputs
from earshift.report.figures import accuracy, style
from earshift.report.page import findings

STREAMS = ("diverse_pitch", "diverse_end_to_end", "mfcc", "musicnn")


def written(pairs=(), **numbers):
    """metrics/comparison.json with encoders: (roc_auc, mean_drop), and `pairs` {(first, second): differences}."""
    rows = {
        encoder: {"roc_auc": auc, "roc_auc_low": auc - 0.05, "roc_auc_high": auc + 0.05, "mean_drop": drop,
                  "mean_drop_low": drop - 0.01, "mean_drop_high": drop + 0.01, "problem": ""}
        for encoder, (auc, drop) in numbers.items()
    }  # fmt: skip
    differences = [
        {"first": a, "second": b, "roc_auc": auc[0], "roc_auc_low": auc[1], "roc_auc_high": auc[2],
         "mean_drop": drop[0], "mean_drop_low": drop[1], "mean_drop_high": drop[2], "problem": ""}
        for (a, b), (auc, drop) in dict(pairs).items()
    ]  # fmt: skip
    return {"accuracy": {"perturbations": {"gain": rows, "overall": rows}, "differences": differences}}


def points(axes, results, encoder):
    """Place and mark of an encoder's point in a panel."""
    colour = to_hex(style.encoder_look(encoder, results.study.configured_encoders)[0])
    return [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in axes.get_lines()
            if len(line.get_xdata()) == 1 and to_hex(line.get_color()) == colour]  # fmt: skip


def test_every_encoder_has_a_point_with_lines_both_ways_and_a_name(results):
    figure = accuracy.robustness_accuracy(results)
    large, *small = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["mean over perturbations", "gain", "reverb"]
    # full strength costs 0.125 to 0.3125, in proportion below: the mean over the grid is half of that
    assert points(large, results, "mfcc") == [(0.9375, pytest.approx((0.0625 + 0.09375) / 2, rel=1e-4), "s")]
    assert points(large, results, "musicnn") == [(0.9375, pytest.approx((0.125 + 0.15625) / 2, rel=1e-4), "o")]
    assert [points(axes, results, "mfcc")[0][1] for axes in small] == pytest.approx([0.0625, 0.09375], rel=1e-4)
    of = report_inputs.results().comparison["accuracy"]["perturbations"]["overall"]["mfcc"]
    across, up = (c.get_segments()[0] for c in large.collections[:2])
    assert across[:, 0].tolist() == [of["roc_auc_low"], of["roc_auc_high"]]
    assert up[:, 1].tolist() == [of["mean_drop_low"], of["mean_drop_high"]]
    assert {text.get_text() for text in large.texts} == {"mfcc", "musicnn"}


def test_one_perturbation_needs_no_mean(world):
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("perturbations: [gain, reverb]", "perturbations: [gain]"))
    write_comparison(world)
    (axes,) = accuracy.robustness_accuracy(report_inputs.results()).axes
    assert axes.get_title() == "gain"


def test_who_has_no_numbers_is_named(results, world):
    path = world / "metrics/robustness/musicnn/gain.json"
    numbers = json.loads(path.read_text())
    numbers["methods"]["none"]["problem"] = "every vector is the same"
    numbers["original"]["roc_auc"] = None
    dump(path, numbers)
    write_comparison(world)
    assert accuracy.encoders(report_inputs.results().comparison) == ["mfcc", "musicnn"], "it has numbers under reverb"
    large = accuracy.robustness_accuracy(results).axes[0]
    assert points(large, results, "musicnn") == []
    assert "musicnn: no numbers under gain" in {text.get_text() for text in large.texts}


@pytest.mark.parametrize("wanted", [[0.5, 0.5, 0.5], [0.99, 1.0, 1.0], [0, 0, 0.01], [0.1, 0.12, 0.9]])
def test_names_do_not_lie_on_each_other(wanted):
    heights = accuracy._spread(wanted, 0.1)
    assert min(np.diff(heights)) >= 0.1 - 1e-12 and min(heights) >= -1e-12 and max(heights) <= 1


def test_interpretable_encoders_are_compared_with_the_end_to_end_stream():
    flat = ((0.0, -0.1, 0.1), (0.0, -0.1, 0.1))
    names = dict.fromkeys(STREAMS, (0.8, 0.1))
    pairs = {(a, b): flat for i, a in enumerate(STREAMS) for b in STREAMS[i + 1 :]}
    found = accuracy.compared(written(pairs, **names))
    assert [pair[:2] for pair in found] == [("diverse_pitch", "diverse_end_to_end"), ("mfcc", "diverse_end_to_end")]
    without = {pair: of for pair, of in pairs.items() if "diverse_end_to_end" not in pair}
    found = accuracy.compared(written(without, **names))
    assert [pair[:2] for pair in found] == [("diverse_pitch", "musicnn"), ("mfcc", "musicnn")]


def test_a_difference_can_be_seen_from_either_side():
    pairs = {("musicnn", "mfcc"): ((0.1, 0.05, 0.2), (0.02, -0.01, 0.03))}
    ((one, other, of),) = accuracy.compared(written(pairs, musicnn=(0.9, 0.1), mfcc=(0.8, 0.08)))
    assert (one, other) == ("mfcc", "musicnn")
    assert [of[f"roc_auc{end}"] for end in ("", "_low", "_high")] == [-0.1, -0.2, -0.05]
    assert [of[f"mean_drop{end}"] for end in ("", "_low", "_high")] == [-0.02, -0.03, 0.01]


@pytest.mark.parametrize("level, auc, cost, equal, less_drop", [
    (0.75, (-0.05, -0.1, 0.01), (-0.05, -0.08, -0.01), True, True),
    (0.75, (-0.05, -0.1, 0.01), (0.05, 0.01, 0.08), True, False),
    (0.75, (-0.05, -0.1, 0.01), (-0.05, -0.08, 0.01), True, None),
    (0.75, (-0.05, -0.1, -0.01), (-0.05, -0.08, -0.01), False, True),
    (0.5, (-0.3, -0.6, 0.01), (-0.05, -0.08, -0.01), False, True),
    (0.75, (-0.05, None, None), (-0.05, None, None), None, None),
])  # fmt: skip
def test_the_claim_goes_as_far_as_intervals_do(level, auc, cost, equal, less_drop):
    """Equal accuracy takes intervals that overlap (0.8 +- 0.05 here) and a paired difference that holds 0."""
    pairs = {("mfcc", "musicnn"): (auc, cost)}
    comparison = written(pairs, mfcc=(level, 0.05), musicnn=(0.8, 0.1))
    (found,) = findings.restricted(SimpleNamespace(results=SimpleNamespace(comparison=comparison)))
    assert (found.one, found.other, found.equal, found.less_drop) == ("mfcc", "musicnn", equal, less_drop)


def test_no_question_without_an_interpretable_encoder(world):
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("encoders: [mfcc, musicnn]", "encoders: [musicnn]"))
    for perturbation in ("gain", "reverb"):
        write_robustness(world, "musicnn", perturbation, 0.5)
    write_comparison(world)
    comparison = report_inputs.results().comparison
    assert findings.restricted(SimpleNamespace(results=SimpleNamespace(comparison=comparison))) == []
    assert accuracy.encoders(comparison) == ["musicnn"]
