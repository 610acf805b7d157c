"""Pictures of the models behind consistency and performance: their marginal means.

Conventions
-----------
After Figures 5, 8 and 11 of kim2019. A marginal mean is what a model says of one level of a factor, averaged over the
levels of the other factors and over the values (:mod:`earshift.analysis.significance`). A line is its interval. A pair
of distances has one mark in all panels; the audio alone has no encoder. Models that could not be fitted are left out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from earshift.analysis.significance import SignificanceResult
from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.figures.consistency import NAMES
from earshift.report.results import Results, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = {
    "within": "nearest is own\n(share of clips)",
    "between_agreement": "agreement of spaces\n(share of clips)",
    "between_spearman": "correlation of spaces\n(Spearman)",
    "performance": "performance\n(standardised in each task)",
}
_FACTORS = ("encoder", "perturbation")
_MARKERS = ("o", "s", "D", "^")


def notes(result: SignificanceResult) -> list[str]:
    """What the models warn of, sentence by sentence: all of them, then each."""
    of_models = [f"{named(name)}: {note}" for name, model in result["models"].items() for note in model["notes"]]
    return [*result["notes"], *of_models]


def kinds(results: Results) -> dict[str, list[str]]:
    """The models by what they are about; kinds without means of encoders or perturbations are left out."""
    models = results.significance["models"]
    names = [name for name, model in models.items() if any(model["means"].get(factor) for factor in _FACTORS)]
    found = {kind: [name for name in names if _is_of(name, kind)] for kind in _KINDS}
    return {kind: of for kind, of in found.items() if of}


def marginal_means(results: Results) -> "Figure":
    """Means of every encoder and of every perturbation in all models, one row a kind of model."""
    rows = kinds(results)
    levels = {factor: _levels(results, factor) for factor in _FACTORS}
    widths = [max(len(of), 1) for of in levels.values()]
    figure = style.new_figure(max(panels.NARROWEST + 1.5, 0.85 * sum(widths) + 2.5), 1.9 * len(rows) + 1.3)
    grid = figure.subplots(len(rows), 2, squeeze=False, sharex="col", sharey="row", width_ratios=widths)
    for row, (kind, names) in zip(grid, rows.items(), strict=True):
        for axes, factor in zip(row, _FACTORS, strict=True):
            for i, name in enumerate(names):
                offset = panels.offsets(len(names), 0.7 / len(names))[i]
                _draw(axes, results, name, factor, levels[factor], offset, _look(i))
            panels.categories(axes, [level.replace("_", "_\n") for level in levels[factor]])
            axes.grid(axis="y")
        row[0].set_ylabel(_KINDS[kind])
        handles = [
            style.handle(_label(kind, name), marker=marker, markerfacecolor=style.MUTED if filled else "white",
                         markersize=4.5, linewidth=0)
            for name, (marker, filled) in zip(names, map(_look, range(len(names))), strict=True)
        ]  # fmt: skip
        row[-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes, factor in zip(grid[-1], _FACTORS, strict=True):
        axes.set_xlabel(factor)
    figure.suptitle("Marginal means of the models, with intervals: encoders over all perturbations, perturbations "
                    "over\nall encoders, both over all values")  # fmt: skip
    return figure


def named(name: str) -> str:
    """A model in words: what is measured, and by which distances."""
    kind = next((kind for kind in _KINDS if _is_of(name, kind)), None)
    if kind is None:
        return name.replace("_", " ")
    measure = _KINDS[kind].partition("\n")[0]
    return measure if name == kind else f"{measure}, {_label(kind, name)}"


def _is_of(name: str, kind: str) -> bool:
    return name == kind or name.startswith(f"{kind}_")


def _levels(results: Results, factor: str) -> list[str]:
    """Levels of a factor in the order of ``run``."""
    known = list(results.study.encoders if factor == "encoder" else results.study.perturbations)
    present = {level for model in results.significance["models"].values() for level in model["means"].get(factor, {})}
    return sorted(present, key=lambda level: (known.index(level) if level in known else len(known), level))


def _draw(
    axes: "Axes", results: Results, model: str, factor: str, levels: Sequence[str], offset: float,
    look: tuple[str, bool],
) -> None:  # fmt: skip
    for level, of in results.significance["models"][model]["means"].get(factor, {}).items():
        found = formats.Estimate(of["mean"], of["low"], of["high"])
        colour = _colour(results.study, factor, level)
        panels.mark(axes, levels.index(level) + offset, found, colour, look[0], filled=look[1], size=4.5, zorder=1)


def _colour(study: Study, factor: str, level: str) -> str:
    if factor == "perturbation":
        return style.INK
    return panels.look(study, level)[0] if level in study.configured_encoders else style.MUTED


def _look(place: int) -> tuple[str, bool]:
    """Marker of a model by its place in its row, and whether it is filled."""
    return _MARKERS[place // 2 % len(_MARKERS)], place % 2 == 0


def _label(kind: str, name: str) -> str:
    distances = [part for part in name.removeprefix(kind).split("_") if part]
    return ", ".join(NAMES.get(part, part) for part in distances) or "all tasks"
