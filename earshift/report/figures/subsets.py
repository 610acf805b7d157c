"""Every subset of the second study's streams: what a linear model makes of their embeddings side by side.

Conventions
-----------
Numbers are those of data/models/diverse_all: mean average precision (*mAP*) of test clips and top-5 accuracy of their
one-second chunks, shares of 1, with intervals over recordings. A subset is named by its streams in the order of
:data:`STREAMS`, joined by "+". All of this is there only where the encoder :data:`COMBINATION` was run. The study's own
numbers (Verma 2023, Tables 1 and 2; FSD50K) stand beside as hollow marks.
"""

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import panels, style
from earshift.report.page import text as wording

COMBINATION = "diverse_all"
STREAMS = ("pitch", "timbre", "end_to_end", "neuralogram")
ALL = "+".join(STREAMS)
METRICS = {"map": "mAP of clips", "top5": "top-5 accuracy of one-second chunks"}
PUBLISHED = {  # Tables 1 and 2; the study has no mAP of single streams and nothing of other subsets
    "top5": {"pitch": 0.272, "timbre": 0.342, "end_to_end": 0.419, "neuralogram": 0.437, ALL: 0.449},
    "map": {ALL: 0.596},
}
_TITLES = {"end_to_end": "end to end", "neuralogram": "Neuralogram"}
_DOTTED = (0, (1, 1.2))


def run(content):
    """Whether the combination was run.

    Parameters
    ----------
    content : dict, params.yaml
    """
    return COMBINATION in results.run(content).encoders


def table():
    """All subsets, best mAP first: subset, streams, map and top5 with _low and _high, chance_map, clips, chunks.

    Raises
    ------
    UserError
        If the file is missing.
    """
    found = results.table(paths.model(COMBINATION) / "subsets.csv")
    return found.sort_values(["map", "subset"], ascending=[False, True], kind="stable", ignore_index=True)


def classes():
    """Average precision of every tag: subset (single streams and all), tag, positives, average_precision.

    Raises
    ------
    UserError
        If the file is missing.
    """
    return panels.as_text(paths.model(COMBINATION) / "classes.csv", "subset", "tag")


def files():
    """What the page and the pictures read of the combination."""
    return [paths.model(COMBINATION) / name for name in ("subsets.csv", "classes.csv")]


def title(subset):
    """A subset in words."""
    return "all four" if subset == ALL else " + ".join(_TITLES.get(name, name) for name in subset.split("+"))


def best_single(rows, name="map"):
    """The row of the single stream with the highest mAP, or whatever else `name` says."""
    return rows[rows["streams"] == 1].sort_values(name, ascending=False, kind="stable").iloc[0]


def subsets(content):
    """mAP and top-5 accuracy of all subsets, sorted by mAP.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    matplotlib Figure
    """
    rows = table()
    made = style.figure(panels.NARROWEST + 0.7, 0.24 * len(rows) + 1.6)
    both = made.subplots(1, 2, sharey=True)
    for axes, (name, label) in zip(both, METRICS.items(), strict=True):
        best = best_single(rows, name)
        if wording.known(best[f"{name}_low"]):
            axes.axvspan(best[f"{name}_low"], best[f"{name}_high"], color=style.FAINT, alpha=0.5, linewidth=0)
        for place, row in rows.iterrows():
            colour, marker, size = _look(row["subset"], content)
            axes.hlines(place, row[f"{name}_low"], row[f"{name}_high"], color=colour, linewidth=1.4)
            axes.plot([row[name]], [place], marker, color=colour, markersize=size, zorder=3)
            if row["subset"] in PUBLISHED[name]:
                axes.plot([PUBLISHED[name][row["subset"]]], [place], "D", markerfacecolor="white", markersize=4.5,
                          markeredgecolor=style.MUTED, zorder=2.5)  # fmt: skip
        axes.set_xlabel(label)
        axes.grid(axis="x")
        axes.locator_params(axis="x", nbins=6)
    both[0].axvline(rows["chance_map"].iloc[0], color=style.MUTED, linewidth=1.1, linestyle=_DOTTED)
    both[0].set_yticks(range(len(rows)), [title(subset) for subset in rows["subset"]])
    both[0].set_ylim(len(rows) - 0.5, -0.5)
    for label, subset in zip(both[0].get_yticklabels(), rows["subset"], strict=True):
        if subset in STREAMS or subset == ALL:
            label.set(color=style.word(_look(subset, content)[0]), weight="bold")
    _legend(made)
    made.suptitle("A linear model on the embeddings of every subset of streams (lines: intervals over test recordings)")
    return made


def _look(subset, content):
    """Colour, marker and size: a single stream and all four look as the encoders they are."""
    encoder = COMBINATION if subset == ALL else f"diverse_{subset}"
    if encoder in content["encoders"]:
        return style.encoder_look(encoder, content["encoders"])[0], "o" if subset != ALL else "s", 6
    return style.MUTED, "o", 3.5


def _legend(made):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=style.INK, marker="o", markersize=6, linewidth=1.4, label="one stream"),
        Line2D([], [], color=style.INK, marker="s", markersize=6, linewidth=1.4, label="all four"),
        Line2D([], [], color=style.MUTED, marker="o", markersize=3.5, linewidth=1.4, label="other subsets"),
        Patch(facecolor=style.FAINT, alpha=0.5, label="interval of the best stream"),
        Line2D([], [], color=style.MUTED, linewidth=1.1, linestyle=_DOTTED, label="chance"),
        Line2D([], [], markeredgecolor=style.MUTED, markerfacecolor="white", marker="D", markersize=4.5, linewidth=0,
               label="the study, on FSD50K"),
    ]  # fmt: skip
    made.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7, columnspacing=1.4)
