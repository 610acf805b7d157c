"""Zip archives of other people, read in place: nothing is ever extracted, so no name in them can lead anywhere.

Conventions
-----------
An archive is looked over as a whole, :func:`members`, before anything in it is read. Reading a member takes no more
memory than the size that was looked at, and checks its CRC when it comes to the end. An archive in several parts is
named by the last one, NAME.zip, beside which the others lie (:mod:`earshift.corpora.parts`).

- :func:`members`: names and sizes, of an archive without tricks
- :func:`content`: one of them
- :func:`opened`: the same as a binary file, to look at its beginning
"""

import contextlib
import functools
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import IO

from earshift.audio.reading import first_few
from earshift.corpora.parts import check_directory, joined, parts
from earshift.errors import UserError
from earshift.protocols import StrPath

_RATIO = 200  # times the size of the archive: audio stays far below, even where much of it is silence
_LOCAL_HEADER = 30  # bytes before the name in front of every member, by the format
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what zipfile unpacks with a bound on memory
# As zipfile raises them: over damage, names that are no UTF-8, places after the end of any file, half a record
_TORN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, ValueError,
         OverflowError)  # fmt: skip


class Damaged(Exception):
    """A member that cannot be read; the message says why."""


def members(path: StrPath, *, largest: int) -> dict[str, int]:
    """Names and sizes of all files in an archive.

    Parameters
    ----------
    path : path-like
    largest : int, bytes that a single file may have

    Returns
    -------
    dict of str to int, in the order of the archive

    Raises
    ------
    UserError
        If it is no zip archive, or holds, which no archive of a data set does: encrypted members, methods other than
        stored and deflated, names twice, absolute paths, paths that lead out of it, members that overlap, are larger
        than `largest`, or are together more than 200 times as large as the archive. All that is found is said at once.
        A directory of more than 64 MiB, which is about a million members, is not read at all.
    """
    infos = [info for info in _archive(path).infolist() if not info.filename.endswith("/")]
    size = sum(map(os.path.getsize, parts(path)))
    counts = Counter(info.filename for info in infos)
    found = {
        "encrypted": [info.filename for info in infos if info.flag_bits & _ENCRYPTED],
        "neither stored nor deflated": [info.filename for info in infos if info.compress_type not in _METHODS],
        "there twice": [name for name, count in counts.items() if count > 1],
        "with a path that leads out of the archive": [i.filename for i in infos if _leads_out(i.filename)],
        "on top of each other": _overlapping(infos, _archive(path).start_dir),
        f"larger than {largest / 2**20:g} MiB": [info.filename for info in infos if info.file_size > largest],
    }
    wrong = [f"{first_few(map(repr, names), 'members')} {what}" for what, names in found.items() if names]
    total = sum(info.file_size for info in infos)
    if total > _RATIO * size:
        wrong.append(f"members that claim {total} bytes in an archive of {size}")
    if wrong:
        raise UserError(f"{path} is not read, for it holds {'; '.join(wrong)}; delete it and take the official file")
    return {info.filename: info.file_size for info in infos}


def content(path: StrPath, name: str) -> bytes:
    """All bytes of a member.

    Raises
    ------
    Damaged
        If its data are not what the archive says they are.
    """
    with opened(path, name) as file:
        # Without a size, zipfile unpacks all that is there before it looks at what was claimed
        return file.read(_archive(path).getinfo(name).file_size)


@contextlib.contextmanager
def opened(path: StrPath, name: str) -> Iterator[IO[bytes]]:
    """A member as a binary file; give `read` a size.

    Raises
    ------
    Damaged
        Here or while it is read, if its data are not what the archive says they are.
    """
    try:
        with _archive(path).open(name) as file:
            yield file
    except _TORN as error:
        raise Damaged(str(error).removeprefix("Error ") or type(error).__name__) from error


def _archive(path: StrPath) -> zipfile.ZipFile:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); bring it back") from error
    return _opened(str(path), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _opened(path: str, size: int, changed: int) -> zipfile.ZipFile:
    """An open archive; listing 6,705 members takes longer than reading one."""
    files = parts(path)
    try:
        check_directory(files)
        return zipfile.ZipFile(joined(files) if len(files) > 1 else path)
    except _TORN as error:
        raise UserError(
            f"{path} ({size} bytes) is no zip archive, or was cut short ({error}); delete it and run again"
        ) from error


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":") or not PurePosixPath(name).parts


def _overlapping(infos: Sequence[zipfile.ZipInfo], end: int) -> list[str]:
    """Names of members whose data reach into the next one, or into the directory at the end."""
    infos = sorted(infos, key=lambda info: info.header_offset)
    starts = [*(info.header_offset for info in infos[1:]), end][: len(infos)]
    return [
        info.filename
        for info, following in zip(infos, starts, strict=True)
        if info.header_offset + _LOCAL_HEADER + len(info.orig_filename) + info.compress_size > following
    ]
