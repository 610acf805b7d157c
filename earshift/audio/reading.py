"""What corpora share that read the user's files: listings, tables, headers, and short words for what is wrong."""

import csv
import io
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from earshift.errors import UserError
from earshift.protocols import StrPath

Table = tuple[list[str], list[tuple[int, dict[str, str]]]]

_PCM, _EXTENSIBLE = 1, 0xFFFE
_FMT_BYTES = 40  # of a format chunk, at most, that say anything
_CHUNKS = 1000  # of a WAV file before its audio
LARGEST_TABLE = 1 << 28  # bytes


def files_below(root: StrPath) -> Iterator[str]:
    """Paths of all files below `root`, relative to it, with forward slashes; nothing hidden, links followed once.

    Pipes, sockets and devices are no files: reading one may have no end. A link to nowhere is one that cannot be read.

    Raises
    ------
    UserError
        If a folder cannot be listed.
    """

    def fail(error: OSError) -> NoReturn:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror}); change its permissions") from error

    entered = set()
    for folder, inner, names in os.walk(root, followlinks=True, onerror=fail):
        here = os.stat(folder)
        if (here.st_dev, here.st_ino) in entered:
            inner.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and _may_be_read(os.path.join(folder, name)):
                yield Path(folder, name).relative_to(root).as_posix()


def _may_be_read(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def table(path: Path, option: str) -> Table:
    """Columns and rows of a CSV file, all words stripped of the white space around them.

    Parameters
    ----------
    path : pathlib.Path
    option : str, the key in params.yaml that names the file, for messages

    Returns
    -------
    columns : list of str
    rows : list of (int, dict of str to str)
        Number of the row in the file, the header being 1, and its cells by column. Empty rows are left out.

    Raises
    ------
    UserError
        If the file is missing, larger than 256 MiB, not CSV in UTF-8, or a row has more or fewer cells than the header.
    """
    try:
        size, regular = os.path.getsize(path), Path(path).is_file()
        if not regular or size > LARGEST_TABLE:
            wrong = f"larger than {LARGEST_TABLE >> 20} MiB" if regular else "no file"
            raise UserError(f"{option}: {path} is {wrong}; name a table in CSV")
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be read ({error.strerror}); correct the path") from error
    return table_in(content, path, option)


def table_in(content: bytes, path: StrPath, option: str) -> Table:
    """The same of the bytes of a file; `path` is what messages call it."""
    try:
        text = content.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{option}: {path} is not CSV in UTF-8 ({error}); save it as such") from error
    columns = [name.strip() for name in lines[0]] if lines else []
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(columns):
            raise UserError(
                f"{path}, row {number}, has {len(line)} cells and the header {len(columns)}; "
                f"give every row as many, and quote those with commas"
            )
        rows.append((number, dict(zip(columns, map(str.strip, line), strict=True))))
    return columns, rows


def first_few(names: Iterable[str], what: str = "files") -> str:
    """The name where it is one, else how many there are and the first five."""
    names = list(dict.fromkeys(names))
    shown = ", ".join(names[:5])
    return shown if len(names) == 1 else f"{len(names)} {what} ({shown}{', ...' if len(names) > 5 else ''})"


def reason(error: Exception) -> str:
    """Why a file cannot be read, as libsndfile, the system or Python say it, without decoration."""
    words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    return str(words).removeprefix("Error :").strip(" .") or type(error).__name__


@dataclass(frozen=True)
class WavHeader:
    """What the header of a WAV file says.

    sample_rate : int, Hz
    channels, bits : int
    frames : int, samples per channel that the file really holds
    promised : int, samples per channel that the header says it holds
    """

    sample_rate: int
    channels: int
    bits: int
    frames: int
    promised: int


def wav_header(file: IO[bytes], size: int) -> WavHeader:
    """Header of a PCM WAV file, read without its audio.

    Parameters
    ----------
    file : binary file at its beginning, of which only what lies before the audio is read
    size : int, bytes of the whole file

    Returns
    -------
    WavHeader

    Raises
    ------
    ValueError
        If it is not such a file.
    """
    riff = file.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise ValueError("no WAV file" if size else "empty file")
    form = None
    position = 12
    for _ in range(_CHUNKS):
        if len(chunk := file.read(8)) < 8:
            break
        name, length = struct.unpack("<4sI", chunk)
        position += 8
        if name == b"fmt ":
            content = file.read(min(length, _FMT_BYTES))
            if len(content) < 16:
                break
            form = struct.unpack_from("<HHIIHH", content)
        elif name == b"data":
            if form is None:
                break
            encoding, channels, sample_rate, _, block, bits = form
            if encoding not in (_PCM, _EXTENSIBLE) or 0 in (channels, sample_rate, block):
                raise ValueError(f"WAV encoding {encoding}, which is not PCM")
            return WavHeader(sample_rate, channels, bits, min(length, size - position) // block, length // block)
        position += length + length % 2
        file.seek(position)
    raise ValueError("a WAV header without audio")
