"""Shared fixtures: the encoders as params.yaml configures them, and their weights, converted once per session."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks import mirror
from earshift.encoders.weights.networks import TrainedNetwork
from earshift.encoders.weights.official import Official
from earshift.encoders.weights.record import write_weights
from earshift.pipeline import config as params

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Fresh:
    """Random weights where an encoder would have been trained."""

    licence, description = "none", "a seed"

    def __init__(self, encoder):
        self.encoder = encoder

    def arrays(self):
        import torch

        torch.manual_seed(0)
        if getattr(self.encoder, "streams", ()):
            return self.of_streams(), {"official": True, "files": {}}
        from earshift.training.kim2019.networks import Network

        network = Network(self.encoder.network, outputs=3, channels=self.encoder.channels, dropout=0.5,
                          grow="repeat", skips=False)  # fmt: skip
        arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        return arrays, {"official": True, "files": {}}

    def of_streams(self):
        import numpy as np
        from torch import nn

        from earshift.training.verma2023.features import has_statistics, shape_of
        from earshift.training.verma2023.mobilenet import MobileNet
        from earshift.training.verma2023.options import NEURALOGRAM
        from earshift.training.verma2023.streams import build_network

        options, arrays = self.encoder.diverse.networks, {}
        for stream in self.encoder.streams:
            numbers = shape_of(stream, options)[1][-1]
            statistics = (np.zeros(numbers), np.ones(numbers)) if has_statistics(stream) else None
            network = build_network(stream, 3, options, statistics=statistics)
            if stream == NEURALOGRAM:
                network = nn.ModuleDict({"mobilenet": MobileNet(3, options.mobilenet), "stream": network})
                for norm in network["mobilenet"].modules():  # fresh statistics would let its maps fade away
                    if isinstance(norm, nn.BatchNorm2d):
                        norm.running_var.fill_(0.05)
            prefix = f"{stream}." if len(self.encoder.streams) > 1 else ""
            arrays |= {f"{prefix}{name}": tensor.numpy() for name, tensor in network.state_dict().items()}
        return arrays


@pytest.fixture(scope="session")
def encoders_of_params():
    """Every encoder of this room as params.yaml configures it, by name."""
    return params.load(PARAMS).encoders


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory, encoders_of_params):
    """A function from an encoder's name to the folder with its weights; random ones where the official are a file."""
    root, written = tmp_path_factory.mktemp("weights"), set()

    def folder(name):
        if name not in written:
            published = encoders_of_params[name].weights_source(downloads=root, networks=root)
            if isinstance(published, TrainedNetwork):
                published = Fresh(encoders_of_params[name])
            if isinstance(published, Official):
                mirror.write_weights_file(encoders_of_params[name], root / published.remote.file)
                published = dataclasses.replace(published, own=str(root / published.remote.file))
            write_weights(root / name, name, published)
            written.add(name)
        return root / name

    return folder
