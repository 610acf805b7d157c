"""Audio as MP3: the bytes of a file, and a version for a page to play.

Conventions
-----------
Audio is float32, shape (channels, samples), full scale at 1. Bit rates are constant. Equal samples give equal bytes.
"""

import io

import numpy as np

from earshift.perturbations.base import Audio

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, all that MP3 supports
_COMPRESSION = 0.65  # of libsndfile's scale from 0 to 1: 128 kb/s at 44.1 kHz and less at lower rates


def coding_rate(sample_rate: int) -> int:
    """The sample rate at which MP3 holds a clip of this one: the next that it supports, or its highest."""
    return next((rate for rate in RATES if rate >= sample_rate), RATES[-1])


def encode(audio: Audio, sample_rate: int, compression: float) -> bytes:
    """The bytes of an MP3 file.

    Parameters
    ----------
    audio : float32 [shape=(1 or 2, samples)]
    sample_rate : int, Hz, one of ``RATES``
    compression : float, libsndfile's scale from 0 to, not including, 1
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, audio.T, sample_rate, format="MP3", bitrate_mode="CONSTANT", compression_level=compression)
    return file.getvalue()


def encode_playable(audio: Audio, sample_rate: int) -> bytes:
    """MP3 of a clip for a page to play; samples above full scale are cut.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
        Of more than two channels the mean is taken.
    sample_rate : int, Hz
        A rate that MP3 does not support is resampled to :func:`coding_rate`.
    """
    if len(audio) > 2:
        audio = audio.mean(axis=0, keepdims=True)
    rate = coding_rate(sample_rate)
    if sample_rate != rate:
        import soxr

        audio = soxr.resample(audio.T, sample_rate, rate).T
    return encode(np.clip(audio, -1, 1), rate, _COMPRESSION)
