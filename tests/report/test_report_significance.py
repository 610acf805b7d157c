"""The picture of marginal means."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from results_on_disk import write_significance

from earshift.report.figures import draw as figures
from earshift.report.figures import significance, style


def test_models_by_what_they_are_about(world):
    assert significance.kinds(significance.means()) == {
        "within": ["within_euclidean", "within_cosine", "within_dtw"],
        "between_agreement": ["between_agreement_simple_cosine"],
        "between_spearman": ["between_spearman_dtw_euclidean"],
        "performance": ["performance"],
    }


def test_encoders_left_perturbations_right(content):
    figure = significance.marginal_means(content)
    within, of_perturbations = figure.axes[:2]
    assert len(figure.axes) == 2 * 4
    assert [t.get_text() for t in figure.axes[-2].get_xticklabels()] == ["mfcc", "musicnn"]
    heights = {}
    for line in within.get_lines():
        if len(line.get_ydata()) == 1:
            heights.setdefault(to_hex(line.get_color()), []).append(line.get_ydata()[0])
    assert heights == {style.PALETTE[0].lower(): [0.875] * 2, style.PALETTE[1].lower(): [0.75] * 2}
    ends = [path.vertices[:, 1].tolist() for lines in within.collections for path in lines.get_paths()]
    assert ends[0] == pytest.approx([0.875 - 0.03125, 0.875 + 0.03125]) and len(ends) == 4
    assert sum(len(line.get_ydata()) == 1 for line in of_perturbations.get_lines()) == 2 * 3  # DTW has no encoder
    labels = [text.get_text() for text in of_perturbations.get_legend().get_texts()]
    assert labels == ["Euclidean", "cosine", "DTW"]


def test_levels_that_are_no_encoder_of_the_run_come_last(content, world):
    path = world / "plots/significance/means.csv"
    table = pd.read_csv(path)
    pd.concat([pd.DataFrame([("performance", "encoder", "vgg", 0.5, 0.1, None, None)], columns=table.columns),
               table]).to_csv(path, index=False)  # fmt: skip
    axes = significance.marginal_means(content).axes[-2]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["mfcc", "musicnn", "vgg"]
    assert len(axes.collections) == 2  # it has no interval


def test_nothing_is_drawn_of_no_models(content, world):
    write_significance(world, (), ())
    assert significance.kinds(significance.means()) == {} and significance.notes() == []
    assert "marginal_means" not in figures.pictures(content)


@pytest.mark.parametrize("model, words", [
    ("within_euclidean", "nearest is own, Euclidean"), ("performance", "performance"),
    ("between_spearman_dtw_cosine", "correlation of spaces, DTW, cosine"), ("new_one", "new one"),
])  # fmt: skip
def test_names_of_models(model, words):
    assert significance.named(model) == words
