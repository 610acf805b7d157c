"""What each stream reads of a chunk.

Conventions
-----------
Features are computed once and packed, so they are of the smallest number type that says what they say: a mask is bool,
everything else float16, which keeps samples to 0.05 %, quiet and overdriven ones alike. The Neuralogram is computed by
a network that is trained before; *log_mel* is what that network reads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.training.verma2023 import neuralogram, pitch, timbre
from earshift.training.verma2023.chunks import CHUNK, SLICES
from earshift.training.verma2023.options import END_TO_END, NEURALOGRAM, PITCH, TIMBRE, Networks

LOG_MEL = "log_mel"


def compute_features(stream: str, chunks: NDArray[np.float32], wanted: Networks) -> NDArray[Any]:
    """What a stream reads of chunks, the Neuralogram apart.

    Parameters
    ----------
    stream : PITCH, TIMBRE, END_TO_END or LOG_MEL
    chunks : float32 [shape=(chunks, 16000)]
    wanted : Networks

    Returns
    -------
    np.ndarray, of the type and shape that :func:`shape_of` says, one row a chunk
    """
    if stream == PITCH:
        return pitch.features(chunks)
    if stream == TIMBRE:
        return timbre.features(chunks, n_fft=wanted.timbre.n_fft, bands=wanted.timbre.bands)
    if stream == END_TO_END:
        return chunks.astype(np.float16)
    return neuralogram.log_mel(chunks)


def shape_of(stream: str, wanted: Networks) -> tuple[str, tuple[int, ...]]:
    """Number type and shape of the features of one chunk."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        PITCH: ("bool", (SLICES, pitch.BINS)),
        TIMBRE: ("float16", (SLICES, timbre.COEFFICIENTS)),
        END_TO_END: ("float16", (CHUNK,)),
        LOG_MEL: ("float16", (neuralogram.PIECES, neuralogram.FRAMES, neuralogram.BANDS)),
        NEURALOGRAM: ("float16", (neuralogram.PIECES, wanted.mobilenet.last)),
    }
    return shapes[stream]


def has_statistics(stream: str) -> bool:
    """Whether a stream's features have no scale of their own, and are brought to mean 0 and deviation 1."""
    return stream in (TIMBRE, NEURALOGRAM)
