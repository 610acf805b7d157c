"""Loudness after ITU-R BS.1770, as EBU R 128 uses it, and matching the loudness of one piece of audio to another's.

Conventions: audio is float32 [shape=(channels, samples)], full scale at 1. Loudness is matched by one gain for all
channels; samples that pass full scale are kept (the ``clip`` switch and 8-bit storage cut them).
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

_BLOCK = 0.4  # s, of the standard
_CHANNELS = 5  # the most that the standard weighs
_TOLERANCE, _TRIES = 0.01, 4  # LU; the gates make loudness not quite proportional to gain


def loudness(audio: Audio, sample_rate: int) -> float:
    """Integrated loudness in LUFS (pyloudnorm), NaN where it is not defined."""
    if audio.shape[1] < _BLOCK * sample_rate or audio.shape[0] > _CHANNELS:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _meter(sample_rate).integrated_loudness(audio.T)
    return float(value) if np.isfinite(value) else float("nan")


@functools.lru_cache
def _meter(sample_rate: int) -> Any:
    import pyloudnorm

    return pyloudnorm.Meter(sample_rate)


def match_loudness(audio: Audio, original: Audio, sample_rate: int) -> Audio:
    """Scale audio to the loudness of the original.

    Where integrated loudness is not defined for both (under 0.4 s, all of it below the gate of -70 LUFS, more than five
    channels), or no gain gives it because blocks pass that gate, the RMS over all channels is made the same instead.

    Parameters
    ----------
    audio, original : float32 [shape=(channels, samples)], of any two lengths
    sample_rate : int, Hz, of both

    Returns
    -------
    float32, of the shape of `audio`; silence stays as it is
    """
    wanted = loudness(original, sample_rate)
    gain = wanted - loudness(audio, sample_rate)
    for _ in range(_TRIES):
        if not np.isfinite(gain):
            break
        louder = audio * np.float32(10 ** (gain / 20))
        short = wanted - loudness(louder, sample_rate)
        if abs(short) < _TOLERANCE:
            return louder
        gain += short
    level = rms(audio)
    return audio * np.float32(rms(original) / level) if level else audio


def rms(audio: Audio) -> float:
    """Root mean square over all samples of all channels, 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0
