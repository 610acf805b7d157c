"""ROC AUC over the values of a perturbation, in the layout of the study's figure.

Conventions
-----------
ROC AUC of one-vs-rest instrument classifiers, the mean over instruments unless an instrument is named. *forward*:
trained on original clips, tested on each value; *backward*: trained on each value, tested on originals; *matched*:
trained and tested on the same value. Values stand on the x axis in order of strength. Original clips have no strength:
they stand at a place of their own to the left, joined to no curve. The y axis is shared along a row.

- :func:`roc_auc`, :func:`roc_auc_of_instrument`: the study's methods
- :func:`beyond`: the other methods, in the same layout
- :func:`table`: the curves of all pairs
"""

import itertools

import numpy as np

from earshift.pipeline import paths
from earshift.report import methods, results
from earshift.report.figures import panels, style

_MATCHED = "matched"
_PLACE = -0.2  # of the original clips, beside strengths from 0 to 1
_SHOWN_BELOW = 0.06  # AUC below the curve without removal that a panel shows at least, where a method goes there
_WIDEST = 2.4  # line width of a group's first method; the others are thinner, so that equal curves can be told apart


def roc_auc(content, encoder, instrument=panels.OVERALL):
    """AUC over the values of every perturbation: the study's methods, two directions and two groups of methods across.

    Parameters
    ----------
    content : dict, params.yaml
    encoder : str
    instrument : str, "all" is the mean over instruments, drawn with the interval of ``none``

    Returns
    -------
    matplotlib Figure
    """
    rows = [(encoder, perturbation) for perturbation in results.run(content).perturbations]
    subject = "mean over instruments" if instrument == panels.OVERALL else instrument
    return _curves(content, rows, instrument, _study_groups(content), f"{encoder}, {subject}: ROC AUC with directions "
                   "of the first study removed")  # fmt: skip


def roc_auc_of_instrument(content, instrument):
    """One instrument in the study's layout, one pair a row: every encoder under what costs it most.

    Parameters
    ----------
    content : dict, params.yaml
    instrument : str
        Where no classifier of it has numbers, the first that has is drawn and the title says so.

    Returns
    -------
    matplotlib Figure
    """
    run = results.run(content)
    rows = [(encoder, _costliest(encoder, run.perturbations)) for encoder in run.encoders]
    tables = [_table(*pair) for pair in rows]
    present = sorted({name for table in tables for name in table.loc[table["roc_auc"].notna(), "instrument"]})
    named = [name for name in present if name != panels.OVERALL] or [panels.OVERALL]
    drawn = instrument if instrument in named else named[0]
    note = "" if drawn == instrument else f"\n(there are no numbers for {instrument}, which figures.instrument names)"
    title = f"{drawn}: ROC AUC, every encoder under the perturbation that costs it most{note}"
    return _curves(content, rows, drawn, _study_groups(content), title)


def beyond(content, encoder):
    """As :func:`roc_auc`, for the methods that the study's figure does not show, and matched training.

    Returns
    -------
    matplotlib Figure
    """
    rows = [(encoder, perturbation) for perturbation in results.run(content).perturbations]
    groups = (("none", "lda", "cca", "pca_normalised"),
              ("none", "leace", "conditional_displacement", "augmentation", _MATCHED))  # fmt: skip
    title = f"{encoder}, mean over instruments: ROC AUC, methods that the first study's figure does not show"
    return _curves(content, rows, panels.OVERALL, _only(groups, content), title)


def _study_groups(content):
    several = [name for name in methods.selected(content) if name.startswith(methods.SVD)]
    one = (
        f"{methods.SVD}_0.4"
        if f"{methods.SVD}_0.4" in several
        else next(iter(several[len(several) // 2 :]), methods.SVD)
    )
    return _only((("none", "average_displacement", one, "pca"), ("none", *several)), content)


def _only(groups, content):
    """Groups with the methods that are selected."""
    there = {*methods.selected(content), _MATCHED}
    return [[method for method in group if method in there] for group in groups]


def _costliest(encoder, perturbations):
    """The perturbation with the largest mean drop."""
    drops = {}
    for perturbation in perturbations:
        none = results.metrics("robustness", encoder, perturbation)["methods"].get("none") or {}
        drop = (none.get("forward") or {}).get("mean_drop")
        drops[perturbation] = -np.inf if drop is None else drop
    return max(drops, key=drops.get)


def _table(encoder, perturbation):
    """curves.csv of one pair."""
    return panels.text_values(paths.plots("robustness", encoder, perturbation) / "curves.csv")


def _curves(content, rows, instrument, groups, title):
    """Rows of pairs, columns of (group, direction), y shared along a row."""
    made = style.figure(10.2, 1.75 * len(rows) + 1.9)
    grid = made.subplots(len(rows), 2 * len(groups), squeeze=False, sharey="row")
    columns = list(itertools.product(range(len(groups)), methods.DIRECTIONS))
    for row, (encoder, perturbation) in enumerate(rows):
        numbers = results.metrics("robustness", encoder, perturbation)
        table = _table(encoder, perturbation)
        table = table[table["instrument"] == instrument]
        texts = numbers["values"]
        strengths = [rank / (len(texts) - 1) for rank in range(len(texts))]
        shown = {name for group in groups for name in group}
        matched = (table["direction"] == _MATCHED) & (table["method"] == "none") & (_MATCHED in shown)
        drawn = table[matched | (table["method"].isin(shown) & (table["direction"] != _MATCHED))]
        limits = _limits(drawn)
        for axes, (group, direction) in zip(grid[row], columns, strict=True):
            _panel(axes, table, groups[group], direction, limits)
            label = style.axis_label(perturbation, numbers["unit"])
            style.value_axis(axes, strengths, texts, label, most=4)
            _original_place(axes)
            if row == 0:
                axes.set_title(methods.DIRECTIONS[direction])
            if table["roc_auc"].isna().all():
                _say(axes, _reason(numbers, instrument))
        name = f"{encoder}\n" if len({e for e, _ in rows}) > 1 else ""
        grid[row, 0].set_ylabel(f"{name}ROC AUC")
        grid[row, 0].set_ylim(*limits)
    made.suptitle(title)
    made.align_ylabels(grid[:, 0])
    _method_legend(made, groups, band=instrument == panels.OVERALL)
    return made


def _panel(axes, table, group, direction, limits):
    import matplotlib.transforms

    curve = {m: table[(table["method"] == m) & (table["direction"] == direction)] for m in group if m != _MATCHED}
    if _MATCHED in group:
        curve[_MATCHED] = table[(table["method"] == "none") & (table["direction"] == _MATCHED)]
    cut = 0
    for place, (method, points) in enumerate(curve.items()):
        matched = method == _MATCHED
        colour = style.MUTED if matched else methods.look(method)[0]
        line = points[points["value"] != "original"].sort_values("strength")
        original = points.loc[points["value"] == "original", "roc_auc"]
        width = max(0.9, _WIDEST - 0.5 * place)
        stroke = {"linewidth": 1.3, "linestyle": (0, (1, 1.2))} if matched else {"linewidth": width}
        axes.plot(line["strength"], line["roc_auc"], color=colour, **stroke)
        if method == "none":
            band = line.dropna(subset=["low", "high"])
            axes.fill_between(band["strength"], band["low"], band["high"], color=style.FAINT, alpha=0.6, linewidth=0)
            if original.notna().any():
                axes.axhline(original.iloc[0], color=style.MUTED, linewidth=0.6, linestyle=(0, (5, 3)))
        if not matched:
            size = 6 - 0.9 * place
            axes.plot([_PLACE] * len(original), original, "o", color=colour, markersize=size, markeredgewidth=0)
        lowest = min(line["roc_auc"].min(), original.min()) if len(original) else line["roc_auc"].min()
        if lowest < limits[0]:
            side = matplotlib.transforms.offset_copy(axes.transAxes, axes.figure, y=2 + 8 * cut, units="points")
            axes.text(0.99, 0, f"{methods.short(method)} down to {panels.two(lowest)}", transform=side,
                      color=style.word(colour), ha="right", va="bottom", fontsize=6.5, zorder=5,
                      bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5})  # fmt: skip
            cut += 1
    axes.grid(axis="y")


def _limits(table):
    """Range of AUC that shows the differences: all curves, but what lies far below ``none`` is cut, as is the interval.

    One method that costs most of the AUC would press all others into one line, and so would the interval: it is that of
    the level, while methods are compared on the same recordings.
    """
    top, bottom = table["roc_auc"].max(), table["roc_auc"].min()
    if not np.isfinite([top, bottom]).all():
        return 0.5, 1.0
    none = table.loc[table["method"] == "none", "roc_auc"]
    if none.notna().any():
        bottom = max(bottom, none.min() - max(none.max() - none.min(), _SHOWN_BELOW))
    margin = max(0.08 * (top - bottom), 0.002)
    return bottom - margin, top + margin


def _original_place(axes):
    """The tick of the clips without effect, and room for it."""
    ticks, labels = list(axes.get_xticks()), [text.get_text() for text in axes.get_xticklabels()]
    axes.set_xticks([_PLACE, *ticks], ["orig.", *labels])
    axes.set_xlim(_PLACE - 0.1, 1.08)
    axes.axvline(_PLACE / 2, color=style.FAINT, linewidth=0.8)


def _reason(numbers, instrument):
    none = numbers["methods"].get("none") or {}
    return numbers["skipped"].get(instrument) or none.get("problem") or "no numbers"


def _say(axes, text):
    axes.text(0.5, 0.5, f"no value:\n{text}", transform=axes.transAxes, ha="center", va="center", fontsize=7, wrap=True)


def _method_legend(made, groups, *, band):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    drawn = list(dict.fromkeys(m for group in groups for m in group if m != _MATCHED))
    handles = [Line2D([], [], color=methods.look(m)[0], linewidth=2, label=methods.look(m)[1]) for m in drawn]
    if any(_MATCHED in group for group in groups):
        handles.append(Line2D([], [], color=style.MUTED, linestyle=(0, (1, 1.2)), linewidth=1.3,
                              label="nothing removed, train and test at the same value"))  # fmt: skip
    if band:
        handles.append(Patch(facecolor=style.FAINT, label="interval of nothing removed, over test recordings"))
    handles.append(Line2D([], [], color=style.MUTED, marker="o", markersize=5, linewidth=0.6, linestyle=(0, (5, 3)),
                          label="orig.: trained and tested on originals (line: nothing removed)"))  # fmt: skip
    made.legend(handles=handles, loc="outside lower center", ncols=3)


def table(content):
    """Curves of all pairs, mean over instruments: encoder, perturbation, method, direction, strength, value, roc_auc,
    low, high; original clips without a strength."""
    import pandas as pd

    parts = []
    for encoder, perturbation in results.pairs(content):
        part = _table(encoder, perturbation)
        part = part[part["instrument"] == panels.OVERALL]
        part.insert(0, "encoder", encoder)
        part.insert(1, "perturbation", perturbation)
        parts.append(part)
    columns = ["encoder", "perturbation", "method", "direction", "strength", "value", "roc_auc", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns]
