"""Embeddings on disk: one vector per clip, in one HDF5 file per encoder and value of a perturbation.

Conventions
-----------
Features are float32 [shape=(clips, dim)] in the order of clips.csv, NaN where a clip is not valid. Large files are read
lazily: :class:`Rows` maps the matrix into memory and gives copies of the rows that are asked for.
"""

import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earshift.protocols import StrPath
from earshift.storage import hdf5

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class Embeddings:
    """One vector per clip.

    features : float32 [shape=(clips, dim)], NaN where not valid; or :class:`Rows` of it
    clip : list of str
    valid : bool [shape=(clips,)]
    attributes : dict (encoder, perturbation, value, unit, strength, weights_sha256, ...)
    """

    features: "NDArray[np.float32] | Rows"
    clip: list[str]
    valid: NDArray[np.bool_]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def write_embeddings(path: StrPath, embeddings: Embeddings) -> None:
    """Write :class:`Embeddings` to `path`, whole or not at all."""
    with hdf5.create(path) as (file, _):
        file.create_dataset("features", data=np.asarray(embeddings.features, dtype=np.float32))
        hdf5.write_clip_columns(file, embeddings.clip, embeddings.valid)
        file.attrs.update(dict(sorted(embeddings.attributes.items())))


def read_embeddings(path: StrPath, *, lazily: bool = False) -> Embeddings:
    """:class:`Embeddings` from `path`.

    Parameters
    ----------
    path : path-like
    lazily : bool, whether its features are :class:`Rows`, which stay in the file until they are asked for

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    with hdf5.open_whole(path) as file:
        clip, valid = hdf5.clip_columns(file)
        read: Callable[[h5py.Dataset], NDArray[np.float32] | Rows] = Rows if lazily else np.asarray
        features = hdf5.matrix(file, "features", len(clip), read)
        return Embeddings(features, clip, valid, hdf5.attributes(file))


class Rows:
    """A matrix in a file: ``rows[which]`` is a copy of some of its rows, and nothing else of it takes memory.

    shape : (int, int)
    dtype : np.dtype
    """

    def __init__(self, dataset: "h5py.Dataset") -> None:
        self.shape: tuple[int, int] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self._map: mmap.mmap | None = None
        self._matrix: NDArray[Any] = np.empty(self.shape, self.dtype)
        if dataset.size:
            if dataset.chunks is not None or dataset.id.get_offset() is None:
                raise ValueError(f"{dataset.name} is not in one piece")
            with open(dataset.file.filename, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            offset, size = dataset.id.get_offset(), dataset.size
            self._matrix = np.frombuffer(self._map, self.dtype, size, offset).reshape(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> NDArray[Any]:
        found = np.array(self._matrix[which])
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)  # they stay in the system's cache, and count as nobody's memory
        return found
