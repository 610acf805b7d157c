"""The picture of tasks."""

import numpy as np
from matplotlib.colors import to_hex
from results_on_disk import write_performance

from earshift.report.figures import draw as figures
from earshift.report.figures import performance, style

MFCC, MUSICNN = (style.PALETTE[place].lower() for place in (0, 5))  # as params.yaml configures them


def heights(axes, dashed):
    """Heights of lines by colour: curves, or the dashed and dotted ones of originals and the trivial prediction."""
    found = {}
    for line in axes.get_lines():
        if (line.get_linestyle() != "-") == dashed:
            found.setdefault(to_hex(line.get_color()), []).append(np.round(line.get_ydata(), 5).tolist())
    return found


def test_a_row_per_task_and_a_column_per_perturbation(results, world):
    write_performance(world, "mfcc", "gain", {"instruments": (1.0, 0.0)})
    write_performance(world, "mfcc", "reverb", {"instruments": (0.5, 0.25)})
    figure = performance.performance(results)
    grid = np.array(figure.axes).reshape(2, 2)
    assert [axes.get_ylabel().partition("\n")[0] for axes in grid[:, 0]] == ["auto-encoder", "instruments"]
    assert "better" in grid[0, 0].get_ylabel() and "\N{DOWNWARDS ARROW}" in grid[0, 0].get_ylabel()
    assert [axes.get_xlabel() for axes in grid[1]] == ["gain (dB)", "reverb (room size)"]
    assert heights(grid[0, 0], False) == {MUSICNN: [np.linspace(0.5, 0.75, 6).round(5).tolist()]}
    assert heights(grid[1, 0], False)[MFCC] == [np.linspace(1, 0, 6).round(5).tolist()]
    assert heights(grid[1, 1], False)[MUSICNN] == [np.linspace(0.625, 0.25, 6).round(5).tolist()]
    assert heights(grid[1, 1], True)[MUSICNN] == [[0.625] * 2, [0.125] * 2]


def test_tasks_of_the_run(results, world):
    assert performance.tasks(results) == {"autoencoder": ["musicnn"], "instruments": ["musicnn"]}
    assert performance.ordered({"something", "separation", "autoencoder"}) == ["autoencoder", "separation", "something"]


def test_nothing_is_drawn_where_no_encoder_has_a_task(results, world):
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            write_performance(world, encoder, perturbation)
    assert "performance" not in figures.pictures(results) and performance.tasks(results) == {}
