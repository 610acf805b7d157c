"""How well networks do their tasks as audio is deformed, after Figure 4 of kim2019.

Conventions
-----------
Rows are tasks, columns perturbations, every encoder that has the task a line in its colour with its interval as a light
band. A dashed line in the same colour is the encoder on originals, a dotted one the trivial prediction of its task
there: a line that is no better than the dotted one has lost the task. Better is up or down, as the axis says.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from earshift.report.figures import panels, style
from earshift.report.results import Pair, Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TASKS = {
    "autoencoder": "auto-encoder",
    "autotagging": "auto-tagging",
    "instruments": "instruments",
    "separation": "separation",
    "tagging": "tagging",
}
METRICS = {
    "mse": "mean square error",
    "auc": "ROC AUC of a clip's tags",
    "accuracy": "accuracy",
    "sdr": "SDR (dB)",
    "map": "mAP of clips",
}
_BETTER = {"lower": "\N{DOWNWARDS ARROW} better", "higher": "\N{UPWARDS ARROW} better"}


def tasks(results: Results) -> dict[str, list[str]]:
    """The encoders of every task that some encoder of the run has."""
    found: dict[str, list[str]] = {}
    for encoder in results.study.encoders:
        for task in results.performance[encoder, results.study.perturbations[0]]["tasks"]:
            found.setdefault(task, []).append(encoder)
    return {task: found[task] for task in ordered(found)}


def ordered(names: Iterable[str]) -> list[str]:
    """Tasks in the order of the report, those that it does not know last."""
    known = list(TASKS)
    return sorted(names, key=lambda task: (known.index(task) if task in known else len(known), task))


def curves(results: Results, pair: Pair) -> "pd.DataFrame":
    """Performance at every value: task, metric, value, strength, number, low, high, clips."""
    return results.table("performance", pair, "curves")


def performance(results: Results) -> "Figure":
    """Performance along the grids, one row a task, one column a perturbation."""
    rows, study = tasks(results), results.study
    figure = style.new_figure(max(panels.NARROWEST, 2.3 * len(study.perturbations) + 0.8), 1.85 * len(rows) + 1.3)
    grid = figure.subplots(len(rows), len(study.perturbations), squeeze=False, sharey="row")
    for axes_of_task, (task, encoders) in zip(grid, rows.items(), strict=True):
        for axes, perturbation in zip(axes_of_task, study.perturbations, strict=True):
            for encoder in encoders:
                _draw(axes, results, (encoder, perturbation), task)
            table = curves(results, (encoders[0], perturbation))
            panels.value_axis(axes, table, perturbation, results.unit(perturbation), most=5)
            axes.grid(axis="y")
        of = results.performance[encoders[0], study.perturbations[0]]["tasks"][task]
        metric = METRICS.get(of["metric"], of["metric"])
        axes_of_task[0].set_ylabel(f"{TASKS.get(task, task)}\n{metric}\n({_BETTER[of['better']]})")
    drawn = [encoder for encoder in study.encoders if any(encoder in of for of in rows.values())]
    handles = panels.encoder_handles(study, drawn, markersize=4, linewidth=1.6)
    for label, line in (("on originals", style.DASHED), ("trivial prediction", style.DOTTED)):
        handles.append(style.handle(label, linestyle=line, linewidth=1.0))
    panels.legend(figure, handles, most=4)
    figure.suptitle("How well networks do their own tasks as audio is deformed (bands: intervals over recordings)")
    return figure


def _draw(axes: "Axes", results: Results, pair: Pair, task: str) -> None:
    (colour, marker), table = panels.look(results.study, pair[0]), curves(results, pair)
    panels.curve(axes, table[table["task"] == task].sort_values("strength"), colour, marker=marker, size=2.8)
    of = results.performance[pair]["tasks"].get(task)
    for level, line in ((of["original"], style.DASHED), (of["baseline"], style.DOTTED)) if of else ():
        if level is not None:
            axes.axhline(level, color=colour, linewidth=0.9, linestyle=line)
