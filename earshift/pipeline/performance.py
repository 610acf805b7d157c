"""Stage ``performance``: how well the networks that were trained here do their tasks.

Conventions
-----------
Scores are of test clips, as these are and at every value of every perturbation of the run; which score a task has, the
module that trains it says.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from earshift.analysis.performance import CurveRow, PerformanceResult, TaskPerformance
from earshift.errors import UserError
from earshift.perturbations.recipe import Recipe
from earshift.pipeline import paths
from earshift.pipeline.artifacts import file_hashes
from earshift.pipeline.config import Config
from earshift.pipeline.pairs import Pair
from earshift.pipeline.recipes import audio_key, read_recipes
from earshift.pipeline.train import trainer_of
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import read_json, replacing
from earshift.storage.results import read_result
from earshift.training.records import RECORD, ModelRecord, NetworkRecord


def evaluate(pair: Pair) -> None:
    """Write metrics and plots of the performance of one encoder under one perturbation.

    Raises
    ------
    UserError
        If its networks were not trained yet, or audio is needed that cannot be had.
    """
    tasks, recipes = read_record(pair.encoder)["tasks"], read_recipes(pair.perturbation)
    found, rows = evaluate_tasks(pair.params, pair.encoder, tasks, recipes)
    _write_rows(pair.plots / "curves.csv", rows)
    pair.write(PerformanceResult, {
        "encoder": pair.encoder,
        "perturbation": pair.perturbation,
        "unit": pair.params.perturbations[pair.perturbation].unit,
        "values": [recipe.value for recipe in recipes],
        "tasks": found,
    })  # fmt: skip


def hashes(pair: Pair) -> dict[str, Any]:
    """Hashes of the networks, of the corpora that they are scored on, and of the perturbed audio."""
    tasks = read_record(pair.encoder)["tasks"]
    if not tasks:
        return {"recipes": [recipe.attributes() for recipe in read_recipes(pair.perturbation)]}
    digest = corpus_digest(read_clips(paths.CLIPS))
    return {
        "networks": tasks,
        "training": read_json(paths.training_inputs(pair.encoder)),
        "audio": [audio_key(recipe, digest).sha256 for recipe in read_recipes(pair.perturbation)],
        **file_hashes([paths.CLIPS]),
    }


def read_record(encoder: str) -> ModelRecord:
    """What is known about the networks of an encoder.

    Raises
    ------
    UserError
        If they were not trained yet.
    """
    path = paths.model(encoder) / RECORD
    if not path.is_file():
        raise UserError(f"{path} is missing; `dvc repro models@{encoder}` writes it")
    return read_result(path, ModelRecord)


def evaluate_tasks(
    config: Config, name: str, tasks: dict[str, NetworkRecord], recipes: list[Recipe]
) -> tuple[dict[str, TaskPerformance], list[CurveRow]]:
    """Scores of all networks of one encoder under one perturbation, and the rows of curves.csv.

    Parameters
    ----------
    config : Config
    name : str, encoder
    tasks : what is known about its networks
    recipes : of the perturbation's values
    """
    found: dict[str, TaskPerformance] = {}
    rows = []
    for task, record in tasks.items():
        opened = trainer_of(config.encoders[name].training).open(config, name, task, record)
        original = opened.evaluator.score()
        by_value = {}
        for recipe in recipes:
            clips = opened.corpus.perturb(opened.rows, recipe)
            by_value[recipe.value] = opened.evaluator.score_perturbed(recipe, clips)
        strengths = recipes[0].perturbation.strengths()
        rows += [CurveRow(task, opened.metric, value, strengths[value], *score) for value, score in by_value.items()]
        known = [score.number for score in by_value.values() if np.isfinite(score.number)]
        found[task] = {
            "metric": opened.metric,
            "better": opened.better,
            "baseline": record["baseline"],
            "original": original.number,
            "original_low": original.low,
            "original_high": original.high,
            "clips": original.clips,
            "mean": float(np.mean(known)) if known else None,
        }
    return found, rows


def _write_rows(path: Path, rows: Iterable[CurveRow]) -> None:
    """curves.csv; written without pandas, for most encoders have no task and it would only hold its heading."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CurveRow._fields)
        writer.writerows([_cell(cell) for cell in row] for row in rows)


def _cell(cell: str | float) -> str:
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.6g}"
    return str(cell)
