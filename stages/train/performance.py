"""Stage ``performance``: ``python -m stages.train.performance ENCODER PERTURBATION``.

How well the networks that were trained here do their tasks on test clips, as these are and at every value of a
perturbation. What a task's number is, says the module that trains it.
"""

import argparse
import importlib

import numpy as np

from stages import paths, store
from stages.errors import UserError, command
from stages.params import load
from stages.train.run import RECORD

_COLUMNS = ["task", "metric", "value", "strength", "number", "low", "high", "clips"]


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("encoder")
    parser.add_argument("perturbation")
    arguments = parser.parse_args()
    params = load()
    for kind, name in (("encoders", arguments.encoder), ("perturbations", arguments.perturbation)):
        if name not in getattr(params, kind):
            raise UserError(f"unknown {name!r}; params.yaml configures {', '.join(getattr(params, kind))}")
    result, rows = measured(params, arguments.encoder, arguments.perturbation)
    _write_rows(paths.plots("performance", arguments.encoder, arguments.perturbation) / "curves.csv", rows)
    store.write_json(paths.metrics("performance", arguments.encoder, arguments.perturbation), result)


def measured(params, name, perturbation):
    """All numbers of one encoder under one perturbation.

    Parameters
    ----------
    params : stages.params.Params
    name, perturbation : str

    Returns
    -------
    dict
        Content of metrics/performance/ENCODER/PERTURBATION.json.
    list of tuple
        Rows of curves.csv: task, metric, value, strength, number, low, high, clips.
    """
    from stages.perturb.recipe import written

    record = store.read_json(paths.model(name) / RECORD)
    if record is None:
        raise UserError(f"{paths.model(name) / RECORD} is missing; `dvc repro train@{name}` writes it")
    recipes = written(perturbation)
    kind = params.perturbations[perturbation]
    result = {
        "encoder": name,
        "perturbation": perturbation,
        "unit": kind.unit,
        "values": [recipe.value for recipe, _ in recipes],
        "tasks": {},
    }
    rows = []
    for task in record["tasks"]:
        trainer = importlib.import_module(params.encoders[name].trainer)
        about, original, shown = trainer.evaluated(params, name, task, record["tasks"][task], recipes)
        strengths = recipes[0][0].perturbation.strengths()
        own = [(task, about["metric"], value, strengths[value], *found) for value, found in shown.items()]
        known = [row[4] for row in own if np.isfinite(row[4])]
        result["tasks"][task] = {
            **about,
            **dict(zip(("original", "original_low", "original_high", "clips"), original, strict=True)),
            "mean": float(np.mean(known)) if known else None,
        }
        rows += own
    return result, rows


def _write_rows(path, rows):
    """curves.csv; written without pandas, for most encoders have no task and it would only hold its heading."""
    text = "\n".join([",".join(_COLUMNS), *(",".join(_cell(cell) for cell in row) for row in rows)])
    with store.replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _cell(cell):
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.6g}"
    return str(cell)


if __name__ == "__main__":
    main()
