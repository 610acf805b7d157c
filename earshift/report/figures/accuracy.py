"""What perturbations cost against how good an encoder is to begin with, for the question of verma2023.

Conventions
-----------
x is the ROC AUC of classifiers on original clips, y its mean drop over the grid, both with their intervals over the
same resampled recordings, as ``comparison`` leaves them under ``accuracy``. Right is more accurate, down more robust.
An encoder has its colour; its mark says its kind: a square is *interpretable*, what its vectors hold was written down
by somebody, a circle any other. *Restricted* means the same.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from earshift.analysis.comparison import Accuracy, ComparisonResult, Difference
from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.formats import Estimate
from earshift.report.results import Results, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERPRETABLE = ("diverse_pitch", "diverse_timbre", "mfcc")
END_TO_END = "diverse_end_to_end"
OVERALL = "overall"
_KINDS = {True: ("s", "interpretable: pitch, timbre, MFCC"), False: ("o", "other encoders")}
_CHANCE = 0.5
_LABEL = 0.17  # inches that one name takes
_LARGE, _SMALL = (4.3, 4.2), 2.0  # inches of the panel of all, and of one perturbation


def encoders(comparison: ComparisonResult) -> list[str]:
    """Encoders that have a place in at least one panel."""
    sections = comparison["accuracy"]["perturbations"]
    return [e for e in sections[OVERALL] if any(placed(of[e]) for of in sections.values())]


def placed(numbers: Accuracy) -> bool:
    """Whether there are both a ROC AUC and a drop."""
    return numbers["roc_auc"] is not None and numbers["mean_drop"] is not None


def compared(comparison: ComparisonResult) -> list[tuple[str, str, Difference]]:
    """The pairs that the question is about.

    Every interpretable encoder with the end-to-end stream, where that was run, and with every other encoder that is not
    interpretable where it was not.

    Returns
    -------
    list of (str, str, dict)
        Restricted encoder, the other one, and what the first has more than the second, as ``differences`` say it.
    """
    known = {(of["first"], of["second"]): of for of in comparison["accuracy"]["differences"]}
    names = list(dict.fromkeys(name for pair in known for name in pair))
    free = [name for name in names if name not in INTERPRETABLE]
    against = [END_TO_END] if END_TO_END in free else free
    return [(one, other, known.get((one, other)) or _turn(known[other, one]))
            for one in names if one in INTERPRETABLE for other in against]  # fmt: skip


def _turn(of: Difference) -> Difference:
    """A difference seen from the other encoder."""

    def negative(number: float | None) -> float | None:
        return None if number is None else -number

    return {
        "first": of["second"], "second": of["first"], "problem": of["problem"],
        "roc_auc": negative(of["roc_auc"]), "mean_drop": negative(of["mean_drop"]),
        "roc_auc_low": negative(of["roc_auc_high"]), "mean_drop_low": negative(of["mean_drop_high"]),
        "roc_auc_high": negative(of["roc_auc_low"]), "mean_drop_high": negative(of["mean_drop_low"]),
    }  # fmt: skip


def equally_accurate(comparison: ComparisonResult, one: str, other: str, difference: Difference) -> bool | None:
    """Whether these recordings leave open which of two encoders is more accurate; None where there are no intervals.

    Their intervals overlap, and so does that of the difference with 0: the draws are paired, so it may lie apart from 0
    where the two overlap.
    """
    of_encoders = comparison["accuracy"]["perturbations"][OVERALL]
    first, second = (formats.estimate(of_encoders[name], "roc_auc") for name in (one, other))
    return _overlap(first, second, formats.estimate(difference, "roc_auc"))


def _overlap(first: Estimate, second: Estimate, difference: Estimate) -> bool | None:
    ends = [end for of in (first, second, difference) for end in (of.low, of.high) if end is not None]
    if len(ends) < 6:
        return None
    low, high, other_low, other_high, least, most = ends
    return low <= other_high and other_low <= high and least <= 0 <= most


def robustness_accuracy(results: Results) -> "Figure":
    """Mean drop against ROC AUC of originals: the mean over perturbations large, each perturbation small."""
    study, sections = results.study, results.comparison["accuracy"]["perturbations"]
    drawn = encoders(results.comparison)
    small = study.perturbations if len(study.perturbations) > 1 else ()
    rows = max(1, round(math.sqrt(len(small))))
    columns = -(-len(small) // rows)
    height = max(_LARGE[1], _SMALL * rows + 1.2, _LABEL * len(drawn) + 1.6)
    figure = style.new_figure(max(panels.NARROWEST, _LARGE[0] + _SMALL * columns + 1.3), height)
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[_LARGE[0] / _SMALL] + [1] * columns)
    large = figure.add_subplot(grid[:, 0])
    _draw(large, study, sections[OVERALL], size=6.5)
    large.set_title("mean over perturbations" if small else study.perturbations[0])
    first = None
    for place, perturbation in enumerate(small):
        axes = figure.add_subplot(grid[place // columns, 1 + place % columns], sharex=first, sharey=first)
        first = first or axes
        _draw(axes, study, sections[perturbation], size=4)
        axes.set_title(perturbation)
        axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(small))
    for axes in figure.axes:
        _finish(axes)
    _add_names(large, study, sections[OVERALL], gap=_LABEL / (height - 1.4))
    large.set_xlabel("ROC AUC of originals (right: more accurate)")
    large.set_ylabel("mean drop of ROC AUC over the grid (down: more robust)")
    kinds = [kind for kind in _KINDS if any((encoder in INTERPRETABLE) == kind for encoder in drawn)]
    handles = [style.handle(_KINDS[kind][1], marker=_KINDS[kind][0], markersize=6, linewidth=0) for kind in kinds]
    if any(axes.get_xlim()[0] <= _CHANCE for axes in figure.axes):
        handles.append(style.handle("chance", linewidth=0.9, linestyle=style.DOTTED))
    panels.legend(figure, handles)
    figure.suptitle("What perturbations cost, against how good an encoder is to begin with\n"
                    "(lines: intervals over test recordings)")  # fmt: skip
    return figure


def _draw(axes: "Axes", study: Study, numbers: Mapping[str, Accuracy], *, size: float) -> None:
    for encoder, of in numbers.items():
        (x, left, right), (y, low, high) = (formats.estimate(of, name) for name in ("roc_auc", "mean_drop"))
        if x is None or y is None:
            continue
        colour, _ = panels.look(study, encoder)
        if left is not None and right is not None:
            axes.hlines(y, left, right, color=colour, linewidth=size / 5)
        if low is not None and high is not None:
            axes.vlines(x, low, high, color=colour, linewidth=size / 5)
        axes.plot([x], [y], _KINDS[encoder in INTERPRETABLE][0], color=colour, markersize=size, zorder=3,
                  markeredgecolor="white", markeredgewidth=0.6)  # fmt: skip


def _finish(axes: "Axes") -> None:
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    if axes.get_xlim()[0] <= _CHANCE:
        axes.axvline(_CHANCE, color=style.MUTED, linewidth=0.9, linestyle=style.DOTTED)
    axes.grid()
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)


def _add_names(axes: "Axes", study: Study, numbers: Mapping[str, Accuracy], *, gap: float) -> None:
    """Add names right of a finished panel, each with a dotted line to its point; inside it who has none, and why."""
    low, high = axes.get_ylim()
    points = {e: (of["mean_drop"], of["roc_auc"]) for e, of in numbers.items() if of["mean_drop"] is not None}
    shown = sorted((drop, x, e) for e, (drop, x) in points.items() if x is not None)
    heights = _spread([(drop - low) / (high - low) for drop, *_ in shown], gap)
    for (drop, x, encoder), height in zip(shown, heights, strict=True):
        arrow = {"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.7, "linestyle": (0, (1, 2)), "shrinkA": 1,
                 "shrinkB": 3}  # fmt: skip
        axes.annotate(encoder, (x, drop), (1.05, height), textcoords="axes fraction", va="center", fontsize=7.5,
                      color=style.word(panels.look(study, encoder)[0]), annotation_clip=False,
                      arrowprops=arrow)  # fmt: skip
    for place, encoder in enumerate(e for e in numbers if not placed(numbers[e])):
        axes.annotate(f"{encoder}: {numbers[encoder]['problem']}", (0.02, 0), (0, 5 + 9 * place),
                      xycoords="axes fraction", textcoords="offset points", fontsize=6.5,
                      color=style.word(panels.look(study, encoder)[0]))  # fmt: skip


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights in ascending order, at least `gap` apart and within 0 and 1 as far as there is room, near the wanted."""
    heights: list[float] = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap if heights else 0.0))
    limit = 1.0
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], limit)
        limit = heights[place] - gap
    return heights
