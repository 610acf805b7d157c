"""Recordings of the user from which noise is taken.

Conventions
-----------
Recordings are named by the path of an audio file, or of a folder with audio files (any depth, in the order of their
names). Of a recording the mean of its channels is taken. A clip gets a stretch from a random place of a random
recording, at the clip's sample rate. A recording shorter than the clip is looped from a random place. Its sample rate
is from 1 kHz to 1 MHz.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.perturbations.babble import loop
from earshift.storage.hashes import hash_files

_SUFFIXES = {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"}
_RATES = (1000, 1_000_000)  # Hz
_SILENCE = 1e-5  # of full scale: what lies below everywhere is silence
_BLOCK = 1 << 18  # frames
_DRAWS = 50  # places of a recording with long pauses that are tried for a clip
_KEY = "perturbations.ambient_noise.recordings"


def list_recordings(place: str) -> tuple[Path, ...]:
    """The recordings at a place, in order.

    Parameters
    ----------
    place : str, absolute path of a file or folder

    Returns
    -------
    tuple of Path

    Raises
    ------
    UserError
        If there is no such path, it is not absolute, or the folder holds no audio.
    """
    path = Path(place).expanduser()
    if not path.is_absolute():
        raise UserError(f"{_KEY} is {place!r}; give the absolute path, as experiments run in folders of their own")
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UserError(f"{_KEY} is {place!r}, which does not exist; give an audio file or a folder, or null")
    found = sorted(f for f in path.rglob("*") if f.suffix.lower() in _SUFFIXES and f.is_file())
    if not found:
        raise UserError(f"{_KEY} is {place!r}, a folder without audio files; known: {' '.join(sorted(_SUFFIXES))}")
    return tuple(found)


def content_hash(place: str) -> str:
    """Hash of all recordings at a place, in order.

    Raises
    ------
    UserError
        If there are none, or one cannot be read.
    """
    files = list_recordings(place)
    hashes = dict(zip(files, hash_files(files), strict=True))
    for file, found in hashes.items():
        if found is None:
            raise UserError(f"{_KEY}: {file} cannot be read; check its permissions, or remove it")
    return hashlib.sha256("\n".join(map(str, hashes.values())).encode()).hexdigest()


def require_sound(place: str) -> None:
    """Raise a UserError that names the first recording at a place that is no audio, or silent."""
    for file in list_recordings(place):
        with _opened(file) as sound:
            blocks = sound.blocks(_BLOCK, dtype="float32", always_2d=True)
            if all(np.abs(block).max() < _SILENCE for block in blocks):
                raise UserError(f"{_KEY}: {file} is silent; remove it, or give another recording")


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A recording as soundfile.SoundFile; whatever libsndfile raises meanwhile becomes a UserError."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            _check(file, sound)
            yield sound
    except soundfile.SoundFileError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{_KEY}: {file} is no audio that can be read ({reason}); remove it") from error


def _check(file: Path, sound: Any) -> None:
    if not sound.seekable():
        raise UserError(f"{_KEY}: {file} can only be read from its beginning; convert it to WAV or FLAC, or remove it")
    if not _RATES[0] <= sound.samplerate <= _RATES[1]:
        low, high = _RATES
        raise UserError(f"{_KEY}: {file} has a rate of {sound.samplerate} Hz; give {low} to {high} Hz, or remove it")


def draw_stretch(
    files: Sequence[Path], samples: int, sample_rate: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """A random stretch of one of the recordings.

    Parameters
    ----------
    files : sequence of paths
    samples : int
    sample_rate : int, Hz
    random : np.random.Generator

    Returns
    -------
    float32 [shape=(samples,)]

    Raises
    ------
    UserError
        If the recording cannot be read, or is silent at every place that was tried.
    """
    file = files[int(random.integers(len(files)))]
    with _opened(file) as sound:
        needed = -(-samples * sound.samplerate // sample_rate)
        for _ in range(_DRAWS):
            found = _read(sound, int(random.integers(max(sound.frames - needed, 0) + 1)), needed, random)
            if np.abs(found).max(initial=0) >= _SILENCE:
                return _resample(found, sound.samplerate, sample_rate, samples)
    raise UserError(f"{_KEY}: {file} is silent at each of {_DRAWS} random places; cut its pauses out, or remove it")


def _read(sound: Any, start: int, frames: int, random: np.random.Generator) -> NDArray[np.float32]:
    """`frames` of a recording from `start`, or of all of it in a loop."""
    sound.seek(start)
    left = sound.frames - sound.tell()  # headers of MP3 estimate the length, and seeking may pass its end
    found: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
    if left > 0:
        found = sound.read(min(frames, left), dtype="float32", always_2d=True).mean(axis=1)
    return found if len(found) == frames else loop(found, int(random.integers(max(len(found), 1))), frames)


def _resample(audio: NDArray[np.float32], rate: int, wanted: int, samples: int) -> NDArray[np.float32]:
    if rate != wanted:
        import soxr

        audio = soxr.resample(audio, rate, wanted)
    return np.pad(audio[:samples], (0, max(0, samples - len(audio))))
