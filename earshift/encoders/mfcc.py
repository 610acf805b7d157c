"""MFCC statistics: the hand-made baseline of Kim, Urbano, Liem and Hanjalic (2019), 144 numbers per clip."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from earshift.audio.mel import hann, mel_filters, mel_spectrogram
from earshift.encoders.base import Embed, Encoder, Floats
from earshift.options import Interval, Known, Names, Options
from earshift.training.kim2019.options import TASK_NAMES

_SAMPLE_RATE = 22050
_N_FFT, _HOP, _BANDS = 1024, 256, 128
_COEFFICIENTS = slice(1, 25)  # the first, the level, is left out
_FLOOR = 1e-10  # of the power
_RANGE = 80.0  # dB below the loudest band of the clip


@dataclass(frozen=True)
class Heads(Options):
    """Networks (:mod:`earshift.training.kim2019.networks`) that are trained above the statistics; no vector changes.

    tasks : of those in :mod:`earshift.training.kim2019.tasks`
    channels : int, of the last block of a decoder
    trial : int, which draw of the training recordings and which initial weights
    """

    tasks: Annotated[Names, Known(*TASK_NAMES, or_none=True)]
    channels: Annotated[int, Interval(ge=1, le=64)]
    trial: Annotated[int, Interval(ge=0, le=10_000)]


@dataclass(frozen=True)
class Mfcc(Encoder):
    """Mean and standard deviation of 24 MFCCs and of their first and second differences.

    As in the study's own code (github.com/eldrin/music-nn-models, MFCCEncoder): power spectrum under a symmetric Hann
    window of 1024 samples every 256, centred with mirrored edges; 128 Slaney mel bands of unit area; decibels re 1,
    floored at 1e-10 and at 80 dB below the loudest band; orthonormal DCT-II, coefficients 1 to 24. Differences are
    between neighbouring frames, standard deviations unbiased. Order: mean and standard deviation of the coefficients,
    of their differences, of the differences of those.

    Two departures: the loudest band is that of the clip, where the study took the loudest of whatever clips shared a
    batch; and the whole clip is described, where the study cut its middle two seconds out first. Silence gives zeros.
    """

    heads: Heads

    name = "mfcc"
    training = "kim2019"
    network = "mfcc"
    sample_rate = _SAMPLE_RATE
    window = _N_FFT / _SAMPLE_RATE  # five frames: second differences need two values for a standard deviation
    packages = ("numpy", "scipy", "soxr")
    dim = 144
    example = {"heads": {"tasks": [], "channels": 16, "trial": 0}}
    gpu = False

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.heads.tasks

    @property
    def channels(self) -> int:
        return self.heads.channels

    @property
    def trial(self) -> int:
        return self.heads.trial

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`; there are no weights, and it runs on the CPU whatever the device."""
        return lambda waveforms: np.stack([_statistics(coefficients(waveform)) for waveform in waveforms])


def coefficients(waveform: Floats) -> Floats:
    """The 24 MFCCs of every frame.

    Parameters
    ----------
    waveform : float32 [shape=(samples,)], more than 512 samples at 22,050 Hz

    Returns
    -------
    float32 [shape=(frames, 24)]
    """
    from scipy.fft import dct

    power = mel_spectrogram(
        np.pad(waveform, _N_FFT // 2, mode="reflect"),
        window=hann(_N_FFT, symmetric=True),
        n_fft=_N_FFT,
        hop=_HOP,
        filters=mel_filters(sample_rate=_SAMPLE_RATE, n_fft=_N_FFT, bands=_BANDS),
        power=2,
    )
    decibels = 10 * np.log10(np.maximum(power, np.float32(_FLOOR)))
    decibels = np.maximum(decibels, decibels.max() - np.float32(_RANGE))
    cepstra: Floats = dct(decibels, type=2, norm="ortho")
    return cepstra[:, _COEFFICIENTS]


def _statistics(frames: Floats) -> Floats:
    first = np.diff(frames, axis=0)
    numbers = []
    for series in (frames, first, np.diff(first, axis=0)):
        numbers += [series.mean(axis=0, dtype=np.float64), series.std(axis=0, dtype=np.float64, ddof=1)]
    return np.concatenate(numbers).astype(np.float32)
