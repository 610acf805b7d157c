"""Ranks, correlations, nulls and intervals that the analyses share.

Conventions
-----------
Correlations are Spearman's, over the last axis. Strengths are ranks along the grid, and every clip has each value once,
so strengths are their own ranks up to an affine map and only projections have to be ranked.
Intervals resample or delete whole groups (recordings), never single clips: clips of one recording are alike.

- :func:`average_ranks`, :func:`spearman`, :func:`signed_square`
- :func:`shuffle_strengths`: strengths for a null
- :func:`group_bootstrap`, :func:`resampled_spearman`, :func:`bootstrap_interval`, :func:`bootstrap_p`, :func:`holm`
- :func:`present_mean`
- :func:`effective_rank`, :func:`rank_at_energy`, :func:`jackknife_blocks`, :func:`jackknife_interval`
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESOLUTION = 2.0**-23  # numbers closer than this share of the largest are ties: float32 resolves no more
NEGLIGIBLE = 1e6 * float(np.finfo(np.float64).eps)  # share below which sklearn's CCA takes a singular value for zero

_ELEMENTS = 2**21  # numbers per block of work
_DRAWS = 256  # resamples per block at most, so that memory does not grow with their number

Floats = NDArray[np.float64]
N = TypeVar("N", bound=np.number)


def average_ranks(values: ArrayLike) -> Floats:
    """Ranks from 1 along the last axis; ties share their mean rank.

    Numbers that differ by less than float32 resolves, on the scale of the largest magnitude along the axis, are ties.
    Rounding in float64 would otherwise put an order on vectors that are equal in the file.

    Parameters
    ----------
    values : float [shape=(..., n)], finite

    Returns
    -------
    float64 [shape=(..., n)]
    """
    order, first, last = _tied_order(np.asarray(values, dtype=np.float64))
    ranks = np.empty(order.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks


def _tied_order(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Sorting order along the last axis and, in that order, where each element's group of ties begins and ends."""
    scale = np.abs(values).max(axis=-1, keepdims=True)
    grains = np.rint(values / np.where(scale > 0, scale, 1) / RESOLUTION)
    order = np.argsort(grains, axis=-1, kind="stable")
    grains = np.take_along_axis(grains, order, axis=-1)
    place = np.broadcast_to(np.arange(values.shape[-1]), values.shape)
    opens = np.ones(values.shape, dtype=bool)
    opens[..., 1:] = grains[..., 1:] != grains[..., :-1]
    if opens.all():
        return order, place, place
    closes = np.ones(values.shape, dtype=bool)
    closes[..., :-1] = opens[..., 1:]
    first = np.maximum.accumulate(np.where(opens, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(closes, place, values.shape[-1])[..., ::-1], axis=-1)[..., ::-1]
    return order, first, last


def spearman(projections: ArrayLike, strengths: ArrayLike) -> Floats:
    """Spearman's correlation between projections and strengths along the last axis.

    Parameters
    ----------
    projections : float [shape=(..., n)], in units of strength, as a least-squares fit to strengths gives them
    strengths : float [shape=(..., n)], each row an affine map of its own ranks

    Returns
    -------
    float64 [shape=(...)]
        0 where all projections tie or are rounding noise, NaN where one is NaN.
    """
    shape = np.broadcast_shapes(np.shape(projections), np.shape(strengths))
    found, truth = (np.broadcast_to(array, shape).reshape(-1, shape[-1]) for array in (projections, strengths))
    rho = np.empty(len(found))
    step = max(1, _ELEMENTS // shape[-1])
    for start in range(0, len(rho), step):
        rows = slice(start, start + step)
        rho[rows] = _spearman(found[rows], truth[rows])
    return rho.reshape(shape[:-1])


def _spearman(projections: Floats, strengths: Floats) -> Floats:
    strengths = strengths - strengths.mean(axis=1, keepdims=True)
    missing = np.asarray(np.isnan(projections).any(axis=1))
    ranks = average_ranks(_zero_noise(np.where(missing[:, None], 0, projections), strengths))
    ranks -= (projections.shape[1] + 1) / 2
    rho = _ratio((ranks * strengths).sum(axis=1), (ranks**2).sum(axis=1) * (strengths**2).sum(axis=1))
    rho[missing] = np.nan
    return rho


def _zero_noise(projections: Floats, strengths: Floats) -> Floats:
    """Projections, with rows that are zero but for rounding set to zero."""
    silent = np.abs(projections).max(axis=-1) <= NEGLIGIBLE * np.abs(strengths).max(axis=-1)
    return np.where(silent[..., None], 0, projections)


def _ratio(covariance: Floats, product: Floats) -> Floats:
    """Correlation from a covariance and the product of two variances; 0 where one does not vary."""
    return np.clip(covariance / np.sqrt(np.where(product > 0, product, 1)), -1, 1)


def signed_square(rho: Floats) -> Floats:
    """Squared correlation with the correlation's sign: sign(rho) rho^2.

    A held-out correlation may be negative. Its plain square would be positive on pure noise; with the sign, noise
    averages to 0.
    """
    return np.sign(rho) * np.square(rho)


def shuffle_strengths(rng: np.random.Generator, copies: int, clips: int, values: int) -> NDArray[np.int16]:
    """Strengths as ranks 0 .. values - 1, shuffled within each clip.

    Returns
    -------
    int16 [shape=(copies, clips, values)]
    """
    ranks = np.empty((copies, clips, values), dtype=np.int16)
    ranks[:] = np.arange(values)
    return rng.permuted(ranks, axis=-1, out=ranks)


# ----------------------------------------------------------------------------------------------------------- bootstrap


def group_bootstrap(
    rng: np.random.Generator,
    groups: NDArray[np.generic],
    resamples: int,
    statistic: Callable[[NDArray[np.int64]], NDArray[N]],
) -> NDArray[N] | None:
    """A statistic on resamples of whole groups, drawn with replacement.

    Parameters
    ----------
    rng : numpy Generator
    groups : str [shape=(clips,)]
    resamples : int
    statistic : callable
        int [shape=(draws, clips)], how often each clip occurs -> float [shape=(draws, ...)]

    Returns
    -------
    float [shape=(resamples, ...)], or None where there are fewer than two groups and nothing can be resampled
    """
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    even = np.full(len(names), 1 / len(names))
    step = min(_DRAWS, max(1, _ELEMENTS // len(groups)))
    blocks = (min(step, resamples - start) for start in range(0, resamples, step))
    return np.concatenate([statistic(rng.multinomial(len(names), even, size=draws)[:, member]) for draws in blocks])


def resampled_spearman(projections: Floats, strengths: NDArray[np.number]) -> Callable[[NDArray[np.int64]], Floats]:
    """A function from how often each clip occurs to Spearman's correlation over all its clips' points.

    Exact for the resample with its repetitions: a point that occurs w times takes w ranks and shares their mean.

    Parameters
    ----------
    projections : float [shape=(clips, values)], in units of strength
    strengths : float [shape=(values,)]

    Returns
    -------
    callable
        int [shape=(draws, clips)] -> float64 [shape=(draws,)], NaN for a draw without any of the clips
    """
    values = projections.shape[1]
    centred = strengths - strengths.mean(dtype=np.float64)  # the mean of every resample, too
    order, first, last = _tied_order(_zero_noise(projections.reshape(1, -1), centred[None])[0])
    sorted_strengths, owner = centred[order % values], order // values

    def correlation(counts: NDArray[np.int64]) -> Floats:
        rho = np.empty(len(counts))
        step = max(1, _ELEMENTS // len(order))
        for start in range(0, len(counts), step):
            weights = counts[start : start + step, owner].astype(np.float64)
            below = np.zeros((len(weights), len(order) + 1))
            np.cumsum(weights, axis=1, out=below[:, 1:])
            total = below[:, -1]
            ranks = (below[:, first] + below[:, last + 1] - total[:, None]) / 2
            weighted = weights * ranks
            rho[start : start + step] = _ratio(
                weighted @ sorted_strengths, (weighted * ranks).sum(axis=1) * total * np.mean(centred**2)
            )
            rho[start : start + step][total == 0] = np.nan
        return rho

    return correlation


def bootstrap_interval(
    estimate: float, draws: Floats | None, confidence: float, *, bounds: tuple[float, float]
) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of bootstrap draws, shifted so that their mean is the estimate.

    A resample repeats groups, and clips agree with their own copies. A correlation over clips is therefore higher on
    resamples than on the data, with few groups so much that the estimate lies outside the plain percentiles. So only
    the spread of the draws is used.

    Parameters
    ----------
    estimate : float
    draws : float [shape=(resamples,)] or None; NaN draws are left out
    confidence : float
    bounds : (float, float), of anything that is estimated

    Returns
    -------
    (float, float), or (None, None) without draws
    """
    draws = None if draws is None else draws[np.isfinite(draws)]
    if draws is None or len(draws) == 0:
        return None, None
    ends = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2]) - draws.mean() + estimate
    low, high = np.clip(ends, *bounds).tolist()
    return low, high


def with_interval(
    name: str, estimate: float, draws: Floats | None, confidence: float, bounds: tuple[float, float]
) -> dict[str, float | None]:
    """An estimate under its name, and the ends of its :func:`bootstrap_interval` under that with _low and _high."""
    estimate = float(estimate)
    draws = draws if np.isfinite(estimate) else None
    low, high = bootstrap_interval(estimate, draws, confidence, bounds=bounds)
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def bootstrap_p(estimate: float, draws: Floats | None) -> float | None:
    """Two-sided p of the null hypothesis that the estimated number is 0, from bootstrap draws.

    p is the share of the draws, less their mean, that lie as far from 0 as the estimate, which itself counts as one of
    them (A. Davison and D. Hinkley, Bootstrap Methods, 1997, 4.4).

    Parameters
    ----------
    estimate : float
    draws : float [shape=(resamples,)] or None; NaN draws are left out

    Returns
    -------
    float, or None without draws
    """
    draws = None if draws is None else draws[np.isfinite(draws)]
    if draws is None or len(draws) == 0 or not np.isfinite(estimate):
        return None
    return float((1 + (np.abs(draws - draws.mean()) >= abs(estimate)).sum()) / (1 + len(draws)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction for several tests (S. Holm, 1979).

    Parameters
    ----------
    p_values : sequence of float or None, which are no tests

    Returns
    -------
    list of float or None
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for place, (p, i) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - place) * p))
        corrected[i] = largest
    return corrected


def present_mean(rows: ArrayLike) -> Floats:
    """Mean over rows of the numbers that are not NaN, column by column."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(np.asarray(rows, dtype=np.float64), axis=0))


# ------------------------------------------------------------------------------------------------------------- spectra


def effective_rank(energies: Floats) -> float:
    """How many equally strong directions would spread the energy as evenly: exp of the entropy of its shares.

    The shares are those of the energy, s^2 / sum s^2, as of the eigenvalues of a covariance: k orthogonal directions
    used alike give k, and a little more energy changes the rank by little. Roy and Vetterli (EUSIPCO 2007) take the
    shares of s itself, which lifts a long tail of small singular values: noise of 1 % of the energy, spread over a
    hundred directions, would count for several whole directions.

    Parameters
    ----------
    energies : float [shape=(n,)], squared singular values

    Returns
    -------
    float, at least 1; NaN where there is no energy
    """
    total = energies.sum()
    if not total > 0:
        return float("nan")
    shares = energies[energies > 0] / total
    return float(max(1.0, np.exp(-(shares * np.log(shares)).sum())))


def rank_at_energy(energies: Floats, share: float) -> int | None:
    """The least number of directions that hold at least `share` of the energy; None where there is none."""
    total = energies.sum()
    if not total > 0:
        return None
    held = np.cumsum(energies) / total
    return min(int(np.searchsorted(held, share * (1 - 1e-12))), len(energies) - 1) + 1


def jackknife_blocks(groups: NDArray[np.generic], limit: int) -> tuple[NDArray[np.intp], int]:
    """Which block of groups each clip belongs to: one group a block, or several where there are more than `limit`.

    Returns
    -------
    int [shape=(clips,)], int
        Blocks by clip, and their number. Groups are dealt out in turn, so that a block mixes instruments.
    """
    names, member = np.unique(groups, return_inverse=True)
    count = min(len(names), limit)
    return member % count, count


def jackknife_interval(
    estimate: float, deleted: ArrayLike, confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """Student's t interval around an estimate from its values with one block left out (Tukey's jackknife).

    Parameters
    ----------
    estimate : float
    deleted : float [shape=(blocks,)], the estimate without each block
    confidence : float

    Returns
    -------
    (float, float), or (None, None) with fewer than two blocks
    """
    from scipy.special import stdtrit

    deleted = np.asarray(deleted, dtype=np.float64)
    blocks = len(deleted)
    if blocks < 2 or not np.isfinite(deleted).all():
        return None, None
    error = np.sqrt((blocks - 1) / blocks * ((deleted - deleted.mean()) ** 2).sum())
    reach = float(stdtrit(blocks - 1, (1 + confidence) / 2) * error)
    return estimate - reach, estimate + reach
