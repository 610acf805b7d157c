"""ROC AUC over the values of a perturbation, in the layout of deng2025's figure.

Conventions
-----------
ROC AUC of one-vs-rest instrument classifiers, the mean over instruments unless an instrument is named. *forward*:
trained on original clips, tested on each value; *backward*: trained on each value, tested on originals; *matched*:
trained and tested on the same value. Values stand on the x axis in order of strength. Original clips have no strength:
they stand at a place of their own to the left, joined to no curve. The y axis is shared along a row.

- :func:`roc_auc`, :func:`roc_auc_of_instrument`: the study's methods
- :func:`other_methods`: the methods that its figure does not show, in the same layout
- :func:`table`: the curves of all pairs
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from earshift.analysis.drops import RobustnessResult
from earshift.report import formats, methods
from earshift.report.figures import panels, style
from earshift.report.results import Pair, Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_MATCHED = "matched"
_PLACE = -0.2  # of the original clips, beside strengths from 0 to 1
_SHOWN_BELOW = 0.06  # AUC below the curve without removal that a panel shows at least, where a method goes there
_WIDEST = 2.4  # line width of a group's first method; the others are thinner, so that equal curves can be distinguished


def roc_auc(results: Results, encoder: str, instrument: str = panels.OVERALL) -> "Figure":
    """AUC over the values of every perturbation: the study's methods, two directions and two groups of methods across.

    Parameters
    ----------
    results : Results
    encoder : str
    instrument : str, "all" is the mean over instruments, drawn with the interval of ``none``
    """
    rows = [(encoder, perturbation) for perturbation in results.study.perturbations]
    subject = "mean over instruments" if instrument == panels.OVERALL else instrument
    title = f"{encoder}, {subject}: ROC AUC with the directions of deng2025 removed"
    return _curves(results, rows, instrument, _groups_of_study(results), title)


def roc_auc_of_instrument(results: Results) -> "Figure":
    """One instrument in the study's layout, one pair a row: every encoder under what costs it most.

    Where no classifier of the instrument that is asked for has numbers, the first that has is drawn and the title says
    so.
    """
    wanted = results.study.instrument
    rows = [_costliest(results, encoder) for encoder in results.study.encoders]
    tables = [results.table("robustness", pair, "curves") for pair in rows]
    present = {name for table in tables for name in table.loc[table["roc_auc"].notna(), "instrument"]}
    named = sorted(present - {panels.OVERALL}) or [panels.OVERALL]
    drawn = wanted if wanted in named else named[0]
    note = "" if drawn == wanted else f"\n(there are no numbers for {wanted}, which figures.instrument names)"
    title = f"{drawn}: ROC AUC, every encoder under the perturbation that costs it most{note}"
    return _curves(results, rows, drawn, _groups_of_study(results), title)


def other_methods(results: Results, encoder: str) -> "Figure":
    """As :func:`roc_auc`, for the methods that the study's figure does not show, and matched training."""
    rows = [(encoder, perturbation) for perturbation in results.study.perturbations]
    groups = (("none", "lda", "cca", "pca_normalised"),
              ("none", "leace", "conditional_displacement", "augmentation", _MATCHED))  # fmt: skip
    title = f"{encoder}, mean over instruments: ROC AUC, methods that the figure of deng2025 does not show"
    return _curves(results, rows, panels.OVERALL, _selected(results, groups), title)


def table(results: Results) -> "pd.DataFrame":
    """Curves of all pairs, mean over instruments: encoder, perturbation, method, direction, strength, value, roc_auc,
    low, high; original clips without a strength."""
    tables = {pair: results.table("robustness", pair, "curves") for pair in results.study.pairs}
    whole = panels.stacked({pair: of[of["instrument"] == panels.OVERALL] for pair, of in tables.items()})
    return whole[["encoder", "perturbation", "method", "direction", "strength", "value", "roc_auc", "low", "high"]]


# ---------------------------------------------------------------------------------------------------- what is drawn


def _groups_of_study(results: Results) -> list[list[str]]:
    several = [name for name in methods.selected(results.study.robustness) if name.startswith(methods.SVD)]
    middle = next(iter(several[len(several) // 2 :]), methods.SVD)
    one = f"{methods.SVD}_0.4" if f"{methods.SVD}_0.4" in several else middle
    return _selected(results, (("none", "average_displacement", one, "pca"), ("none", *several)))


def _selected(results: Results, groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Groups with the methods that are selected."""
    there = {*methods.selected(results.study.robustness), _MATCHED}
    return [[method for method in group if method in there] for group in groups]


def _costliest(results: Results, encoder: str) -> Pair:
    """The pair of an encoder with the largest mean drop."""

    def cost(pair: Pair) -> float:
        none = methods.direction(results.robustness[pair]["methods"].get("none"), "forward")
        drop = formats.estimate(none, "mean_drop").number
        return -np.inf if drop is None else drop

    return max(((encoder, perturbation) for perturbation in results.study.perturbations), key=cost)


# ----------------------------------------------------------------------------------------------------------- drawing


def _curves(results: Results, rows: list[Pair], instrument: str, groups: list[list[str]], title: str) -> "Figure":
    """Rows of pairs, columns of (group, direction), y shared along a row."""
    figure = style.new_figure(10.2, 1.75 * len(rows) + 1.9)
    grid = figure.subplots(len(rows), 2 * len(groups), squeeze=False, sharey="row")
    columns = list(itertools.product(groups, methods.DIRECTIONS))
    shown = {name for group in groups for name in group}
    for row, (encoder, perturbation) in enumerate(rows):
        numbers = results.robustness[encoder, perturbation]
        table = results.table("robustness", (encoder, perturbation), "curves")
        table = table[table["instrument"] == instrument]
        matched = (table["direction"] == _MATCHED) & (table["method"] == "none") & (_MATCHED in shown)
        limits = _limits(table[matched | (table["method"].isin(shown) & (table["direction"] != _MATCHED))])
        texts = numbers["values"]
        strengths = np.linspace(0, 1, len(texts)).tolist()
        for axes, (group, direction) in zip(grid[row], columns, strict=True):
            _draw_panel(axes, table, group, direction, limits)
            style.value_axis(axes, strengths, texts, style.axis_label(perturbation, numbers["unit"]), most=4)
            _add_place_of_originals(axes)
            if row == 0:
                axes.set_title(methods.DIRECTIONS[direction])
            if table["roc_auc"].isna().all():
                axes.text(0.5, 0.5, f"no value:\n{_reason(numbers, instrument)}", transform=axes.transAxes,
                          ha="center", va="center", fontsize=7, wrap=True)  # fmt: skip
        name = f"{encoder}\n" if len({e for e, _ in rows}) > 1 else ""
        grid[row, 0].set_ylabel(f"{name}ROC AUC")
        grid[row, 0].set_ylim(*limits)
    figure.suptitle(title)
    figure.align_ylabels(grid[:, 0])
    _add_legend(figure, groups, band=instrument == panels.OVERALL)
    return figure


def _draw_panel(
    axes: "Axes", table: "pd.DataFrame", group: Sequence[str], direction: str, limits: tuple[float, float]
) -> None:
    import matplotlib.transforms

    cut = 0
    for place, method in enumerate(group):
        matched = method == _MATCHED
        name, trained_on = ("none", _MATCHED) if matched else (method, direction)
        points = table[(table["method"] == name) & (table["direction"] == trained_on)]
        colour = style.MUTED if matched else methods.look(method)[0]
        line = points[points["value"] != "original"].sort_values("strength")
        original = points.loc[points["value"] == "original", "roc_auc"]
        width = max(0.9, _WIDEST - 0.5 * place)
        stroke = {"linewidth": 1.3, "linestyle": style.DOTTED} if matched else {"linewidth": width}
        axes.plot(line["strength"], line["roc_auc"], color=colour, **stroke)
        if method == "none":
            band = line.dropna(subset=["low", "high"])
            axes.fill_between(band["strength"], band["low"], band["high"], color=style.FAINT, alpha=0.6, linewidth=0)
            if original.notna().any():
                axes.axhline(original.iloc[0], color=style.MUTED, linewidth=0.6, linestyle=(0, (5, 3)))
        if not matched:
            axes.plot([_PLACE] * len(original), original, "o", color=colour, markersize=6 - 0.9 * place,
                      markeredgewidth=0)  # fmt: skip
        lowest = np.nanmin([*line["roc_auc"], *original, np.inf])
        if lowest < limits[0]:
            whole = axes.get_figure(root=True)
            side = matplotlib.transforms.offset_copy(axes.transAxes, whole, y=2 + 8 * cut, units="points")
            axes.text(0.99, 0, f"{methods.short(method)} down to {formats.r2(lowest)}", transform=side,
                      color=style.word(colour), ha="right", va="bottom", fontsize=6.5, zorder=5,
                      bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5})  # fmt: skip
            cut += 1
    axes.grid(axis="y")


def _limits(table: "pd.DataFrame") -> tuple[float, float]:
    """Range of AUC that shows the differences: all curves, but what lies far below ``none`` is cut, as is the interval.

    One method that costs most of the AUC would press all others into one line, and so would the interval: it is that of
    the level, while methods are compared on the same recordings.
    """
    top, bottom = float(table["roc_auc"].max()), float(table["roc_auc"].min())
    if not np.isfinite([top, bottom]).all():
        return 0.5, 1.0
    none = table.loc[table["method"] == "none", "roc_auc"]
    if none.notna().any():
        bottom = max(bottom, none.min() - max(none.max() - none.min(), _SHOWN_BELOW))
    margin = max(0.08 * (top - bottom), 0.002)
    return bottom - margin, top + margin


def _add_place_of_originals(axes: "Axes") -> None:
    """Add the tick of the clips without effect, and room for it."""
    ticks, labels = list(axes.get_xticks()), [text.get_text() for text in axes.get_xticklabels()]
    axes.set_xticks([_PLACE, *ticks], ["orig.", *labels])
    axes.set_xlim(_PLACE - 0.1, 1.08)
    axes.axvline(_PLACE / 2, color=style.FAINT, linewidth=0.8)


def _reason(numbers: RobustnessResult, instrument: str) -> str:
    """Why an instrument has no numbers."""
    none = numbers["methods"].get("none")
    return numbers["skipped"].get(instrument) or (none or {"problem": ""})["problem"] or "no numbers"


def _add_legend(figure: "Figure", groups: list[list[str]], *, band: bool) -> None:
    drawn = dict.fromkeys(method for group in groups for method in group)
    looks = [methods.look(method) for method in drawn if method != _MATCHED]
    handles: list[Line2D | tuple[str, str]] = [style.handle(text, colour, linewidth=2) for colour, text in looks]
    if _MATCHED in drawn:
        label = "nothing removed, train and test at the same value"
        handles.append(style.handle(label, linestyle=style.DOTTED, linewidth=1.3))
    if band:
        handles.append(("interval of nothing removed, over test recordings", style.FAINT))
    label = "orig.: trained and tested on originals (line: nothing removed)"
    handles.append(style.handle(label, marker="o", markersize=5, linewidth=0.6, linestyle=(0, (5, 3))))
    panels.legend(figure, handles, most=3)
