"""Recordings of the user's that noise is taken from.

Conventions
-----------
A source is an audio file or a folder with audio files (any depth, in the order of their names). Of a recording the mean
of its channels is taken. A clip gets a stretch from a random place of a random recording, at the clip's sample rate. A
recording shorter than the clip is looped from a random place: it is joined to itself, and no sample is held. Its rate
is from 1 kHz to 1 MHz.
"""

import hashlib
from pathlib import Path

import numpy as np

from earshift.errors import UserError
from earshift.perturbations.babble import looped
from earshift.storage.hashes import remembered_sha256

_SUFFIXES = {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"}
_RATES = (1000, 1_000_000)  # Hz
_SILENCE = 1e-5  # of full scale: what lies below everywhere is silence
_BLOCK = 1 << 18  # frames
_DRAWS = 50  # places of a recording with long pauses that are tried for a clip
_KEY = "perturbations.ambient_noise.source"


def listed(source):
    """The recordings of a source, in order.

    Parameters
    ----------
    source : str, absolute path of a file or folder

    Returns
    -------
    tuple of Path

    Raises
    ------
    UserError
        If there is no such path, it is not absolute, or the folder holds no audio.
    """
    path = Path(source).expanduser()
    if not path.is_absolute():
        raise UserError(f"{_KEY} is {source!r}; give the absolute path, as experiments run in folders of their own")
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UserError(f"{_KEY} is {source!r}, which does not exist; give an audio file or a folder, or null")
    found = sorted(f for f in path.rglob("*") if f.suffix.lower() in _SUFFIXES and f.is_file())
    if not found:
        raise UserError(f"{_KEY} is {source!r}, a folder without audio files; known: {' '.join(sorted(_SUFFIXES))}")
    return tuple(found)


def content_hash(source):
    """Hash of all recordings of a source, in order.

    Raises
    ------
    UserError
        If there are none, or one cannot be read.
    """
    files = listed(source)
    hashes = remembered_sha256(files)
    if None in hashes:
        raise UserError(f"{_KEY}: {files[hashes.index(None)]} cannot be read; check its permissions, or remove it")
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def require_sound(source):
    """Raise a UserError that names the first recording of a source that is no audio, or silent."""
    for file in listed(source):
        if _silent(file):
            raise UserError(f"{_KEY}: {file} is silent; remove it, or give another recording")


def _silent(file):
    import soundfile

    with _reading(file), soundfile.SoundFile(file) as sound:
        _check(file, sound)
        return all(np.abs(block).max() < _SILENCE for block in sound.blocks(_BLOCK, dtype="float32", always_2d=True))


def _check(file, sound):
    if not sound.seekable():
        raise UserError(f"{_KEY}: {file} can only be read from its beginning; convert it to WAV or FLAC, or remove it")
    if not _RATES[0] <= sound.samplerate <= _RATES[1]:
        low, high = _RATES
        raise UserError(f"{_KEY}: {file} has a rate of {sound.samplerate} Hz; give {low} to {high} Hz, or remove it")


class _reading:
    """Turns what libsndfile says of a file into a UserError."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        import soundfile

        if isinstance(error, soundfile.SoundFileError):
            reason = " ".join(str(error).split())
            raise UserError(f"{_KEY}: {self._file} is no audio that can be read ({reason}); remove it") from error


def stretch(files, samples, sample_rate, random):
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
    import soundfile

    file = files[int(random.integers(len(files)))]
    with _reading(file), soundfile.SoundFile(file) as sound:
        _check(file, sound)
        needed = -(-samples * sound.samplerate // sample_rate)
        for _ in range(_DRAWS):
            found = _from(sound, int(random.integers(max(sound.frames - needed, 0) + 1)), needed, random)
            if np.abs(found).max(initial=0) >= _SILENCE:
                return _resampled(found, sound.samplerate, sample_rate, samples)
    raise UserError(f"{_KEY}: {file} is silent at each of {_DRAWS} random places; cut its pauses out, or remove it")


def _from(sound, start, frames, random):
    """`frames` of a recording from `start`, or of all of it in a loop."""
    sound.seek(start)
    left = sound.frames - sound.tell()  # headers of MP3 estimate the length, and seeking may go beyond it
    found = sound.read(min(frames, left), dtype="float32", always_2d=True).mean(axis=1) if left > 0 else np.zeros(0)
    return found if len(found) == frames else looped(found, int(random.integers(max(len(found), 1))), frames)


def _resampled(audio, rate, wanted, samples):
    if rate != wanted:
        import soxr

        audio = soxr.resample(audio, rate, wanted)
    return np.pad(audio[:samples], (0, max(0, samples - len(audio))))
