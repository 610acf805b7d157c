"""A file of embeddings, read at once and in part, also read as one of distances."""

from pathlib import Path

from fuzz.pieces import hdf5_mutated as mutated
from fuzz.pieces import sealed
from stages import store
from stages.errors import UserError

__all__ = ["mutated", "target"]


def target(data):
    path = Path("embeddings.h5")
    path.write_bytes(sealed(data))
    store.read_fingerprint(path)
    try:
        found = store.read_embeddings(path)
        assert found.features.shape[0] == len(found.clip) == len(found.valid) and found.features.ndim == 2
    except UserError:
        found = None
    try:
        rows = store.read_embeddings(path, lazily=True).features
        assert found is not None and rows[:].shape == rows[: len(rows)].shape == found.features.shape
    except UserError:
        pass
    distances = store.read_distances(path)
    assert found is None or len(distances.clip) == len(found.clip)
