"""Fixtures for corpora: small General MIDI pieces, and folders of mixed audio as people have them."""

import numpy as np
import pytest
import soundfile

from earshift.corpora.folder import Folder
from earshift.corpora.general_midi import GeneralMidi
from earshift.corpora.musdb18 import Musdb18
from earshift.options import check
from earshift.pipeline import config as params

# extension, format or None for libsndfile's guess, subtype, rate, channels
KINDS = [
    ("wav", None, "PCM_16", 44100, 2),
    ("WAV", "WAV", "PCM_U8", 8000, 1),
    ("wav", None, "PCM_24", 48000, 3),
    ("wav", None, "FLOAT", 96000, 1),
    ("flac", None, "PCM_16", 22050, 1),
    ("flac", None, "PCM_24", 32000, 2),
    ("ogg", None, "VORBIS", 16000, 1),
    ("opus", "OGG", "OPUS", 48000, 2),
    ("mp3", None, "MPEG_LAYER_III", 44100, 1),
    ("aif", "AIFF", "PCM_16", 11025, 1),
    ("au", None, "PCM_16", 8000, 2),
]


@pytest.fixture
def midi():
    """A General MIDI corpus with params.yaml's options, those that are named here excepted."""

    def make(**options):
        return check(GeneralMidi, params.read()["corpus"]["general_midi"] | options, "corpus.general_midi")

    return make


@pytest.fixture
def folder():
    def make(path, **options):
        options = {"path": str(path), "labels": None, "clip_seconds": None} | options
        return check(Folder, options, "corpus.folder")

    return make


@pytest.fixture
def write(rng):
    """Write noise as an audio file and return its path."""

    def write(path, *, seconds=0.5, rate=8000, channels=1, subtype="PCM_16", format=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.uniform(-0.5, 0.5, (round(seconds * rate), channels))
        soundfile.write(path, noise, rate, subtype=subtype, format=format)
        return path

    return write


@pytest.fixture
def mixed(tmp_path, write):
    """A folder of every kind of file, lengths mixed, in nested folders with spaces and accents."""
    root = tmp_path / "audio"
    for i, (extension, format, subtype, rate, channels) in enumerate(KINDS):
        path = root / ("sub é" if i % 2 else "a b") / f"clip {i}.{extension}"
        seconds = (0.3, 0.71, 1.3)[i % 3]
        write(path, seconds=seconds, rate=rate, channels=channels, subtype=subtype, format=format)
    (root / "notes.txt").write_text("not audio")
    (root / ".hidden.wav").write_bytes((root / "a b" / "clip 0.wav").read_bytes())
    (root / ".cache").mkdir()
    (root / ".cache" / "b.wav").write_bytes((root / "a b" / "clip 0.wav").read_bytes())
    return root


@pytest.fixture
def as_float():
    """Clip audio as float32 with full scale at 1."""
    return lambda audio: audio.astype(np.float32) / np.float32(32768) if audio.dtype == np.int16 else audio


@pytest.fixture
def musdb(tmp_path):
    def make(path=tmp_path / "musdb18", **options):
        options = {"root": str(path), "clip_seconds": 0.5} | options
        return check(Musdb18, options, "corpus.musdb18")

    return make


@pytest.fixture
def track(tmp_path, rng):
    """Write a track of noise as MUSDB18-HQ has them and return its folder; the mixture is the sum of the stems."""

    def write(name, split="train", *, seconds=1.2, root=tmp_path / "musdb18"):
        folder = root / split / name
        folder.mkdir(parents=True)
        stems = rng.integers(-5000, 5000, (4, round(seconds * 44100), 2), dtype=np.int16)
        for stem, audio in zip(("vocals", "drums", "bass", "other"), stems, strict=True):
            soundfile.write(folder / f"{stem}.wav", audio, 44100, subtype="PCM_16")
        soundfile.write(folder / "mixture.wav", stems.sum(axis=0).astype(np.int16), 44100, subtype="PCM_16")
        return folder

    return write
