"""Stage ``performance``: how well the networks that were trained here do their tasks.

Conventions
-----------
Scores are of test clips, as these are and at every value of every perturbation of the run; which score a task has, the
module that trains it says. Results whose fingerprint still holds are kept, those of perturbations that left the run are
removed.
"""

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from earshift import training
from earshift.analysis.performance import CurveRow, PerformanceResult, TaskPerformance
from earshift.audio import mel
from earshift.errors import UserError
from earshift.perturbations.recipe import Recipe
from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.pipeline.recipes import read_recipes
from earshift.pipeline.train import RECORD, trainer_of
from earshift.storage.files import read_json, replacing
from earshift.storage.provenance import file_sha256, fingerprint
from earshift.storage.results import read_result, write_result
from earshift.training.records import ModelRecord, NetworkRecord


def evaluate(config: Config, encoder: str) -> None:
    """Bring metrics and plots of the performance of one encoder up to date.

    Raises
    ------
    UserError
        If its networks were not trained yet, or audio is needed that cannot be had.
    """
    reused = 0
    for perturbation in config.run.perturbations:
        numbers, curves = (kind("performance", encoder, perturbation) for kind in (paths.metrics, paths.plots))
        recipes, tasks = read_recipes(perturbation), read_record(encoder)["tasks"]
        key = _fingerprint(config, encoder, tasks, recipes)
        if _is_current(numbers, curves / "curves.csv", key):
            reused += 1
            continue
        found, rows = evaluate_tasks(config, encoder, tasks, recipes)
        _write_rows(curves / "curves.csv", rows)
        write_result(numbers, PerformanceResult, {
            "encoder": encoder,
            "perturbation": perturbation,
            "unit": config.perturbations[perturbation].unit,
            "values": [recipe.value for recipe, _ in recipes],
            "tasks": found,
            "fingerprint": key,
            "curves": file_sha256(curves / "curves.csv"),
        })  # fmt: skip
    _tidy(config, encoder)
    print(f"performance {encoder}: computed {len(config.run.perturbations) - reused} perturbations, reused {reused}")


def _fingerprint(
    config: Config, encoder: str, tasks: dict[str, NetworkRecord], recipes: list[tuple[Recipe, str]]
) -> str:
    modules = sorted(Path(training.__path__[0]).rglob("*.py"))
    return fingerprint(
        networks=tasks,
        training=read_json(paths.training_inputs(encoder)),
        audio=[audio for _, audio in recipes],
        fidelity=config.fidelity,
        code=[file_sha256(path) for path in (Path(mel.__file__), Path(__file__), *modules)],
    )


def _is_current(numbers: Path, curves: Path, key: str) -> bool:
    document = read_json(numbers) or {}
    return document.get("fingerprint") == key and curves.is_file() and document["curves"] == file_sha256(curves)


def _tidy(config: Config, encoder: str) -> None:
    """Remove perturbations that left the run."""
    for path in paths.metrics("performance", encoder, "*").parent.glob("*.json"):
        if path.stem not in config.run.perturbations:
            path.unlink()
    for folder in paths.plots("performance", encoder, "*").parent.iterdir():
        if folder.name not in config.run.perturbations:
            shutil.rmtree(folder)


def read_record(encoder: str) -> ModelRecord:
    """What is known about the networks of an encoder.

    Raises
    ------
    UserError
        If they were not trained yet.
    """
    path = paths.model(encoder) / RECORD
    if not path.is_file():
        raise UserError(f"{path} is missing; `dvc repro train@{encoder}` writes it")
    return read_result(path, ModelRecord)


def evaluate_tasks(
    config: Config, name: str, tasks: dict[str, NetworkRecord], recipes: list[tuple[Recipe, str]]
) -> tuple[dict[str, TaskPerformance], list[CurveRow]]:
    """Scores of all networks of one encoder under one perturbation, and the rows of curves.csv.

    Parameters
    ----------
    config : Config
    name : str, encoder
    tasks : what is known about its networks
    recipes : of the perturbation's values, each with its fingerprint
    """
    found: dict[str, TaskPerformance] = {}
    rows = []
    for task, record in tasks.items():
        opened = trainer_of(config.encoders[name].training).open(config, name, task, record)
        original = opened.evaluator.score()
        by_value = {}
        for recipe, digest in recipes:
            clips = opened.corpus.perturb(opened.rows, recipe, digest)
            by_value[recipe.value] = opened.evaluator.score_perturbed(recipe, clips)
        strengths = recipes[0][0].perturbation.strengths()
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
