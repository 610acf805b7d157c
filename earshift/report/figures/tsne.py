"""Map of originals and of the smallest deformations, after Figure 9 of kim2019.

Conventions
-----------
One panel per encoder, each a map of its own (:mod:`earshift.analysis.tsne`). A small grey point is a clip as it is;
from it a thin line leads to the same clip at the smallest value of every side of every perturbation, in the
perturbation's colour. Of two sides the lower value points down and the higher one up.
"""

from typing import TYPE_CHECKING

import numpy as np

from earshift.perturbations.base import ORIGINAL
from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 3  # panels in a row
_SIDES = {1: ("o",), 2: ("v", "^")}


def tsne(results: Results) -> "Figure":
    """The maps of all encoders."""
    from matplotlib.collections import LineCollection

    study = results.study
    across = min(_ACROSS, len(study.encoders))
    down = -(-len(study.encoders) // across)
    figure = style.new_figure(max(panels.NARROWEST, 3.2 * across + 0.4), 3.2 * down + 1.0)
    grid = figure.subplots(down, across, squeeze=False)
    looks: dict[tuple[str, str], tuple[str, str]] = {}
    for axes, encoder in zip(grid.flat, study.encoders, strict=False):
        table = results.whole_table("tsne", encoder)
        originals = table[table["perturbation"] == ORIGINAL].set_index("clip")[["x", "y"]]
        axes.scatter(originals["x"], originals["y"], s=7, color=style.MUTED, linewidths=0, zorder=4, rasterized=True)
        for perturbation in study.perturbations:
            rows = table[table["perturbation"] == perturbation]
            colour = panels.perturbation_colour(study, perturbation)
            values = sorted(rows["value"].unique(), key=float)
            for value, marker in zip(values, _SIDES[len(values)], strict=True):
                at = rows[rows["value"] == value]
                ends = np.stack([originals.loc[at["clip"]].to_numpy(), at[["x", "y"]].to_numpy()], axis=1)
                look = {"linewidths": 0.6, "alpha": 0.7, "zorder": 1, "rasterized": True}
                axes.add_collection(LineCollection(list(ends), colors=[colour], **look))
                axes.scatter(at["x"], at["y"], s=13, color=colour, marker=marker, linewidths=0, alpha=0.8, zorder=3,
                             rasterized=True)  # fmt: skip
                looks[perturbation, value] = (colour, marker)
        axes.set_title(encoder, color=style.word(panels.look(study, encoder)[0]), weight="bold", size=9)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in grid.flat[len(study.encoders) :]:
        axes.set_axis_off()
    handles = [style.handle("original", marker="o", markersize=3.5, linewidth=0)]
    for (perturbation, value), (colour, marker) in looks.items():
        label = f"{perturbation}, {formats.with_unit(value, results.unit(perturbation))}"
        handles.append(style.handle(label, colour, marker=marker, markersize=4.5, linewidth=0))
    panels.legend(figure, handles, most=4)
    figure.suptitle("t-SNE of clips as they are and of the smallest deformations of every grid. Axes have no units;\n"
                    "a long line is a clip that a small change takes away from its own original")  # fmt: skip
    return figure
