"""Mel spectrograms as encoders were trained on them, without importing librosa (a second per process).

Conventions
-----------
Signals are float32, mono. Time comes first: spectrograms have shape (frames, bins). Everything here runs on one thread
and clip by clip, so the same clip gives the same bits whatever else is computed beside it.

- :func:`hann`: the window
- :func:`mel_spectrogram`: power or magnitude in mel bands
- :func:`mel_filters`: the triangles that sum frequency bins into bands
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]

_BLOCK = 2048  # frames that are transformed together, so that memory does not grow with the length of a clip


def hann(length: int, *, symmetric: bool = False) -> Floats:
    """Hann window, float32 [shape=(length,)]: periodic, as spectral analysis wants it, or symmetric."""
    period = length - 1 if symmetric else length
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / period)).astype(np.float32)


def mel_spectrogram(
    signal: Floats, *, window: Floats, n_fft: int, hop: int, filters: Any, power: Literal[1, 2]
) -> Floats:
    """Mel bands of every whole frame of a signal; centre-padding is the caller's.

    Parameters
    ----------
    signal : float32 [shape=(samples,)]
    window : float32 [shape=(length,)], length <= n_fft; shorter frames are padded with zeros to n_fft
    n_fft, hop : int, samples
    filters : from :func:`mel_filters`
    power : 2 for power, 1 for magnitude

    Returns
    -------
    float32 [shape=(1 + (samples - length) // hop, bands)]
    """
    from scipy.fft import rfft  # in float32 several times quicker than numpy's

    frames = np.lib.stride_tricks.sliding_window_view(signal, len(window))[::hop]
    bands = np.empty((len(frames), filters.shape[0]), dtype=np.float32)
    for start in range(0, len(frames), _BLOCK):
        spectrum = rfft(frames[start : start + _BLOCK] * window, n_fft)
        energy = spectrum.real**2 + spectrum.imag**2
        if power == 1:
            np.sqrt(energy, out=energy)
        # a sparse product is quicker than a dense one here, and adds in an order that no BLAS decides
        bands[start : start + _BLOCK] = (filters @ energy.T).T
    return bands


@lru_cache
def mel_filters(
    *,
    sample_rate: int,
    n_fft: int,
    bands: int,
    low: float = 0.0,
    high: float | None = None,
    htk: bool = False,
    normalise: bool = True,
) -> Any:
    """Triangular filters with equally spaced centres on a mel scale, as ``librosa.filters.mel`` defines them.

    Parameters
    ----------
    sample_rate : int, Hz
    n_fft : int, samples
    bands : int
    low, high : float, Hz; the outer edges, `high` by default half the sample rate
    htk : bool, HTK's mel scale instead of Slaney's
    normalise : bool, triangles of unit area (Slaney) instead of unit height

    Returns
    -------
    scipy.sparse.csr_array, float32 [shape=(bands, n_fft // 2 + 1)]
    """
    from scipy.sparse import csr_array

    to_mel, to_hertz = (_hertz_to_htk, _htk_to_hertz) if htk else (_hertz_to_slaney, _slaney_to_hertz)
    high = sample_rate / 2 if high is None else high
    edges = to_hertz(np.linspace(to_mel(low), to_mel(high), bands + 2))[:, None]
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    if normalise:
        triangles *= 2 / (edges[2:] - edges[:-2])
    return csr_array(triangles.astype(np.float32))


def _hertz_to_htk(hertz: ArrayLike) -> NDArray[np.float64]:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _htk_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, then 27 steps per factor of 6.4
_LINEAR = 200 / 3  # Hz per mel below the break
_BREAK = 1000.0  # Hz
_STEP = np.log(6.4) / 27


def _hertz_to_slaney(hertz: ArrayLike) -> NDArray[np.float64]:
    hertz = np.asarray(hertz, dtype=np.float64)
    steps = np.log(np.maximum(hertz, _BREAK) / _BREAK) / _STEP
    return np.where(hertz < _BREAK, hertz / _LINEAR, _BREAK / _LINEAR + steps)


def _slaney_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < _BREAK / _LINEAR, _LINEAR * mel, _BREAK * np.exp(_STEP * (mel - _BREAK / _LINEAR)))
