"""Shared fixtures: the encoders as params.yaml configures them, and their weights, converted once per session."""

from pathlib import Path

import pytest

from stages import params, scan
from stages.encode.weights import write_weights

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(scope="session")
def encoders():
    """Every encoder of this room with its options in params.yaml, by name."""
    sections = params.read(PARAMS)["encoders"]
    known = scan.plugins("encode")
    return {name: params.build(known[name], sections[name], f"encoders.{name}") for name in known if name in sections}


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory, encoders):
    """A function from an encoder's name to the folder with its weights."""
    root, written = tmp_path_factory.mktemp("weights"), set()

    def folder(name):
        if name not in written:
            write_weights(root / name, name, encoders[name].published)
            written.add(name)
        return root / name

    return folder
