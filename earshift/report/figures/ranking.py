"""Figures that compare: what each method gains, and which encoder loses least.

Conventions
-----------
*gain* of a method is the area between its curve of ROC AUC over the grid and that of ``none``, ``area`` in the metrics;
above 0 the method helps. *forward*: trained on original clips, tested on each value; *backward*: trained on each value,
tested on originals. Severity and slopes are those of :mod:`earshift.analysis.comparison`.

- :func:`gains`: what removing helps, over all pairs
- :func:`ranking`: which encoder loses least for what is done to the audio
- :func:`gains_table`, :func:`table`: the same for ``dvc plots``
"""

import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from earshift.analysis.comparison import Ranked
from earshift.report import formats, methods, summary
from earshift.report.figures import panels, style
from earshift.report.results import Results, Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# name, unit of a slope
MEASURES = {
    "loudness_lu": ("loudness difference (LU)", "LU"),
    "lsd_db": ("log-spectral distance (dB)", "dB"),
    "snr_db": ("noise-to-signal amplitude ratio", "noise as strong as the signal"),
}


def gains(results: Results) -> "Figure":
    """What each method gains over ``none``, for every encoder and perturbation.

    Filled where the paired test against ``none`` is significant after Holm's correction, else open.
    """
    study = results.study
    names = [name for name in methods.selected(study.robustness) if name != "none"]
    alpha = 1 - study.robustness.confidence
    figure = style.new_figure(
        max(panels.NARROWEST, 2.3 * len(study.perturbations) + 1.3), 0.52 * max(len(names), 4) + 4.2
    )
    grid = figure.subplots(2, len(study.perturbations), squeeze=False, sharey=True, sharex="col",
                           gridspec_kw={"height_ratios": [1, 1]})  # fmt: skip
    offsets = panels.offsets(len(study.encoders), 0.75 / len(study.encoders))
    for column, perturbation in enumerate(study.perturbations):
        sections = {
            (row, e, name): methods.direction(results.robustness[e, perturbation]["methods"].get(name), direction)
            for row, direction in enumerate(methods.DIRECTIONS)
            for e in study.encoders
            for name in names
        }
        limits = _gain_limits(sections.values())
        for row, direction in enumerate(methods.DIRECTIONS):
            axes = grid[row, column]
            for rank, name in enumerate(names):
                if all(formats.estimate(sections[row, e, name], "area").number is None for e in study.encoders):
                    only = name == methods.CEILING and direction != "forward"
                    axes.text(0, rank, "trained on all values" if only else "no value", color=style.MUTED, ha="center",
                              va="center", fontsize=6.5, backgroundcolor="white")  # fmt: skip
                for encoder, offset in zip(study.encoders, offsets, strict=True):
                    _draw_gain(
                        axes, sections[row, encoder, name], rank + offset, panels.look(study, encoder), limits, alpha
                    )
            axes.axvline(0, color=style.MUTED, linewidth=0.8)
            for edge in np.arange(0.5, len(names) - 1):
                axes.axhline(edge, color=style.FAINT, linewidth=0.5)
            axes.set_xlim(*limits)
            axes.locator_params(axis="x", nbins=4)
            axes.grid(axis="x")
            axes.set_title(perturbation if row == 0 else "")
        grid[1, column].set_xlabel("gained ROC AUC")
    for row, text in enumerate(methods.DIRECTIONS.values()):
        grid[row, 0].set_yticks(range(len(names)), [methods.short(name) for name in names])
        grid[row, 0].set_ylabel(text)
    grid[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle("What removing directions gains in AUC over the grid (lines: interval over test recordings)")
    mark: dict[str, Any] = {"linewidth": 0, "markersize": 4.2}
    panels.legend(figure, [
        *panels.encoder_handles(study, study.encoders, markersize=4.2, linewidth=1.1),
        style.handle(f"p < {alpha:.2g} after Holm", marker="o", markerfacecolor=style.MUTED, **mark),
        style.handle("not significant, or not tested", marker="o", markerfacecolor="white", **mark),
        style.handle("outside the axis", marker="<", **mark),
    ], most=6)  # fmt: skip
    return figure


def _gain_limits(sections: Iterable[Mapping[str, object]]) -> tuple[float, float]:
    """A range that shows most methods; one that costs far more than the rest is cut and marked."""
    values = [n for section in sections for n in formats.estimate(section, "area") if n is not None]
    if not values:
        return -0.01, 0.01
    reach = max(3 * float(np.quantile(np.abs(values), 0.75)), 0.005)
    low, high = (-reach if min(values) < -1.5 * reach else min(values)), min(max(values), 1.5 * reach)
    margin = 0.08 * max(high - low, 0.004)
    return min(low, 0) - margin, max(high, 0) + margin


def _draw_gain(
    axes: "Axes", section: Mapping[str, object], height: float, look: tuple[str, str], limits: tuple[float, float],
    alpha: float,
) -> None:  # fmt: skip
    area, low, high = formats.estimate(section, "area")
    if area is None:
        return
    colour, marker = look
    p = formats.estimate(section, "p_holm").number
    style_of_mark: dict[str, Any] = {"color": colour, "markersize": 4.2, "markeredgewidth": 0.9, "clip_on": False,
                     "markerfacecolor": colour if p is not None and p < alpha else "white"}  # fmt: skip
    if not limits[0] <= area <= limits[1]:  # an arrow at the edge, and how far it is
        left = area < limits[0]
        edge = limits[0] if left else limits[1]
        axes.plot([edge], [height], "<" if left else ">", zorder=5, **style_of_mark)
        axes.annotate(formats.fixed(area, 2, sign=True), (edge, height), (5 if left else -5, 0),
                      textcoords="offset points", color=style.word(colour), ha="left" if left else "right",
                      va="center", fontsize=6)  # fmt: skip
        return
    if low is not None and high is not None:
        axes.hlines(height, *np.clip([low, high], *limits), color=colour, linewidth=1.1)
    axes.plot([area], [height], marker, **style_of_mark)


# ------------------------------------------------------------------------------------------------- which loses least


def ranking(results: Results) -> "Figure":
    """Encoders by the AUC they lose per unit of severity, above the drops that the slopes rest on."""
    study, comparison = results.study, results.comparison
    measure = comparison["severity"]
    name, unit = MEASURES[measure]
    points = results.whole_table("comparison", "drops")
    points = points[points["measure"] == measure]
    numbers = comparison["measures"][measure]
    columns = len(study.perturbations) + 1
    figure = style.new_figure(max(panels.NARROWEST, 2.25 * columns + 0.4), 0.3 * len(study.encoders) + 4.4)
    heights = [0.35 * len(study.encoders) + 0.4, 2.4]
    grid = figure.subplots(2, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for column, perturbation in enumerate(study.perturbations):
        _draw_slopes(grid[0, column], study, numbers[perturbation], f"AUC lost per {unit}")
        grid[0, column].set_title(perturbation)
        chosen = points[points["perturbation"] == perturbation]
        _draw_drops(grid[1, column], study, chosen, numbers[perturbation], name)
    _draw_slopes(grid[0, -1], study, numbers["overall"], "mean rank over perturbations", key="rank")
    grid[0, -1].set_title("overall")
    grid[0, -1].set_xlim(0.8, len(study.encoders) + 0.2)
    grid[1, 0].set_ylabel("drop of AUC")
    meaning = "1 is best; %: how often an encoder is first over resampled recordings"
    figure.suptitle(f"Which encoder loses least per unit of {name}\n{meaning}")
    grid[1, -1].axis("off")
    handles: list[Line2D] = panels.encoder_handles(study, study.encoders, markersize=4, linewidth=1.1)
    handles.append(style.handle("slope, through zero", linestyle=style.DASHED, linewidth=0.9))
    handles.append(style.handle("interval over recordings", marker="|", linewidth=0, markersize=9))
    grid[1, -1].legend(handles=handles, loc="center")
    return figure


def _draw_slopes(axes: "Axes", study: Study, numbers: Mapping[str, Ranked], label: str, *, key: str = "slope") -> None:
    order = methods.sort_by_rank(numbers)
    labels = []
    for place, encoder in enumerate(order):
        of, (colour, marker) = numbers[encoder], panels.look(study, encoder)
        if of["rank"] is None:
            labels.append(encoder)
            reason = textwrap.fill(of["problem"], 26, max_lines=2, placeholder=" ...")
            axes.text(0.5, place, reason, transform=axes.get_yaxis_transform(), color=style.word(colour),
                      fontsize=6.5, ha="center", va="center")  # fmt: skip
            continue
        labels.append(f"{of['rank']:.3g}. {encoder}" if key == "slope" else encoder)
        number, low, high = formats.estimate(of, key)
        if low is not None and high is not None:
            axes.hlines(place, low, high, color=colour, linewidth=1.6)
        if number is not None:
            axes.plot([number], [place], marker, color=colour, markersize=5)
        if of["first"] is not None:
            axes.annotate(f"{100 * of['first']:.0f} %", (1, place), (2, 0), xycoords=axes.get_yaxis_transform(),
                          textcoords="offset points", va="center", fontsize=6.5, color=style.MUTED)  # fmt: skip
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlabel(label, fontsize=7.5)
    if key == "slope":
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, 0), max(right, 0))
        axes.axvline(0, color=style.MUTED, linewidth=0.6)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=3)


def _draw_drops(axes: "Axes", study: Study, points: "pd.DataFrame", numbers: Mapping[str, Ranked], label: str) -> None:
    longest = points["severity"].max()
    for (encoder, of), offset in zip(numbers.items(), panels.offsets(len(numbers), 0.012 * longest), strict=True):
        colour, marker = panels.look(study, encoder)
        mine = points[points["encoder"] == encoder].dropna(subset=["severity", "drop"]).sort_values("severity")
        # beside each other, so that intervals do not hide each other
        axes.vlines(mine["severity"] + offset, mine["low"], mine["high"], color=colour, linewidth=0.7)
        size = 3.5 if len(mine) <= 12 else 2
        axes.plot(mine["severity"], mine["drop"], marker + "-", color=colour, markersize=size, linewidth=1.1)
        if of["slope"] is not None:
            axes.plot([0, longest], [0, of["slope"] * longest], color=colour, linewidth=0.9, linestyle=style.DASHED)
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.grid()
    axes.locator_params(axis="x", nbins=5)


# ---------------------------------------------------------------------------------------------------------- the tables


def gains_table(results: Results) -> "pd.DataFrame":
    """What each method gains, trained on originals: encoder, perturbation, method, area, low, high, p_holm, significant
    (yes, no, empty where there is no test)."""
    import pandas as pd

    alpha = 1 - results.study.robustness.confidence
    rows = []
    for (encoder, perturbation), numbers in results.robustness.items():
        for method, of in numbers["methods"].items():
            section = methods.direction(of, "forward")
            area, p = formats.estimate(section, "area"), formats.estimate(section, "p_holm").number
            rows.append({
                "encoder": encoder, "perturbation": perturbation, "method": method, "area": area.number,
                "low": area.low, "high": area.high, "p_holm": p,
                "significant": "" if p is None else "yes" if p < alpha else "no",
            })  # fmt: skip
    return pd.DataFrame(rows)


def table(results: Results) -> "pd.DataFrame":
    """The ranking in the measure of the headline: perturbation, encoder, slope, low, high, rank, rank_low, rank_high,
    first, per (what a slope is the loss per), colour (the encoder's in all figures)."""
    measure = results.comparison["severity"]
    whole = results.whole_table("comparison", "ranking")
    names = {"slope_low": "low", "slope_high": "high"}
    columns = ["perturbation", "encoder", "slope", "low", "high", "rank", "rank_low", "rank_high", "first"]
    rows = whole[whole["measure"] == measure].rename(columns=names)[columns]
    colours = [panels.look(results.study, encoder)[0] for encoder in rows["encoder"]]
    return rows.assign(per=f"per {summary.UNITS[measure]}", colour=colours)
