"""What of a clip reaches the networks of kim2019: one channel at 22,050 Hz, two seconds of it."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 22050
SAMPLES = 44100


def mono(audio: NDArray[np.float32], sample_rate: int, wanted: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The mean of the channels at 22,050 Hz, or another rate (soxr HQ).

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    sample_rate, wanted : int, Hz

    Returns
    -------
    float32 [shape=(samples,)]
    """
    import soxr

    mixed: NDArray[np.float32] = audio.mean(axis=0, dtype=np.float32)
    if mixed.size and sample_rate != wanted:
        mixed = soxr.resample(mixed, sample_rate, wanted, quality="HQ")
    return mixed


def centre(audio: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """The middle `samples` of audio [shape=(..., n)]; shorter audio gets zeros at its end."""
    short = samples - audio.shape[-1]
    if short > 0:
        return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, short)])
    start = -short // 2
    return audio[..., start : start + samples]


def crop(audio: NDArray[np.float32], samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """`samples` of audio [shape=(..., n)] from a random place; shorter audio gets zeros at its end."""
    spare = audio.shape[-1] - samples
    if spare <= 0:
        return centre(audio, samples)
    start = int(rng.integers(spare + 1))
    return audio[..., start : start + samples]


def middle(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The middle two seconds of a clip, float32 [shape=(44100,)].

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    sample_rate : int, Hz
    """
    return centre(mono(audio, sample_rate), SAMPLES)
