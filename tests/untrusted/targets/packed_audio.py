"""Packed audio, clip by clip."""

from pathlib import Path

from untrusted.pieces import hdf5_mutated as mutated
from untrusted.pieces import sealed

from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.packed_audio import AudioReader

__all__ = ["mutated", "target"]


def target(data):
    path = Path("packed.h5")
    path.write_bytes(sealed(data))
    read_fingerprint(path)
    with AudioReader(path) as reader:
        total = reader.size
        for index in range(min(len(reader), 20)):
            audio, _ = reader[index]
            assert audio.ndim == 2 and audio.dtype == "float32" and audio.shape[1] == reader.samples(index)
            assert audio.size <= total
