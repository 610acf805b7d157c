"""The pictures of consistency: what is drawn where."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_hex
from results_on_disk import dump, write_params

from earshift.pipeline import report_inputs
from earshift.report.figures import consistency, style


def lines(axes):
    """Heights of all lines by colour."""
    return {to_hex(line.get_color()): line.get_ydata().tolist() for line in axes.get_lines()}


STRENGTH = np.linspace(0, 1, 6)
MFCC, MUSICNN = (style.PALETTE[place].lower() for place in (0, 5))  # as params.yaml configures them
BLACK, GREY = style.INK.lower(), style.MUTED.lower()


def test_every_measure_has_a_column_and_every_perturbation_a_row(results):
    figure = consistency.consistency(results)
    grid = np.array(figure.axes).reshape(2, 5)
    headings = [axes.get_title().replace("\n", " ") for axes in grid[0]]
    assert headings == [
        "nearest is own: audio", "nearest is own: vectors, Euclidean", "nearest is own: vectors, cosine",
        "agreement of spaces: SiMPle, cosine", "correlation of spaces (ρ): DTW, Euclidean",
    ]  # fmt: skip
    assert [axes.get_xlabel() for axes in grid[:, 3]] == ["gain (dB)", "reverb (room size)"]
    audio, euclidean, cosine, agreement, correlation = map(lines, grid[0])
    assert set(audio) == {BLACK, GREY}
    np.testing.assert_allclose(audio[BLACK], 1 - STRENGTH / 8)
    np.testing.assert_allclose(audio[GREY], 1 - STRENGTH / 4)
    np.testing.assert_allclose(euclidean[MFCC], 1 - 0.5 * STRENGTH)
    np.testing.assert_allclose(euclidean[MUSICNN], 1 - 0.625 * STRENGTH)
    np.testing.assert_allclose(euclidean[GREY], 1 - STRENGTH / 8, err_msg="what the audio allows, behind the encoders")
    np.testing.assert_allclose(cosine[MFCC], 1 - 0.25 * STRENGTH)
    np.testing.assert_allclose(agreement[MUSICNN], 1 - (0.3125 - 0.25) * STRENGTH)
    np.testing.assert_allclose(correlation[MFCC], [0.25] * 6)
    np.testing.assert_allclose(lines(grid[1, 1])[MFCC], 1 - 0.5625 * STRENGTH)


def test_intervals_are_bands(results):
    axes = consistency.consistency(results).axes[1]
    (band, _) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(0.5 - 0.03125) and heights.max() == pytest.approx(1)


def test_negative_correlations_are_within_the_axis(results, world):
    path = world / "plots/consistency/mfcc/gain/curves.csv"
    path.write_text(path.read_text().replace(",0.25,0.21875,0.28125,", ",-0.5,-0.625,-0.375,"))
    low, high = consistency.consistency(results).axes[4].get_ylim()
    assert low < -0.625 and high == 1.03


@pytest.mark.parametrize("audio, latent", [("dtw", "cosine"), ("simple", "euclidean")])
def test_a_distance_that_was_left_out_is_replaced(results, world, audio, latent):
    for path in world.glob("metrics/consistency/*/*.json"):
        dump(path, {**json.loads(path.read_text()), "audio": [audio], "latent": [latent]})
    figure = consistency.consistency(results)
    titles = [axes.get_title().replace("\n", " ") for axes in figure.axes[:4]]
    names = f"{consistency.NAMES[audio]}, {consistency.NAMES[latent]}"
    assert titles[2:] == [f"agreement of spaces: {names}", f"correlation of spaces (ρ): {names}"]
    assert len(figure.axes) == 2 * 4 and len(lines(figure.axes[0])) == 1
    above, _ = consistency.minimum_magnitudes(results).axes
    assert [t.get_text() for t in above.get_figure().legends[0].get_texts()] == [
        f"audio, {consistency.NAMES[audio]}", *(f"{e}, {consistency.NAMES[latent]}" for e in ("mfcc", "musicnn"))
    ]  # fmt: skip
    assert len(marks(consistency.originals_correlation(results).axes[0], MFCC)) == 1


def test_values_without_numbers_leave_gaps(results, world):
    """SiMPle takes clips that are long enough."""
    path = world / "plots/consistency/mfcc/gain/curves.csv"
    rows = path.read_text().splitlines()
    rows = [r.rsplit(",", 4)[0] + ",,,,0" if "simple" in r and ",5,1.0," in r else r for r in rows]
    path.write_text("\n".join(rows) + "\n")
    drawn = lines(consistency.consistency(results).axes[0])
    assert len(drawn[GREY]) == 5 and len(drawn[BLACK]) == 6


def marks(axes, colour):
    """(x, y) of the single marks of one colour."""
    return [
        (round(float(line.get_xdata()[0]), 6), float(line.get_ydata()[0]))
        for line in axes.get_lines()
        if len(line.get_xdata()) == 1 and to_hex(line.get_color()) == colour
    ]


def test_smallest_values_and_where_neighbours_are_lost(results):
    above, below = consistency.minimum_magnitudes(results).axes
    labels = [text.get_text().replace("\xa0", " ") for text in below.get_xticklabels()]
    assert labels == ["gain −\n−4 dB", "gain +\n5 dB", "reverb\nroom size 0.01"]
    assert [y for _, y in marks(above, MFCC)] == pytest.approx([0.6, 0.5, 1.0])
    assert [y for _, y in marks(above, BLACK)] == pytest.approx([0.9, 0.875, 1.0])
    assert [y for _, y in marks(below, BLACK)] == [1.18, 0.0, 1.0], "never on the way down, at once on the way up"
    assert [y for _, y in marks(below, MUSICNN)] == pytest.approx([0, 0, 1 / 5])
    assert {text.get_text() for text in below.texts} == {"−4", "5", "0.22", "0.61", "1"}
    level = [line.get_ydata() for line in above.get_lines() if len(line.get_xdata()) == 2]
    assert [0.9, 0.9] in level, "the threshold"


def test_originals(results, world):
    (axes,) = consistency.originals_correlation(results).axes
    assert [y for _, y in marks(axes, MFCC)] == [0.5] * 4 and [y for _, y in marks(axes, MUSICNN)] == [0.375] * 4
    ends = [segment[:, 1].tolist() for lines_ in axes.collections[:4] for segment in lines_.get_segments()]
    assert ends == [[0.375, 0.625]] * 4
    path = world / "metrics/consistency/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["originals"] = dict.fromkeys(numbers["originals"])
    dump(path, numbers)
    (axes,) = consistency.originals_correlation(report_inputs.results()).axes
    assert [text.get_text() for text in axes.texts] == ["no value"] * 4 and not marks(axes, MFCC)


def test_one_encoder_and_one_perturbation(world):
    write_params(world, ("musicnn",), ("reverb",))
    alone = report_inputs.results()
    for draw in (consistency.consistency, consistency.minimum_magnitudes, consistency.originals_correlation):
        figure = draw(alone)
        assert figure.legends and all(axes.get_ylabel() or axes.get_title() for axes in figure.axes)
    assert MUSICNN in lines(consistency.consistency(alone).axes[1]), "an encoder keeps its colour"
