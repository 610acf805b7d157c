"""How far clips are from each other as sounds.

Conventions
-----------
Clips are sequences of MFCCs (:mod:`earshift.analysis.mfcc_sequences`). Measures, as in Kim et al. (2019): ``dtw``, the
exact cost of dynamic time warping where the study had an approximation (:mod:`earshift.analysis.dtw`), and ``simple``,
the median of the similarity matrix profile (:mod:`earshift.analysis.simple_profile`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.sequences import Packed, pack
from earshift.options import Interval, Known, Names, Options
from earshift.protocols import Advance, Map, ignore, serial

_SIDE = 32  # clips on each side of a block of pairs, fewer where they are long:
_CELLS = 1 << 30  # pairs of frames per block, a few seconds of work

_Task = tuple[Packed, Packed, tuple[str, ...], int]


@dataclass(frozen=True)
class DistanceOptions(Options):
    """``mfcc`` counts the first coefficient, which is left out; ``subsequence`` is in frames."""

    measures: Annotated[Names, Known("dtw", "simple")]
    mfcc: Annotated[int, Interval(ge=2, le=128)]
    subsequence: Annotated[int, Interval(ge=1, le=100_000)]


def distance_matrices(
    queries: Sequence[NDArray[np.float32]],
    candidates: Sequence[NDArray[np.float32]],
    options: DistanceOptions,
    *,
    map: Map = serial,
    advance: Advance = ignore,
) -> dict[str, NDArray[np.float32]]:
    """Distances from every query to every candidate, by measure.

    Parameters
    ----------
    queries, candidates : sequences of float32 [shape=(frames, dims)]; one without frames has no distances
    options : DistanceOptions
    map : over square blocks of pairs
    advance : receives how many pairs were finished

    Returns
    -------
    dict of str to float32 [shape=(queries, candidates)], NaN where there is no distance
    """
    side = _side(queries, candidates)
    blocks = [
        (slice(row, row + side), slice(column, column + side))
        for row in range(0, len(queries), side)
        for column in range(0, len(candidates), side)
    ]
    tasks = ((pack(queries[r]), pack(candidates[c]), options.measures, options.subsequence) for r, c in blocks)
    matrices = {m: np.empty((len(queries), len(candidates)), dtype=np.float32) for m in options.measures}
    for block, part in zip(blocks, map(_block, tasks), strict=True):
        for measure, numbers in part.items():
            matrices[measure][block] = numbers
        advance(numbers.size)
    return matrices


def _side(queries: Sequence[NDArray[np.float32]], candidates: Sequence[NDArray[np.float32]]) -> int:
    longest = [max(len(sequence) for sequence in sequences) for sequences in (queries, candidates)]
    return max(1, min(_SIDE, int(np.sqrt(_CELLS / max(1, longest[0] * longest[1])))))


def _block(task: _Task) -> dict[str, NDArray[np.float32]]:
    from earshift.analysis import dtw, simple_profile  # they import Numba, which takes long

    queries, candidates, measures, subsequence = task
    found = {}
    if "dtw" in measures:
        found["dtw"] = dtw.dtw_matrix(queries, candidates)
    if "simple" in measures:
        found["simple"] = simple_profile.simple_matrix(queries, candidates, subsequence)
    return found
