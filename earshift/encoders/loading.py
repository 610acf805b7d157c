"""Encoders with their weights, for use without params.yaml and DVC.

- :func:`load`: an encoder by name
- :func:`encode`, :func:`encode_files`: vectors of audio
"""

import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earshift.encoders.base import Encoder, Floats, options_of
from earshift.encoders.inference import Batches
from earshift.encoders.weights.record import RECORD, ensure_weights, write_weights
from earshift.errors import UserError
from earshift.options import check, choose
from earshift.plugins import find_plugins
from earshift.protocols import Advance, StrPath, ignore
from earshift.storage.provenance import fingerprint


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder and its network with weights."""

    encoder: Encoder
    network: Batches


def load(
    encoder: str | Encoder, *, folder: StrPath | None = None, device: str = "cpu", **options: Any
) -> LoadedEncoder:
    """An encoder with its weights, ready for :func:`encode`.

    Parameters
    ----------
    encoder : its name, such as "mfcc", "musicnn" or "yamnet", or one that is configured already
    folder : where weights are kept from one call to the next, downloaded files included; None: nowhere, which suits
        encoders whose weights lie inside of Python packages (musicnn, yamnet) or that have none (mfcc)
    device : "cpu", "cuda" or "cuda:N"
    options : the encoder's options; those that are not given are as in the params.yaml of the repository

    Raises
    ------
    UserError
        If there is no such encoder or option, or the weights cannot be had.
    """
    if isinstance(encoder, str):
        known = find_plugins(sys.modules[__package__], Encoder)
        cls = known[choose("encoder", encoder, known)]
        encoder = check(cls, {**cls.example, **options}, encoder)
    elif options:
        raise UserError(f"{type(encoder).__name__} is configured already; give its options where it is made")
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return _open(encoder, Path(temporary), device)
    return _open(encoder, Path(folder), device)


def _open(encoder: Encoder, root: Path, device: str) -> LoadedEncoder:
    name = encoder.name or type(encoder).__name__
    source = encoder.weights_source(downloads=root / "downloads", networks=root / "networks" / name)
    folder = root / f"{name}-{fingerprint(**options_of(encoder))[:8]}"
    if not (folder / RECORD).is_file():
        write_weights(folder, name, source)
    ensure_weights(folder, name, source)
    return LoadedEncoder(encoder, Batches(encoder.load(folder, device), encoder, encoder.batch))


def encode(loaded: LoadedEncoder, audio: Floats, sample_rate: int) -> Floats:
    """The vector of one clip.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)] or [shape=(samples,)]
    sample_rate : Hz

    Returns
    -------
    float32 [shape=(dim,)]

    Raises
    ------
    UserError
        If the clip is empty, or memory does not suffice for it.
    """
    clip = np.atleast_2d(np.asarray(audio, dtype=np.float32))
    if clip.ndim != 2 or not clip.size:
        raise UserError(f"audio has shape {np.shape(audio)}; give (samples,) or (channels, samples) with some samples")
    vector: Floats = loaded.network(loaded.encoder.waveform(clip, sample_rate)[None])[0]
    return vector


def encode_files(loaded: LoadedEncoder, files: Iterable[StrPath], advance: Advance = ignore) -> Floats:
    """The vectors of whole audio files, one by one.

    Parameters
    ----------
    files : audio files that libsndfile can read (WAV, FLAC, Ogg, MP3, ...)
    advance : called with 1 after each file

    Returns
    -------
    float32 [shape=(files, dim)]

    Raises
    ------
    UserError
        If a file cannot be read, or as :func:`encode`.
    """
    import soundfile

    vectors = []
    for file in files:
        try:
            audio, sample_rate = soundfile.read(file, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise UserError(f"{file} cannot be read as audio ({error}); give a format that libsndfile has") from error
        vectors.append(encode(loaded, audio.T, sample_rate))
        advance(1)
    return np.stack(vectors) if vectors else np.empty((0, loaded.encoder.dim), np.float32)
