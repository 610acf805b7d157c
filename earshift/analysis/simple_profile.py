"""SiMPle: how far a sequence's passages are, at the median, from the most similar passages of another.

Conventions
-----------
A sequence is float32 [shape=(frames, dims)], a passage ``subsequence`` frames of it. The distance of two passages is
the sum of squared Euclidean distances between their frames, one after another: nothing is normalised, no key is
shifted. A query's profile holds for each of its passages the distance to the nearest passage of the candidate, and
SiMPle is the median of the profile (Silva et al., ISMIR 2016, as used by Kim et al., 2019). It is not symmetric. It is
NaN where either has fewer frames than a passage.

Squared distances between frames are float32 and good to 7e-7 of their size, sums float64, results float32: relative
errors stay below 1e-6 whatever the sequences, and a sequence is at 0 from itself exactly. A sum over a passage is that
of its frames before a multiple of ``subsequence`` and of those after, both of which grow frame by frame. So a pair
costs as much as the distances of its frames, nothing is subtracted (which would leave rounding behind), and memory
holds only two passages of the candidate.
"""

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.compiled import jit, keep_on_disk
from earshift.analysis.sequences import LANES, Packed, pack

Frames = NDArray[np.float32]
Starts = NDArray[np.int64]


def simple(query: Frames, candidate: Frames, subsequence: int) -> float:
    """SiMPle of two sequences, float32 [shape=(frames, dims)] each, by passages of `subsequence` frames."""
    return float(simple_matrix(pack([query]), pack([candidate]), subsequence)[0, 0])


def simple_matrix(queries: Packed, candidates: Packed, subsequence: int) -> NDArray[np.float32]:
    """SiMPle of every query to every candidate.

    Parameters
    ----------
    queries, candidates : earshift.analysis.sequences.Packed
    subsequence : int, frames

    Returns
    -------
    float32 [shape=(queries, candidates)]
    """
    keep_on_disk()
    return _matrix(queries.frames, queries.starts, candidates.frames, candidates.starts, subsequence)


@jit
def _matrix(
    queries: Frames, starts: Starts, candidates: Frames, others: Starts, subsequence: int
) -> NDArray[np.float32]:
    found = np.empty((len(starts) - 1, len(others) - 1), dtype=np.float32)
    for row in range(len(starts) - 1):
        for column in range(len(others) - 1):
            profile = _profile(queries, starts[row], starts[row + 1], candidates, others[column], others[column + 1],
                               subsequence)  # fmt: skip
            found[row, column] = np.median(profile) if len(profile) else np.nan
    return found


@jit
def _profile(
    queries: Frames, first: int, end: int, candidates: Frames, other: int, other_end: int, subsequence: int
) -> NDArray[np.float64]:
    """Distance of each passage of a query to the nearest of a candidate; empty where there are none to compare."""
    count, columns, last = end - first, other_end - other, subsequence - 1
    if count < subsequence or columns < subsequence:
        return np.empty(0)
    profile = np.full(count - last, np.inf)
    # Candidate frames come in blocks as long as a passage. Sums run along equal lags, down to the query's frame i:
    squares = np.zeros((subsequence, count), dtype=np.float32)  # of one frame of the block each
    heads = np.zeros(count + columns)  # from the start of the block up to its current frame, by lag
    tails = np.zeros((subsequence, count))  # from each frame of the block before to its end
    for frame in range(columns):
        place = frame % subsequence
        if place == 0:
            heads[:] = 0
        squared = squares[place]
        squared[:] = 0
        for dim in range(0, queries.shape[0], LANES):
            a0, b0 = queries[dim, first:end], candidates[dim, other + frame]
            a1, b1 = queries[dim + 1, first:end], candidates[dim + 1, other + frame]
            a2, b2 = queries[dim + 2, first:end], candidates[dim + 2, other + frame]
            a3, b3 = queries[dim + 3, first:end], candidates[dim + 3, other + frame]
            for i in range(count):
                d0, d1, d2, d3 = a0[i] - b0, a1[i] - b1, a2[i] - b2, a3[i] - b3
                squared[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        head = heads[columns - 1 - frame : columns - 1 - frame + count]
        for i in range(count):
            head[i] += squared[i]
        ended = head[last:]
        if place == last:
            for i in range(count - last):
                profile[i] = ended[i] if ended[i] < profile[i] else profile[i]
            tails[last] = squared
            for earlier in range(last - 1, -1, -1):
                tail, later, begun = tails[earlier], tails[earlier + 1, 1:], squares[earlier]
                for i in range(count - 1):
                    tail[i] = begun[i] + later[i]
        elif frame > last:
            tail = tails[place + 1]
            for i in range(count - last):
                distance = tail[i] + ended[i]
                profile[i] = distance if distance < profile[i] else profile[i]
    return profile
