"""Reads TensorFlow V2 checkpoints (tensor bundles) without TensorFlow.

Conventions
-----------
A bundle is two files. ``.index`` is a table in LevelDB's format (sorted keys in uncompressed blocks, a footer at the
end) that maps each variable's name to a small protocol buffer: type, shape, offset and size. ``.data-00000-of-00001``
holds the values back to back, little endian. Formats: tensorflow/core/util/tensor_bundle,
tensorflow/core/protobuf/tensor_bundle.proto, leveldb/doc/table_format.md.

Every length and offset is checked before it is used, and the blocks of the index by their checksum. The values are not:
whoever reads a bundle from a stranger checks its SHA-256 first. Blocks take no more bytes together than the index has,
and variables no more than the data: none lies on another.
"""

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes: two block handles, padded to 40, and the magic number
_TRAILER = 5  # bytes after each block: its compression and its checksum
_LONGEST_NAME = 4096  # bytes
_DIMENSIONS, _LONGEST = 32, 1 << 31  # of a variable, and numbers along one of them
Fields = dict[int, list[int | bytes]]  # of a protocol buffer, by number
V = TypeVar("V", int, bytes)
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # by number in types.proto


def read_checkpoint(
    index: bytes, data: bytes, *, name: str = "checkpoint", keep: Callable[[str], bool] = lambda variable: True
) -> dict[str, NDArray[Any]]:
    """Variables of a bundle with one shard.

    Parameters
    ----------
    index, data : bytes, of the ``.index`` and of the ``.data-00000-of-00001`` file
    name : str, what error messages call the bundle
    keep : callable, which variables to return, by name

    Returns
    -------
    dict of str to np.ndarray, sorted by name

    Raises
    ------
    UserError
        If the bundle is cut off, corrupt, or of a kind that is not read here (shards, slices, compression, big endian).
    """
    try:
        entries = dict(_table(index))
        _check_header(entries.pop(b""))
        found, left = {}, len(data)
        for key, entry in entries.items():
            if keep(key.decode()):
                found[key.decode()] = array = _array(_fields(entry), data)
                left -= array.nbytes
                if left < 0:
                    raise _Malformed("its variables lie on top of each other")
        return found
    except (_Malformed, IndexError, KeyError, UnicodeDecodeError, struct.error) as error:
        reason = error if isinstance(error, _Malformed) else f"{type(error).__name__}: {error}"
        raise UserError(f"{name} is not a whole TensorFlow checkpoint ({reason}); fetch it again") from error


class _Malformed(Exception):
    """What is wrong with a bundle."""


# ------------------------------------------------------------------------------------------------------------ the table


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in order."""
    if len(index) < _FOOTER or struct.unpack("<Q", index[-8:])[0] != _MAGIC:
        raise _Malformed("its index does not end in the magic number of a table")
    footer = index[-_FOOTER:-8]
    at = _handle(footer, 0)[2]  # past the handle of the metaindex block, which holds nothing needed
    offset, size, _ = _handle(footer, at)
    left = len(index)
    for _, handle in _entries(_block(index, offset, size)):
        offset, size, _ = _handle(handle, 0)
        left -= size + _TRAILER
        if left < 0:
            raise _Malformed("blocks of its index lie on top of each other")
        yield from _entries(_block(index, offset, size))


def _handle(buffer: bytes, at: int) -> tuple[int, int, int]:
    offset, at = _varint(buffer, at)
    size, at = _varint(buffer, at)
    return offset, size, at


def _block(index: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER > len(index) - _FOOTER:
        raise _Malformed(f"a block ends at byte {end} of an index of {len(index)} bytes")
    if index[end] != 0:
        raise _Malformed("its index is compressed")
    if struct.unpack("<I", index[end + 1 : end + _TRAILER])[0] != _masked_crc32c(index[offset : end + 1]):
        raise _Malformed("a block of its index has another checksum")
    return index[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key repeats only what differs from the one before."""
    restarts = struct.unpack("<I", block[-4:])[0]
    stop = len(block) - 4 * (restarts + 1)
    if stop < 0:
        raise _Malformed("a block of its index is shorter than its own list of restarts")
    at, key = 0, b""
    while at < stop:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + fresh + length > stop:
            raise _Malformed("an entry of its index ends after its block")
        if shared + fresh > _LONGEST_NAME:
            raise _Malformed(f"a name of {shared + fresh} bytes")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


# ---------------------------------------------------------------------------------------------------------- the entries


def _check_header(header: bytes) -> None:
    fields = _fields(header)
    if _last(fields, 1, 0) != 1:
        raise _Malformed(f"it has {_last(fields, 1, 0)} shards, and only one is read here")
    if _last(fields, 2, 0) != 0:
        raise _Malformed("it is big endian")


def _array(entry: Fields, data: bytes) -> NDArray[Any]:
    dtype = _DTYPES.get(_last(entry, 1, 0))
    if dtype is None or 7 in entry or _last(entry, 3, 0) != 0:
        raise _Malformed(f"a variable of type {_last(entry, 1, 0)}, or sliced, or in another shard, is not read here")
    entries = _fields(_last(entry, 2, b"")).get(2, [])
    sizes = [size for size in entries if isinstance(size, bytes)]
    if len(entries) > _DIMENSIONS or len(sizes) < len(entries):
        raise _Malformed("a variable whose shape makes no sense")
    shape = tuple(_last(_fields(size), 1, 0) for size in sizes)
    if any(length > _LONGEST for length in shape):
        raise _Malformed(f"a variable of shape {shape}")
    offset, size = _last(entry, 4, 0), _last(entry, 5, 0)
    if offset + size > len(data):
        raise _Malformed(f"a variable ends at byte {offset + size} of {len(data)} bytes of data")
    if math.prod(shape) * np.dtype(dtype).itemsize != size:
        raise _Malformed(f"a variable of shape {shape} has {size} bytes")
    return np.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=offset).reshape(shape).copy()


def _fields(message: bytes) -> Fields:
    """Fields of a protocol buffer by number, every field as the list of its values."""
    at = 0
    fields: Fields = {}
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(message, at)
        else:
            if kind == 2:
                length, at = _varint(message, at)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise _Malformed(f"a field of unknown kind {kind}")
            if at + length > len(message):
                raise _Malformed("a field ends after its message")
            value, at = message[at : at + length], at + length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _last(fields: Fields, number: int, default: V) -> V:
    """The value of a field that is written once, or what it stands for when left out."""
    value = fields.get(number, [default])[-1]
    if not isinstance(value, type(default)):
        raise _Malformed(f"field {number} is of another kind")
    return value


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Malformed("a number of more than 64 bits")


# --------------------------------------------------------------------------------------------------------- the checksum


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def _masked_crc32c(content: bytes) -> int:
    """CRC-32C, rotated and offset as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
