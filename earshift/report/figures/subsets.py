"""Every subset of the streams of verma2023: what a linear model makes of their embeddings side by side.

Conventions
-----------
Numbers are those that the training of :data:`COMBINATION` left: mean average precision (*mAP*) of test clips and top-5
accuracy of their one-second chunks, shares of 1, with intervals over recordings. A subset is named by its streams in
the order of :data:`STREAMS`, joined by "+". All of this is there only where that encoder was run. The study's own
numbers (Verma 2023, Tables 1 and 2; FSD50K) stand beside as hollow marks.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.results import Folders, Results, Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COMBINATION = "diverse_all"
STREAMS = ("pitch", "timbre", "end_to_end", "neuralogram")
ALL = "+".join(STREAMS)
METRICS = {"map": "mAP of clips", "top5": "top-5 accuracy of one-second chunks"}
PUBLISHED = {  # Tables 1 and 2; the study has no mAP of single streams and nothing of other subsets
    "top5": {"pitch": 0.272, "timbre": 0.342, "end_to_end": 0.419, "neuralogram": 0.437, ALL: 0.449},
    "map": {ALL: 0.596},
}
_TITLES = {"end_to_end": "end to end", "neuralogram": "Neuralogram"}


def present(study: Study) -> bool:
    """Whether the combination was run."""
    return COMBINATION in study.encoders


def table(results: Results) -> "pd.DataFrame":
    """All subsets, best mAP first: subset, streams, map and top5 with _low and _high, chance_map, clips, chunks.

    Raises
    ------
    UserError
        If the file is missing.
    """
    found = results.training_table(COMBINATION, "subsets")
    return found.sort_values(["map", "subset"], ascending=[False, True], kind="stable", ignore_index=True)


def classes(results: Results) -> "pd.DataFrame":
    """Average precision of every tag: subset (single streams and all), tag, positives, average_precision.

    Raises
    ------
    UserError
        If the file is missing.
    """
    return results.training_table(COMBINATION, "classes")


def files(folders: Folders) -> list[Path]:
    """What the page and the pictures read of the combination."""
    return [folders.models / COMBINATION / name for name in ("subsets.csv", "classes.csv")]


def title(subset: str) -> str:
    """A subset in words."""
    return "all four" if subset == ALL else " + ".join(_TITLES.get(name, name) for name in subset.split("+"))


def best_single(rows: "pd.DataFrame", name: str = "map") -> "pd.Series":
    """The row of the single stream with the highest mAP, or whatever else `name` says."""
    return rows[rows["streams"] == 1].sort_values(name, ascending=False, kind="stable").iloc[0]


def subsets(results: Results) -> "Figure":
    """mAP and top-5 accuracy of all subsets, sorted by mAP."""
    rows = table(results)
    figure = style.new_figure(panels.NARROWEST + 0.7, 0.24 * len(rows) + 1.6)
    both = figure.subplots(1, 2, sharey=True)
    looks = [_look(results.study, subset) for subset in rows["subset"]]
    for axes, (name, label) in zip(both, METRICS.items(), strict=True):
        best = best_single(rows, name)
        if formats.known(best[f"{name}_low"]):
            axes.axvspan(best[f"{name}_low"], best[f"{name}_high"], color=style.FAINT, alpha=0.5, linewidth=0)
        for place, (subset, colour_marker_size) in enumerate(zip(rows["subset"], looks, strict=True)):
            colour, marker, size = colour_marker_size
            axes.hlines(place, rows[f"{name}_low"][place], rows[f"{name}_high"][place], color=colour, linewidth=1.4)
            axes.plot([rows[name][place]], [place], marker, color=colour, markersize=size, zorder=3)
            if subset in PUBLISHED[name]:
                axes.plot([PUBLISHED[name][subset]], [place], "D", markerfacecolor="white", markersize=4.5,
                          markeredgecolor=style.MUTED, zorder=2.5)  # fmt: skip
        axes.set_xlabel(label)
        axes.grid(axis="x")
        axes.locator_params(axis="x", nbins=6)
    both[0].axvline(rows["chance_map"].iloc[0], color=style.MUTED, linewidth=1.1, linestyle=style.DOTTED)
    both[0].set_yticks(range(len(rows)), [title(subset) for subset in rows["subset"]])
    both[0].set_ylim(len(rows) - 0.5, -0.5)
    for label, subset, (colour, *_) in zip(both[0].get_yticklabels(), rows["subset"], looks, strict=True):
        if subset in STREAMS or subset == ALL:
            label.set(color=style.word(colour), weight="bold")
    panels.legend(figure, [
        style.handle("one stream", style.INK, marker="o", markersize=6, linewidth=1.4),
        style.handle("all four", style.INK, marker="s", markersize=6, linewidth=1.4),
        style.handle("other subsets", marker="o", markersize=3.5, linewidth=1.4),
        ("interval of the best stream", style.shade(style.FAINT, 0.5)),
        style.handle("chance", linewidth=1.1, linestyle=style.DOTTED),
        style.handle("the study, on FSD50K", markeredgecolor=style.MUTED, markerfacecolor="white", marker="D",
                     markersize=4.5, linewidth=0),
    ], fontsize=7, columnspacing=1.4)  # fmt: skip
    figure.suptitle(
        "A linear model on the embeddings of every subset of streams (lines: intervals over test recordings)"
    )
    return figure


def _look(study: Study, subset: str) -> tuple[str, str, float]:
    """Colour, marker and size: a single stream and all four look as the encoders they are."""
    encoder = COMBINATION if subset == ALL else f"diverse_{subset}"
    if encoder in study.configured_encoders:
        return panels.look(study, encoder)[0], "o" if subset != ALL else "s", 6
    return style.MUTED, "o", 3.5
