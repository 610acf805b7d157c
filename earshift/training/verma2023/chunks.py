"""Clips as chunks of one second, and slices of 25 ms in them (Verma, Diverse Audio Embeddings, 2023, section 2).

Conventions
-----------
Chunks have 16,000 samples at 16 kHz, one channel, and follow one another without overlap. What is left of a clip behind
its last whole chunk becomes a chunk of its own where it lasts half a second or more, so that sound is in half of its
slices at least, and is dropped where it is shorter. A clip gives one chunk at least, however short it is. What is
shorter than a chunk is filled up with zeros at its end, or repeated. A chunk has the labels of its clip.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError

SAMPLE_RATE = 16000
CHUNK = 16000  # samples
SLICE = 400  # samples, 25 ms
SLICES = CHUNK // SLICE
SHORTEST = CHUNK // 2  # samples of a rest that is kept

Filling = Literal["zeros", "repeat"]


def cut_chunks(signal: NDArray[np.float32], *, filling: Filling) -> NDArray[np.float32]:
    """The chunks of a clip.

    Parameters
    ----------
    signal : float32 [shape=(samples,)], at 16 kHz, at least one sample
    filling : "zeros" or "repeat", of what is shorter than a chunk

    Returns
    -------
    float32 [shape=(chunks, 16000)]

    Raises
    ------
    UserError
        If there is no sample.
    """
    if not len(signal):
        raise UserError("a clip without samples has no chunks; leave it out of the corpus (corpus.on_bad_clip: skip)")
    count = chunk_count(len(signal))
    whole = min(len(signal) // CHUNK, count)
    cut = np.zeros((count, CHUNK), dtype=np.float32)
    cut[:whole] = signal[: whole * CHUNK].reshape(whole, CHUNK)
    if count > whole:
        rest = signal[whole * CHUNK :]
        cut[whole, : len(rest)] = rest
        if filling == "repeat":
            cut[whole] = np.resize(rest, CHUNK)
    return cut


def chunk_count(samples: int) -> int:
    """How many chunks a clip of so many samples gives, at 16 kHz."""
    return max(1, (samples + CHUNK - SHORTEST) // CHUNK)


def clips_of_chunks(lengths: Sequence[int]) -> NDArray[np.int64]:
    """The clip that every chunk belongs to: ``targets[clips_of_chunks(lengths)]`` are the chunks' targets.

    Parameters
    ----------
    lengths : sequence of int, samples of every clip at 16 kHz

    Returns
    -------
    int64 [shape=(chunks of all clips,)]
    """
    return np.repeat(np.arange(len(lengths)), [chunk_count(length) for length in lengths])
