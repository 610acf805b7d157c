"""Hashes of the files outside the repository that perturbations read, for DVC to notice a change of them."""

from typing import Any

from earshift.errors import UserError
from earshift.perturbations.base import Perturbation
from earshift.pipeline import paths
from earshift.storage.files import read_json, write_json


def write_perturbation_inputs(perturbations: dict[str, Perturbation]) -> None:
    """Write data/inputs/perturbations/NAME.json for each of these perturbations, and remove the files of others."""
    for name, perturbation in perturbations.items():
        write_json(paths.perturbation_inputs(name), {"external_inputs": _external_inputs(name, perturbation)})
    for path in paths.PERTURBATION_INPUTS.glob("*.json"):
        if path.stem not in perturbations:
            path.unlink()


def _external_inputs(name: str, perturbation: Perturbation) -> Any:
    """Hash of the files that a perturbation reads, or where they are not on this machine, the hash that was pulled."""
    try:
        return perturbation.external_inputs_hash()
    except UserError:
        # the only entry of the file, whatever an earlier version called it
        pulled = next(iter((read_json(paths.perturbation_inputs(name)) or {}).values()), None)
        if not pulled:
            raise
    print(f"perturbation inputs: the files that {name} reads are not here; the hash that was pulled is used")
    return pulled
