"""Packed audio, clip by clip."""

from pathlib import Path

from fuzz.pieces import hdf5_mutated as mutated
from fuzz.pieces import sealed
from stages import store

__all__ = ["mutated", "target"]


def target(data):
    path = Path("packed.h5")
    path.write_bytes(sealed(data))
    store.read_fingerprint(path)
    with store.AudioReader(path) as reader:
        total = reader.size
        for index in range(min(len(reader), 20)):
            audio, _ = reader[index]
            assert audio.ndim == 2 and audio.dtype == "float32" and audio.shape[1] == reader.samples(index)
            assert audio.size <= total
