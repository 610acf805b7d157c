"""What perturbations cost against how good an encoder is to begin with, for the question of the second study.

Conventions
-----------
x is the ROC AUC of classifiers on original clips, y its mean drop over the grid, both with their intervals over the
same resampled recordings, as ``comparison`` leaves them under ``accuracy``. Right is more accurate, down more robust.
An encoder has its colour; its mark says its kind: a square is *interpretable*, what its vectors hold was written down
by somebody, a circle any other. *Restricted* means the same.
"""

import math

from earshift.report import results
from earshift.report.figures import panels, style

INTERPRETABLE = ("diverse_pitch", "diverse_timbre", "mfcc")
END_TO_END = "diverse_end_to_end"
OVERALL = "overall"
_KINDS = {True: ("s", "interpretable: pitch, timbre, MFCC"), False: ("o", "other encoders")}
_CHANCE = 0.5
_LABEL = 0.17  # inches that one name takes
_LARGE, _SMALL = (4.3, 4.2), 2.0  # inches of the panel of all, and of one perturbation


def encoders(comparison):
    """Encoders that have a place in at least one panel.

    Parameters
    ----------
    comparison : dict, content of metrics/comparison.json

    Returns
    -------
    list of str
    """
    sections = comparison["accuracy"]["perturbations"]
    return [e for e in sections[OVERALL] if any(placed(of[e]) for of in sections.values())]


def placed(numbers):
    """Whether there are both a ROC AUC and a drop."""
    return numbers["roc_auc"] is not None and numbers["mean_drop"] is not None


def compared(comparison):
    """The pairs that the question is about.

    Every interpretable encoder with the end-to-end stream, where that was run, and with every other encoder that is not
    interpretable where it was not.

    Parameters
    ----------
    comparison : dict, content of metrics/comparison.json

    Returns
    -------
    list of (str, str, dict)
        Restricted encoder, the other one, and what the first has more than the second, as ``differences`` say it.
    """
    known = {(of["first"], of["second"]): of for of in comparison["accuracy"]["differences"]}
    names = list(dict.fromkeys(name for pair in known for name in pair))
    free = [name for name in names if name not in INTERPRETABLE]
    against = [END_TO_END] if END_TO_END in free else free
    return [(one, other, known.get((one, other)) or _turned(known[other, one]))
            for one in names if one in INTERPRETABLE for other in against]  # fmt: skip


def _turned(of):
    """A difference seen from the other encoder."""
    turned = {"first": of["second"], "second": of["first"], "problem": of["problem"]}
    for name in ("roc_auc", "mean_drop"):
        for end, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
            number = of[name + other]
            turned[name + end] = None if number is None else -number
    return turned


def equally_accurate(comparison, one, other, difference):
    """Whether these recordings cannot tell the accuracy of two encoders apart; None where there are no intervals.

    Their intervals overlap, and so does that of the difference with 0: the draws are paired, so it may lie apart from 0
    where the two overlap.
    """
    first, second = (comparison["accuracy"]["perturbations"][OVERALL][name] for name in (one, other))
    ends = [of[f"roc_auc_{end}"] for of in (first, second, difference) for end in ("low", "high")]
    if None in ends:
        return None
    overlap = first["roc_auc_low"] <= second["roc_auc_high"] and second["roc_auc_low"] <= first["roc_auc_high"]
    return overlap and difference["roc_auc_low"] <= 0 <= difference["roc_auc_high"]


def robustness_accuracy(content):
    """Mean drop against ROC AUC of originals: the mean over perturbations large, each perturbation small.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    matplotlib Figure
    """
    comparison, selected = results.comparison(), results.run(content)
    sections, drawn = comparison["accuracy"]["perturbations"], encoders(results.comparison())
    single = len(selected.perturbations) == 1
    rows = 1 if single else max(1, round(math.sqrt(len(selected.perturbations))))
    columns = 0 if single else -(-len(selected.perturbations) // rows)
    height = max(_LARGE[1], _SMALL * rows + 1.2, _LABEL * len(drawn) + 1.6)
    made = style.figure(max(panels.NARROWEST, _LARGE[0] + _SMALL * columns + 1.3), height)
    grid = made.add_gridspec(rows, columns + 1, width_ratios=[_LARGE[0] / _SMALL] + [1] * columns)
    large = made.add_subplot(grid[:, 0])
    _draw(large, sections[OVERALL], content, size=6.5)
    large.set_title(selected.perturbations[0] if single else "mean over perturbations")
    first = None
    for place, perturbation in enumerate(() if single else selected.perturbations):
        axes = made.add_subplot(grid[place // columns, 1 + place % columns], sharex=first, sharey=first)
        first = first or axes
        _draw(axes, sections[perturbation], content, size=4)
        axes.set_title(perturbation)
        axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(selected.perturbations))
    for axes in made.axes:
        _finish(axes)
    _names(large, sections[OVERALL], content, gap=_LABEL / (height - 1.4))
    large.set_xlabel("ROC AUC of originals (right: more accurate)")
    large.set_ylabel("mean drop of ROC AUC over the grid (down: more robust)")
    _legend(made, drawn)
    made.suptitle("What perturbations cost, against how good an encoder is to begin with\n"
                  "(lines: intervals over test recordings)")  # fmt: skip
    return made


def _draw(axes, numbers, content, *, size):
    for encoder, of in numbers.items():
        if not placed(of):
            continue
        colour, _ = style.encoder_look(encoder, content["encoders"])
        x, y = of["roc_auc"], of["mean_drop"]
        if of["roc_auc_low"] is not None:
            axes.hlines(y, of["roc_auc_low"], of["roc_auc_high"], color=colour, linewidth=size / 5)
        if of["mean_drop_low"] is not None:
            axes.vlines(x, of["mean_drop_low"], of["mean_drop_high"], color=colour, linewidth=size / 5)
        axes.plot([x], [y], _KINDS[encoder in INTERPRETABLE][0], color=colour, markersize=size, zorder=3,
                  markeredgecolor="white", markeredgewidth=0.6)  # fmt: skip


def _finish(axes):
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    if axes.get_xlim()[0] <= _CHANCE:
        axes.axvline(_CHANCE, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 1.2)))
    axes.grid()
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)


def _names(axes, numbers, content, *, gap):
    """Names right of a finished panel, each with a dotted line to its point; inside it who has none, and why."""
    low, high = axes.get_ylim()
    shown = sorted((e for e in numbers if placed(numbers[e])), key=lambda e: numbers[e]["mean_drop"])
    wanted = [(numbers[e]["mean_drop"] - low) / (high - low) for e in shown]
    for encoder, height in zip(shown, _spread(wanted, gap), strict=True):
        colour, _ = style.encoder_look(encoder, content["encoders"])
        axes.annotate(encoder, (numbers[encoder]["roc_auc"], numbers[encoder]["mean_drop"]), (1.05, height),
                      textcoords="axes fraction", va="center", fontsize=7.5, color=style.word(colour),
                      annotation_clip=False, arrowprops={"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.7,
                                                         "linestyle": (0, (1, 2)), "shrinkA": 1, "shrinkB": 3}
                      )  # fmt: skip
    for place, encoder in enumerate(e for e in numbers if not placed(numbers[e])):
        colour, _ = style.encoder_look(encoder, content["encoders"])
        axes.annotate(f"{encoder}: {numbers[encoder]['problem']}", (0.02, 0), (0, 5 + 9 * place),
                      xycoords="axes fraction", textcoords="offset points", fontsize=6.5,
                      color=style.word(colour))  # fmt: skip


def _spread(wanted, gap):
    """Heights in ascending order, at least `gap` apart and within 0 and 1 as far as there is room, near the wanted."""
    heights = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap if heights else 0.0))
    limit = 1.0
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], limit)
        limit = heights[place] - gap
    return heights


def _legend(made, drawn):
    from matplotlib.lines import Line2D

    kinds = [kind for kind in _KINDS if any((encoder in INTERPRETABLE) == kind for encoder in drawn)]
    handles = [Line2D([], [], color=style.MUTED, marker=_KINDS[kind][0], markersize=6, linewidth=0,
                      label=_KINDS[kind][1]) for kind in kinds]  # fmt: skip
    if any(axes.get_xlim()[0] <= _CHANCE for axes in made.axes):
        handles.append(Line2D([], [], color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 1.2)), label="chance"))
    made.legend(handles=handles, loc="outside lower center", ncols=len(handles))
