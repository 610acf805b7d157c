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

import numpy as np

from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.report import methods, results, summary
from earshift.report.figures import panels, style

# name, unit of a slope
MEASURES = {
    "loudness_lu": ("loudness difference (LU)", "LU"),
    "lsd_db": ("log-spectral distance (dB)", "dB"),
    "snr_db": ("noise-to-signal amplitude ratio", "noise as strong as the signal"),
}


def gains(content):
    """What each method gains over ``none``, for every encoder and perturbation.

    Filled where the paired test against ``none`` is significant after Holm's correction, else open.

    Returns
    -------
    matplotlib Figure
    """
    run = results.run(content)
    names = [name for name in methods.selected(content) if name != "none"]
    alpha = 1 - check(params.Robustness, content.get("robustness"), "robustness").confidence
    made = style.figure(max(panels.NARROWEST, 2.3 * len(run.perturbations) + 1.3), 0.52 * max(len(names), 4) + 4.2)
    grid = made.subplots(2, len(run.perturbations), squeeze=False, sharey=True, sharex="col",
                         gridspec_kw={"height_ratios": [1, 1]})  # fmt: skip
    step = 0.75 / len(run.encoders)
    for column, perturbation in enumerate(run.perturbations):
        sections = {e: results.metrics("robustness", e, perturbation)["methods"] for e in run.encoders}
        limits = _gain_limits(sections, names)
        for row, direction in enumerate(methods.DIRECTIONS):
            axes = grid[row, column]
            for place, encoder in enumerate(run.encoders):
                colour, marker = style.encoder_look(encoder, content["encoders"])
                for rank, name in enumerate(names):
                    if place == 0 and all(_area(sections[e], name, direction) is None for e in run.encoders):
                        only = name == methods.CEILING and direction != "forward"
                        axes.text(0, rank, "trained on all values" if only else "no value", color=style.MUTED,
                                  ha="center", va="center", fontsize=6.5, backgroundcolor="white")  # fmt: skip
                    section = (sections[encoder].get(name) or {}).get(direction) or {}
                    height = rank + (place - (len(run.encoders) - 1) / 2) * step
                    _gain(axes, section, height, colour, marker, limits, alpha)
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
    made.suptitle("What removing directions gains in AUC over the grid (lines: interval over test recordings)")
    _gain_legend(made, content, run.encoders, alpha)
    return made


def _area(section, name, direction):
    return ((section.get(name) or {}).get(direction) or {}).get("area")


def _gain_limits(sections, names):
    """A range that shows most methods; one that costs far more than the rest is cut and marked."""
    values = [
        section[direction][key]
        for of in sections.values()
        for section in (of.get(name) or {} for name in names)
        for direction in methods.DIRECTIONS
        for key in ("area_low", "area", "area_high")
        if (section.get(direction) or {}).get(key) is not None
    ]
    if not values:
        return -0.01, 0.01
    reach = max(3 * float(np.quantile(np.abs(values), 0.75)), 0.005)
    low, high = (-reach if min(values) < -1.5 * reach else min(values)), min(max(values), 1.5 * reach)
    margin = 0.08 * max(high - low, 0.004)
    return min(low, 0) - margin, max(high, 0) + margin


def _gain(axes, section, height, colour, marker, limits, alpha):
    area = section.get("area")
    if area is None:
        return
    filled = section.get("p_holm") is not None and section["p_holm"] < alpha
    look_ = {"color": colour, "markersize": 4.2, "markeredgewidth": 0.9}
    if not limits[0] <= area <= limits[1]:  # an arrow at the edge, and how far it is
        left = area < limits[0]
        edge = limits[0] if left else limits[1]
        axes.plot([edge], [height], "<" if left else ">", clip_on=False, zorder=5,
                  markerfacecolor=colour if filled else "white", **look_)  # fmt: skip
        axes.annotate(f"{area:+.2f}".replace("-", panels.MINUS), (edge, height), (5 if left else -5, 0),
                      textcoords="offset points", color=style.word(colour), ha="left" if left else "right",
                      va="center", fontsize=6)  # fmt: skip
        return
    if section.get("area_low") is not None:
        ends = np.clip([section["area_low"], section["area_high"]], *limits)
        axes.hlines(height, *ends, color=colour, linewidth=1.1)
    axes.plot([area], [height], marker, markerfacecolor=colour if filled else "white", clip_on=False, **look_)


def _gain_legend(made, content, encoders, alpha):
    from matplotlib.lines import Line2D

    handles = []
    for encoder in encoders:
        colour, marker = style.encoder_look(encoder, content["encoders"])
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.2, linewidth=1.1, label=encoder))
    for label, face in ((f"p < {alpha:.2g} after Holm", style.MUTED), ("not significant, or not tested", "white")):
        handles.append(Line2D([], [], color=style.MUTED, marker="o", markersize=4.2, linewidth=0, label=label,
                              markerfacecolor=face))  # fmt: skip
    handles.append(Line2D([], [], color=style.MUTED, marker="<", markersize=4.2, linewidth=0, label="beyond the axis"))
    made.legend(handles=handles, loc="outside lower center", ncols=6)


# ------------------------------------------------------------------------------------------------- which loses least


def ranking(content):
    """Encoders by the AUC they lose per unit of severity, above the drops that the slopes rest on.

    Returns
    -------
    matplotlib Figure
    """
    run = results.run(content)
    comparison = results.comparison()
    measure = comparison["severity"]
    name, unit = MEASURES[measure]
    points = panels.text_values(paths.COMPARISON_PLOTS / "drops.csv")
    points = points[points["measure"] == measure]
    numbers = comparison["measures"][measure]
    columns = len(run.perturbations) + 1
    made = style.figure(max(panels.NARROWEST, 2.25 * columns + 0.4), 0.3 * len(run.encoders) + 4.4)
    heights = [0.35 * len(run.encoders) + 0.4, 2.4]
    grid = made.subplots(2, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for column, perturbation in enumerate(run.perturbations):
        _slopes(grid[0, column], numbers[perturbation], content, f"AUC lost per {unit}")
        grid[0, column].set_title(perturbation)
        chosen = points[points["perturbation"] == perturbation]
        _drops(grid[1, column], chosen, numbers[perturbation], content, name)
    _slopes(grid[0, -1], numbers["overall"], content, "mean rank over perturbations", key="rank")
    grid[0, -1].set_title("overall")
    grid[0, -1].set_xlim(0.8, len(run.encoders) + 0.2)
    grid[1, 0].set_ylabel("drop of AUC")
    meaning = "1 is best; %: how often an encoder is first over resampled recordings"
    made.suptitle(f"Which encoder loses least per unit of {name}\n{meaning}")
    _ranking_legend(grid[1, -1], content, run.encoders)
    return made


def _slopes(axes, numbers, content, label, *, key="slope"):
    order = sorted(numbers, key=lambda e: (numbers[e]["rank"] is None, numbers[e]["rank"] or 0))
    labels = []
    for place, encoder in enumerate(order):
        of = numbers[encoder]
        colour, marker = style.encoder_look(encoder, content["encoders"])
        if of["rank"] is None:
            labels.append(encoder)
            reason = textwrap.fill(of["problem"], 26, max_lines=2, placeholder=" ...")
            axes.text(0.5, place, reason, transform=axes.get_yaxis_transform(), color=style.word(colour),
                      fontsize=6.5, ha="center", va="center")  # fmt: skip
            continue
        labels.append(f"{of['rank']:.3g}. {encoder}" if key == "slope" else encoder)
        if of[f"{key}_low"] is not None:
            axes.hlines(place, of[f"{key}_low"], of[f"{key}_high"], color=colour, linewidth=1.6)
        axes.plot([of[key]], [place], marker, color=colour, markersize=5)
        if of["first"] is not None:
            axes.annotate(f"{100 * of['first']:.0f} %", (1, place), (2, 0), xycoords=axes.get_yaxis_transform(),
                          textcoords="offset points", va="center", fontsize=6.5, color=style.MUTED)  # fmt: skip
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlabel(label, fontsize=7.5)
    if key == "slope":
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0), max(high, 0))
        axes.axvline(0, color=style.MUTED, linewidth=0.6)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=3)


def _drops(axes, points, numbers, content, label):
    longest = points["severity"].max()
    for place, (encoder, of) in enumerate(numbers.items()):
        colour, marker = style.encoder_look(encoder, content["encoders"])
        mine = points[points["encoder"] == encoder].dropna(subset=["severity", "drop"]).sort_values("severity")
        aside = 0.012 * longest * (place - (len(numbers) - 1) / 2)  # so that intervals do not hide each other
        axes.vlines(mine["severity"] + aside, mine["low"], mine["high"], color=colour, linewidth=0.7)
        size = 3.5 if len(mine) <= 12 else 2
        axes.plot(mine["severity"], mine["drop"], marker + "-", color=colour, markersize=size, linewidth=1.1)
        if of["slope"] is not None:
            axes.plot([0, longest], [0, of["slope"] * longest], color=colour, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.grid()
    axes.locator_params(axis="x", nbins=5)


def _ranking_legend(axes, content, encoders):
    from matplotlib.lines import Line2D

    axes.axis("off")
    handles = []
    for encoder in encoders:
        colour, marker = style.encoder_look(encoder, content["encoders"])
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.1, label=encoder))
    handles += [
        Line2D([], [], color=style.MUTED, linestyle=(0, (4, 2)), linewidth=0.9, label="slope, through the origin"),
        Line2D([], [], color=style.MUTED, marker="|", linewidth=0, markersize=9, label="interval over recordings"),
    ]
    axes.legend(handles=handles, loc="center")


# ---------------------------------------------------------------------------------------------------------- the tables


def gains_table(content):
    """What each method gains, trained on originals: encoder, perturbation, method, area, low, high, p_holm, significant
    (yes, no, empty where there is no test)."""
    import pandas as pd

    alpha = 1 - check(params.Robustness, content.get("robustness"), "robustness").confidence
    rows = []
    for encoder, perturbation in results.pairs(content):
        for method, of in results.metrics("robustness", encoder, perturbation)["methods"].items():
            section = of["forward"] or {}
            p = section.get("p_holm")
            rows.append({
                "encoder": encoder, "perturbation": perturbation, "method": method, "area": section.get("area"),
                "low": section.get("area_low"), "high": section.get("area_high"), "p_holm": p,
                "significant": "" if p is None else "yes" if p < alpha else "no",
            })  # fmt: skip
    return pd.DataFrame(rows)


def table():
    """The ranking in the measure of the headline: perturbation, encoder, slope, low, high, rank, rank_low, rank_high,
    first, per (what a slope is the loss per)."""
    measure = results.comparison()["severity"]
    whole = results.table(paths.COMPARISON_PLOTS / "ranking.csv")
    names = {"slope_low": "low", "slope_high": "high"}
    columns = ["perturbation", "encoder", "slope", "low", "high", "rank", "rank_low", "rank_high", "first"]
    return whole[whole["measure"] == measure].rename(columns=names)[columns].assign(per=f"per {summary.UNITS[measure]}")
