"""A weight file of Keras 2, compressed or not."""

from pathlib import Path

from untrusted.pieces import hdf5_mutated as mutated

from earshift.encoders.weights import keras_checkpoint

__all__ = ["mutated", "target"]
SHAPES = [[(2,), (2, 1)], [(2, 3)]]


def target(data):
    path = Path("weights.h5")
    path.write_bytes(data)
    keras_checkpoint.read_layers(path, SHAPES, network="a network")
