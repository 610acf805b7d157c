"""HDF5 files that are sealed by a checksum, written whole and read with care.

Conventions
-----------
A file begins with 512 bytes that HDF5 leaves to its user (its "user block"): the SHA-256 of all that follows, written
last. Equal content gives equal bytes. What is read may be anybody's file: a data set must have the kind of values and
the number of dimensions that it should have, and all its values in the file itself.

- :func:`create`: a new file
- :func:`reading`, :func:`open_whole`: a file to read, without and with a look at its checksum
- :func:`is_whole`, :func:`remove_damaged`, :func:`read_fingerprint`: about files as a whole
- :func:`dataset`, :func:`values`, :func:`matrix`, :func:`clip_columns`, :func:`attributes`: parts of an open file
"""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.protocols import StrPath
from earshift.storage.files import replacing, write_all

if TYPE_CHECKING:
    import h5py
    from _typeshed import ReadableBuffer, WriteableBuffer

M = TypeVar("M")

_SEAL = 512  # bytes of the user block, the fewest that HDF5 allows
_AGAIN = "delete it and run `dvc repro`, which makes it alone"


# ------------------------------------------------------------------------------------------------------- whole files


@contextlib.contextmanager
def create(path: StrPath) -> "Iterator[tuple[h5py.File, CarefulFile]]":
    """A new HDF5 file at `path`, whole or not at all, and sealed.

    HDF5 brings the process down when it cannot write while it closes a file. So it writes through a Python file that
    keeps the first failure, lets HDF5 finish into nothing, and raises the failure when HDF5 has closed.

    Yields
    ------
    h5py.File, CarefulFile
        The latter raises the failure of a write so far: :meth:`CarefulFile.raise_failure`.
    """
    import h5py

    with replacing(path) as temporary, open(temporary, "w+b", buffering=0) as raw:
        careful = CarefulFile(raw)
        with h5py.File(careful, "w", libver="latest", userblock_size=_SEAL) as file:
            yield file, careful
        careful.raise_failure()
        seal = _seal(raw)
        raw.seek(0)
        raw.write(seal)


def _seal(file: io.BufferedReader | io.FileIO) -> bytes:
    """What the block at the beginning of a binary file must hold."""
    file.seek(_SEAL)
    return f"earshift sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode().ljust(_SEAL, b"\0")


def is_whole(path: StrPath) -> bool:
    """Whether packed audio, embeddings or distances are there and are, to the byte, what was written. Reads all."""
    try:
        with open(path, "rb") as file:
            return file.read(_SEAL) == _seal(file)
    except OSError:
        return False


def remove_damaged(files: Iterable[Path]) -> None:
    """Delete those of `files` that exist and are damaged, and name them: they are to be made again."""
    for path in files:
        if path.is_file() and not is_whole(path):
            print(f"{path} is damaged, its checksum does not hold; it is made again")
            path.unlink()


def read_fingerprint(path: StrPath) -> str | None:
    """The ``fingerprint`` of packed audio; None where the file is missing, damaged, or has none."""
    import h5py

    if not is_whole(path):
        return None
    with reading(path), h5py.File(path, "r") as file:
        found = file.attrs.get("fingerprint")
    return found if isinstance(found, str) else None


@contextlib.contextmanager
def reading(path: StrPath) -> Iterator[None]:
    """Turn what HDF5 makes of a file that is missing, damaged or of another kind into a :class:`UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it") from error
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged or cannot be read ({error}); {_AGAIN}") from error


@contextlib.contextmanager
def open_whole(path: StrPath) -> "Iterator[h5py.File]":
    """An HDF5 file to read, after its checksum was found to hold.

    Raises
    ------
    UserError
        If it is missing, damaged, or something in it is not what it should be, within the block too.
    """
    import h5py

    with reading(path):
        with open(path, "rb") as raw:
            if raw.read(_SEAL) != _seal(raw):
                raise UserError(f"{path} is damaged, its checksum does not hold; {_AGAIN}")
        with h5py.File(path, "r") as file:
            yield file


class CarefulFile(io.RawIOBase):
    """A binary file that keeps the first failure to write instead of raising it, and then writes nothing any more."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._failure: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        if self._failure is None:
            try:
                write_all(self._raw, view)
            except OSError as error:
                self._failure = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        if self._failure is None:
            try:
                self._raw.truncate(size)
            except OSError as error:
                self._failure = error
        return size or 0

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        count = self._raw.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def flush(self) -> None:
        self._raw.flush()

    def raise_failure(self) -> None:
        """Raise the first failure to write, if there was one."""
        if self._failure is not None:
            raise self._failure


# ------------------------------------------------------------------------------------------------ parts of an open file


def dataset(file: "h5py.File", name: str, kinds: str, dimensions: int) -> "h5py.Dataset":
    """A data set that is what it should be and whose values all lie in the file.

    Parameters
    ----------
    kinds : str, of the letters of ``np.dtype.kind``
    dimensions : int

    Raises
    ------
    ValueError, LookupError
    """
    import h5py

    found = file[name]
    good = isinstance(found, h5py.Dataset) and found.ndim == dimensions and found.dtype.kind in kinds
    if not good or found.file != file or found.external or found.is_virtual:
        raise ValueError(f"{name} is not what it should be")
    if found.id.get_storage_size() < found.nbytes:
        raise ValueError(f"{name} claims {found.nbytes} bytes and has {found.id.get_storage_size()}")
    return found


def values(file: "h5py.File", name: str, kinds: str, dimensions: int) -> NDArray[Any]:
    """The values of a :func:`dataset`."""
    return np.asarray(dataset(file, name, kinds, dimensions)[:])


def clip_columns(file: "h5py.File") -> tuple[list[str], NDArray[np.bool_]]:
    """Names and validity of the clips of a file, as many of either."""
    clip, valid = values(file, "clip", "O", 1), values(file, "valid", "b", 1)
    if len(clip) != len(valid) or not all(isinstance(each, bytes) for each in clip):
        raise ValueError("clip is not what it should be")
    return [each.decode() for each in clip], valid


def write_clip_columns(file: "h5py.File", clip: list[str], valid: NDArray[np.bool_]) -> None:
    """Write what :func:`clip_columns` reads."""
    import h5py

    file.create_dataset("clip", data=np.array(clip, dtype=h5py.string_dtype()))
    file.create_dataset("valid", data=np.asarray(valid, dtype=bool))


def matrix(file: "h5py.File", name: str, rows: int, read: "Callable[[h5py.Dataset], M]") -> M:
    """What ``read`` makes of a matrix of floats with one row per clip."""
    found = dataset(file, name, "f", 2)
    if len(found) != rows:
        raise ValueError(f"{name} has {len(found)} rows for {rows} clips")
    return read(found)


def attributes(file: "h5py.File") -> dict[str, Any]:
    """The attributes of a file as plain Python values."""
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()}
