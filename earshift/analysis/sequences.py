"""Sequences of different lengths in one array, for compiled loops over pairs of them.

Conventions
-----------
A sequence is float32 [shape=(frames, dims)]; a clip without audio has one without frames. Packed, time runs along the
last axis, so that neighbouring frames lie side by side, and zeros fill dimensions up to a multiple of four, which adds
nothing to any distance between frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANES = 4  # dimensions that the loops add up together


@dataclass(frozen=True)
class Packed:
    """Sequences back to back.

    frames : float32 [shape=(dims, frames of all)], dims a multiple of ``LANES``
    starts : int64 [shape=(sequences + 1,)], where each begins, and the end of the last
    """

    frames: NDArray[np.float32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


def pack(sequences: Sequence[NDArray[np.float32]]) -> Packed:
    """:class:`Packed` from sequences, float32 [shape=(frames, dims)] each, of the same dims.

    Raises
    ------
    ValueError
        Where dims differ.
    """
    dims = {sequence.shape[1] for sequence in sequences if len(sequence)}
    if len(dims) > 1:
        raise ValueError(f"sequences of {', '.join(map(str, sorted(dims)))} dimensions have no distance to each other")
    starts = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
    wide = max(dims, default=LANES)
    frames = np.zeros((-(-wide // LANES) * LANES, starts[-1]), dtype=np.float32)
    for sequence, start in zip(sequences, starts[:-1], strict=True):
        frames[:wide, start : start + len(sequence)] = sequence[:, :wide].T if len(sequence) else 0
    return Packed(frames, starts)
