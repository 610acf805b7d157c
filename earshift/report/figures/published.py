"""The ROC AUC figure of deng2025 beside what was computed here, as a table of text and as pictures.

Conventions
-----------
A table and a picture for every panel, from metrics/published.json and plots/published/roc_auc.csv
(:mod:`earshift.analysis.published`, which also says where the published numbers come from). Means are over the points
that both sides have, without the point without effect. In the pictures published curves are thin with markers, ours are
broad; train and test stand over the columns, and methods are split over the rows as in the study. Where something
differs from the study, table and picture say so.
"""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.published import CurveNumbers, Note, PanelResult, PublishedResult
from earshift.report.figures import style
from earshift.storage.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 112  # columns that the table may take

# label in the table, colour
_METHODS = {
    "none": ("none", style.INK),
    "average_displacement": ("average displacement", style.PALETTE[4]),
    "pca": ("PCA, non-normalised", style.PALETTE[3]),
    "samplewise_cca_svd_0.3": ("sample-wise CCA SVD 0.3", style.PALETTE[5]),
    "samplewise_cca_svd_0.4": ("sample-wise CCA SVD 0.4", style.PALETTE[0]),
    "samplewise_cca_svd_0.5": ("sample-wise CCA SVD 0.5", style.PALETTE[2]),
}
_GROUPS = (
    ("none", "average_displacement", "samplewise_cca_svd_0.4", "pca"),
    ("none", "samplewise_cca_svd_0.3", "samplewise_cca_svd_0.4", "samplewise_cca_svd_0.5"),
)
_DIRECTIONS = {
    "orig->effected": "trained on original, tested on perturbed",
    "effected->orig": "trained on perturbed, tested on original",
}
_NAMES = {"openl3": "OpenL3", "panns": "PANNs", "clap": "CLAP"}
_AXES = {"gain": "gain (dB)", "lowpass": "cutoff frequency (Hz)", "reverb": "room size"}
_WIDTHS = (3.0, 2.3, 1.6, 1.0)  # of a group's curves here, so that equal ones can be distinguished
_PUBLISHED: dict[str, Any] = {
    "marker": "o",
    "markersize": 2.8,
    "markerfacecolor": "white",
    "markeredgewidth": 0.7,
    "linewidth": 0.5,
}
_OURS: dict[str, Any] = {"marker": "|", "markersize": 5}
_LOGARITHMIC = {"lowpass": (2000, 4000, 8000, 16000)}  # ticks


# ----------------------------------------------------------------------------------------------------------- the table

_GAP = "  "
_OVER = ("mean AUC", "here - published", "minus none", "no effect")  # each over two columns
_HEAD = ("directions removed", "points", "publ.", "here", "mean", "largest", "publ.", "here", "publ.", "here")
_READING = (
    "Means over the points that the study's figure shows and this grid has. Minus none: mean difference from the",
    "curve without removal. No effect: trained and tested on original clips.",
)


def table(content: PublishedResult) -> str:
    """All panels side by side, as text of at most :data:`WIDTH` columns.

    Parameters
    ----------
    content : PublishedResult
    """
    lines = []
    for panel in content["panels"].values():
        lines.append(f"{title(panel)}: {panel['train_clips']} training and {panel['test_clips']} test clips")
        lines += _caveats(panel)
        rows: list[tuple[str, ...]] = []
        for direction, label in _DIRECTIONS.items():
            rows.append((label, *[""] * 9))
            rows += [_row(method, panel["methods"][method][direction]) for method in _METHODS]
        lines += [*_align(rows), ""]
    for name, reason in content["skipped"].items():
        lines += [*textwrap.wrap(f"{name} is left out: {reason}", WIDTH, break_on_hyphens=False), ""]
    return "\n".join([*lines, *_READING])


def title(panel: PanelResult) -> str:
    """Encoder, perturbation and instrument."""
    encoder = _NAMES.get(panel["encoder"], panel["encoder"])
    return f"{encoder}, {panel['perturbation']}, {panel['instrument'].replace('guitar_acc', 'acoustic guitar')}"


def _caveats(panel: PanelResult) -> list[str]:
    """What keeps the numbers from being those of the study, line by line."""
    known = "The study's conditions, as far as the files tell."
    lines = ["Not the study's conditions, so do not expect its numbers:" if panel["deviations"] else known]
    for sentence in [*panel["deviations"], *map(_remark, panel["notes"])]:
        lines += textwrap.wrap(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    return lines


def _remark(note: Note) -> str:
    methods = ", ".join(_METHODS[method][0] for method in note["methods"])
    which = "" if len(note["methods"]) == len(_METHODS) else f" ({methods})"
    return f"{note['points']} points{which}: {note['note']}."


def _row(method: str, numbers: CurveNumbers) -> tuple[str, ...]:
    gains = [_number(gain, signed=True) for gain in (numbers["gain_published"], numbers["gain_ours"])]
    return (
        f"  {_METHODS[method][0]}",
        str(numbers["points"]),
        *map(_number, (numbers["published"], numbers["ours"])),
        _number(numbers["difference"], signed=True),
        _number(numbers["largest_difference"], signed=True),
        *(("", "") if method == "none" else gains),
        *map(_number, (numbers["original_published"], numbers["original_ours"])),
    )


def _number(number: float | None, *, signed: bool = False) -> str:
    text = "-" if number is None else f"{number:{'+' if signed else ''}.4f}"
    return text.replace("-0.0000", "+0.0000")


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    """Head and rows as lines, columns aligned; a row with nothing but its first cell is a heading of its own."""
    widths = [max(len(row[i]) for row in [_HEAD, *rows] if i or row[1]) for i in range(len(_HEAD))]
    pairs = [a + len(_GAP) + b for a, b in zip(widths[2::2], widths[3::2], strict=True)]
    lines = [_GAP.join([" " * widths[0], " " * widths[1], *map(str.center, _OVER, pairs)]).rstrip()]
    for first, *others in (_HEAD, *rows):
        lines.append(_GAP.join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip())
    return [*lines[:2], "-" * max(map(len, lines)), *lines[2:]]


# ---------------------------------------------------------------------------------------------------------- the picture


def picture(panel: PanelResult, curves: "pd.DataFrame") -> "Figure":
    """One panel of the study's figure: directions across, two groups of methods down.

    Parameters
    ----------
    panel : PanelResult
    curves : pandas.DataFrame, the panel's rows of roc_auc.csv

    Returns
    -------
    matplotlib Figure
    """
    made = style.new_figure(7.5, 6.4)
    grid = made.subplots(len(_GROUPS), len(_DIRECTIONS), sharex=True, sharey=True)
    drawn = np.sort(curves.loc[curves["published"].notna(), "param"].unique())
    no_effect = curves.loc[curves["original"] == 1, "param"].iloc[0]
    for across, (direction, label) in enumerate(_DIRECTIONS.items()):
        grid[0, across].set_title(label)
        grid[-1, across].set_xlabel(_AXES[panel["perturbation"]])
        for axes, methods in zip(grid[:, across], _GROUPS, strict=True):
            for width, method in zip(_WIDTHS, methods, strict=True):
                chosen = (curves["direction"] == direction) & (curves["method"] == method)
                _draw(axes, curves[chosen].set_index("param"), drawn, _METHODS[method][1], width)
            axes.axvline(no_effect, color=style.FAINT, linewidth=0.8, zorder=0)
            axes.grid(axis="y")
    for axes in grid[:, 0]:
        axes.set_ylabel("ROC AUC")
    ticks = _LOGARITHMIC.get(panel["perturbation"])
    if ticks:
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes.set_xticks([], minor=True)
    _legend(made)
    caveat = "not the study's conditions: the table says why" if panel["deviations"] else "the study's conditions"
    made.suptitle(f"{title(panel)} ({caveat})")
    return made


def _draw(axes: "Axes", curve: "pd.DataFrame", drawn: NDArray[np.float64], colour: str, width: float) -> None:
    published = curve["published"].reindex(drawn)  # NaN, and a gap, where this curve left the study's axes
    axes.plot(published.index, published, color=colour, zorder=4, **_PUBLISHED)
    ours = curve["ours"].dropna().sort_index()
    axes.plot(ours.index, ours, color=colour, linewidth=width, **_OURS)


def _legend(made: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=2.0, label=label) for label, colour in _METHODS.values()]
    look: dict[str, Any] = {"color": style.MUTED}
    handles += [
        Line2D([], [], label="published", **look, **_PUBLISHED),
        Line2D([], [], linewidth=2.0, label="here", **look, **_OURS),
        Line2D([], [], color=style.FAINT, linewidth=0.8, label="no effect (where the study drew it)"),
    ]
    made.legend(handles=handles, loc="outside lower center", ncols=3)


def draw(content: PublishedResult, curves: "pd.DataFrame", folder: Path) -> None:
    """Write a picture of every panel into a folder, as PANEL.png.

    Parameters
    ----------
    content : PublishedResult
    curves : pandas.DataFrame, roc_auc.csv with ``param`` as numbers
    folder : Path
    """
    with style.styled():
        for name, panel in content["panels"].items():
            made = picture(panel, curves[curves["panel"] == name])
            with replacing(folder / f"{name}.png") as temporary:
                made.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
