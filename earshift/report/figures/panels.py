"""What several figures share: grids of panels, marks with intervals, curves with bands, axes and legends.

Conventions
-----------
Sizes are in inches. Strength lies on the x axis, 0 to 1, and is marked with the perturbation's values.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from earshift.report.figures import style
from earshift.report.formats import Estimate
from earshift.report.results import Pair, Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

NARROWEST = 7.5  # titles and legends need as much however few panels there are
OVERALL = "all"  # the tables' name for all instruments together, and for the clips of a corpus without labels


def look(study: Study, encoder: str) -> tuple[str, str]:
    """Colour and marker of an encoder."""
    return style.encoder_look(encoder, study.configured_encoders)


def perturbation_colour(study: Study, perturbation: str) -> str:
    """Colour of a perturbation among all that are configured, selected or not."""
    return style.PALETTE[study.configured_perturbations.index(perturbation) % len(style.PALETTE)]


def grid_of_pairs(study: Study, **shared: Any) -> "tuple[Figure, dict[Pair, Axes]]":
    """A figure with one panel per pair, and the panels by pair: perturbations down, encoders across, their names above.

    Parameters
    ----------
    study : Study
    shared : ``sharex`` and ``sharey`` as for matplotlib's ``subplots``
    """
    rows, columns = len(study.perturbations), len(study.encoders)
    figure = style.new_figure(max(NARROWEST, 2.5 * columns + 0.6), max(3.2, 1.9 * rows + 0.9))
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    for column, encoder in enumerate(study.encoders):
        colour, _ = look(study, encoder)
        axes[0, column].annotate(encoder, (0.5, 1), (0, 17), xycoords="axes fraction", textcoords="offset points",
                                 ha="center", color=style.word(colour), weight="bold", size=9)  # fmt: skip
    places = itertools.product(range(columns), range(rows))
    return figure, {pair: axes[row, column] for pair, (column, row) in zip(study.pairs, places, strict=True)}


# ---------------------------------------------------------------------------------------------------- marks and curves


def mark(
    axes: "Axes", x: float, of: Estimate, colour: str, marker: str, *, size: float = 5, filled: bool = True,
    label: str | None = None, **line: Any,
) -> None:  # fmt: skip
    """A mark at (x, number) over a line from one end of its interval to the other; nothing where there is no number.

    line : of the interval, ``linewidth`` and ``zorder``
    """
    if of.number is None:
        return
    if of.low is not None and of.high is not None:
        axes.vlines(x, of.low, of.high, color=colour, **{"linewidth": 1.6, **line})
    axes.plot([x], [of.number], marker, color=colour, markerfacecolor=colour if filled else "white", markersize=size,
              label=label)  # fmt: skip


def say_no_value(axes: "Axes", x: float, colour: str) -> None:
    """Words in place of a mark."""
    axes.text(x, 0.02, "no value", rotation=90, color=style.word(colour), ha="center", va="bottom", fontsize=7)


def curve(
    axes: "Axes", rows: "pd.DataFrame", colour: str, *, band: bool = True, size: float = 2.4, **line: Any
) -> None:
    """The column ``number`` over ``strength``, with a light band from ``low`` to ``high``; marks where these are few.

    line : ``linestyle`` and ``marker`` of the curve
    """
    known = rows.dropna(subset="number")
    look_of_line = {"linewidth": 1.3, "marker": "o", "markersize": size if len(known) <= 12 else 0, **line}
    axes.plot(known["strength"], known["number"], color=colour, **look_of_line)
    sure = known.dropna(subset=["low", "high"])
    if band:
        axes.fill_between(sure["strength"], sure["low"], sure["high"], color=colour, alpha=0.15, linewidth=0)


def offsets(count: int, step: float) -> list[float]:
    """Places beside each other, `step` apart, around 0."""
    return [(i - (count - 1) / 2) * step for i in range(count)]


# ---------------------------------------------------------------------------------------------------- axes and legends


def categories(axes: "Axes", labels: Sequence[str], *, edges: bool = True) -> None:
    """An x axis of names, with lines between them."""
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    for edge in np.arange(0.5, len(labels) - 1) if edges else ():
        axes.axvline(edge, color=style.FAINT, linewidth=0.6)


def values(table: "pd.DataFrame") -> tuple[list[float], list[str]]:
    """Strengths in ascending order and the texts of their values; rows without a strength are left out."""
    pairs = table[["strength", "value"]].dropna(subset="strength").drop_duplicates().sort_values("strength")
    return pairs["strength"].tolist(), pairs["value"].tolist()


def value_axis(axes: "Axes", table: "pd.DataFrame", perturbation: str, unit: str, *, most: int = 7) -> None:
    """Mark an axis of strengths with the values of a table."""
    style.value_axis(axes, *values(table), style.axis_label(perturbation, unit), most=most)


def legend(
    figure: "Figure", handles: "Iterable[Line2D | tuple[str, Any]]", *, most: int | None = None, **look: Any
) -> None:
    """A legend below the panels, at most `most` entries in a row; a pair of label and colour is a coloured patch."""
    from matplotlib.patches import Patch

    shown = [Patch(facecolor=each[1], label=each[0]) if isinstance(each, tuple) else each for each in handles]
    figure.legend(handles=shown, loc="outside lower center", ncols=min(len(shown), most or len(shown)), **look)


def encoder_handles(study: Study, encoders: Iterable[str], *, marker: bool = True, **line: Any) -> "list[Line2D]":
    """An entry of a legend for every encoder."""
    looks = [(encoder, *look(study, encoder)) for encoder in encoders]
    return [style.handle(e, c, **({"marker": m} if marker else {}), **line) for e, c, m in looks]


# --------------------------------------------------------------------------------------------------------------- tables


def drawn_instrument(table: "pd.DataFrame", wanted: str) -> str:
    """The instrument that is wanted, or the first of a table that has others."""
    present = list(dict.fromkeys(table["instrument"]))
    return wanted if wanted in present or not present else present[0]


def instrument_note(drawn: str, wanted: str) -> str:
    """What a title adds where another instrument is drawn than the one that is wanted."""
    return "" if drawn == wanted else f"\n(the corpus has no {wanted}, which figures.instrument names)"


def stacked(tables: "Mapping[Pair, pd.DataFrame]") -> "pd.DataFrame":
    """The tables of pairs as one, with the pair in its first columns."""
    import pandas as pd

    parts = [table.assign(encoder=e, perturbation=p) for (e, p), table in tables.items()]
    whole = pd.concat(parts, ignore_index=True)
    return whole[["encoder", "perturbation", *(name for name in whole if name not in ("encoder", "perturbation"))]]
