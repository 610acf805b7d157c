"""The picture of marginal means."""

import json

import pytest
from matplotlib.colors import to_hex
from page_on_disk import change
from results_on_disk import write_significance

from earshift.pipeline import report_inputs
from earshift.report.figures import draw as figures
from earshift.report.figures import significance, style


def test_models_by_what_they_are_about(world):
    assert significance.kinds(report_inputs.results()) == {
        "within": ["within_euclidean", "within_cosine", "within_dtw"],
        "between_agreement": ["between_agreement_simple_cosine"],
        "between_spearman": ["between_spearman_dtw_euclidean"],
        "performance": ["performance"],
    }


def test_encoders_left_perturbations_right(results):
    figure = significance.marginal_means(results)
    within, of_perturbations = figure.axes[:2]
    assert len(figure.axes) == 2 * 4
    assert [t.get_text() for t in figure.axes[-2].get_xticklabels()] == ["mfcc", "musicnn"]
    heights = {}
    for line in within.get_lines():
        if len(line.get_ydata()) == 1:
            heights.setdefault(to_hex(line.get_color()), []).append(line.get_ydata()[0])
    assert heights == {style.PALETTE[0].lower(): [0.875] * 2, style.PALETTE[5].lower(): [0.75] * 2}
    ends = [path.vertices[:, 1].tolist() for lines in within.collections for path in lines.get_paths()]
    assert ends[0] == pytest.approx([0.875 - 0.03125, 0.875 + 0.03125]) and len(ends) == 4
    assert sum(len(line.get_ydata()) == 1 for line in of_perturbations.get_lines()) == 2 * 3  # DTW has no encoder
    labels = [text.get_text() for text in of_perturbations.get_legend().get_texts()]
    assert labels == ["Euclidean", "cosine", "DTW"]


def test_levels_that_are_no_encoder_of_the_run_come_last(results, world):
    means = json.loads((world / "metrics/significance.json").read_text())["models"]["performance"]["means"]["encoder"]
    vgg = {"mean": 0.5, "se": 0.1, "low": None, "high": None}
    place = ("models", "performance", "means", "encoder")
    change(world / "metrics/significance.json", (*place, {"vgg": vgg, **means}))
    axes = significance.marginal_means(results).axes[-2]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["mfcc", "musicnn", "vgg"]
    assert len(axes.collections) == 2  # it has no interval


def test_nothing_is_drawn_of_no_models(results, world):
    write_significance(world, (), ())
    none = report_inputs.results()
    assert significance.kinds(none) == {} and significance.notes(none.significance) == []
    assert "marginal_means" not in figures.pictures(results)


@pytest.mark.parametrize("model, words", [
    ("within_euclidean", "nearest is own, Euclidean"), ("performance", "performance"),
    ("between_spearman_dtw_cosine", "correlation of spaces, DTW, cosine"), ("new_one", "new one"),
])  # fmt: skip
def test_names_of_models(model, words):
    assert significance.named(model) == words
