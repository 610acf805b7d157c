"""The options of the encoders and perturbations of the run, for stages that are about all of them."""

from dataclasses import asdict
from typing import Any

from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.storage.files import write_if_changed


def write_run_inputs(params: Config) -> None:
    """Write data/inputs/run.json: what a section of params.yaml says of those that are not in the run is not in it."""
    content: dict[str, Any] = {
        "encoders": {name: asdict(params.encoders[name]) for name in params.run.encoders},  # type: ignore[call-overload]
        "perturbations": {name: asdict(params.perturbations[name]) for name in params.run.perturbations},
    }
    write_if_changed(paths.RUN_INPUTS, content)
