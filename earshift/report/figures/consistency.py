"""Pictures of consistency: whether clips stay nearest to their own original, in the audio and between vectors.

Conventions
-----------
After the third study's figures. An encoder has its colour, the audio is black (DTW) and grey (SiMPle); an interval is a
light band or a line. Numbers of the audio are those in the files of the first encoder that is selected. Where a
distance was left out (``distances.measures``, ``consistency.latent``), the other one of its space stands in.

- :func:`consistency`: all measures along every grid (its Figures 6, 7 and 10)
- :func:`minimum_magnitudes`: the smallest values of every grid, and where clips cease to be told apart (its Figure 12)
- :func:`originals_correlation`: how far distances between originals have one order in both spaces (its Figure 13)
"""

import numpy as np

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import panels, style
from earshift.report.page import text as wording

NAMES = {"dtw": "DTW", "simple": "SiMPle", "euclidean": "Euclidean", "cosine": "cosine"}
SIDES = {"below": f" {panels.MINUS}", "above": " +", "all": ""}
_AUDIO = {"dtw": (style.INK, "-", "P"), "simple": (style.MUTED, (0, (4, 2)), "X")}
_DOTTED = (0, (1, 1.2))
_NEVER = 1.18  # height of what never falls below, over strengths from 0 to 1


def chosen(numbers, *wanted):
    """Of each space the distance that is wanted, or the one that there is.

    Parameters
    ----------
    numbers : dict, metrics of a pair
    wanted : str, one of the audio and one between vectors

    Returns
    -------
    list of str
    """
    spaces = zip(wanted, (numbers["audio"], numbers["latent"]), strict=True)
    return [name if name in present else present[0] for name, present in spaces]


def curves(encoder, perturbation):
    """The measures of a pair at every value."""
    path = paths.plots("consistency", encoder, perturbation) / "curves.csv"
    return results.table(path, converters={"value": str}).fillna({"audio": "", "latent": ""})


def of(table, measure, audio="", latent=""):
    """The rows of one measure, in order of strength."""
    rows = (table["measure"] == measure) & (table["audio"] == audio) & (table["latent"] == latent)
    return table[rows].sort_values("strength")


# ------------------------------------------------------------------------------------------------------ along the grids


def consistency(content):
    """Within-space consistency, agreement and correlation along the grids, one row a perturbation.

    Returns
    -------
    matplotlib Figure
    """
    run = results.run(content)
    numbers = {p: results.metrics("consistency", run.encoders[0], p) for p in run.perturbations}
    columns = _columns(numbers[run.perturbations[0]])
    ground, _ = chosen(numbers[run.perturbations[0]], "dtw", "euclidean")
    made = style.figure(max(panels.NARROWEST, 2.05 * len(columns) + 0.4), max(3.2, 1.75 * len(run.perturbations) + 1.1))
    grid = made.subplots(len(run.perturbations), len(columns), squeeze=False)
    for row, perturbation in enumerate(run.perturbations):
        tables = {encoder: curves(encoder, perturbation) for encoder in run.encoders}
        first = tables[run.encoders[0]]
        for axes, (heading, measure, audio, z) in zip(grid[row], columns, strict=True):
            if measure == "within" and z:  # behind the encoders, as the study has it: what the audio itself allows
                _line(axes, of(first, "within", ground), style.MUTED, linestyle=_DOTTED, band=False)
            elif measure == "within":
                for name in numbers[perturbation]["audio"]:
                    _line(axes, of(first, "within", name), _AUDIO[name][0], linestyle=_AUDIO[name][1])
            for encoder in run.encoders if z else ():
                colour, _ = style.encoder_look(encoder, content["encoders"])
                _line(axes, of(tables[encoder], measure, audio, z), colour)
            style.value_axis(
                axes, *panels.values(first), style.axis_label(perturbation, numbers[perturbation]["unit"]), most=5
            )
            axes.set_ylim(min(-0.03, axes.get_ylim()[0]), 1.03)
            axes.grid(axis="y")
            if row == 0:
                axes.set_title(heading)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of the clips")
    _legend(made, content, run.encoders, numbers[run.perturbations[0]]["audio"], ground)
    made.suptitle("Do clips stay nearest to their own original, and do embeddings agree with the audio about it?")
    return made


def _columns(numbers):
    """(heading, measure, distance in the audio, latent distance) of every column."""
    within = [(f"nearest is own:\nvectors, {NAMES[z]}", "within", "", z) for z in numbers["latent"]]
    agreeing, correlated = chosen(numbers, "simple", "cosine"), chosen(numbers, "dtw", "euclidean")
    rho = "\N{GREEK SMALL LETTER RHO}"
    return [
        ("nearest is own:\naudio", "within", "", ""),
        *within,
        (f"agreement of spaces:\n{_named(agreeing)}", "between_agreement", *agreeing),
        (f"correlation of spaces ({rho}):\n{_named(correlated)}", "between_spearman", *correlated),
    ]


def _named(distances):
    return ", ".join(NAMES[name] for name in distances)


def _line(axes, rows, colour, *, linestyle="-", band=True):
    known = rows.dropna(subset="number")
    marks = {"marker": "o", "markersize": 2.4 if len(known) <= 12 else 0}
    axes.plot(known["strength"], known["number"], color=colour, linewidth=1.3, linestyle=linestyle, **marks)
    sure = known.dropna(subset=["low", "high"])
    if band:
        axes.fill_between(sure["strength"], sure["low"], sure["high"], color=colour, alpha=0.15, linewidth=0)


def _legend(made, content, encoders, audio, ground):
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=style.encoder_look(e, content["encoders"])[0], linewidth=1.6, label=e)
               for e in encoders]  # fmt: skip
    for name in audio:
        colour, dashes, _ = _AUDIO[name]
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.3, label=f"audio, {NAMES[name]}"))
    label = f"audio, {NAMES[ground]}, beside the vectors"
    handles.append(Line2D([], [], color=style.MUTED, linestyle=_DOTTED, label=label))
    made.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7))


# ------------------------------------------------------------------------------------------------------ smallest values


def minimum_magnitudes(content):
    """Above, within-space consistency at the smallest value of every side of a grid; below, the first value at which it
    lies below ``consistency.threshold``.

    Returns
    -------
    matplotlib Figure
    """
    run = results.run(content)
    first = results.metrics("consistency", *results.pairs(content)[0])
    _, z = chosen(first, "dtw", "euclidean")
    places = _sides(run)
    made = style.figure(max(panels.NARROWEST, 1.05 * len(places) + 1.4), 5.4)
    above, below = made.subplots(2, 1, sharex=True)
    things = [*first["audio"], *run.encoders]
    step = 0.8 / len(things)
    for i, thing in enumerate(things):
        colour, marker = _AUDIO[thing][::2] if thing in _AUDIO else style.encoder_look(thing, content["encoders"])
        encoder, name = (run.encoders[0], thing) if thing in _AUDIO else (thing, z)
        label = f"audio, {NAMES[name]}" if thing in _AUDIO else f"{thing}, {NAMES[name]}"
        for column, (perturbation, side) in enumerate(places):
            x = column + (i - (len(things) - 1) / 2) * step
            numbers = results.metrics("consistency", encoder, perturbation)
            own = numbers["sides"][side]
            rows = of(curves(encoder, perturbation), "within", *((name, "") if thing in _AUDIO else ("", name)))
            (row,) = rows[rows["value"] == own["smallest"]].itertuples()
            above.vlines(x, row.low, row.high, color=colour, linewidth=1.6)
            above.plot([x], [row.number], marker, color=colour, markersize=5, label=label if column == 0 else None)
            _fall(below, x, own, name, colour, marker)
    threshold = first["threshold"]
    above.axhline(threshold, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
    above.set_ylim(min(0.0, above.get_ylim()[0]), 1.03)
    above.set_ylabel("nearest is own, at the\nsmallest value (share of clips)")
    below.set_ylim(-0.1, _NEVER + 0.14)
    below.axhline((1 + _NEVER) / 2, color=style.FAINT, linewidth=0.8)
    below.set_yticks([0, 1, _NEVER], ["smallest value", "largest value", "never"])
    below.set_ylabel(f"first value below {threshold:g}")
    below.set_xticks(range(len(places)), [_side_label(run, *place) for place in places])
    below.set_xlim(-0.5, len(places) - 0.5)
    for axes in (above, below):
        for edge in np.arange(0.5, len(places) - 1):
            axes.axvline(edge, color=style.FAINT, linewidth=0.6)
    above.grid(axis="y")
    handles, labels = above.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    made.suptitle(f"The smallest deformations, and where fewer than {100 * threshold:g} % of the clips are nearest to "
                  "their own original")  # fmt: skip
    return made


def _fall(axes, x, side, name, colour, marker):
    """Where on a side a distance falls below the threshold, with its value."""
    value = side["falls_below"].get(name)
    last = max(len(side["values"]) - 1, 1)
    y = _NEVER if value is None else side["values"].index(value) / last
    axes.plot([x], [y], marker, color=colour, markersize=5)
    if value is not None:
        axes.annotate(fall(side, name), (x, y), (0, 5), textcoords="offset points", ha="center", va="bottom",
                      rotation=90, fontsize=6.5, color=style.word(colour))  # fmt: skip


def fall(side, name):
    """The first value of a side at which a distance falls below the threshold, as text."""
    value = side["falls_below"].get(name)
    return "never" if value is None else wording.value(value)


def _sides(run):
    """(perturbation, side) of all perturbations."""
    first = run.encoders[0]
    return [(p, side) for p in run.perturbations for side in results.metrics("consistency", first, p)["sides"]]


def _side_label(run, perturbation, side):
    numbers = results.metrics("consistency", run.encoders[0], perturbation)
    return f"{perturbation}{SIDES[side]}\n{wording.with_unit(numbers['sides'][side]['smallest'], numbers['unit'])}"


# ------------------------------------------------------------------------------------------------------ originals alone


def originals_correlation(content):
    """Spearman's correlation of distances between originals, in the audio and between vectors, for every encoder.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.lines import Line2D

    run = results.run(content)
    first = results.metrics("consistency", *results.pairs(content)[0])
    pairs = [(a, z) for a in first["audio"] for z in first["latent"]]
    made = style.figure(max(panels.NARROWEST, 1.2 * len(run.encoders) + 1.6), 3.4)
    axes = made.add_subplot()
    looks = {(a, z): ("o" if z == "euclidean" else "s", a == "dtw") for a, z in pairs}  # marker, whether it is filled
    for place, encoder in enumerate(run.encoders):
        colour, _ = style.encoder_look(encoder, content["encoders"])
        numbers = results.metrics("consistency", encoder, run.perturbations[0])["originals"]
        for i, (a, z) in enumerate(pairs):
            x = place + (i - (len(pairs) - 1) / 2) * 0.18
            number, low, high = (numbers[f"originals_spearman_{a}_{z}{end}"] for end in ("", "_low", "_high"))
            if number is None:
                axes.text(x, 0.02, "no value", rotation=90, color=style.word(colour), ha="center", va="bottom",
                          fontsize=7)  # fmt: skip
                continue
            marker, filled = looks[a, z]
            if low is not None:
                axes.vlines(x, low, high, color=colour, linewidth=1.6, zorder=1)
            axes.plot([x], [number], marker, color=colour, markerfacecolor=colour if filled else "white", markersize=5)
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    axes.set_xticks(range(len(run.encoders)), run.encoders)
    axes.set_xlim(-0.5, len(run.encoders) - 0.5)
    axes.set_ylim(top=1.03)
    axes.set_xlabel("encoder")
    axes.set_ylabel("Spearman's correlation")
    axes.grid(axis="y")
    handles = [
        Line2D([], [], color=style.MUTED, marker=marker, markerfacecolor=style.MUTED if filled else "white",
               linewidth=0, markersize=5, label=f"{NAMES[a]}, {NAMES[z]}")
        for (a, z), (marker, filled) in looks.items()
    ]  # fmt: skip
    made.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    made.suptitle("Do originals that are far apart in the audio lie far apart between vectors?\n"
                  "(all pairs of originals; lines: bootstrap interval over recordings)")  # fmt: skip
    return made
