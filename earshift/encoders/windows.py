"""Long clips in windows of a fixed length, the last of them ending where the clip ends; vectors averaged over them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def starts(samples: int, length: int) -> list[int]:
    """First samples of the windows of a clip that is at least one window long, in order."""
    last = samples - length
    return [*range(0, last, length), last]


def mean_over_windows(network: Callable[[Floats], Floats], waveforms: Floats, length: int) -> Floats:
    """Vectors of clips, each the mean over its windows.

    Parameters
    ----------
    network : callable, float32 [shape=(any, length)] -> float32 [shape=(any, dim)]
    waveforms : float32 [shape=(clips, samples)], samples >= length
    length : int, samples of a window

    Returns
    -------
    float32 [shape=(clips, dim)]
    """
    places = starts(waveforms.shape[1], length)
    stack = np.stack([waveforms[:, start : start + length] for start in places], axis=1)
    vectors = network(stack.reshape(-1, length))
    means: Floats = vectors.reshape(len(waveforms), len(places), -1).mean(axis=1, dtype=np.float32)
    return means
