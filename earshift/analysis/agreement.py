"""Whether near neighbours stay near: the consistency of distances of Kim et al. (2019), equations 9 to 12.

Conventions
-----------
Pure functions on matrices of distances [shape=(clips, clips)]: ``distances[i, j]`` is from clip i, transformed, to clip
j as it is, in the audio or in an embedding. The diagonal holds the *own* distances. No distance is NaN: clips without
one are left out before, in both spaces (:func:`usable_clips`).

- :func:`euclidean`, :func:`cosine`: distances of vectors
- :func:`errors`: equation 9; 1 less their mean is within-space consistency, equation 10
- :func:`agreements`: the terms of between-space agreement, equation 12
- :func:`spearman`: between-space correlation, equation 11, and its derivative by the weight of every entry
- :func:`sum_pairs`, :func:`sum_clips`: the derivative by the weight of every recording
- :func:`resampled_mean`, :func:`resampled_correlation`: the same when recordings are drawn again

Resamples draw whole recordings with replacement; a draw says how often each occurs. Errors and agreements belong to
transformed clips, and their mean is taken over the clips that are drawn. The originals among which a clip looks for its
own stay those of the corpus: in a resample a clip would have its own original twice, which is a tie and so an error.

A correlation of matrices belongs to pairs of recordings: rows and columns are resampled together, and a pair occurs as
often as the product of its recordings' counts. Resampling only rows would treat the originals as fixed, and intervals
would be half as wide. Two copies of one recording are never paired with each other: pairs within a recording, the own
distances among them, occur as often as the recording. Ranks depend on the draw, too. Ranking N x N numbers again for
every draw would take hours on a large corpus, so draws are those of the correlation's linearisation in the counts, with
the exact derivatives of weighted mean ranks (the first term of a von Mises expansion). That costs one sort of each
matrix, whatever the number of draws. Compared with draws that are ranked again, their spread is 5 % less at 40
recordings, 10 % at 15 and 20 % at 6.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshift.analysis.statistics import RESOLUTION, Floats

Distances = NDArray[np.floating]

_ROUNDING = 16 * RESOLUTION  # of the longer vector: a shorter distance between float32 vectors is noise of the encoder


def euclidean(vectors: ArrayLike, others: ArrayLike) -> Floats:
    """Euclidean distances, 0 where they are no longer than rounding in float32.

    Parameters
    ----------
    vectors : float [shape=(n, dim)]
    others : float [shape=(m, dim)]

    Returns
    -------
    float64 [shape=(n, m)]
    """
    from scipy.spatial.distance import cdist

    first, second = np.asarray(vectors, dtype=np.float64), np.asarray(others, dtype=np.float64)
    distances: Floats = cdist(first, second)
    longer = np.maximum(np.linalg.norm(first, axis=1)[:, None], np.linalg.norm(second, axis=1))
    return np.where(distances > _ROUNDING * longer, distances, 0.0)


def cosine(vectors: ArrayLike, others: ArrayLike) -> Floats:
    """Cosine distances, 1 less the cosine, as half the squared distance of unit vectors: exact where it is small.

    Returns
    -------
    float64 [shape=(n, m)]
        0 where unit vectors differ by rounding, NaN in rows and columns of vectors without a direction.
    """

    first, second = _unit(vectors), _unit(others)
    without = [np.asarray(~np.isfinite(rows).all(axis=1)) for rows in (first, second)]
    return np.where(without[0][:, None] | without[1], np.nan, euclidean(first, second) ** 2 / 2)


def _unit(vectors: ArrayLike) -> Floats:
    """Vectors at length 1, NaN where the length is 0."""
    rows = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, np.nan)


LATENT: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {"euclidean": euclidean, "cosine": cosine}


def usable_clips(*matrices: Distances) -> NDArray[np.bool_]:
    """Clips that have distances in all matrices.

    Returns
    -------
    bool [shape=(clips,)]
        Clips whose own distance is a number, and whose distances to all other such clips are.
    """
    kept = np.asarray(np.all([np.isfinite(np.diagonal(distances)) for distances in matrices], axis=0))
    for distances in matrices:
        kept &= np.isfinite(distances[:, kept]).all(axis=1)
    return kept


def errors(distances: Distances) -> NDArray[np.bool_]:
    """Whether a transformed clip is not strictly nearer to its own original than to every other (equation 9).

    Parameters
    ----------
    distances : float [shape=(clips, clips)]

    Returns
    -------
    bool [shape=(clips,)]
        Ties are errors. The only clip of a corpus is no error.
    """
    own = np.diagonal(distances)
    others = np.where(np.eye(len(distances), dtype=bool), np.inf, distances)
    return np.asarray(~(own < others.min(axis=1, initial=np.inf)))


def agreements(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether two spaces agree about a clip, both right or both wrong (the terms of equation 12).

    Parameters
    ----------
    first, second : bool [shape=(clips,)], as :func:`errors` returns

    Returns
    -------
    bool [shape=(clips,)]
    """
    return np.asarray(first == second)


def spearman(first: Distances, second: Distances) -> tuple[float, Floats]:
    """Spearman's correlation over all entries, ties sharing their mean rank, and its derivative by their weights.

    Parameters
    ----------
    first, second : float, of one shape

    Returns
    -------
    float
        NaN where one of them does not vary.
    float64, of that shape
        The derivative of the correlation by the weight of an entry, the change of ranks included.
    """
    shape = np.shape(first)
    places = [_places(np.ravel(numbers)) for numbers in (first, second)]
    ranks = [_centred_ranks(*of) for of in places]
    energy = [rank @ rank for rank in ranks]
    if not min(energy, default=0) > 0:
        return float("nan"), np.zeros(shape)
    scale = np.sqrt(energy[0] * energy[1])
    rho = ranks[0] @ ranks[1] / scale
    # of a sum of products of ranks: the entry's own product, and the ranks of those above it, which it raises by one
    raised = [[_above(*place, rank) for rank in ranks] for place in places]
    slope = (ranks[0] * ranks[1] + raised[0][1] + raised[1][0]) / scale
    for rank, above, of in zip(ranks, (raised[0][0], raised[1][1]), energy, strict=True):
        slope -= rho / 2 * (rank**2 + 2 * above) / of
    return float(np.clip(rho, -1, 1)), slope.reshape(shape)


def _places(numbers: Distances) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which group of ties an entry belongs to, counted from the smallest, and how many there are in each."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return place.reshape(-1), counts


def _centred_ranks(place: NDArray[np.intp], counts: NDArray[np.intp]) -> Floats:
    """Mean ranks less their mean, from :func:`_places`."""
    ranks: Floats = np.cumsum(counts) - counts / 2 - counts.sum() / 2
    return ranks[place]


def _above(place: NDArray[np.intp], counts: NDArray[np.intp], ranks: Floats) -> Floats:
    """For every entry the sum of `ranks` over the entries above it, ties counting half."""
    sums = np.bincount(place, weights=ranks, minlength=len(counts))
    above: Floats = sums.sum() - np.cumsum(sums) + sums / 2
    return above[place]


def sum_pairs(slopes: Floats, member: NDArray[np.intp], count: int) -> Floats:
    """Derivatives by how often each recording occurs, where entries are pairs of clips.

    Parameters
    ----------
    slopes : float [shape=(clips, clips)], as :func:`spearman` returns them; 0 where a pair takes no part
    member : int [shape=(clips,)], the recording of each clip
    count : int, number of recordings

    Returns
    -------
    float64 [shape=(count,)]
    """
    within = np.where(member[:, None] == member, slopes, 0.0).sum(axis=1)  # a pair of one recording counts once
    return sum_clips(slopes.sum(axis=1) + slopes.sum(axis=0) - within, member, count)


def sum_clips(slopes: Floats, member: NDArray[np.intp], count: int) -> Floats:
    """The same where entries are clips [shape=(clips,)]."""
    return np.bincount(member, weights=slopes, minlength=count).astype(np.float64)


def resampled_mean(terms: ArrayLike, member: NDArray[np.intp], draws: NDArray[np.integer]) -> Floats:
    """Means of one number per clip over the clips that are drawn.

    Parameters
    ----------
    terms : bool or float [shape=(clips,)]
    member : int [shape=(clips,)]
    draws : int [shape=(draws, recordings)]

    Returns
    -------
    float64 [shape=(draws,)], NaN for a draw without any of the clips
    """
    count = draws.shape[1]
    total = draws @ np.bincount(member, minlength=count)
    sums = draws @ sum_clips(np.asarray(terms, dtype=np.float64), member, count)
    return np.asarray(sums / np.where(total > 0, total, np.nan))


def resampled_correlation(rho: float, slopes: Floats, draws: NDArray[np.integer]) -> Floats:
    """Correlations of the draws, to first order, and so outside of -1 to 1 where the correlation is near either.

    Parameters
    ----------
    rho : float
    slopes : float [shape=(recordings,)]
    draws : int [shape=(draws, recordings)]

    Returns
    -------
    float64 [shape=(draws,)]
    """
    return np.asarray(rho + (draws - 1) @ slopes)
