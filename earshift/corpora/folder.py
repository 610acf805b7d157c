"""The user's own audio: every file below a folder that libsndfile reads, whole or cut into pieces of one length.

Conventions
-----------
A file is named by its path below the folder, with forward slashes and its extension, so that a.wav and a.mp3 stay
apart; its pieces are FILE#1, FILE#2 and so on. Unless a table says otherwise, a file is a group of its own. Audio comes
as the file holds it: int16 from 16-bit files, else float32 with full scale at 1, at the file's own rate and channels.
A problem of a single file is stated in its clips; only a problem of the folder as a whole is an error. A file may last
30 days where it is cut, the limits of a clip are those of :mod:`earshift.corpora.checks`. Headers may lie: memory grows
with the samples that are really decoded.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeAlias

import numpy as np

from earshift.audio.reading import files_below, first_few, reason, table
from earshift.corpora.base import DOWNLOADS, TAG_SEPARATOR, Audio, Clip, Corpus, Recordings
from earshift.corpora.checks import LONGEST, audio_problem, limit_problem
from earshift.corpora.places import file_size
from earshift.corpora.split import splits_by_group
from earshift.errors import UserError
from earshift.options import Interval, Text
from earshift.protocols import StrPath
from earshift.storage import provenance
from earshift.storage.hashes import hash_files

COLUMNS = ("file", "label", "group", "split", "genre", "tags")
SPLITS = ("train", "test")

# Beside the names of libsndfile's formats
_EXTENSIONS = {"aif", "aifc", "bwf", "iff", "mp1", "mp2", "mpga", "oga", "opus", "snd", "sph", "wave"}
_TASK_SECONDS = 240  # of audio in one task, so that hours-long files do not have to fit into memory
_SKIP_FRAMES = 1 << 18
_FILE_SECONDS = 30 * 86_400
_DENSEST = 1 << 14  # samples per byte of a file: silence in FLAC, the densest there is, has less than half of it
_BLOCK = 1 << 26  # samples of all channels that are decoded at once; MP3 differs in the last bit from block to block
_EXACT_SEEK = {"FLOAT", "DOUBLE", "ULAW", "ALAW"}  # beside PCM_*; in Vorbis libsndfile was seen to miss


Piece: TypeAlias = tuple[Audio | None, int, str]  # audio, sample rate in Hz or 0, problem or ""


@dataclass(frozen=True)
class Recording:
    """A file, or a run of its pieces.

    file : str, path below the folder
    first, pieces : int, which pieces, from 0
    length : int, samples in a piece, or None where the file is one clip
    label, group, split, genre : str
    tags : tuple of str
    problem : str, why it cannot be read, where that is known; else ""
    """

    file: str
    first: int
    pieces: int
    length: int | None
    label: str
    group: str
    split: str
    genre: str
    tags: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Folder(Corpus):
    """All audio below a folder, with an optional table of labels, tags, groups and splits."""

    path: Text | None
    labels: Text | None
    clip_seconds: Annotated[float, Interval(ge=0.01, le=LONGEST)] | None

    name = "folder"
    licence = (
        "Audio of whoever runs this: its rights and terms are theirs to know; sharing this cache shares the audio."
    )

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        return self.path is not None and Path(self.path).expanduser().exists()

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
        """Files sorted by path, long ones in runs of pieces. Reads headers, and those only to count pieces.

        Raises
        ------
        UserError
            If the path or the table is unusable, or nothing below the path is audio.
        """
        root = self._root()
        files = _audio_files(root)
        rows = _table(Path(self.labels).expanduser(), files, root) if self.labels else {}
        recordings: list[Recording] = []
        for file in files:
            row, tags = rows.get(file, ({}, ()))
            label, split, genre = (row.get(column, "") for column in ("label", "split", "genre"))
            group = row.get("group") or file
            recordings += [Recording(file, *run, label, group, split, genre, tags) for run in self._runs(root / file)]
        if rows:
            splits_by_group([r.group for r in recordings], [r.split for r in recordings], where=f" in {self.labels}")
        return recordings

    def _root(self) -> Path:
        if self.path is None:
            raise UserError(
                f"corpus.{self.name}.path is null; name the folder that holds your audio: "
                f"dvc exp run -S corpus.name=folder -S corpus.{self.name}.path=/my/audio"
            )
        root = Path(self.path).expanduser()
        if not root.is_dir():
            what = "is a file" if root.is_file() else "does not exist"
            raise UserError(
                f"corpus.{self.name}.path is {self.path!r}, which {what}; name a folder that holds audio files"
            )
        return root

    def _runs(self, path: Path) -> list[tuple[int, int, int | None]]:
        """(first piece, pieces, samples in a piece) of every run that a file is read in."""
        if self.clip_seconds is None:
            return [(0, 1, None)]
        header = _header(path)
        length = max(round(self.clip_seconds * header.samplerate), 1) if header else None
        if header is None or header.frames <= length or header.frames > _FILE_SECONDS * header.samplerate:
            return [(0, 1, None)]
        pieces = header.frames // length
        together = max(int(_TASK_SECONDS / self.clip_seconds), 1)
        return [(first, min(together, pieces - first), length) for first in range(0, pieces, together)]

    def clips(self, recording: Recording) -> list[Clip]:
        """The clips of one file, or of one run of its pieces; those that cannot be used say why."""
        clips = []
        for piece, (audio, sample_rate, problem) in enumerate(_read(self._root(), recording), recording.first + 1):
            if audio is not None:
                problem = problem or audio_problem(audio)
            clips.append(
                Clip(
                    clip=recording.file if self.clip_seconds is None else f"{recording.file}#{piece}",
                    group=recording.group,
                    audio=None if problem else audio,
                    sample_rate=sample_rate,
                    label=recording.label,
                    genre=recording.genre,
                    split=recording.split,
                    tags=recording.tags,
                    problem=problem,
                )
            )
        return clips

    def dtype(self, recordings: Recordings) -> str:
        headers = filter(None, (_header(self._root() / file) for file in _files(recordings)))
        return "int16" if all(header.subtype == "PCM_16" for header in headers) else "float32"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        root, samples = self._root(), 0
        for recording in recordings:
            header = _header(root / recording.file)
            if header:
                frames = header.frames if recording.length is None else recording.pieces * recording.length
                whole = recording.length or header.frames
                samples += 0 if limit_problem(whole, header.channels, header.samplerate) else frames * header.channels
        return sum(recording.pieces for recording in recordings), samples

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        files = _files(recordings)
        paths = [self._root() / file for file in files]
        rows = zip(files, map(file_size, paths), hash_files(paths), strict=True)
        return {
            "files": list(map(list, rows)),
            "labels": provenance.file_sha256(Path(self.labels).expanduser()) if self.labels else None,
        }


@dataclass(frozen=True)
class Tagged(Folder):
    """A second folder: audio to train networks on where ``folder`` holds the audio that they are measured on."""

    name = "tagged"


def _files(recordings: Recordings) -> list[str]:
    return list(dict.fromkeys(recording.file for recording in recordings))


# ------------------------------------------------------------------------------------------------------------- listing


def _audio_files(root: Path) -> list[str]:
    """Paths below `root` of all files with an extension of audio, sorted; nothing hidden, links followed once."""
    known = _extensions()
    files: list[str] = []
    others: Counter[str] = Counter()
    for path in files_below(root):
        extension = PurePosixPath(path).suffix.lower()
        if extension[1:] in known:
            files.append(path)
        else:
            others[extension or "no extension"] += 1
    if not files:
        seen = ", ".join(f"{count} with {extension}" for extension, count in others.most_common(5))
        raise UserError(
            f"no audio files below {root} ({f'other files: {seen}' if seen else 'it is empty'}); "
            f"convert them to WAV or FLAC, or name another folder"
        )
    odd = [path for path in files if not _writable_as_text(path)]
    if odd:
        raise UserError(
            f"{len(odd)} file names below {root} hold control characters or are not valid UTF-8, "
            f"the first is {odd[0]!r}; rename them"
        )
    return sorted(files)


@functools.cache
def _extensions() -> frozenset[str]:
    """Extensions, without the dot, of what libsndfile reads by itself (raw files lack a header)."""
    import soundfile

    return frozenset(name.lower() for name in soundfile.available_formats()) - {"raw"} | _EXTENSIONS


def _writable_as_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return all(ord(character) >= 32 and ord(character) != 127 for character in path)


def _table(path: Path, files: Sequence[str], root: Path) -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """Rows of the table of labels and their tags, by file.

    Raises
    ------
    UserError
        If it is missing or not CSV, lacks the column file, has unknown columns, names a file twice or one that is not
        there, or has a split that is neither train nor test, or an empty tag.
    """
    columns, lines = table(path, "corpus.folder.labels")
    _check_columns(columns, path)
    rows: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {}
    twice = []
    for number, row in lines:
        file = PurePosixPath(row.pop("file")).as_posix()
        if row.get("split", "") not in ("", *SPLITS):
            raise UserError(
                f"{path}, row {number}: split is {row['split']!r}; it must be train, test, or empty to leave it open"
            )
        if file in rows:
            twice.append(file)
        rows[file] = row, _tags(row.get("tags", ""), f"{path}, row {number}")
    if twice:
        raise UserError(f"{path} names {first_few(twice)} more than once; keep one row per file")
    unknown = sorted(set(rows) - set(files))
    if unknown:
        raise UserError(
            f"{path} names {first_few(unknown)}, not found among the {len(files)} audio files below {root}; "
            f"write paths relative to that folder, with extension, or drop the rows"
        )
    return rows


def _tags(cell: str, where: str) -> tuple[str, ...]:
    """The tags of a cell, each once."""
    if not cell:
        return ()
    found = [tag.strip() for tag in cell.split(TAG_SEPARATOR)]
    if "" in found:
        raise UserError(
            f"{where}: tags is {cell!r}, with nothing before or after a {TAG_SEPARATOR}; "
            f"write tags with one {TAG_SEPARATOR} between them, or leave the cell empty"
        )
    return tuple(sorted(set(found)))


def _check_columns(columns: Sequence[str], path: Path) -> None:
    if "file" not in columns:
        raise UserError(
            f"{path} has no column file (its columns: {', '.join(columns) or 'none'}); add one with each file's path "
            f"relative to corpus.folder.path"
        )
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise UserError(f"{path} has unknown columns {', '.join(map(repr, unknown))}; known: {', '.join(COLUMNS)}")
    if len(set(columns)) < len(columns):
        raise UserError(f"{path} has a column twice: {', '.join(columns)}; keep one of each")


# ------------------------------------------------------------------------------------------------------------- reading


def _header(path: Path) -> Any:
    """soundfile's info of a file, or None where its header cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return _header_of(path, stat.st_size, stat.st_mtime_ns)


@functools.cache
def _header_of(path: Path, size: int, changed: int) -> Any:
    import soundfile

    try:
        found = soundfile.info(path)
    except soundfile.SoundFileError:
        return None
    return None if found.frames * found.channels > _DENSEST * size else found


def _read(root: Path, recording: Recording) -> Iterator[Piece]:
    """Every piece of a recording that the file really holds.

    Headers of MP3 files may only estimate the length, so the last pieces may turn out not to be there.
    """
    import soundfile

    if recording.problem:
        yield from [(None, 0, recording.problem)] * recording.pieces
        return
    read, sample_rate, length = 0, 0, recording.length
    try:
        with soundfile.SoundFile(root / recording.file) as file:
            sample_rate = file.samplerate
            problem = limit_problem(length or file.frames, file.channels, sample_rate)
            if file.frames * file.channels > _DENSEST * (file_size(root / recording.file) or 0):
                problem = f"its header claims {file.frames * file.channels} samples, more than it can hold"
            if problem:
                yield from [(None, sample_rate, problem)] * recording.pieces
                return
            dtype = "int16" if file.subtype == "PCM_16" else "float32"
            _skip(file, recording.first * (length or 0))
            while read < recording.pieces:
                audio = _decode(file, length or file.frames, dtype)
                if length and audio.shape[1] < length and recording.first + read > 0:
                    return
                yield audio, sample_rate, ""
                read += 1
    except (soundfile.SoundFileError, OSError) as error:
        for _ in range(recording.pieces - read):
            yield None, sample_rate, f"cannot be read: {reason(error)}"


def _decode(file: Any, frames: int, dtype: str) -> Audio:
    """So many samples of a file, or as many as it really has: [shape=(channels, samples)]."""
    blocks, step = [], max(_BLOCK // file.channels, 1)
    while frames > 0:
        blocks.append(file.read(min(frames, step), dtype=dtype, always_2d=True))
        if not len(blocks[-1]):
            break
        frames -= len(blocks[-1])
    audio: Audio = blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.zeros((0, file.channels), dtype)])
    return audio.T


def _skip(file: Any, frames: int) -> None:
    """Move on by so many frames: by seeking where that is exact, else by decoding what comes before."""
    if file.subtype in _EXACT_SEEK or file.subtype.startswith("PCM_"):
        file.seek(frames)
        return
    step = min(max(_BLOCK // file.channels, 1), _SKIP_FRAMES)
    while frames > 0:
        skipped = len(file.read(min(frames, step), dtype="float32", always_2d=True))
        if skipped == 0:
            return
        frames -= skipped
