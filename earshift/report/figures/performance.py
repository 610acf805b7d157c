"""How well networks do their tasks as audio is deformed, after the third study's Figure 4.

Conventions
-----------
Rows are tasks, columns perturbations, every encoder that has the task a line in its colour with its interval as a light
band. A dashed line in the same colour is the encoder on originals, a dotted one the trivial answer to its task there:
what lies no better than that is lost. Better is up or down, as the axis says.
"""

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import panels, style

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
_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 1.2))


def tasks(content):
    """The tasks that some encoder of the run has, as {task: list of encoders}.

    Parameters
    ----------
    content : dict, params.yaml
    """
    found = {}
    for encoder in results.run(content).encoders:
        for task in numbers(encoder, results.run(content).perturbations[0])["tasks"]:
            found.setdefault(task, []).append(encoder)
    return {task: found[task] for task in ordered(found)}


def ordered(names):
    """Tasks in the order of the report, those that it does not know last."""
    known = list(TASKS)
    return sorted(names, key=lambda task: (known.index(task) if task in known else len(known), task))


def numbers(encoder, perturbation):
    """Content of metrics/performance/ENCODER/PERTURBATION.json."""
    return results.metrics("performance", encoder, perturbation)


def curves(encoder, perturbation):
    """Performance at every value: task, metric, value, strength, number, low, high, clips."""
    return results.table(paths.plots("performance", encoder, perturbation) / "curves.csv", converters={"value": str})


def performance(content):
    """Performance along the grids, one row a task, one column a perturbation.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    matplotlib Figure
    """
    rows, run = tasks(content), results.run(content)
    made = style.figure(max(panels.NARROWEST, 2.3 * len(run.perturbations) + 0.8), 1.85 * len(rows) + 1.3)
    grid = made.subplots(len(rows), len(run.perturbations), squeeze=False, sharey="row")
    for axes_of_task, (task, encoders) in zip(grid, rows.items(), strict=True):
        for axes, perturbation in zip(axes_of_task, run.perturbations, strict=True):
            for encoder in encoders:
                _draw(axes, encoder, perturbation, task, content)
            table = curves(encoders[0], perturbation)
            unit = numbers(encoders[0], perturbation)["unit"]
            style.value_axis(axes, *panels.values(table), style.axis_label(perturbation, unit), most=5)
            axes.grid(axis="y")
        of = numbers(encoders[0], run.perturbations[0])["tasks"][task]
        metric = METRICS.get(of["metric"], of["metric"])
        axes_of_task[0].set_ylabel(f"{TASKS.get(task, task)}\n{metric}\n({_BETTER[of['better']]})")
    _legend(made, content, {encoder for encoders in rows.values() for encoder in encoders}, run)
    made.suptitle("How well networks do their own tasks as audio is deformed (bands: intervals over recordings)")
    return made


def _draw(axes, encoder, perturbation, task, content):
    colour, marker = style.encoder_look(encoder, content["encoders"])
    table = curves(encoder, perturbation)
    rows = table[table["task"] == task].dropna(subset="number").sort_values("strength")
    axes.plot(rows["strength"], rows["number"], color=colour, linewidth=1.3, marker=marker,
              markersize=2.8 if len(rows) <= 12 else 0)  # fmt: skip
    sure = rows.dropna(subset=["low", "high"])
    axes.fill_between(sure["strength"], sure["low"], sure["high"], color=colour, alpha=0.15, linewidth=0)
    of = numbers(encoder, perturbation)["tasks"].get(task) or {}
    for name, dashes in (("original", _DASHED), ("baseline", _DOTTED)):
        if of.get(name) is not None:
            axes.axhline(of[name], color=colour, linewidth=0.9, linestyle=dashes)


def _legend(made, content, encoders, run):
    from matplotlib.lines import Line2D

    handles = []
    for encoder in (e for e in run.encoders if e in encoders):
        colour, marker = style.encoder_look(encoder, content["encoders"])
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.6, label=encoder))
    for label, dashes in (("on originals", _DASHED), ("trivial answer", _DOTTED)):
        handles.append(Line2D([], [], color=style.MUTED, linestyle=dashes, linewidth=1.0, label=label))
    made.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
