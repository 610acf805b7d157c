"""Embeddings: one vector per clip."""

import mmap
from dataclasses import dataclass, field

import h5py
import numpy as np

from earshift.storage.hdf5 import _attributes, _checked, _clips_of, _hdf5, _matrix


@dataclass(frozen=True)
class Embeddings:
    """One vector per clip, in clips.csv order.

    features : float32 [shape=(clips, dim)], NaN where not valid; or :class:`Rows` of it
    clip : list of str
    valid : bool [shape=(clips,)]
    attributes : dict (encoder, perturbation, value, unit, strength, fingerprint, ...)
    """

    features: np.ndarray
    clip: list
    valid: np.ndarray
    attributes: dict = field(default_factory=dict)


def write_embeddings(path, embeddings):
    """Write :class:`Embeddings` to `path`, whole or not at all."""
    with _hdf5(path) as (file, _):
        file.create_dataset("features", data=np.asarray(embeddings.features, dtype=np.float32))
        file.create_dataset("clip", data=np.array(embeddings.clip, dtype=h5py.string_dtype()))
        file.create_dataset("valid", data=np.asarray(embeddings.valid, dtype=bool))
        file.attrs.update(dict(sorted(embeddings.attributes.items())))


def read_embeddings(path, *, lazily=False):
    """:class:`Embeddings` from `path`; lazily, its features are :class:`Rows`, which stay there until asked for."""
    with _checked(path) as file:
        clip, valid = _clips_of(file)
        features = _matrix(file, "features", len(clip), Rows if lazily else np.asarray)
        return Embeddings(features, clip, valid, _attributes(file))


class Rows:
    """A matrix in a file: ``rows[which]`` is a copy of some of its rows, and nothing else of it takes memory.

    shape : (int, int)
    dtype : np.dtype
    """

    def __init__(self, dataset):
        self.shape, self.dtype = dataset.shape, dataset.dtype
        self._map, self._matrix = None, np.empty(self.shape, self.dtype)
        if dataset.size:
            if dataset.chunks is not None or dataset.id.get_offset() is None:
                raise ValueError(f"{dataset.name} is not in one piece")
            with open(dataset.file.filename, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            offset, size = dataset.id.get_offset(), dataset.size
            self._matrix = np.frombuffer(self._map, self.dtype, size, offset).reshape(self.shape)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, which):
        found = np.array(self._matrix[which])
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)  # they stay in the system's cache, and count as nobody's memory
        return found
