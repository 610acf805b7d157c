"""Zip archives in several parts, NAME.z01, NAME.z02, ..., NAME.zip, as one file: nothing is written, nothing copied.

Conventions
-----------
Python reads no such archive: its directory, at the end of the last part, says where members begin by part and place in
it. Here the parts are read one behind the other, and behind them, in place of the directory, one that counts from the
beginning of the first: what ``zip -s 0`` would write. Format: PKWARE's APPNOTE 6.3, sections 4.3.12 to 4.3.16 and 8.
"""

import bisect
import io
import itertools
import os
import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from earshift.protocols import StrPath

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_COMMENT = 65535  # bytes that may follow the end of the directory
_LARGEST = 1 << 26  # bytes of a directory: about a million members, which take ten times that in memory
_NO_16, _NO_32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"
_EXTRA_64 = 1


def parts(path: StrPath) -> list[Path]:
    """All parts of an archive, the one with the directory last; only that one where the archive is in one piece.

    Parameters
    ----------
    path : path-like, NAME.zip

    Returns
    -------
    list of pathlib.Path
        Missing ones between those that are there are not in it: :func:`joined` notices.
    """
    path = Path(path)
    first = re.compile(re.escape(path.stem) + r"\.z\d\d+", re.ASCII)
    others = (other for other in path.parent.glob("*.z*") if first.fullmatch(other.name))
    return [*sorted(others, key=lambda other: int(other.suffix[2:])), path]


def check_directory(files: Sequence[Path]) -> None:
    """Look at the directory of an archive before it is read.

    Parameters
    ----------
    files : list of pathlib.Path, as of :func:`parts`

    Raises
    ------
    zipfile.BadZipFile
        If it is missing, lies outside of the archive, or is larger than 64 MiB.
    """
    sizes = [os.path.getsize(file) for file in files]
    with io.BufferedReader(_Pieces(list(zip(files, sizes, strict=True)))) as whole:
        _directory(whole, [*itertools.accumulate(sizes, initial=0)])


def joined(files: Sequence[Path]) -> IO[bytes]:
    """The archive in one piece.

    Parameters
    ----------
    files : list of pathlib.Path, as of :func:`parts`

    Returns
    -------
    binary file, for :class:`zipfile.ZipFile`

    Raises
    ------
    zipfile.BadZipFile
        If they are not the parts of one archive, or one is missing.
    """
    sizes = [os.path.getsize(file) for file in files]
    starts = [*itertools.accumulate(sizes, initial=0)]
    with io.BufferedReader(_Pieces(list(zip(files, sizes, strict=True)))) as whole:
        place, size, count, disks = _directory(whole, starts)
        if disks != len(files):
            raise zipfile.BadZipFile(f"an archive in {disks} parts, of which {len(files)} are here")
        whole.seek(place)
        directory = _counted_from_the_first(whole.read(size), count, starts)
    end_64 = _END_64.pack(b"PK\6\6", _END_64.size - 12, 45, 45, 0, 0, count, count, len(directory), place)
    locator = _LOCATOR.pack(b"PK\6\7", 0, place + len(directory), 1)
    end = _END.pack(b"PK\5\6", 0, 0, _NO_16, _NO_16, _NO_32, _NO_32, 0)
    before = [(file, min(size, max(place - start, 0))) for file, size, start in zip(files, sizes, starts, strict=False)]
    return io.BufferedReader(_Pieces(before, directory + end_64 + locator + end))


def _directory(file: IO[bytes], starts: Sequence[int]) -> tuple[int, int, int, int]:
    """Where the directory begins, its bytes, its entries, and in how many parts the archive is."""
    length = min(_END.size + _COMMENT, starts[-1])
    file.seek(starts[-1] - length)
    tail = file.read(length)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise zipfile.BadZipFile("it has no end, so its last part was cut short")
    _, disk, first, _, count, size, offset, _ = _END.unpack_from(tail, at)
    disks = disk + 1
    if _NO_16 in (disk, first, count) or _NO_32 in (size, offset):
        if at < _LOCATOR.size:
            raise zipfile.BadZipFile("it lacks the 64-bit end that it should have")
        signature, disk, at_64, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        file.seek(min(starts[min(disk, len(starts) - 2)] + at_64, starts[-1]))
        record = file.read(_END_64.size)
        if signature != b"PK\6\7" or len(record) < _END_64.size or record[:4] != b"PK\6\6":
            raise zipfile.BadZipFile("it lacks the 64-bit end that it should have, or a part is missing")
        *_, first, _, count, size, offset = _END_64.unpack(record)
    if first >= len(starts) - 1:
        raise zipfile.BadZipFile(f"an archive in {disks} parts, of which {len(starts) - 1} are here")
    if starts[first] + offset + size > starts[-1]:
        raise zipfile.BadZipFile("its directory lies after its end")
    if size > _LARGEST:
        raise zipfile.BadZipFile(f"its directory has {size >> 20} MiB, more than {_LARGEST >> 20}")
    return starts[first] + offset, size, count, disks


def _counted_from_the_first(directory: bytes, count: int, starts: Sequence[int]) -> bytes:
    """The directory with the place of every member counted from the beginning of the first part."""
    out: list[bytes] = []
    at = 0
    for _ in range(count):
        if len(directory) - at < _ENTRY.size:
            raise zipfile.BadZipFile("its directory is damaged")
        fields = list(_ENTRY.unpack_from(directory, at))
        name, extra, comment = _cut(directory, at + _ENTRY.size, fields[10:13])
        at += _ENTRY.size + len(name) + len(extra) + len(comment)
        others, long = _without_64(extra)
        kept = b""
        for field in (9, 8):  # unpacked, packed size
            if fields[field] == _NO_32:
                kept, long = kept + long[:8], long[8:]
        if fields[16] == _NO_32:
            fields[16], long = int.from_bytes(long[:8], "little"), long[8:]
        if fields[13] == _NO_16:
            fields[13] = int.from_bytes(long[:4], "little")
        if fields[0] != b"PK\1\2" or fields[13] >= len(starts) - 1:
            raise zipfile.BadZipFile("its directory is damaged")
        long = kept + (starts[fields[13]] + fields[16]).to_bytes(8, "little")
        extra = struct.pack("<2H", _EXTRA_64, len(long)) + long + others
        fields[11], fields[13], fields[16] = len(extra), 0, _NO_32
        out += [_ENTRY.pack(*fields), name, extra, comment]
    return b"".join(out)


def _cut(data: bytes, at: int, lengths: Sequence[int]) -> list[bytes]:
    ends = [*itertools.accumulate(lengths, initial=at)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _without_64(extra: bytes) -> tuple[bytes, bytes]:
    """The extra fields of an entry but the 64-bit one, and the content of that one."""
    others, long, at = b"", b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _EXTRA_64:
            long = extra[at + 4 : at + 4 + length]
        else:
            others += extra[at : at + 4 + length]
        at += 4 + length
    return others, long


class _Pieces(io.RawIOBase):
    """Files, of each the first so many bytes, and some bytes behind them, as one."""

    def __init__(self, files: Sequence[tuple[Path, int]], behind: bytes = b"") -> None:
        self._files = [open(file, "rb", buffering=0) for file, _ in files]  # noqa: SIM115
        self._starts = [*itertools.accumulate((size for _, size in files), initial=0)]
        self._behind, self._at = behind, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1] + len(self._behind)}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = bisect.bisect_right(self._starts, self._at) - 1
        if piece < len(self._files):
            wanted = min(len(buffer), self._starts[piece + 1] - self._at)
            self._files[piece].seek(self._at - self._starts[piece])
            found = self._files[piece].read(wanted)
        else:
            place = self._at - self._starts[-1]
            found = self._behind[place : place + len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
