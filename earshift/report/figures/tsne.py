"""Map of originals and of the smallest deformations, after the third study's Figure 9.

Conventions
-----------
One panel per encoder, each a map of its own (:mod:`earshift.analysis.tsne`). A small grey point is a clip as it is; from
it a thin line leads to the same clip at the smallest value of every side of every perturbation, in the perturbation's
colour. Of two sides the lower value points down and the higher one up.
"""

import numpy as np

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import panels, style
from earshift.report.page import text as wording

_ORIGINAL = "original"
_ACROSS = 3  # panels in a row
_SIDES = {1: ("o",), 2: ("v", "^")}


def tsne(content):
    """The maps of all encoders.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.collections import LineCollection

    run = results.run(content)
    across = min(_ACROSS, len(run.encoders))
    down = -(-len(run.encoders) // across)
    made = style.figure(max(panels.NARROWEST, 3.2 * across + 0.4), 3.2 * down + 1.0)
    grid = made.subplots(down, across, squeeze=False)
    looks = {}
    for axes, encoder in zip(grid.flat, run.encoders, strict=False):
        table = results.table(paths.tsne(encoder), converters=dict.fromkeys(("clip", "value"), str))
        originals = table[table["perturbation"] == _ORIGINAL].set_index("clip")[["x", "y"]]
        axes.scatter(originals["x"], originals["y"], s=7, color=style.MUTED, linewidths=0, zorder=4, rasterized=True)
        for perturbation in run.perturbations:
            rows = table[table["perturbation"] == perturbation]
            colour = panels.perturbation_colour(perturbation, content)
            values = sorted(rows["value"].unique(), key=float)
            for value, marker in zip(values, _SIDES[len(values)], strict=True):
                at = rows[rows["value"] == value]
                ends = np.stack([originals.loc[at["clip"]].to_numpy(), at[["x", "y"]].to_numpy()], axis=1)
                axes.add_collection(
                    LineCollection(ends, colors=[colour], linewidths=0.6, alpha=0.7, zorder=1, rasterized=True)
                )
                axes.scatter(at["x"], at["y"], s=13, color=colour, marker=marker, linewidths=0, alpha=0.8, zorder=3,
                             rasterized=True)  # fmt: skip
                looks[perturbation, value] = (colour, marker)
        tone, _ = style.encoder_look(encoder, content["encoders"])
        axes.set_title(encoder, color=style.word(tone), weight="bold", size=9)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in grid.flat[len(run.encoders) :]:
        axes.set_axis_off()
    _legend(made, run, looks)
    made.suptitle("t-SNE of clips as they are and of the smallest deformations of every grid. Axes have no units;\n"
                  "a long line is a clip that a small change takes away from its own original")  # fmt: skip
    return made


def _legend(made, run, looks):
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=style.MUTED, marker="o", markersize=3.5, linewidth=0, label="original")]
    for (perturbation, value), (colour, marker) in looks.items():
        unit = results.metrics("consistency", run.encoders[0], perturbation)["unit"]
        label = f"{perturbation}, {wording.with_unit(value, unit)}"
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.5, linewidth=0, label=label))
    made.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
