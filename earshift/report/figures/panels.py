"""What several figures share: a grid of panels with one panel per pair, its legends, and tables whose values stay text.

Conventions
-----------
Panels stand perturbations down, encoders across, every encoder's name in its colour over its column. Sizes are in
inches. Strength lies on the x axis, 0 to 1, and is marked with the perturbation's values.
"""

import itertools

import numpy as np

from earshift.report import results
from earshift.report.figures import style

NARROWEST = 7.5  # titles and legends need as much however few panels there are
MINUS = "\N{MINUS SIGN}"
OVERALL = "all"  # the tables' name for all instruments together, and for the clips of a corpus without labels


def panels(content, **shared):
    """A figure with one panel per pair, and the panels by pair; the encoders stand over their columns.

    Parameters
    ----------
    content : dict, params.yaml
    shared : ``sharex`` and ``sharey`` as for matplotlib's ``subplots``

    Returns
    -------
    matplotlib Figure
    dict of (encoder, perturbation) to matplotlib axes
    """
    selected = results.run(content)
    rows, columns = len(selected.perturbations), len(selected.encoders)
    made = style.figure(max(NARROWEST, 2.5 * columns + 0.6), max(3.2, 1.9 * rows + 0.9))
    axes = made.subplots(rows, columns, squeeze=False, **shared)
    for column, encoder in enumerate(selected.encoders):
        colour, _ = style.encoder_look(encoder, content["encoders"])
        axes[0, column].annotate(encoder, (0.5, 1), (0, 17), xycoords="axes fraction", textcoords="offset points",
                                 ha="center", color=style.word(colour), weight="bold", size=9)  # fmt: skip
    places = itertools.product(range(columns), range(rows))
    return made, {pair: axes[row, column] for pair, (column, row) in zip(results.pairs(content), places, strict=True)}


def perturbation_colour(perturbation, content):
    """Colour of a perturbation among all that params.yaml configures, selected or not."""
    place = list(content["perturbations"]).index(perturbation)
    return style.PALETTE[place % len(style.PALETTE)]


def legend(made, entries):
    """A legend below the panels: (label, colour) as coloured patches."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=label) for label, colour in entries]
    made.legend(handles=patches, loc="outside lower center", ncols=len(entries))


def text_values(path):
    """A table whose ``value`` and ``instrument`` stay text as written, an instrument called NA included."""
    return as_text(path, "value", "instrument")


def as_text(path, *names):
    """A table whose columns of these names stay text as written, NA and nothing at all included.

    pandas reads NA as a missing value even where a converter returned it as text.
    """
    others = [name for name in results.table(path, nrows=0) if name not in names]
    return results.table(path, dtype=dict.fromkeys(names, str), keep_default_na=False,
                         na_values=dict.fromkeys(others, [""]))  # fmt: skip


def values(table):
    """Strengths in ascending order and the texts of their values; rows without a strength are left out."""
    pairs = table[["strength", "value"]].dropna(subset="strength").drop_duplicates().sort_values("strength")
    return pairs["strength"].tolist(), pairs["value"].tolist()


def two(number):
    """A number with two decimals, "-" where there is none."""
    return "-" if number is None or np.isnan(number) else f"{number:.2f}".replace("-", MINUS)
