"""What of a clip reaches the networks of the third study: one channel at 22,050 Hz, two seconds of it."""

import numpy as np

SAMPLE_RATE = 22050
SAMPLES = 44100


def mono(audio, sample_rate, wanted=SAMPLE_RATE):
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

    mixed = audio.mean(axis=0, dtype=np.float32)
    if not mixed.size or sample_rate == wanted:
        return mixed
    return soxr.resample(mixed, sample_rate, wanted, quality="HQ")


def centre(audio, samples):
    """The middle `samples` of audio [shape=(..., n)]; shorter audio gets zeros at its end."""
    short = samples - audio.shape[-1]
    if short > 0:
        return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, short)])
    start = -short // 2
    return audio[..., start : start + samples]


def crop(audio, samples, rng):
    """`samples` of audio [shape=(..., n)] from a random place; shorter audio gets zeros at its end."""
    spare = audio.shape[-1] - samples
    if spare <= 0:
        return centre(audio, samples)
    start = int(rng.integers(spare + 1))
    return audio[..., start : start + samples]


def middle(audio, sample_rate):
    """The middle two seconds of a clip, float32 [shape=(44100,)].

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    sample_rate : int, Hz
    """
    return centre(mono(audio, sample_rate), SAMPLES)
