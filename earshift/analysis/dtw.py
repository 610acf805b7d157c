"""Dynamic time warping between sequences of frames: exact, and as a search that leaves out what cannot matter.

Conventions
-----------
A sequence is float32 [shape=(frames, dims)]. The distance is the least sum of Euclidean distances between frames over
all paths from the first pair of frames to the last, in steps (1, 0), (0, 1) and (1, 1) that all weigh the same; it is
not divided by the length of the path. There is no window. It is symmetric, and NaN where a sequence has no frames.

Distances between frames are float32 and good to 7e-7 of their size, sums along paths float64, results float32: relative
errors stay below 1e-6 whatever the sequences, and equal sequences are at 0 exactly. Every number is one chain of
rounded operations in a fixed order, so that wider vector units and more workers give the same bits.

Cells are filled along antidiagonals: those of one depend only on the two before, so that many are filled at once.

- :func:`dtw`: of two sequences
- :func:`dtw_matrix`: of all pairs
- :func:`own_nearest`: whether each query's own candidate is nearer than all others
"""

import numpy as np

from earshift.analysis.compiled import compiled, keep_on_disk
from earshift.analysis.sequences import LANES, packed

_LOOK = 4  # antidiagonals from one look at the lower bound to the next: looking costs as much as filling half of one
_FIRST = 8  # dimensions whose distance alone is tried first; of MFCCs these differ most
_MARGIN = 1 + 1e-6  # sums in another order differ by less; what is nearer to a tie is computed in full


def dtw(query, candidate):
    """Distance of two sequences, float32 [shape=(frames, dims)] each; a float."""
    return float(dtw_matrix(packed([query]), packed([candidate]))[0, 0])


def dtw_matrix(queries, candidates):
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


def own_nearest(queries, candidates):
    """Whether query i is strictly nearer to candidate i than to every other candidate.

    The same answers as from :func:`dtw_matrix`, a tie being a no. Another candidate is filled from both ends at once,
    and given up as soon as the cheapest ways from the first cell and to the last one together cost more than the own
    distance: first in the first few dimensions, whose distances are lower bounds, then in all. The remaining candidates
    are given up once one is as near. Those whose mean frame is nearest come first: they are the likeliest to be.

    Parameters
    ----------
    queries, candidates : earshift.analysis.sequences.Packed of the same length, without empty sequences

    Returns
    -------
    bool [shape=(queries,)]

    Raises
    ------
    ValueError
        Where there are more of the one than of the other, or a sequence is empty.
    """
    if len(queries) != len(candidates):
        raise ValueError(f"{len(queries)} queries have no own ones among {len(candidates)} candidates")
    if not (np.diff(queries.starts).all() and np.diff(candidates.starts).all()):
        raise ValueError("an empty sequence is at no distance to anything; leave it out")
    keep_on_disk()
    order = np.argsort(_between(_means(queries), _means(candidates)), axis=1, kind="stable")
    return _own_nearest(queries.frames, queries.starts, *_backwards(candidates), order)


def _means(sequences):
    return np.add.reduceat(sequences.frames, sequences.starts[:-1], axis=1).T / np.diff(sequences.starts)[:, None]


def _between(queries, candidates):
    """Squared distances of mean frames [shape=(queries, candidates)]; rounding matters little for an order."""
    squares = [np.square(means).sum(axis=1) for means in (queries, candidates)]
    return squares[0][:, None] + squares[1] - 2 * queries @ candidates.T


def _backwards(sequences):
    """Frames and starts of all sequences with time reversed: cells of an antidiagonal then lie side by side in both."""
    frames, starts = sequences.frames[:, ::-1], sequences.starts
    return np.ascontiguousarray(frames), starts[-1] - starts


@compiled
def _matrix(queries, starts, candidates, ends):
    found = np.empty((len(starts) - 1, len(ends) - 1), dtype=np.float32)
    for row in range(len(starts) - 1):
        for column in range(len(ends) - 1):
            sides = (queries, starts[row], candidates, ends[column + 1])
            found[row, column] = _distance(sides, starts[row + 1] - starts[row], ends[column] - ends[column + 1])
    return found


@compiled
def _own_nearest(queries, starts, candidates, ends, order):
    found = np.ones(len(starts) - 1, dtype=np.bool_)
    # with time reversed in both, the last cell is the first
    turned, upright = np.ascontiguousarray(queries[:, ::-1]), np.ascontiguousarray(candidates[:, ::-1])
    for row in range(len(starts) - 1):
        rows = starts[row + 1] - starts[row]
        own = _distance((queries, starts[row], candidates, ends[row + 1]), rows, ends[row] - ends[row + 1])
        for column in order[row]:
            if column == row:
                continue
            columns = ends[column] - ends[column + 1]
            sides = (queries, starts[row], candidates, ends[column + 1])
            others = (turned, queries.shape[1] - starts[row + 1], upright, candidates.shape[1] - ends[column])
            limit = own * _MARGIN
            if _from_both_ends(sides, others, rows, columns, min(_FIRST, len(queries)), limit) > limit:
                continue
            distance = _from_both_ends(sides, others, rows, columns, len(queries), limit)
            if distance > limit:
                continue
            if distance * _MARGIN < own or _distance(sides, rows, columns) <= own:
                found[row] = False
                break
    return found


@compiled
def _distance(sides, rows, columns):
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


@compiled
def _from_both_ends(sides, others, rows, columns, dims, limit):
    """Distance in the first dimensions as float64, or infinity once it is known to be above `limit`.

    others : as `sides` of :func:`_distance`, with time reversed in both sequences
    """
    before, last, new, squares = _empty(rows)  # from the first cell
    after, coming, newer, _ = _empty(rows)  # to the last cell, row r at rows - r
    diagonals = rows + columns - 1
    for diagonal in range(diagonals // 2):
        _fill(sides, rows, columns, dims, diagonal, before, last, new, squares)
        before, last, new = last, new, before
        _fill(others, rows, columns, dims, diagonal, after, coming, newer, squares)
        after, coming, newer = coming, newer, after
        if diagonal % _LOOK == 0:
            # a path passes at least one of two neighbouring antidiagonals
            low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
            if _smallest(before, last, low, high) + _smallest(after, coming, low, high) > limit:
                return np.inf
    middle = (diagonals - 1) // 2  # the last one filled from the first cell
    if diagonals % 2:
        _fill(sides, rows, columns, dims, middle, before, last, new, squares)
        before, last, new = last, new, before
    if diagonals == 1:
        return last[1]
    least = np.inf
    for row in range(max(0, middle - columns), min(rows, middle + 1)):
        straight, corner = min(coming[rows - row], coming[rows - row - 1]), after[rows - row - 1]
        least = min(least, last[row + 1] + min(straight, corner), before[row + 1] + coming[rows - row - 1])
    return least


@compiled
def _empty(rows):
    """Costs of the cheapest paths to the cells of three antidiagonals, row r at r + 1, and room for distances."""
    before = np.full(rows + 1, np.inf)
    before[0] = 0.0  # what the first cell follows
    return before, np.full(rows + 1, np.inf), np.full(rows + 1, np.inf), np.empty(rows, dtype=np.float32)


@compiled
def _fill(sides, rows, columns, dims, diagonal, before, last, new, squares):
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


@compiled
def _smallest(before, last, low, high):
    """The smallest cost in two antidiagonals, of which the latter has the rows from `low` to below `high`."""
    least = np.inf
    for place in range(low, high + 1):
        least = before[place] if before[place] < least else least
        least = last[place] if last[place] < least else least
    return least
