"""Trajectories as pictures: maps of a few clips, and what their paths are like.

Conventions
-----------
Panels stand perturbations down, encoders across, each with the map of one instrument. Colour is strength, light to
dark, and a bar beside every row marks it with the perturbation's values in their unit. A faint line joins the points
of a clip in order of strength; a cross is a clip as it is, which took no part in fitting the map. Over a panel stand
numbers of all training clips of the instrument in the full space.

- :func:`umap_maps`: UMAP as in deng2025
- :func:`pca_maps`: the same points in a plain projection, with the share of the variance that it shows
- :func:`paths`: how far, and how straight, in the full space
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from earshift.perturbations.base import ORIGINAL
from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.results import Pair, Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

_LIGHTEST = 0.25  # where the colours begin: what is lighter in viridis has less than 2:1 contrast with white paper
_TURNS = ((120, "values in\nno order"), (90, "random\nwalk"), (0, "straight\nline"))


def umap_maps(results: Results) -> "Figure":
    """UMAP of one instrument's clips, one map per pair.

    Where a corpus lacks the instrument that is asked for, its first one is drawn and the title says so.
    """
    figure, heading, note = _maps(results, "umap")
    figure.suptitle(
        f"{heading}: UMAP fitted on the effected points of each panel. Its axes have no units;\n"
        f"only who is near whom means something, neither distances nor gaps nor directions do{note}"
    )
    return figure


def pca_maps(results: Results) -> "Figure":
    """PCA of one instrument's clips, one projection per pair; the instrument as in :func:`umap_maps`."""
    figure, heading, note = _maps(results, "pc")
    figure.suptitle(
        f"{heading}: PCA fitted on the effected points of each panel. Axes are in embedding\n"
        f"units, both on one scale; per cent: share of these points' variance{note}"
    )
    return figure


def paths(results: Results) -> "Figure":
    """Distance from the original and turning angle along the grid, means over instruments, one column a perturbation.

    Distances are relative to that between two clips of the corpus, so that encoders can be compared.
    """
    study = results.study
    figure = style.new_figure(max(panels.NARROWEST, 2.5 * len(study.perturbations) + 0.8), 4.8)
    grid = figure.subplots(2, len(study.perturbations), squeeze=False, sharey="row", sharex="col")
    for column, perturbation in enumerate(study.perturbations):
        far, turn = grid[:, column]
        for angle, label in _TURNS:
            turn.axhline(angle, color=style.MUTED, linewidth=0.8, linestyle=style.DASHED)
            if column == len(study.perturbations) - 1:
                turn.annotate(label, (1, angle), (4, 0), xycoords=("axes fraction", "data"), ha="left", va="center",
                              textcoords="offset points", fontsize=6.5, color=style.MUTED)  # fmt: skip
        for encoder in study.encoders:
            table = results.table("trajectories", (encoder, perturbation), "path")
            table = table[table["instrument"] == panels.OVERALL].sort_values("strength")
            colour, marker = panels.look(study, encoder)
            look = {"color": colour, "marker": marker, "markersize": 3.5, "linewidth": 1.4}
            apart = results.trajectories[encoder, perturbation]["distance_between_originals"]
            relative = table["distance_from_original"] / (apart or np.nan)  # one clip, or constants: nothing to compare
            far.plot(table["strength"], relative, **look)
            turn.plot(table["strength"], table["turning_angle"], **look)
        panels.value_axis(turn, table, perturbation, results.unit(perturbation))
        far.set_title(perturbation)
        turn.set_ylim(-6, 186)
        turn.set_yticks(range(0, 181, 30))
        for axes in (far, turn):
            axes.grid(axis="y")
    grid[0, 0].set_ylim(bottom=0)  # once all is drawn: the row shares its axis, and this keeps its upper end
    grid[0, 0].set_ylabel("distance from the original\n(1: that between two clips)")
    grid[1, 0].set_ylabel("turn of the path at a value\n(degrees)")
    figure.align_ylabels(grid[:, 0])
    panels.legend(figure, panels.encoder_handles(study, study.encoders, markersize=3.5, linewidth=1.4), most=5)
    figure.suptitle("How far clips move from where they were, and how much their paths turn (means over instruments)")
    return figure


# ---------------------------------------------------------------------------------------------------------- small parts


def _maps(results: Results, axis: str) -> "tuple[Figure, str, str]":
    """The grid of maps with coordinates `axis`_1 and `axis`_2; what is drawn, and that it is not what was wanted."""
    figure, grid = panels.grid_of_pairs(results.study)
    wanted = subject = results.study.instrument
    colours, clips, x, y = _colours(), 0, f"{axis}_1", f"{axis}_2"
    for pair, axes in grid.items():
        table, numbers = results.table("trajectories", pair, "points"), results.trajectories[pair]
        subject = panels.drawn_instrument(table, wanted)
        own, points = numbers["instruments"][subject], table[table["instrument"] == subject]
        clips = max(clips, points["clip"].nunique())
        known = points[points[x].notna() & points[y].notna()]
        _draw(axes, known, x, y, colours)
        if known.empty:
            problem = own["umap_problem"] or "vectors do not move"
            axes.text(0.5, 0.5, "no map:\n" + "\n".join(textwrap.wrap(problem, 30)), transform=axes.transAxes,
                      ha="center", va="center", color=style.MUTED, fontsize=7)  # fmt: skip
        axes.set_title(f"straightness {formats.r2(own['straightness'])}, turn {formats.degrees(own['turning_angle'])}")
        if axis == "pc":
            shares = ("" if s is None else f"PC {i + 1} ({100 * s:.0f} %)" for i, s in enumerate(own["pca_explained"]))
            axes.set(**dict(zip(("xlabel", "ylabel"), shares, strict=False)))
        if not axes.get_xlabel() or known.empty:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(True)
        axes.margins(0.08)
        axes.set_aspect("equal", adjustable="datalim")
        _add_bar(figure, grid, pair, colours, panels.values(table), numbers["unit"])
    dot = {"linestyle": "", "markersize": 5}
    panels.legend(figure, [
        style.handle("a clip at one value (colour: strength)", style.shade(style.INK, 0.4), marker="o", **dot),
        style.handle("the path of one clip", linewidth=0.9, alpha=0.6),
        style.handle("the original, placed afterwards", style.INK, marker="x", **dot),
    ])  # fmt: skip
    heading = f"{'any' if subject == panels.OVERALL else subject}, {formats.counted(clips, 'training clip')}"
    return figure, heading, panels.instrument_note(subject, wanted)


def _draw(axes: "Axes", known: "pd.DataFrame", x: str, y: str, colours: "ListedColormap") -> None:
    original = known["value"] == ORIGINAL
    for _, clip in known[~original].groupby("clip", sort=False):
        axes.plot(clip[x], clip[y], color=style.MUTED, linewidth=0.7, alpha=0.45, zorder=1)
    axes.scatter(known[x][~original], known[y][~original], c=known["strength"][~original], cmap=colours, vmin=0,
                 vmax=1, s=13, linewidths=0, zorder=2)  # fmt: skip
    axes.scatter(known[x][original], known[y][original], marker="x", s=28, linewidths=0.9, color=style.INK, zorder=3)


def _colours() -> "ListedColormap":
    """viridis from light to dark, without what is too light for white paper."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(_LIGHTEST, 1, 256)))


def _add_bar(
    figure: "Figure", grid: "dict[Pair, Axes]", pair: Pair, colours: "ListedColormap",
    marks: tuple[Sequence[float], Sequence[str]], unit: str,
) -> None:  # fmt: skip
    """Add the colour bar of a row, drawn with its last panel."""
    row = [axes for (_, other), axes in grid.items() if other == pair[1]]
    if grid[pair] is not row[-1]:
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=row, aspect=14, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    # the marks of a value axis, upright
    scratch = style.new_figure(1, 1).add_subplot()
    style.value_axis(scratch, *marks, style.axis_label(pair[1], unit))
    bar.set_ticks(list(scratch.get_xticks()), labels=[label.get_text() for label in scratch.get_xticklabels()])
    bar.set_label(scratch.get_xlabel())
