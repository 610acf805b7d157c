"""Hashes of the code of perturbations and of the files that they read, for DVC to notice a change of them."""

from typing import Any

from earshift.errors import UserError
from earshift.perturbations.base import Perturbation
from earshift.pipeline import paths
from earshift.pipeline.code import code_sha256
from earshift.pipeline.config import Config
from earshift.pipeline.packages import package_versions
from earshift.storage.files import read_json, write_if_changed
from earshift.storage.provenance import versions


def write_perturbation_inputs(params: Config) -> None:
    """Write data/inputs/perturbations/NAME.json for each of the run, and remove the files of others."""
    for name in params.run.perturbations:
        perturbation = params.perturbations[name]
        module = type(perturbation).__module__
        content = {
            "external_inputs": _external_inputs(name, perturbation),
            "code": code_sha256(module),
            "packages": {**package_versions(module), **versions(*perturbation.packages)},
        }
        write_if_changed(paths.perturbation_inputs(name), content)
    for path in paths.PERTURBATION_INPUTS.glob("*.json"):
        if path.stem not in params.run.perturbations:
            path.unlink()


def _external_inputs(name: str, perturbation: Perturbation) -> Any:
    """Hash of the files that a perturbation reads, or where they are not on this machine, the hash that was pulled."""
    try:
        return perturbation.external_inputs_hash()
    except UserError:
        pulled = (read_json(paths.perturbation_inputs(name)) or {}).get("external_inputs")
        if not pulled:
            raise
    print(f"perturbation inputs: the files that {name} reads are not here; the hash that was pulled is used")
    return pulled
