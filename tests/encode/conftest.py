"""Shared fixtures: the encoders as params.yaml configures them, and their weights, converted once per session."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks import mirror
from stages import params
from stages.encode.official import Official
from stages.encode.weights import write_weights

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(scope="session")
def encoders():
    """Every encoder of this room as params.yaml configures it, by name."""
    return params.load(PARAMS).encoders


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory, encoders):
    """A function from an encoder's name to the folder with its weights; random ones where the official are a file."""
    root, written = tmp_path_factory.mktemp("weights"), set()

    def folder(name):
        if name not in written:
            published = encoders[name].published
            if isinstance(published, Official):
                mirror.write_weights_file(encoders[name], root / published.file)
                published = dataclasses.replace(published, own=str(root / published.file))
            write_weights(root / name, name, published)
            written.add(name)
        return root / name

    return folder
