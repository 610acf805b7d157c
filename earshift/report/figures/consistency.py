"""Pictures of consistency: whether clips stay nearest to their own original, in the audio and between vectors.

Conventions
-----------
After the figures of kim2019. An encoder has its colour, the audio is black (DTW) and grey (SiMPle); an interval is a
light band or a line. Numbers of the audio are those in the files of the first encoder that is selected. Where a
distance was left out (``distances.measures``, ``consistency.latent``), the other one of its space stands in.

- :func:`consistency`: all measures along every grid (its Figures 6, 7 and 10)
- :func:`minimum_magnitudes`: the smallest values of every grid, and where clips cease to be nearest (its Figure 12)
- :func:`originals_correlation`: how far distances between originals have one order in both spaces (its Figure 13)
"""

from typing import TYPE_CHECKING, Any

from earshift.analysis.consistency import ConsistencyResult, Side
from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.results import Pair, Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"dtw": "DTW", "simple": "SiMPle", "euclidean": "Euclidean", "cosine": "cosine"}
SIDES = {"below": f" {formats.MINUS}", "above": " +", "all": ""}
_AUDIO: dict[str, tuple[str, Any, str]] = {
    "dtw": (style.INK, "-", "P"),
    "simple": (style.MUTED, style.DASHED, "X"),
}
_NEVER = 1.18  # height of what never falls below, over strengths from 0 to 1


def chosen(numbers: ConsistencyResult, audio: str, latent: str) -> tuple[str, str]:
    """Of the audio and of vectors the distance that is wanted, or the one that there is."""
    first, second = numbers["audio"], numbers["latent"]
    return audio if audio in first else first[0], latent if latent in second else second[0]


def curves(results: Results, pair: Pair) -> "pd.DataFrame":
    """The measures of a pair at every value."""
    return results.table("consistency", pair, "curves")


def of(table: "pd.DataFrame", measure: str, audio: str = "", latent: str = "") -> "pd.DataFrame":
    """The rows of one measure, in order of strength."""
    rows = (table["measure"] == measure) & (table["audio"] == audio) & (table["latent"] == latent)
    return table[rows].sort_values("strength")


# ------------------------------------------------------------------------------------------------------ along the grids


def consistency(results: Results) -> "Figure":
    """Within-space consistency, agreement and correlation along the grids, one row a perturbation."""
    study, first = results.study, results.consistency[results.study.pairs[0]]
    columns, (ground, _) = _columns(first), chosen(first, "dtw", "euclidean")
    figure = style.new_figure(
        max(panels.NARROWEST, 2.05 * len(columns) + 0.4), max(3.2, 1.75 * len(study.perturbations) + 1.1)
    )
    grid = figure.subplots(len(study.perturbations), len(columns), squeeze=False)
    for row, perturbation in enumerate(study.perturbations):
        tables = {encoder: curves(results, (encoder, perturbation)) for encoder in study.encoders}
        audio = tables[study.encoders[0]]
        for axes, (heading, measure, a, z) in zip(grid[row], columns, strict=True):
            if measure == "within" and z:  # behind the encoders, as the study has it: what the audio itself allows
                panels.curve(axes, of(audio, "within", ground), style.MUTED, linestyle=style.DOTTED, band=False)
            elif measure == "within":
                for name in first["audio"]:
                    panels.curve(axes, of(audio, "within", name), _AUDIO[name][0], linestyle=_AUDIO[name][1])
            for encoder in study.encoders if z else ():
                panels.curve(axes, of(tables[encoder], measure, a, z), panels.look(study, encoder)[0])
            panels.value_axis(axes, audio, perturbation, results.unit(perturbation), most=5)
            axes.set_ylim(min(-0.03, axes.get_ylim()[0]), 1.03)
            axes.grid(axis="y")
            if row == 0:
                axes.set_title(heading)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of the clips")
    handles = panels.encoder_handles(study, study.encoders, marker=False, linewidth=1.6)
    for name in first["audio"]:
        colour, line, _ = _AUDIO[name]
        handles.append(style.handle(f"audio, {NAMES[name]}", colour, linestyle=line, linewidth=1.3))
    handles.append(style.handle(f"audio, {NAMES[ground]}, beside the vectors", linestyle=style.DOTTED))
    panels.legend(figure, handles, most=7)
    figure.suptitle("Do clips stay nearest to their own original, and do embeddings agree with the audio about it?")
    return figure


def _columns(numbers: ConsistencyResult) -> list[tuple[str, str, str, str]]:
    """(heading, measure, distance in the audio, latent distance) of every column."""
    within = [(f"nearest is own:\nvectors, {NAMES[z]}", "within", "", z) for z in numbers["latent"]]
    agreeing, correlated = chosen(numbers, "simple", "cosine"), chosen(numbers, "dtw", "euclidean")
    rho = "\N{GREEK SMALL LETTER RHO}"
    return [
        ("nearest is own:\naudio", "within", "", ""),
        *within,
        (f"agreement of spaces:\n{_names(agreeing)}", "between_agreement", *agreeing),
        (f"correlation of spaces ({rho}):\n{_names(correlated)}", "between_spearman", *correlated),
    ]


def _names(distances: tuple[str, str]) -> str:
    return ", ".join(NAMES[name] for name in distances)


# ------------------------------------------------------------------------------------------------------ smallest values


def minimum_magnitudes(results: Results) -> "Figure":
    """Above, within-space consistency at the smallest value of every side of a grid; below, the first value at which it
    lies below ``consistency.threshold``."""
    study = results.study
    first = results.consistency[study.pairs[0]]
    _, latent = chosen(first, "dtw", "euclidean")
    places = [(p, side) for p in study.perturbations for side in results.consistency[study.encoders[0], p]["sides"]]
    figure = style.new_figure(max(panels.NARROWEST, 1.05 * len(places) + 1.4), 5.4)
    above, below = figure.subplots(2, 1, sharex=True)
    # encoder, whose files have it; distance in the audio and between vectors; colour, marker; label
    lines = [(study.encoders[0], (a, ""), _AUDIO[a][::2], f"audio, {NAMES[a]}") for a in first["audio"]]
    lines += [(e, ("", latent), panels.look(study, e), f"{e}, {NAMES[latent]}") for e in study.encoders]
    for (encoder, distances, (colour, marker), _), offset in zip(
        lines, panels.offsets(len(lines), 0.8 / len(lines)), strict=True
    ):
        for column, (perturbation, name) in enumerate(places):
            side = results.consistency[encoder, perturbation]["sides"][name]
            rows = of(curves(results, (encoder, perturbation)), "within", *distances)
            (row,) = rows.loc[rows["value"] == side["smallest"], ["number", "low", "high"]].to_numpy().tolist()
            panels.mark(above, column + offset, formats.Estimate(*row), colour, marker)
            _draw_fall(below, column + offset, side, "".join(distances), colour, marker)
    threshold = first["threshold"]
    above.axhline(threshold, color=style.MUTED, linewidth=0.8, linestyle=style.DASHED)
    above.set_ylim(min(0.0, above.get_ylim()[0]), 1.03)
    above.set_ylabel("nearest is own, at the\nsmallest value (share of clips)")
    below.set_ylim(-0.1, _NEVER + 0.14)
    below.axhline((1 + _NEVER) / 2, color=style.FAINT, linewidth=0.8)
    below.set_yticks([0, 1, _NEVER], ["smallest value", "largest value", "never"])
    below.set_ylabel(f"first value below {threshold:g}")
    labels = [
        f"{p}{SIDES[side]}\n"
        + formats.with_unit(results.consistency[study.encoders[0], p]["sides"][side]["smallest"], results.unit(p))
        for p, side in places
    ]
    for axes in (above, below):
        panels.categories(axes, labels)
    above.grid(axis="y")
    handles = [style.handle(label, c, marker=m, linewidth=0, markersize=5) for _, _, (c, m), label in lines]
    panels.legend(figure, handles, most=6)
    figure.suptitle(f"The smallest deformations, and where fewer than {100 * threshold:g} % of the clips are nearest "
                    "to their own original")  # fmt: skip
    return figure


def _draw_fall(axes: "Axes", x: float, side: Side, name: str, colour: str, marker: str) -> None:
    """Where on a side a distance falls below the threshold, with its value."""
    value = side["falls_below"].get(name)
    y = _NEVER if value is None else side["values"].index(value) / max(len(side["values"]) - 1, 1)
    axes.plot([x], [y], marker, color=colour, markersize=5)
    if value is not None:
        axes.annotate(fall(side, name), (x, y), (0, 5), textcoords="offset points", ha="center", va="bottom",
                      rotation=90, fontsize=6.5, color=style.word(colour))  # fmt: skip


def fall(side: Side, name: str) -> str:
    """The first value of a side at which a distance falls below the threshold, as text."""
    value = side["falls_below"].get(name)
    return "never" if value is None else formats.value(value)


# ------------------------------------------------------------------------------------------------------ originals alone


def originals_correlation(results: Results) -> "Figure":
    """Spearman's correlation of distances between originals, in the audio and between vectors, for every encoder."""
    study, first = results.study, results.consistency[results.study.pairs[0]]
    # (distance in the audio, between vectors) -> marker, whether it is filled
    looks = {(a, z): ("o" if z == "euclidean" else "s", a == "dtw") for a in first["audio"] for z in first["latent"]}
    figure = style.new_figure(max(panels.NARROWEST, 1.2 * len(study.encoders) + 1.6), 3.4)
    axes = figure.add_subplot()
    for place, encoder in enumerate(study.encoders):
        colour, _ = panels.look(study, encoder)
        numbers = results.consistency[encoder, study.perturbations[0]]["originals"]
        for ((a, z), (marker, filled)), offset in zip(looks.items(), panels.offsets(len(looks), 0.18), strict=True):
            found = formats.estimate(numbers, f"originals_spearman_{a}_{z}")
            if found.number is None:
                panels.say_no_value(axes, place + offset, colour)
            panels.mark(axes, place + offset, found, colour, marker, filled=filled, zorder=1)
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    panels.categories(axes, study.encoders, edges=False)
    axes.set_ylim(top=1.03)
    axes.set_xlabel("encoder")
    axes.set_ylabel("Spearman's correlation")
    axes.grid(axis="y")
    panels.legend(figure, [
        style.handle(_names(pair), marker=marker, markerfacecolor=style.MUTED if filled else "white", linewidth=0,
                     markersize=5)
        for pair, (marker, filled) in looks.items()
    ])  # fmt: skip
    figure.suptitle("Do originals that are far apart in the audio lie far apart between vectors?\n"
                    "(all pairs of originals; lines: bootstrap interval over recordings)")  # fmt: skip
    return figure
