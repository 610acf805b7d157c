"""The resampler of OpenL3: ``kaiser_best`` of resampy before 0.3, which later releases replaced.

Conventions
-----------
Every output sample is a sum of input samples, weighted by a sinc under a Kaiser window: 64 zero crossings to each side,
512 tabulated values per crossing, linear interpolation in between. All in double precision, added up in the order of
the original, so that the result is the same to the bit: OpenL3's input reaches down to how samples round to single
precision. Two accidents of the original belong to that. The time of an output sample is found by adding up rounded
steps; and where the rate falls, the filter is stretched by going through the table in steps of ``int(512 * ratio)``.

The original jumps through its table; here the values that one sample needs lie side by side, which takes a sixth of the
time. The loop is compiled by Numba on first use.

Source: resampy 0.2.2 (core.py, interpn.py, data/kaiser_best.npz); the closed form below gives its table to 3e-16.
"""

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_CROSSINGS, _PRECISION = 64, 512
_ROLLOFF, _BETA = 0.9475937167399596, 14.769656459379492


def resample(signal: ArrayLike, sample_rate: float, new_rate: float) -> Floats:
    """A signal at another sample rate.

    Parameters
    ----------
    signal : array [shape=(samples,)], at least one sample
    sample_rate, new_rate : number, Hz

    Returns
    -------
    float64 [shape=(int(samples * new_rate / sample_rate),)]; where that is nothing, which resampy refuses, one sample
    """
    signal = np.ascontiguousarray(signal, dtype=np.float64)
    if sample_rate == new_rate:
        return signal
    ratio = float(new_rate) / sample_rate
    result = np.empty(max(int(len(signal) * ratio), 1))
    step = int(min(1.0, ratio) * _PRECISION)
    _loop()(signal, ratio, *_table(step, min(1.0, ratio)), result)
    return result


@lru_cache(maxsize=4)
def _table(step: int, gain: float) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The right half of the filter, and its differences, rearranged.

    Returns
    -------
    counts : int64 [shape=(step + 1,)], how many taps the filter has from an entry of its table on, in steps of `step`
    taps, rises : float64 [shape=(step + 1, taps)], the entries there, and how far it is from each to the next
    """
    size = _CROSSINGS * _PRECISION
    window = np.kaiser(2 * size + 1, _BETA)[size:]
    table = gain * (window * _ROLLOFF * np.sinc(_ROLLOFF * np.linspace(0, _CROSSINGS, size + 1)))
    rise = np.append(np.diff(table), 0.0)
    entries = np.arange(step + 1)
    counts = (len(table) - entries) // step
    places = np.minimum(entries[:, None] + step * np.arange(counts.max()), size)
    return counts, table[places], rise[places]


@cache
def _loop() -> Callable[..., None]:
    """The sums, compiled. Indices are unsigned, because Numba wraps negative ones around, which takes time."""
    from numba import njit

    u = np.uint64

    @njit(nogil=True)
    def fill(signal, ratio, counts, taps, rises, result):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        scale, increment, width = min(1.0, ratio), 1.0 / ratio, taps.shape[1]
        taps, rises = taps.reshape(-1), rises.reshape(-1)
        time = 0.0
        for t in range(len(result)):
            centre = int(time)
            left = scale * (time - centre)
            total = 0.0

            index = left * _PRECISION
            entry = int(index)
            part, at = index - entry, u(entry * width)
            for i in range(u(min(centre + 1, counts[entry]))):
                total += (taps[at + i] + part * rises[at + i]) * signal[u(centre) - i]

            index = (scale - left) * _PRECISION
            entry = int(index)
            part, at = index - entry, u(entry * width)
            for i in range(u(max(0, min(len(signal) - centre - 1, counts[entry])))):
                total += (taps[at + i] + part * rises[at + i]) * signal[u(centre + 1) + i]

            result[t] = total
            time += increment

    compiled: Callable[..., None] = fill
    return compiled
