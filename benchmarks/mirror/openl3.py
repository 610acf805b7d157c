"""A weight file in the layout of OpenL3's, filled from a seed: for tests, rehearsals and benchmarks.

The published files are not available everywhere. This file has the layers, shapes and layout that Keras 2.15 writes
for the audio network of openl3 0.4.2, which loads it; the reference values in fixtures/ belong to the seed SEED.
"""

import gzip
import io
from pathlib import Path

import numpy as np

from earshift.storage.files import replacing

SEED = 20261121
_CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
_POOLED = (1, 3, 5)  # convolutions that precede a pooling layer
_SPECTROGRAM = {"linear": "stft_magnitude", "mel128": "melspectrogram", "mel256": "melspectrogram"}


def layers(seed, *, representation="mel128"):
    """The network's layers in order, as (name, list of (weight name, float32 array)); the list is empty for some."""
    rng = np.random.default_rng(seed)
    numbers = {}

    def named(kind):
        number = numbers[kind] = numbers.get(kind, -1) + 1
        return f"{kind}_{number}" if number else kind

    def normalisation(n):
        return named("batch_normalization"), [
            ("gamma:0", rng.uniform(0.7, 1.3, n).astype(np.float32)),
            ("beta:0", rng.uniform(-0.2, 0.2, n).astype(np.float32)),
            ("moving_mean:0", rng.uniform(-0.3, 0.3, n).astype(np.float32)),
            ("moving_variance:0", rng.uniform(0.5, 1.5, n).astype(np.float32)),
        ]

    found = [("input_1", []), (_SPECTROGRAM[representation], []), normalisation(1)]
    last = len(_CHANNELS) - 2
    for n, (inputs, outputs) in enumerate(zip(_CHANNELS, _CHANNELS[1:], strict=False)):
        kernel = rng.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        bias = rng.uniform(-0.2, 0.2, outputs)
        weights = [("kernel:0", kernel.astype(np.float32)), ("bias:0", bias.astype(np.float32))]
        found.append((named("conv2d") if n != last else "audio_embedding_layer", weights))
        if n != last:
            found += [normalisation(outputs), (named("activation"), [])]
        if n in _POOLED:
            found.append((named("max_pooling2d"), []))
    return found


def write(path, seed, *, representation="mel128"):
    """Write a weight file, compressed if its name ends in .gz; equal seeds give equal arrays.

    Parameters
    ----------
    path : path-like
    seed : int
    representation : "mel128", "mel256" or "linear"
    """
    content = io.BytesIO()
    write_layers(content, layers(seed, representation=representation))
    packed = content.getvalue()
    if str(path).endswith(".gz"):
        packed = gzip.compress(packed, compresslevel=1, mtime=0)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(packed)


def write_layers(file, layers, *, below=None):
    """Write layers as Keras 2 does, at the top of an HDF5 file or below a group."""
    import h5py

    with h5py.File(file, "w") as root:
        group = root.create_group(below) if below else root
        group.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = b"2.15.0"
        for name, weights in layers:
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array([f"{name}/{weight}".encode() for weight, _ in weights], dtype="S")
            for weight, array in weights:
                layer.create_dataset(f"{name}/{weight}", data=array)
