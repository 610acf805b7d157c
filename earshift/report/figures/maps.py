"""Trajectories as pictures: maps of a few clips, and what their paths are like.

Conventions
-----------
Panels stand perturbations down, encoders across, each with the map of one instrument. Colour is strength, light to
dark, and a bar beside every row marks it with the perturbation's values in their unit. A faint line joins the points
of a clip in order of strength; a cross is a clip as it is, which took no part in fitting the map. Over a panel stand
numbers of all training clips of the instrument in the full space.

- :func:`umap_maps`: UMAP as in the study
- :func:`pca_maps`: the same points in a plain projection, with the share of the variance that it shows
- :func:`path_figure`: how far, and how straight, in the full space
"""

import textwrap

import numpy as np

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import style
from earshift.report.figures.panels import NARROWEST, OVERALL, panels, text_values, two, values

_ORIGINAL = "original"  # the value of an unperturbed point
_LIGHTEST = 0.25  # where the colours begin: what is lighter in viridis has less than 2:1 contrast with white paper
_TURNS = ((120, "values in\nno order"), (90, "random\nwalk"), (0, "straight\nline"))


def umap_maps(content, instrument):
    """UMAP of one instrument's clips, one map per pair.

    Parameters
    ----------
    content : dict, params.yaml
    instrument : str
        Where a corpus has no such instrument, its first one is drawn and the title says so.

    Returns
    -------
    matplotlib Figure
    """
    made, heading, note = _maps(content, instrument, "umap", lambda numbers: ("", ""))
    made.suptitle(
        f"{heading}: UMAP fitted on the effected points of each panel. Its axes have no units;\n"
        f"only who is near whom means something, neither distances nor gaps nor directions do{note}"
    )
    return made


def pca_maps(content, instrument):
    """PCA of one instrument's clips, one projection per pair; parameters as for :func:`umap_maps`."""

    def labels(numbers):
        shares = numbers["pca_explained"][:2]
        return tuple("" if s is None else f"PC {i + 1} ({100 * s:.0f} %)" for i, s in enumerate(shares))

    made, heading, note = _maps(content, instrument, "pc", labels)
    made.suptitle(
        f"{heading}: PCA fitted on the effected points of each panel. Axes are in embedding\n"
        f"units, both on one scale; per cent: share of these points' variance{note}"
    )
    return made


def path_figure(content):
    """Distance from the original and turning angle along the grid, means over instruments, one column a perturbation.

    Distances are relative to that between two clips of the corpus, so that encoders can be compared.

    Returns
    -------
    matplotlib Figure
    """
    selected = results.run(content)
    made = style.figure(max(NARROWEST, 2.5 * len(selected.perturbations) + 0.8), 4.8)
    grid = made.subplots(2, len(selected.perturbations), squeeze=False, sharey="row", sharex="col")
    for column, perturbation in enumerate(selected.perturbations):
        far, turn = grid[:, column]
        for angle, label in _TURNS:
            turn.axhline(angle, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
            if column == len(selected.perturbations) - 1:
                turn.annotate(label, (1, angle), (4, 0), xycoords=("axes fraction", "data"), ha="left", va="center",
                              textcoords="offset points", fontsize=6.5, color=style.MUTED)  # fmt: skip
        for encoder in selected.encoders:
            numbers = results.metrics("trajectories", encoder, perturbation)
            table = _overall(encoder, perturbation)
            colour, marker = style.encoder_look(encoder, content["encoders"])
            look = {"color": colour, "marker": marker, "markersize": 3.5, "linewidth": 1.4}
            apart = numbers["distance_between_originals"]
            relative = table["distance_from_original"] / (apart or np.nan)  # one clip, or constants: nothing to compare
            far.plot(table["strength"], relative, **look, label=encoder if column == 0 else None)
            turn.plot(table["strength"], table["turning_angle"], **look)
        style.value_axis(turn, *values(table), style.axis_label(perturbation, numbers["unit"]))
        far.set_title(perturbation)
        turn.set_ylim(-6, 186)
        turn.set_yticks(range(0, 181, 30))
        for axes in (far, turn):
            axes.grid(axis="y")
    grid[0, 0].set_ylim(bottom=0)  # once all is drawn: the row shares its axis, and this keeps its upper end
    grid[0, 0].set_ylabel("distance from the original\n(1: that between two clips)")
    grid[1, 0].set_ylabel("turn of the path at a value\n(degrees)")
    made.align_ylabels(grid[:, 0])
    made.legend(loc="outside lower center", ncols=5)
    made.suptitle("How far clips move from where they were, and how much their paths turn (means over instruments)")
    return made


# ---------------------------------------------------------------------------------------------------------- small parts


def _maps(content, instrument, axis, labels):
    """The grid of maps with coordinates `axis`_1 and `axis`_2; what is drawn, and that it is not what was wanted."""
    made, grid = panels(content)
    colours, subject, clips = _colours(), instrument, 0
    for (encoder, perturbation), axes in grid.items():
        table = text_values(paths.plots("trajectories", encoder, perturbation) / "points.csv")
        numbers = results.metrics("trajectories", encoder, perturbation)
        present = list(dict.fromkeys(table["instrument"]))
        subject = instrument if instrument in present or not present else present[0]
        own = numbers["instruments"][subject]
        x, y = f"{axis}_1", f"{axis}_2"
        points = table[table["instrument"] == subject]
        clips = max(clips, points["clip"].nunique())
        known = points[points[x].notna() & points[y].notna()]
        for _, clip in known[known["value"] != _ORIGINAL].groupby("clip", sort=False):
            axes.plot(clip[x], clip[y], color=style.MUTED, linewidth=0.7, alpha=0.45, zorder=1)
        original = known["value"] == _ORIGINAL
        axes.scatter(known[x][~original], known[y][~original], c=known["strength"][~original], cmap=colours,
                     vmin=0, vmax=1, s=13, linewidths=0, zorder=2)  # fmt: skip
        axes.scatter(
            known[x][original], known[y][original], marker="x", s=28, linewidths=0.9, color=style.INK, zorder=3
        )
        if known.empty:
            problem = own["umap_problem"] or "vectors do not move"
            axes.text(0.5, 0.5, "no map:\n" + "\n".join(textwrap.wrap(problem, 30)), transform=axes.transAxes,
                      ha="center", va="center", color=style.MUTED, fontsize=7)  # fmt: skip
        turn = "-" if own["turning_angle"] is None else f"{own['turning_angle']:.0f}°"
        axes.set_title(f"straightness {two(own['straightness'])}, turn {turn}")
        below, beside = labels(own)
        axes.set_xlabel(below)
        axes.set_ylabel(beside)
        if not below or known.empty:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(True)
        axes.margins(0.08)
        axes.set_aspect("equal", adjustable="datalim")
        _bar(made, grid, encoder, perturbation, colours, values(table), numbers["unit"])
    _legend(made)
    heading = f"{'any' if subject == OVERALL else subject}, {clips} training clip{'s' if clips != 1 else ''}"
    missing = f"\n(the corpus has no {instrument}, which figures.instrument names)"
    return made, heading, "" if subject == instrument else missing


def _colours():
    """viridis from light to dark, without what is too light for white paper."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(_LIGHTEST, 1, 256)))


def _bar(made, grid, encoder, perturbation, colours, marks, unit):
    """The colour bar of a row, drawn with its last panel."""
    row = [axes for (_, other), axes in grid.items() if other == perturbation]
    if grid[encoder, perturbation] is not row[-1]:
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = made.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=row, aspect=14, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    # the marks of a value axis, upright
    scratch = style.figure(1, 1).add_subplot()
    style.value_axis(scratch, *marks, style.axis_label(perturbation, unit))
    bar.set_ticks(scratch.get_xticks(), labels=[label.get_text() for label in scratch.get_xticklabels()])
    bar.set_label(scratch.get_xlabel())


def _legend(made):
    from matplotlib.lines import Line2D

    dot = {"linestyle": "", "markersize": 5}
    made.legend(
        [Line2D([], [], marker="o", color=style.shade(style.INK, 0.4), **dot),
         Line2D([], [], color=style.MUTED, linewidth=0.9, alpha=0.6),
         Line2D([], [], marker="x", color=style.INK, **dot)],
        ["a clip at one value (colour: strength)", "the path of one clip", "the original, placed afterwards"],
        loc="outside lower center", ncols=3,
    )  # fmt: skip


def _overall(encoder, perturbation):
    table = text_values(paths.plots("trajectories", encoder, perturbation) / "path.csv")
    return table[table["instrument"] == OVERALL].sort_values("strength")
