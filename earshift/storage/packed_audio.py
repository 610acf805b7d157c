"""Packed audio: all clips of one version of a corpus in one file."""

import h5py
import numpy as np

from earshift.storage.hdf5 import _dataset, _hdf5, _reading, _values

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

    def __init__(self, path, *, dtype="float32", attributes=None):
        self._dtype = np.dtype(dtype)
        self._opening = _hdf5(path)
        self._attributes = dict(attributes or {})
        self._starts, self._channels, self._rates = [0], [], []

    def __enter__(self):
        self._file, self._careful = self._opening.__enter__()
        self._samples = self._file.create_dataset(
            "samples", shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=self._dtype, fletcher32=True
        )
        return self

    def __exit__(self, *exception):
        if exception[0] is None:
            tables = {
                "start": np.array(self._starts, dtype=np.int64),
                "channels": np.array(self._channels, dtype=np.int32),
                "sample_rate": np.array(self._rates, dtype=np.int32),
            }
            for name, table in tables.items():
                options = {"maxshape": (None,), "chunks": (_TABLE_CHUNK,), "fletcher32": True}
                self._file.create_dataset(name, data=table, **options)
            self._file.attrs.update(self._attributes)
        return self._opening.__exit__(*exception)

    def append(self, audio, sample_rate):
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
    """Reads clips of a packed file; ``len``, ``reader[i]`` and iteration over (audio, sample_rate)."""

    def __init__(self, path):
        with _reading(path):
            self._path, self._file = path, h5py.File(path, "r")
            self._samples = _dataset(self._file, "samples", "if", 1)
            self._starts = _values(self._file, "start", "i", 1)
            self._channels = _values(self._file, "channels", "i", 1)
            self._rates = _values(self._file, "sample_rate", "i", 1)
            self._check_tables()

    def _check_tables(self):
        lengths, clips = np.diff(self._starts), len(self._channels)
        whole = len(self._starts) == clips + 1 and len(self._rates) == clips and self._starts[0] == 0
        whole = whole and self._starts[-1] == len(self._samples) and (lengths >= 0).all() and (self._channels > 0).all()
        if not whole or (lengths % self._channels).any():
            raise ValueError("its tables do not fit its samples")

    def __len__(self):
        return len(self._channels)

    def __getitem__(self, index):
        """One clip: audio as float32 [shape=(channels, samples)] and its sample rate in Hz."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        with _reading(self._path):
            samples = self._samples[self._starts[index] : self._starts[index + 1]]
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(_INT16_SCALE)
        return samples.reshape(self._channels[index], -1), int(self._rates[index])

    def samples(self, index):
        """How many samples a clip has, per channel."""
        return int(self._starts[index + 1] - self._starts[index]) // int(self._channels[index])

    @property
    def size(self):
        """Number of stored samples, all clips and channels together."""
        return int(self._starts[-1])

    def close(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
