"""A file of embeddings, read at once and in part, also read as one of distances."""

from pathlib import Path

from untrusted.pieces import hdf5_mutated as mutated
from untrusted.pieces import sealed

from earshift.errors import UserError
from earshift.storage.distances import read_distances
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.vectors import read_embeddings

__all__ = ["mutated", "target"]


def target(data):
    path = Path("embeddings.h5")
    path.write_bytes(sealed(data))
    read_fingerprint(path)
    try:
        found = read_embeddings(path)
        assert found.features.shape[0] == len(found.clip) == len(found.valid) and found.features.ndim == 2
    except UserError:
        found = None
    try:
        rows = read_embeddings(path, lazily=True).features
        assert found is not None and rows[:].shape == rows[: len(rows)].shape == found.features.shape
    except UserError:
        pass
    distances = read_distances(path)
    assert found is None or len(distances.clip) == len(found.clip)
