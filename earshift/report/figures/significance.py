"""Pictures of the models behind consistency and performance: their marginal means.

Conventions
-----------
After the third study's Figures 5, 8, 11. A marginal mean is what a model says of one level of a factor, averaged over
the levels of the other factors and over the values (:mod:`earshift.analysis.significance`). A line is its interval. A pair
of distances has one mark in all panels; the audio alone has no encoder. Models that could not be fitted are left out.
"""

import numpy as np

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import consistency, panels, style
from earshift.storage.files import read_json

_KINDS = {
    "within": "nearest is own\n(share of clips)",
    "between_agreement": "agreement of spaces\n(share of clips)",
    "between_spearman": "correlation of spaces\n(Spearman)",
    "performance": "performance\n(standardised in each task)",
}
_FACTORS = ("encoder", "perturbation")
_MARKERS = ("o", "s", "D", "^")


def models():
    """The models of metrics/significance.json by name; none where none could be fitted."""
    return read_json(results.existing(paths.SIGNIFICANCE))["models"]


def notes():
    """What the stage warns of, sentence by sentence: of all models, then of each."""
    content = read_json(results.existing(paths.SIGNIFICANCE))
    of_models = (
        f"{named(name)}: {note}" for name, model in content["models"].items() for note in model.get("notes") or []
    )
    return [*(content.get("notes") or []), *of_models]


def means():
    """All marginal means: model, factor, level, mean, se, low, high."""
    path = results.existing(paths.SIGNIFICANCE_PLOTS / "means.csv")
    return results.table(path, converters=dict.fromkeys(("model", "factor", "level"), str)).dropna(subset="mean")


def kinds(table):
    """The models by what they are about, as {kind: list of models}; kinds without means are left out."""
    names = list(dict.fromkeys(table.loc[table["factor"].isin(_FACTORS), "model"]))
    found = {kind: [name for name in names if name == kind or name.startswith(f"{kind}_")] for kind in _KINDS}
    return {kind: of for kind, of in found.items() if of}


def marginal_means(content):
    """Means of every encoder and of every perturbation in all models, one row a kind of model.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    matplotlib Figure
    """
    table, run = means(), results.run(content)
    rows = kinds(table)
    widths = [max(len(table.loc[table["factor"] == factor, "level"].unique()), 1) for factor in _FACTORS]
    made = style.figure(max(panels.NARROWEST + 1.5, 0.85 * sum(widths) + 2.5), 1.9 * len(rows) + 1.3)
    grid = made.subplots(len(rows), 2, squeeze=False, sharex="col", sharey="row", width_ratios=widths)
    for row, (kind, names) in zip(grid, rows.items(), strict=True):
        for axes, factor in zip(row, _FACTORS, strict=True):
            part = table[(table["factor"] == factor) & table["model"].isin(names)]
            _draw(axes, part, names, _ordered(table, factor, run), content)
        row[0].set_ylabel(_KINDS[kind])
        row[-1].legend(handles=_handles(kind, names), loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes, factor in zip(grid[-1], _FACTORS, strict=True):
        axes.set_xlabel(factor)
    made.suptitle("Marginal means of the models, with intervals: encoders over all perturbations, perturbations over\n"
                  "all encoders, both over all values")  # fmt: skip
    return made


def _ordered(table, factor, run):
    """Levels of a factor in the order of ``run``."""
    present = list(dict.fromkeys(table.loc[table["factor"] == factor, "level"]))
    known = list(run.encoders if factor == "encoder" else run.perturbations)
    return sorted(present, key=lambda level: (known.index(level) if level in known else len(known), level))


def _draw(axes, part, names, levels, content):
    step = 0.7 / len(names)
    for i, name in enumerate(names):
        marker, filled = _look(name, names)
        for row in part[part["model"] == name].itertuples():
            x = levels.index(row.level) + (i - (len(names) - 1) / 2) * step
            colour = _colour(row.factor, row.level, content)
            if np.isfinite([row.low, row.high]).all():
                axes.vlines(x, row.low, row.high, color=colour, linewidth=1.6, zorder=1)
            axes.plot([x], [row.mean], marker, color=colour, markerfacecolor=colour if filled else "white",
                      markersize=4.5)  # fmt: skip
    axes.set_xticks(range(len(levels)), [level.replace("_", "_\n") for level in levels])
    axes.set_xlim(-0.5, len(levels) - 0.5)
    for edge in np.arange(0.5, len(levels) - 1):
        axes.axvline(edge, color=style.FAINT, linewidth=0.6)
    axes.grid(axis="y")


def _colour(factor, level, content):
    if factor == "perturbation":
        return style.INK
    return style.encoder_look(level, content["encoders"])[0] if level in content["encoders"] else style.MUTED


def _look(name, names):
    """Marker of a model among those of its row, and whether it is filled."""
    return _MARKERS[names.index(name) // 2 % len(_MARKERS)], names.index(name) % 2 == 0


def _handles(kind, names):
    from matplotlib.lines import Line2D

    handles = []
    for name in names:
        marker, filled = _look(name, names)
        face = style.MUTED if filled else "white"
        handles.append(Line2D([], [], color=style.MUTED, marker=marker, markerfacecolor=face, markersize=4.5,
                              linewidth=0, label=_label(kind, name)))  # fmt: skip
    return handles


def _label(kind, name):
    distances = [part for part in name.removeprefix(kind).split("_") if part]
    return ", ".join(consistency.NAMES.get(part, part) for part in distances) or "all tasks"


def named(name):
    """A model in words: what is measured, and by which distances."""
    kind = next((kind for kind in _KINDS if name == kind or name.startswith(f"{kind}_")), None)
    if kind is None:
        return name.replace("_", " ")
    said = _KINDS[kind].partition("\n")[0]
    return said if name == kind else f"{said}, {_label(kind, name)}"
