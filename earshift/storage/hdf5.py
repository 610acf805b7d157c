"""HDF5 files that are sealed by a checksum, written whole and read with care."""

import contextlib
import hashlib
import io

import h5py
import numpy as np

from earshift.errors import UserError
from earshift.storage.files import _plain, replacing

_SEAL = 512  # bytes at the beginning that HDF5 leaves to whoever uses it, its "user block", the smallest there is


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


def read_fingerprint(path):
    """The ``fingerprint`` of packed audio, embeddings or distances, or None where there is no file that is whole."""
    if not is_whole(path):
        return None
    with _reading(path), h5py.File(path, "r") as file:
        found = file.attrs.get("fingerprint")
    return found if isinstance(found, str) else None


def _attributes(file):
    return {key: _plain(value) for key, value in file.attrs.items()}
