"""Packed audio, embeddings and small tables on disk: the only reader and writer of HDF5.

Conventions
-----------
Audio is channels first, shape (channels, samples), float32 with full scale at 1. A packed file holds every clip of one
value of a perturbation back to back, so a corpus of any size is a handful of files. Files are written under a temporary
name beside their place and renamed when whole: what has its final name is complete. Equal content gives equal bytes.

Every HDF5 file begins with a block that holds the SHA-256 of all bytes after it: whatever changes in it is noticed.
Embeddings and distances are checked whenever they are read. Packed audio is too large for that: a stage checks a file
once, by :func:`is_whole`, before it reads parts of it, and every part has a checksum of its own.

- :class:`AudioWriter`, :class:`AudioReader`: packed audio
- :func:`write_embeddings`, :func:`read_embeddings`: one vector per clip
- :func:`write_distances`, :func:`read_distances`: one number per pair of clips
- :func:`is_whole`, :func:`read_fingerprint`: whether a file is as it was written, and what it was computed from
- :func:`remove_damaged`, :func:`remove_leftovers`: what is in the way of a stage
- :func:`sole_writer`: one process at a time
- :func:`write_json`, :func:`read_json`, :func:`write_table`, :func:`read_clips`: small things
"""

import contextlib
import hashlib
import io
import json
import math
import mmap
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from stages import paths
from stages.errors import UserError, write_failure

_CHUNK = 1 << 16  # samples per HDF5 chunk: a clip touches few, and none is read again when the next one is appended
_TABLE_CHUNK = 1 << 10  # clips per HDF5 chunk
_INT16_SCALE = 32768.0
_SEAL = 512  # bytes at the beginning that HDF5 leaves to whoever uses it, its "user block", the smallest there is


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
        reason = write_failure(error)
        if reason is None:
            raise
        raise UserError(f"cannot write {path}: {reason}; run again then, finished files stay") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
def sole_writer(folder):
    """The block, run by one process at a time for `folder`: others wait, and say so. A killed one holds nobody up."""
    import filelock

    place = paths.SCRATCH / "locks" / f"{Path(folder).as_posix().replace('/', '-')}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    guard = filelock.FileLock(place)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        print(f"{folder} is being written by another process; waiting for it", file=sys.stderr, flush=True)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


@contextlib.contextmanager
def _hdf5(path):
    """A new HDF5 file at `path`, whole or not at all, and sealed.

    HDF5 brings the process down when it cannot write while it closes a file. So it writes through a Python file that
    notes the first failure, lets HDF5 finish into nothing, and raises it once HDF5 is out of the way.
    """
    with replacing(path) as temporary, open(temporary, "w+b", buffering=0) as raw:
        careful = _CarefulFile(raw)
        with h5py.File(careful, "w", libver="latest", userblock_size=_SEAL) as file:
            yield file, careful
        careful.raise_failure()
        seal = _seal(raw)
        raw.seek(0)
        raw.write(seal)


def _seal(file):
    """What the block at the beginning of a binary file must hold."""
    file.seek(_SEAL)
    return f"earshift sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode().ljust(_SEAL, b"\0")


def is_whole(path):
    """Whether packed audio, embeddings or distances are there and are, to the byte, what was written. Reads all."""
    try:
        with open(path, "rb") as file:
            return file.read(_SEAL) == _seal(file)
    except OSError:
        return False


def remove_damaged(files):
    """Delete those of `files` that are there and not whole, and name them: they are to be made again."""
    for path in files:
        if path.is_file() and not is_whole(path):
            print(f"{path} is damaged, its checksum does not hold; it is made again")
            path.unlink()


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


_AGAIN = "delete it and run `dvc repro`, which makes it alone"


@contextlib.contextmanager
def _reading(path):
    """Turn what HDF5 makes of a file that is missing, damaged or of another kind into a :class:`UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it") from error
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged or cannot be read ({error}); {_AGAIN}") from error


def _dataset(file, name, kinds, dimensions):
    """A data set of an HDF5 file that is what it should be and whose values all lie in the file."""
    found = file[name]
    good = isinstance(found, h5py.Dataset) and found.ndim == dimensions and found.dtype.kind in kinds
    if not good or found.file != file or found.external or found.is_virtual:
        raise ValueError(f"{name} is not what it should be")
    if found.id.get_storage_size() < found.nbytes:
        raise ValueError(f"{name} claims {found.nbytes} bytes and has {found.id.get_storage_size()}")
    return found


def _values(file, name, kinds, dimensions):
    return _dataset(file, name, kinds, dimensions)[:]


def _clips_of(file):
    """Names and validity of the clips of an HDF5 file, as many of either."""
    clip, valid = _values(file, "clip", "O", 1), _values(file, "valid", "b", 1)
    if len(clip) != len(valid) or not all(isinstance(each, bytes) for each in clip):
        raise ValueError("clip is not what it should be")
    return [each.decode() for each in clip], valid


def _matrix(file, name, rows, read=np.asarray):
    found = _dataset(file, name, "f", 2)
    if len(found) != rows:
        raise ValueError(f"{name} has {len(found)} rows for {rows} clips")
    return read(found)


@contextlib.contextmanager
def _checked(path):
    """An HDF5 file to read, which was seen to be whole."""
    with _reading(path):
        with open(path, "rb") as raw:
            if raw.read(_SEAL) != _seal(raw):
                raise UserError(f"{path} is damaged, its checksum does not hold; {_AGAIN}")
        with h5py.File(path, "r") as file:
            yield file


# ---------------------------------------------------------------------------------------------------------- embeddings


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


def read_fingerprint(path):
    """The ``fingerprint`` of packed audio, embeddings or distances, or None where there is no file that is whole."""
    if not is_whole(path):
        return None
    with _reading(path), h5py.File(path, "r") as file:
        found = file.attrs.get("fingerprint")
    return found if isinstance(found, str) else None


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
            file.create_dataset(measure, data=np.asarray(matrix, dtype=np.float32))
        file.create_dataset("clip", data=np.array(distances.clip, dtype=h5py.string_dtype()))
        file.create_dataset("valid", data=np.asarray(distances.valid, dtype=bool))
        file.attrs.update(dict(sorted(distances.attributes.items())))


def read_distances(path):
    """:class:`Distances` from `path`."""
    with _checked(path) as file:
        clip, valid = _clips_of(file)
        matrices = {measure: _matrix(file, measure, len(clip)) for measure in file if measure not in _NOT_MATRICES}
        return Distances(matrices, clip, valid, _attributes(file))


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
    except (FileNotFoundError, ValueError, RecursionError):  # no JSON, not even text, or brackets without end
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


_HEADING = 4096  # characters of clips.csv's first line, at most: pandas takes long over thousands of equal names
_CLIPS = {"valid": "b", "seconds": "if", "channels": "i", "sample_rate": "i"}  # columns that hold no words


def read_clips(path=paths.CLIPS):
    """clips.csv as a pandas table: clip, group, label, genre, split, tags as text ("" where unknown), valid as bool."""
    import pandas as pd

    words = ["clip", "group", "label", "genre", "split", "tags", "problem", "sha256"]
    try:
        with open(path, encoding="utf-8") as file:
            if len(file.readline(_HEADING + 1)) > _HEADING:
                raise ValueError("its first line is too long")
        table = pd.read_csv(path, dtype=dict.fromkeys(words, str), keep_default_na=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro corpus` makes it") from error
    except ValueError as error:  # no CSV, no text, or nothing
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}); delete it and run `dvc repro corpus`") from error
    wrong = [name for name, kinds in _CLIPS.items() if name in table and table[name].dtype.kind not in kinds]
    wrong += [name for name in ("clip", "valid") if name not in table]
    if wrong:
        raise UserError(f"{path} has no such {', '.join(wrong)} as it should; delete it and run `dvc repro corpus`")
    return table
