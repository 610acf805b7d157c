"""Recipes of the pipeline: planned from params.yaml, written to and read from data/perturbed."""

import json
from pathlib import Path
from typing import Any

import earshift.perturbations
from earshift.errors import UserError
from earshift.options import value_text
from earshift.perturbations.base import Perturbation
from earshift.perturbations.processing import Switches
from earshift.perturbations.recipe import Recipe
from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.plugins import find_plugins
from earshift.storage.files import read_json, round_floats, write_json
from earshift.storage.provenance import fingerprint


def plan_recipes(params: Config, name: str) -> list[Recipe]:
    """The recipes of a perturbation's whole grid, in order of growing strength.

    Raises
    ------
    UserError
        If a file outside the repository that the perturbation reads cannot be read.
    """
    perturbation = params.perturbations[name].with_fidelity(params.fidelity)
    # around a perturbation that deng2025 does not have, only accidents that are set by hand
    on = {
        switch: on and (perturbation.published_processing or getattr(params.perturb, switch) is not None)
        for switch, on in params.switches.items()
    }
    external_inputs = perturbation.external_inputs_hash()
    return [
        Recipe(perturbation, value_text(value), params.fidelity, Switches(**on), external_inputs)
        for value in perturbation.values()
    ]


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write the document of a recipe with a checksum of it."""
    document = round_floats(document)
    write_json(path, {**document, "checksum": fingerprint(**document)})


def read_document(path: Path) -> dict[str, Any] | None:
    """The document of a recipe, or None where it is missing, damaged or from a version that wrote other keys."""
    document = read_json(path)
    if not isinstance(document, dict) or not {"checksum", "external_inputs"} <= document.keys():
        return None
    checksum = document.pop("checksum")
    return document if fingerprint(**document) == checksum else None


def read_recipes(name: str) -> list[tuple[Recipe, str]]:
    """The recipes in data/perturbed/NAME with their fingerprints, in order of growing strength.

    Raises
    ------
    UserError
        If there are none, or a document cannot be used.
    """
    cls = find_plugins(earshift.perturbations, Perturbation)[name]
    found: dict[float, dict[str, Any]] = {}
    for path in paths.perturbed(name).glob("*.json"):
        document = read_document(path)
        if document is None:
            raise UserError(f"{path} is damaged or of an earlier version; `dvc repro perturb@{name}` makes it alone")
        found[float(document["value"])] = document
    if not found:
        raise UserError(f"{paths.perturbed(name)} holds no recipes; run `dvc repro perturb@{name}`")
    ordered = sorted(found, reverse=cls.growth == "down")
    return [(_recipe(cls, tuple(ordered), found[value]), found[value]["fingerprint"]) for value in ordered]


def _recipe(cls: type[Any], grid: tuple[float, ...], document: dict[str, Any]) -> Recipe:
    return Recipe(
        cls(grid=grid, **json.loads(document["options"])),
        document["value"],
        document["fidelity"],
        Switches(**json.loads(document["switches"])),
        document["external_inputs"],
    )
