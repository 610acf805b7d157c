"""Packed audio, embeddings and small tables on disk: the only reader and writer of HDF5.

Conventions
-----------
Audio is channels first, shape (channels, samples), float32 with full scale at 1. A packed file holds every clip of one
value of a perturbation back to back, so a corpus of any size is a handful of files. Files are written under a temporary
name beside their place and renamed when whole: what has its final name is complete. Equal content gives equal bytes.

- :class:`AudioWriter`, :class:`AudioReader`: packed audio
- :func:`write_embeddings`, :func:`read_embeddings`: one vector per clip
- :func:`write_distances`, :func:`read_distances`: one number per pair of clips
- :func:`read_fingerprint`: what an existing file was computed from
- :func:`write_json`, :func:`read_json`, :func:`write_table`, :func:`read_clips`: small things
"""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from stages import paths
from stages.errors import UserError

_CHUNK = 1 << 16  # samples per HDF5 chunk: a clip touches few, and none is read again when the next one is appended
_INT16_SCALE = 32768.0


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not.

    Raises
    ------
    UserError
        When the place cannot be written: read-only, no permission, disk or quota full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = _write_failure(error)
        if reason is None:
            raise
        raise UserError(f"cannot write {path}: {reason}; run again then, finished files stay") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


_WRITE_FAILURES = {
    errno.ENOSPC: "the disk is full, free some space",
    errno.EDQUOT: "the disk quota is used up, free some space",
    errno.EFBIG: "the file would exceed the size limit of this shell (ulimit -f) or file system",
    errno.EROFS: "the file system is read-only, make it writable or work on another disk",
    errno.EACCES: "no permission to write there, change the folder's permissions or owner",
    errno.EPERM: "no permission to write there, change the folder's permissions or owner",
}


def _write_failure(error):
    """Why a write failed, in words, or None where that is not for the user to mend."""
    # HDF5 reports the system's error number only inside its message
    quoted = (n for n in _WRITE_FAILURES if f"errno = {n}," in str(error))
    return _WRITE_FAILURES.get(error.errno if error.errno in _WRITE_FAILURES else next(quoted, None))


def require_space(folder, size, *, fix="free some space"):
    """Stop before the work starts when `folder`'s disk has less than `size` bytes left.

    fix : str, what the user can do about it

    Raises
    ------
    UserError
        Naming what is needed and what is there.
    """
    existing = next(p for p in [Path(folder), *Path(folder).resolve().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(f"{folder} needs {size / 2**30:.2f} GiB and its disk has {free / 2**30:.2f} GiB left; {fix}")


def remove_leftovers(folder, *, shared=False):
    """Delete temporary files that a killed run left in `folder`; in a `shared` one not those of running processes."""
    for leftover in Path(folder).glob(".*.tmp"):
        if not (shared and _runs(leftover.name.split(".")[-2])):
            leftover.unlink(missing_ok=True)


def _runs(process):
    """Whether a process of this number exists."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _hdf5(path):
    """A new HDF5 file at `path`, whole or not at all.

    HDF5 brings the process down when it cannot write while it closes a file. So it writes through a Python file that
    notes the first failure, lets HDF5 finish into nothing, and raises it once HDF5 is out of the way.
    """
    with replacing(path) as temporary, open(temporary, "w+b", buffering=0) as raw:
        careful = _CarefulFile(raw)
        with h5py.File(careful, "w", libver="latest") as file:
            yield file, careful
        careful.raise_failure()


class _CarefulFile(io.RawIOBase):
    def __init__(self, raw):
        self._raw, self._failure = raw, None

    def write(self, data):
        if self._failure is None:
            view = memoryview(data).cast("B")
            try:
                while view:
                    view = view[self._raw.write(view) :]
            except OSError as error:
                self._failure = error
        return len(data)

    def truncate(self, size=None):
        if self._failure is None:
            try:
                self._raw.truncate(size)
            except OSError as error:
                self._failure = error
        return size

    def readinto(self, buffer):
        count = self._raw.readinto(buffer)
        buffer[count:] = bytes(len(buffer) - count)
        return len(buffer)

    def seek(self, offset, whence=0):
        return self._raw.seek(offset, whence)

    def tell(self):
        return self._raw.tell()

    def flush(self):
        self._raw.flush()

    def raise_failure(self):
        if self._failure is not None:
            raise self._failure


# --------------------------------------------------------------------------------------------------------------- audio


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
            self._file.create_dataset("start", data=np.array(self._starts, dtype=np.int64))
            self._file.create_dataset("channels", data=np.array(self._channels, dtype=np.int32))
            self._file.create_dataset("sample_rate", data=np.array(self._rates, dtype=np.int32))
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
        self._path, self._file = path, _open(path)
        self._samples = self._file["samples"]
        self._starts = self._file["start"][:]
        self._channels = self._file["channels"][:]
        self._rates = self._file["sample_rate"][:]

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


def _open(path):
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and run `dvc repro`") from error


@contextlib.contextmanager
def _reading(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} is damaged, its checksum does not hold; delete it and run `dvc repro`") from error


# ---------------------------------------------------------------------------------------------------------- embeddings


@dataclass(frozen=True)
class Embeddings:
    """One vector per clip, in clips.csv order.

    features : float32 [shape=(clips, dim)], NaN where not valid
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
        file.create_dataset(
            "features", data=np.asarray(embeddings.features, dtype=np.float32), chunks=True, fletcher32=True
        )
        file.create_dataset("clip", data=np.array(embeddings.clip, dtype=h5py.string_dtype()))
        file.create_dataset("valid", data=np.asarray(embeddings.valid, dtype=bool))
        file.attrs.update(dict(sorted(embeddings.attributes.items())))


def read_embeddings(path):
    """:class:`Embeddings` from `path`."""
    with _open(path) as file, _reading(path):
        return Embeddings(
            features=file["features"][:],
            clip=[c.decode() for c in file["clip"][:]],
            valid=file["valid"][:],
            attributes=_attributes(file),
        )


def read_fingerprint(path):
    """The ``fingerprint`` attribute of a packed, embedding or distance file, or None where there is no whole file."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("fingerprint")
    except OSError:
        return None


def _attributes(file):
    return {key: _plain(value) for key, value in file.attrs.items()}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


# ----------------------------------------------------------------------------------------------------------- distances


@dataclass(frozen=True)
class Distances:
    """One number per pair of clips and measure, both sides in clips.csv order.

    matrices : dict of str to float32 [shape=(clips, clips)]
        By measure (``dtw``, ``simple``): from the perturbed clip of the row to the original clip of the column, NaN
        where one is not valid or too short.
    clip : list of str
    valid : bool [shape=(clips,)]
    attributes : dict (perturbation, value, unit, fingerprint, ...)
    """

    matrices: dict
    clip: list
    valid: np.ndarray
    attributes: dict = field(default_factory=dict)


_NOT_MATRICES = ("clip", "valid")


def write_distances(path, distances):
    """Write :class:`Distances` to `path`, whole or not at all."""
    with _hdf5(path) as (file, _):
        for measure, matrix in sorted(distances.matrices.items()):
            file.create_dataset(measure, data=np.asarray(matrix, dtype=np.float32), chunks=True, fletcher32=True)
        file.create_dataset("clip", data=np.array(distances.clip, dtype=h5py.string_dtype()))
        file.create_dataset("valid", data=np.asarray(distances.valid, dtype=bool))
        file.attrs.update(dict(sorted(distances.attributes.items())))


def read_distances(path):
    """:class:`Distances` from `path`."""
    with _open(path) as file, _reading(path):
        return Distances(
            matrices={measure: file[measure][:] for measure in file if measure not in _NOT_MATRICES},
            clip=[c.decode() for c in file["clip"][:]],
            valid=file["valid"][:],
            attributes=_attributes(file),
        )


# -------------------------------------------------------------------------------------------------------- small things


def rounded(value, digits=6):
    """`value` with every float in it rounded to six significant digits, and NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): rounded(v, digits) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, np.ndarray):
        return rounded(value.tolist(), digits)
    value = _plain(value)
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def write_json(path, content):
    """Write numbers as JSON, floats rounded to six significant digits, keys in the order given."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rounded(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Content of a JSON file, or None where there is no whole one."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_table(path, table):
    """Write a pandas table as CSV, floats rounded to six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_parquet(path, table):
    """Write a pandas table as Parquet, floats rounded to six significant digits."""
    table = table.copy()
    for name in table.select_dtypes("float"):
        numbers = table[name].to_numpy(dtype=np.float64)
        table[name] = [float(f"{number:.6g}") for number in numbers]
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, engine="pyarrow", compression="zstd")


def corpus_digest(clips):
    """SHA-256 over what of a corpus reaches an encoder: every clip's name and samples, in order."""
    lines = (f"{row.clip}\t{row.sha256}\t{row.sample_rate}\t{row.valid}\n" for row in clips.itertuples())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def corpus_audio(clips=None):
    """Where the packed audio of a corpus lies, named by its content.

    Parameters
    ----------
    clips : pandas table as :func:`read_clips` returns; by default that
    """
    return paths.corpus_audio(corpus_digest(read_clips() if clips is None else clips))


def keep_corpus_audio(part, clips):
    """Give packed audio, written to `part`, the name under which :func:`corpus_audio` finds it."""
    place = corpus_audio(clips)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, place)


def read_clips(path=paths.CLIPS):
    """clips.csv as a pandas table: clip, group, label, genre, split, tags as text ("" where unknown), valid as bool."""
    import pandas as pd

    words = ["clip", "group", "label", "genre", "split", "tags", "problem", "sha256"]
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(words, str), keep_default_na=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro corpus` makes it") from error
