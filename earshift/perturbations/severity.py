"""What a perturbation did to the audio, in numbers that all perturbations share.

Conventions: audio is float32 [shape=(channels, samples)]; original and perturbed have as many channels. Delay counts as
change in SNR (a causal filter's SNR is low although the ear hears little); loudness and spectral distance forgive it.
Where a perturbation changes the length there is no SNR, and spectra are compared at the same place of the music.
"""

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from earshift.audio.loudness import loudness
from earshift.perturbations.base import Audio

SNR_LIMITS = (-120.0, 120.0)  # dB; an unchanged clip has an infinite SNR, silence an infinitely low one
_FRAME, _FLOOR = 2048, 1e-10  # about 46 ms at 44.1 kHz; power floor 100 dB below full scale
_NOTHING = 1e-6  # rounding leaves a difference of this size between matched loudnesses, another on every machine


class Severity(TypedDict):
    """Severity of one perturbed clip, see :func:`severity`."""

    snr_db: float
    loudness_lu: float
    lsd_db: float


class SeveritySummary(TypedDict):
    """Medians over the clips of one value, None where no clip has the measure, and the number of clips."""

    snr_db: float | None
    loudness_lu: float | None
    lsd_db: float | None
    clips: int


def severity(original: Audio, perturbed: Audio, sample_rate: int) -> Severity:
    """Severity of one perturbed clip.

    Parameters
    ----------
    original, perturbed : float32 [shape=(channels, samples)], as many channels, of any two lengths
    sample_rate : int, Hz, of both

    Returns
    -------
    dict
        ``snr_db``: energy of the original over energy of the difference, dB, within ``SNR_LIMITS``, NaN where the
        lengths differ; ``loudness_lu``: integrated loudness (ITU-R BS.1770) of perturbed minus original, NaN where a
        clip is shorter than the 0.4 s block or gated away; ``lsd_db``: log-spectral distance, the RMS over frequency of
        the difference of the power spectra in dB, averaged over frames and channels.
    """
    return {
        "snr_db": snr(original, perturbed) if original.shape == perturbed.shape else float("nan"),
        "loudness_lu": loudness(perturbed, sample_rate) - loudness(original, sample_rate),
        "lsd_db": log_spectral_distance(original, perturbed),
    }


def snr(original: Audio, perturbed: Audio) -> float:
    """Signal-to-noise ratio in dB, the difference taken as the noise; limited to ``SNR_LIMITS``."""
    signal = float(np.sum(np.square(original, dtype=np.float64)))
    noise = float(np.sum(np.square(perturbed.astype(np.float64) - original)))
    if noise == 0:
        return SNR_LIMITS[1]
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), *SNR_LIMITS))


def log_spectral_distance(original: Audio, perturbed: Audio) -> float:
    """Log-spectral distance in dB; frames of 2048 samples, Hann, side by side, powers floored at 1e-10.

    Of a perturbed clip of another length the frames begin at the same fractions of it: those of the same notes.
    """
    frames = max(original.shape[1] // _FRAME, 1)
    difference = _log_power(perturbed, original.shape[1], frames) - _log_power(original, original.shape[1], frames)
    return float(np.sqrt(np.mean(np.square(difference), axis=-1)).mean())


def _log_power(audio: Audio, length: int, count: int) -> NDArray[np.float32]:
    """Spectra of `count` frames, where a clip of `length` samples has them side by side."""
    samples = audio.shape[1]
    audio = np.pad(audio, ((0, 0), (0, max(0, _FRAME - samples))))
    starts = np.arange(count) * _FRAME * samples // max(length, 1)
    starts = np.minimum(starts, audio.shape[1] - _FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(audio, _FRAME, axis=-1)[:, starts]
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames * window)  # stays in single precision
    power = (spectrum.real**2 + spectrum.imag**2) * np.float32(4 / _FRAME**2)
    decibels: NDArray[np.float32] = 10 * np.log10(np.maximum(power, np.float32(_FLOOR)))
    return decibels


def summarise(rows: Iterable[Severity]) -> SeveritySummary:
    """One row per value from the rows of its clips: medians, which one silent or unchanged clip cannot shift."""
    rows = list(rows)
    return {
        "snr_db": _median([row["snr_db"] for row in rows]),
        "loudness_lu": _median([row["loudness_lu"] for row in rows]),
        "lsd_db": _median([row["lsd_db"] for row in rows]),
        "clips": len(rows),
    }


def _median(values: list[float]) -> float | None:
    known = np.array(values)[np.isfinite(values)]
    median = float(np.median(known)) if len(known) else None
    return 0.0 if median is not None and abs(median) < _NOTHING else median
