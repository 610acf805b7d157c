"""One direction over many clips: its scores and their resamples (conventions: :mod:`earshift.analysis.cca`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import directions
from earshift.analysis.data import Trajectories
from earshift.analysis.directions import StrengthsOfClips
from earshift.analysis.statistics import Floats, group_bootstrap, resampled_spearman, spearman
from earshift.protocols import StrPath
from earshift.storage.scratch import ScratchMatrix

_ELEMENTS = 2**21  # numbers of all points held at a time, so that it does not grow with the clips


@dataclass(frozen=True)
class Fit:
    """One direction over many clips.

    train, test : int, positions of its clips
    mean, weights : float64 [shape=(dim,)], see :mod:`earshift.analysis.directions`
    seen : float64 [shape=(clips, values)], projections of the training clips on these weights
    unseen : float64 [shape=(clips, values)], projections of the test clips on the ridged ones
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    mean: Floats
    weights: Floats
    seen: Floats
    unseen: Floats


def score_stacked(
    t: Trajectories,
    clips: NDArray[np.intp],
    mean: Floats,
    weights: Floats,
    strengths: StrengthsOfClips,
    scratch: StrPath | None,
) -> tuple[Floats, Floats]:
    """Spearman's correlations [shape=(fits,)] of strengths and projections over the points of `clips`, NaN without any.

    And the projections of the first fit [shape=(clips, values)].
    """
    fits, count, values = strengths.shape
    if count == 0:
        return np.full(fits, np.nan), np.empty((0, values))
    rho, points = np.empty(fits), count * values
    with ScratchMatrix(fits, points, np.float64, scratch) as projected:
        for part in directions.blocks(count, values * max(t.dim, fits)):
            block = directions.projections(t.vectors, clips[part], mean, weights)
            projected.write(0, part.start * values, block.reshape(fits, -1))
        step = max(1, _ELEMENTS // points)
        for start in range(0, fits, step):
            rows = slice(start, min(start + step, fits))
            truth = strengths[rows, :].reshape(-1, points)
            rho[rows] = spearman(projected.read(rows, slice(0, points)), truth)
        return rho, projected.read(slice(0, 1), slice(0, points)).reshape(count, values).copy()


def draw_correlations(
    rng: np.random.Generator,
    t: Trajectories,
    clips: NDArray[np.intp],
    scored: Sequence[tuple[NDArray[np.intp], Floats]],
    resamples: int,
) -> Floats | None:
    """Correlations on resampled groups of `clips`, one column for each of (positions, projections) in `scored`."""
    ranks = np.arange(len(t.values))
    columns = []
    for positions, projections in scored:
        known = len(positions) and np.isfinite(projections).all()
        columns.append((np.searchsorted(clips, positions), resampled_spearman(projections, ranks) if known else None))

    def correlations(counts: NDArray[np.int64]) -> Floats:
        return np.stack(
            [np.full(len(counts), np.nan) if rho is None else rho(counts[:, places]) for places, rho in columns], axis=1
        )

    return group_bootstrap(rng, t.group[clips], resamples, correlations)
