"""Dynamic time warping between sequences of frames, exact.

Conventions
-----------
A sequence is float32 [shape=(frames, dims)]. The distance is the least sum of Euclidean distances between frames over
all paths from the first pair of frames to the last, in steps (1, 0), (0, 1) and (1, 1) that all weigh the same; it is
not divided by the length of the path. There is no window. It is symmetric, and NaN where a sequence has no frames.

Distances between frames are float32 and good to 7e-7 of their size, sums along paths float64, results float32: relative
errors stay below 1e-6 whatever the sequences, and equal sequences are at 0 exactly. Every number is rounded in a fixed
order, so that wider vector units and more workers give the same bits.

Cells are filled along antidiagonals: those of one depend only on the two before, so that many are filled at once.

- :func:`dtw`: of two sequences
- :func:`dtw_matrix`: of all pairs
"""

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.compiled import jit, keep_on_disk
from earshift.analysis.sequences import LANES, Packed, pack

Frames = NDArray[np.float32]
Starts = NDArray[np.int64]
Costs = NDArray[np.float64]
Sides = tuple[Frames, int, Frames, int]


def dtw(query: Frames, candidate: Frames) -> float:
    """Distance of two sequences, float32 [shape=(frames, dims)] each."""
    return float(dtw_matrix(pack([query]), pack([candidate]))[0, 0])


def dtw_matrix(queries: Packed, candidates: Packed) -> NDArray[np.float32]:
    """Distances from every query to every candidate.

    Parameters
    ----------
    queries, candidates : earshift.analysis.sequences.Packed

    Returns
    -------
    float32 [shape=(queries, candidates)]
    """
    keep_on_disk()
    return _matrix(queries.frames, queries.starts, *_backwards(candidates))


def _backwards(sequences: Packed) -> tuple[Frames, Starts]:
    """Frames and starts of all sequences with time reversed: cells of an antidiagonal then lie side by side in both."""
    frames, starts = sequences.frames[:, ::-1], sequences.starts
    return np.ascontiguousarray(frames), starts[-1] - starts


@jit
def _matrix(queries: Frames, starts: Starts, candidates: Frames, ends: Starts) -> NDArray[np.float32]:
    found = np.empty((len(starts) - 1, len(ends) - 1), dtype=np.float32)
    for row in range(len(starts) - 1):
        for column in range(len(ends) - 1):
            sides = (queries, starts[row], candidates, ends[column + 1])
            found[row, column] = _distance(sides, starts[row + 1] - starts[row], ends[column] - ends[column + 1])
    return found


@jit
def _distance(sides: Sides, rows: int, columns: int) -> np.float32:
    """Distance of two sequences.

    sides : the queries' frames, where the query begins, the candidates' frames with time reversed, where the candidate
        begins there
    rows, columns : frames of the query, of the candidate
    """
    if rows == 0 or columns == 0:
        return np.float32(np.nan)
    before, last, new, squares = _empty(rows)
    for diagonal in range(rows + columns - 1):
        _fill(sides, rows, columns, len(sides[0]), diagonal, before, last, new, squares)
        before, last, new = last, new, before
    return np.float32(last[rows])


@jit
def _empty(rows: int) -> tuple[Costs, Costs, Costs, Frames]:
    """Costs of the cheapest paths to the cells of three antidiagonals, row r at r + 1, and space for distances."""
    before = np.full(rows + 1, np.inf)
    before[0] = 0.0  # before the first cell
    return before, np.full(rows + 1, np.inf), np.full(rows + 1, np.inf), np.empty(rows, dtype=np.float32)


@jit
def _fill(
    sides: Sides,
    rows: int,
    columns: int,
    dims: int,
    diagonal: int,
    before: Costs,
    last: Costs,
    new: Costs,
    squares: Frames,
) -> None:
    """Costs of one antidiagonal into `new` from those of the two before."""
    queries, first, candidates, other = sides
    low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
    count = high - low
    squared = squares[:count]
    squared[:] = 0
    first, other = first + low, other + columns - 1 - diagonal + low
    for dim in range(0, dims, LANES):
        a0, b0 = queries[dim, first : first + count], candidates[dim, other : other + count]
        a1, b1 = queries[dim + 1, first : first + count], candidates[dim + 1, other : other + count]
        a2, b2 = queries[dim + 2, first : first + count], candidates[dim + 2, other : other + count]
        a3, b3 = queries[dim + 3, first : first + count], candidates[dim + 3, other : other + count]
        for i in range(count):
            d0, d1, d2, d3 = a0[i] - b0[i], a1[i] - b1[i], a2[i] - b2[i], a3[i] - b3[i]
            squared[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    new[low] = np.inf  # may hold the cost of a row that this antidiagonal no longer has
    here, left, above, corner = new[low + 1 : high + 1], last[low + 1 : high + 1], last[low:high], before[low:high]
    for i in range(count):
        least = left[i] if left[i] < above[i] else above[i]
        least = least if least < corner[i] else corner[i]
        here[i] = np.sqrt(squared[i]) + least
