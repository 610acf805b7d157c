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
from earshift.pipeline.artifacts import INDEX, Key, make_key
from earshift.pipeline.config import Config
from earshift.plugins import find_plugins
from earshift.storage.files import read_json, round_floats, write_json
from earshift.storage.provenance import fingerprint, versions


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


def audio_key(recipe: Recipe, clips: str) -> Key:
    """What determines the perturbed audio.

    Parameters
    ----------
    recipe : Recipe
    clips : :func:`earshift.storage.clips.corpus_digest` of the corpus
    """
    attributes, cls = recipe.attributes(), type(recipe.perturbation)
    external = cls.external_inputs  # options that name files, whose content counts in their place
    options = {name: value for name, value in json.loads(attributes["options"]).items() if name not in external}
    return make_key(
        "audio",
        contents={"clips": clips, "external_inputs": recipe.external_inputs},
        options={**attributes, "options": options},
        code=audio_modules(recipe),
        packages=versions("numpy", *cls.packages),
    )


def audio_modules(recipe: Recipe) -> list[str]:
    """Names of the modules that perturb audio with a recipe."""
    return ["earshift.perturbations.recipe", type(recipe.perturbation).__module__]


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


def read_recipes(name: str) -> list[Recipe]:
    """The recipes in data/perturbed/NAME, in order of growing strength.

    Raises
    ------
    UserError
        If there are none, or a document cannot be used.
    """
    cls = find_plugins(earshift.perturbations, Perturbation)[name]
    found: dict[float, dict[str, Any]] = {}
    for path in paths.perturbed(name).glob("*.json"):
        if path.name == INDEX:
            continue
        document = read_document(path)
        if document is None:
            raise UserError(f"{path} is damaged or of an earlier version; `dvc repro perturb@{name}` makes it alone")
        found[float(document["value"])] = document
    if not found:
        raise UserError(f"{paths.perturbed(name)} holds no recipes; run `dvc repro perturb@{name}`")
    ordered = sorted(found, reverse=cls.growth == "down")
    return [_recipe(cls, tuple(ordered), found[value]) for value in ordered]


def _recipe(cls: type[Any], grid: tuple[float, ...], document: dict[str, Any]) -> Recipe:
    return Recipe(
        cls(grid=grid, **json.loads(document["options"])),
        document["value"],
        document["fidelity"],
        Switches(**json.loads(document["switches"])),
        document["external_inputs"],
    )
