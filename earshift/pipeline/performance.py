"""Stage ``performance``: ``python -m stages.performance ENCODER``.

How well the networks that were trained here do their tasks on test clips, as these are and at every value of every
perturbation of the run. What a task's number is, says the module that trains it. Numbers whose fingerprint still holds
are kept, those of perturbations that left the run are removed.
"""

import argparse
import importlib
import shutil
from pathlib import Path

import numpy as np

from earshift.audio import mel
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.train import RECORD
from earshift.storage.files import read_json, replacing, write_json
from earshift.storage.provenance import file_sha256, fingerprint

_COLUMNS = ["task", "metric", "value", "strength", "number", "low", "high", "clips"]


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("encoder")
    encoder, params = parser.parse_args().encoder, load()
    if encoder not in params.encoders:
        raise UserError(f"unknown encoder {encoder!r}; params.yaml configures {', '.join(params.encoders)}")
    reused = 0
    for perturbation in params.run.perturbations:
        numbers, curves = (kind("performance", encoder, perturbation) for kind in (paths.metrics, paths.plots))
        key = _fingerprint(params, encoder, perturbation)
        if _whole(numbers, curves / "curves.csv", key):
            reused += 1
            continue
        result, rows = measured(params, encoder, perturbation)
        _write_rows(curves / "curves.csv", rows)
        write_json(numbers, {**result, "fingerprint": key, "curves": file_sha256(curves / "curves.csv")})
    _tidy(params, encoder)
    print(f"performance {encoder}: computed {len(params.run.perturbations) - reused} perturbations, reused {reused}")


def _fingerprint(params, encoder, perturbation):
    from earshift.perturbations.recipe import written

    return fingerprint(
        networks=_record(encoder)["tasks"],
        lessons=read_json(paths.training_inputs(encoder)),
        audio=[audio for _, audio in written(perturbation)],
        fidelity=params.fidelity,
        code=[file_sha256(path) for path in (mel.__file__, *sorted(Path(__file__).parent.rglob("*.py")))],
    )


def _whole(numbers, curves, key):
    document = read_json(numbers) or {}
    return document.get("fingerprint") == key and curves.is_file() and document["curves"] == file_sha256(curves)


def _tidy(params, encoder):
    """Remove perturbations that left the run."""
    for path in paths.metrics("performance", encoder, "*").parent.glob("*.json"):
        if path.stem not in params.run.perturbations:
            path.unlink()
    for folder in paths.plots("performance", encoder, "*").parent.iterdir():
        if folder.name not in params.run.perturbations:
            shutil.rmtree(folder)


def _record(encoder):
    record = read_json(paths.model(encoder) / RECORD)
    if record is None:
        raise UserError(f"{paths.model(encoder) / RECORD} is missing; `dvc repro train@{encoder}` writes it")
    return record


def measured(params, name, perturbation):
    """All numbers of one encoder under one perturbation.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    name, perturbation : str

    Returns
    -------
    dict
        Content of metrics/performance/ENCODER/PERTURBATION.json.
    list of tuple
        Rows of curves.csv: task, metric, value, strength, number, low, high, clips.
    """
    from earshift.perturbations.recipe import written

    record = _record(name)
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
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _cell(cell):
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.6g}"
    return str(cell)


if __name__ == "__main__":
    main()
