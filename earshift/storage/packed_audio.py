"""Packed audio: all clips of one version of a corpus in one HDF5 file.

Conventions
-----------
Samples of all clips lie one after another, channel by channel, as float32 with full scale at 1 or as int16; tables say
where a clip starts, how many channels it has, and its sample rate in Hz. Clips come in the order of clips.csv. A chunk
of the file carries its own checksum, so that a reader of one clip need not read the rest to be sure of it.
"""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshift.protocols import StrPath
from earshift.storage import hdf5

_CHUNK = 1 << 16  # samples per HDF5 chunk: a clip touches few, and none is read again when the next one is appended
_TABLE_CHUNK = 1 << 10  # clips per HDF5 chunk
_INT16_SCALE = 32768.0


class AudioWriter:
    """Writes clips one after another into a packed file; use as a context manager.

    Parameters
    ----------
    path : path-like
    dtype : "float32", or "int16" for audio that came from 16-bit files (exact, half the size)
    attributes : mapping of str to str, int or float
        Provenance that is stored with the audio.
    """

    def __init__(self, path: StrPath, *, dtype: str = "float32", attributes: Mapping[str, Any] | None = None) -> None:
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._opening = hdf5.create(path)
        self._attributes = dict(attributes or {})
        self._starts: list[int] = [0]
        self._channels: list[int] = []
        self._rates: list[int] = []

    def __enter__(self) -> Self:
        self._file, self._careful = self._opening.__enter__()
        self._samples = self._file.create_dataset(
            "samples", shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=self._dtype, fletcher32=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            tables = {
                "start": np.array(self._starts, dtype=np.int64),
                "channels": np.array(self._channels, dtype=np.int32),
                "sample_rate": np.array(self._rates, dtype=np.int32),
            }
            for name, table in tables.items():
                self._file.create_dataset(name, data=table, maxshape=(None,), chunks=(_TABLE_CHUNK,), fletcher32=True)
            self._file.attrs.update(self._attributes)
        return self._opening.__exit__(kind, error, trace)

    def append(self, audio: ArrayLike, sample_rate: int) -> None:
        """Add one clip.

        Parameters
        ----------
        audio : np.ndarray [shape=(channels, samples)], of the writer's dtype
        sample_rate : int, Hz
        """
        audio = np.asarray(audio)
        if audio.dtype != self._dtype or audio.ndim != 2:
            raise ValueError(f"expected {self._dtype} of shape (channels, samples), got {audio.dtype} {audio.shape}")
        start, stop = self._starts[-1], self._starts[-1] + audio.size
        self._samples.resize((stop,))
        self._samples[start:stop] = audio.reshape(-1)
        self._starts.append(stop)
        self._channels.append(audio.shape[0])
        self._rates.append(sample_rate)
        self._careful.raise_failure()


class AudioReader:
    """Reads clips of a packed file; ``len``, ``reader[i]`` and iteration over (audio, sample_rate).

    Raises
    ------
    UserError
        If the file is missing or damaged; where a clip's chunk is damaged, when the clip is read.
    """

    def __init__(self, path: StrPath) -> None:
        import h5py

        with hdf5.reading(path):
            self._path, self._file = path, h5py.File(path, "r")
            self._samples = hdf5.dataset(self._file, "samples", "if", 1)
            self._starts = hdf5.values(self._file, "start", "i", 1)
            self._channels = hdf5.values(self._file, "channels", "i", 1)
            self._rates = hdf5.values(self._file, "sample_rate", "i", 1)
            self._check_tables()

    def _check_tables(self) -> None:
        lengths, clips = np.diff(self._starts), len(self._channels)
        whole = len(self._starts) == clips + 1 and len(self._rates) == clips and self._starts[0] == 0
        whole = whole and self._starts[-1] == len(self._samples) and (lengths >= 0).all() and (self._channels > 0).all()
        if not whole or (lengths % self._channels).any():
            raise ValueError("its tables do not fit its samples")

    def __len__(self) -> int:
        return len(self._channels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        """One clip: audio as float32 [shape=(channels, samples)] and its sample rate in Hz."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        with hdf5.reading(self._path):
            samples = self._samples[self._starts[index] : self._starts[index + 1]]
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(_INT16_SCALE)
        return samples.reshape(self._channels[index], -1), int(self._rates[index])

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        return (self[index] for index in range(len(self)))

    def samples(self, index: int) -> int:
        """How many samples a clip has, per channel."""
        return int(self._starts[index + 1] - self._starts[index]) // int(self._channels[index])

    @property
    def size(self) -> int:
        """Number of stored samples, all clips and channels together."""
        return int(self._starts[-1])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
