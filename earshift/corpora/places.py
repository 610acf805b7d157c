"""A data set of WAV files as a folder, or as an official archive that is read in place."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from earshift.audio.reading import WavHeader, files_below, reason, wav_header
from earshift.corpora import archive
from earshift.storage.downloads import Remote, is_official
from earshift.storage.hashes import hash_files
from earshift.storage.provenance import fingerprint

_LARGEST = 16 << 20  # bytes of a file in an archive; 30 s of mono at 44.1 kHz and 16 bit have 2.6 MB


class Unreadable(Exception):
    """A file that cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Place:
    """Where the files of a data set lie.

    path : Path, a folder, or an archive (its last part)
    """

    path: Path

    @property
    def archived(self) -> bool:
        """Whether it is an archive."""
        return self.path.is_file()

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of every file below one of its folders, by path below the place; 0 for a link to nowhere."""
        if self.archived:
            members = archive.members(self.path, largest=_LARGEST)
            return {file: size for file, size in members.items() if folder in ("", PurePosixPath(file).parts[0])}
        root = self.path / folder
        files = files_below(root) if root.is_dir() else ()
        return {PurePosixPath(folder, file).as_posix(): file_size(root / file) or 0 for file in files}

    def is_official(self, archives: Sequence[Remote]) -> bool:
        """Whether it is an archive all parts of which are these pinned files."""
        return self.archived and all(is_official(self.path.with_name(remote.file), remote) for remote in archives)

    def content_hash(self, files: Sequence[str], archives: Sequence[Remote]) -> str:
        """Hash of the parts of an archive, or of these files of a folder with their names and sizes."""
        if self.is_official(archives):
            return ", ".join(remote.pinned for remote in archives)
        if self.archived:
            return ", ".join(map(str, hash_files([self.path.with_name(remote.file) for remote in archives])))
        paths = [self.path / file for file in files]
        return fingerprint(files=list(map(list, zip(files, map(file_size, paths), hash_files(paths), strict=True))))

    def read(self, file: str) -> bytes:
        """All bytes of a file.

        Raises
        ------
        Unreadable
        """
        try:
            return archive.content(self.path, file) if self.archived else (self.path / file).read_bytes()
        except (archive.Damaged, OSError) as error:
            raise Unreadable(reason(error)) from error

    def wav_header(self, file: str, size: int) -> WavHeader:
        """Header of a WAV file of so many bytes.

        Raises
        ------
        Unreadable
        """
        try:
            with archive.opened(self.path, file) if self.archived else open(self.path / file, "rb") as opened:
                return wav_header(opened, size)
        except (ValueError, archive.Damaged, OSError) as error:
            raise Unreadable(reason(error)) from error

    def wav_audio(self, file: str) -> tuple[NDArray[np.int16], int]:
        """Audio of a WAV file, int16 [shape=(channels, samples)], and its sample rate in Hz.

        Raises
        ------
        Unreadable
        """
        import soundfile

        try:
            audio, sample_rate = soundfile.read(io.BytesIO(self.read(file)), dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise Unreadable(reason(error)) from error
        return audio.T, sample_rate


def file_size(path: Path) -> int | None:
    """Bytes of a file, None for a link to nowhere."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def format_differences(header: WavHeader, *, sample_rate: int, channels: int, bits: int) -> list[str]:
    """How the format of a WAV file differs from the one that is expected, in words."""
    wanted = ((header.sample_rate, sample_rate, "Hz"), (header.channels, channels, "ch"), (header.bits, bits, "bit"))
    return [f"{value} {unit} instead of {expected}" for value, expected, unit in wanted if value != expected]
