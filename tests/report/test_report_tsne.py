"""The picture of the smallest deformations."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from results_on_disk import write_params, write_tsne

from earshift.pipeline import report_inputs
from earshift.report.figures import panels, style, tsne


def points(axes):
    """Positions by colour and number of corners of the mark, and the lines."""
    found = [c for c in axes.collections if isinstance(c, PathCollection)]
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    return [(to_hex(c.get_facecolor()[0]), c.get_offsets()) for c in found], lines


def test_a_panel_per_encoder_with_lines_to_the_originals(results):
    figure = tsne.tsne(results)
    assert [axes.get_title() for axes in figure.axes] == ["mfcc", "musicnn"]
    (grey, gain, reverb), lines = points(figure.axes[0])
    assert grey[0] == style.MUTED.lower() and len(grey[1]) == 6
    assert [gain[0], reverb[0]] == [panels.perturbation_colour(results.study, p).lower() for p in ("gain", "reverb")]
    np.testing.assert_allclose(gain[1] - grey[1], [[1 / 8, 0]] * 6)
    np.testing.assert_allclose(lines[1].get_segments(), np.stack([grey[1], reverb[1]], axis=1))


def test_two_sides_have_two_marks(results, world):
    path = world / "plots/tsne/mfcc.csv"
    table = pd.read_csv(path)
    again = table[table["perturbation"] == "gain"].assign(value="5", y=9)
    pd.concat([table, again]).to_csv(path, index=False)
    figure = tsne.tsne(results)
    found, _ = points(figure.axes[0])
    assert len(found) == 4 and found[1][0] == found[2][0]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["original", "gain, −40\xa0dB", "gain, 5\xa0dB", "reverb, room size 0.01"]


def test_many_encoders_stand_in_rows(world):
    encoders = ("mfcc", "musicnn", "yamnet", "vgg_separation")
    write_params(world, encoders, ("gain",))
    for encoder in encoders:
        write_tsne(world, encoder, ("gain",))
    axes = tsne.tsne(report_inputs.results()).axes
    assert len(axes) == 6 and [a.axison for a in axes] == [True] * 4 + [False] * 2
