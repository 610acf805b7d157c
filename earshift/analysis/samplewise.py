"""Sample-wise CCA: one direction per clip, from its own points (conventions: :mod:`earshift.analysis.cca`)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import directions
from earshift.analysis.data import Trajectories
from earshift.analysis.statistics import NEGLIGIBLE, Floats, spearman

SHORTEST = 4  # values that the halves of a clip need: two to fit, two to score


def clipwise_scores(
    t: Trajectories,
    clips: NDArray[np.intp],
    members: Mapping[str, NDArray[np.bool_]],
    *,
    permutations: int,
    seed: int,
) -> tuple[Floats, Floats, dict[str, Floats]]:
    """In-sample R2 and held-out correlation of every clip, and their means on shuffled strengths.

    Parameters
    ----------
    t : Trajectories
    clips : int [shape=(clips,)], positions in `t`
    members : dict of name to bool [shape=(clips,)], the sets of clips over which means are taken
    permutations : int, shuffles
    seed : int

    Returns
    -------
    published, heldout : float64 [shape=(clips,)], NaN where the clip has none
    nulls : dict of name to float64 [shape=(2, shuffles)], means of either over the members that have one
    """
    count, values = len(clips), len(t.values)
    truth = np.full((2, count), np.nan)
    sums = {name: np.zeros((2, permutations)) for name in members}
    known = {name: np.zeros((2, permutations), dtype=int) for name in members}
    whole, split = (np.random.default_rng((seed, stream)) for stream in (2, 3))
    for part in directions.blocks(count, values * max(t.dim, permutations)):
        found = np.stack(_block_of_clips(t.vectors[clips[part]], whole, split, permutations))
        truth[:, part] = found[..., 0]
        for name, member in members.items():
            own = found[:, member[part], 1:]
            sums[name] += np.nansum(own, axis=1)
            known[name] += np.isfinite(own).sum(axis=1)
    nulls = {name: np.where(known[name] > 0, sums[name] / np.maximum(known[name], 1), np.nan) for name in members}
    return truth[0], truth[1], nulls


def _block_of_clips(
    vectors: NDArray[np.floating], whole: np.random.Generator, split: np.random.Generator, permutations: int
) -> tuple[Floats, Floats]:
    """Published R2 and held-out correlation [shape=(clips, 1 + shuffles)] of some clips, the true strengths first."""
    count, values, _ = vectors.shape
    strengths = _clip_strengths(count, values, whole, permutations, [np.arange(values)])
    fitted = _project(vectors, vectors, strengths)
    published = zero_without_direction(spearman(fitted, strengths) ** 2)
    explained = np.linalg.norm(fitted[:, 0], axis=1)
    still = ~(explained > NEGLIGIBLE * np.linalg.norm(np.arange(values) - (values - 1) / 2))
    published[still] = np.nan
    if values < SHORTEST:
        return published, np.full_like(published, np.nan)
    halves = [np.arange(first, values, 2) for first in (0, 1)]
    strengths = _clip_strengths(count, values, split, permutations, halves)
    rho = np.zeros(published.shape)
    for fit, score in (halves, halves[::-1]):
        unseen = _project(vectors[:, fit], vectors[:, score], strengths[..., fit])
        # a half that does not move has no order: 0
        rho += np.nan_to_num(spearman(unseen, strengths[..., score])) / 2
    # Leaving out single values instead would not do: without any signal the fit to the others, whose mean then lies
    # on the other side of the one left out, predicts the wrong side, and noise would score below 0.
    return published, np.where(still[:, None], np.nan, rho)


def _clip_strengths(
    clips: int, values: int, rng: np.random.Generator, permutations: int, parts: Sequence[NDArray[np.intp]]
) -> NDArray[np.int16]:
    """Ranks [shape=(clips, 1 + permutations, values)]: the true ones, then shuffled within each of `parts`."""
    strengths = np.empty((clips, 1 + permutations, values), dtype=np.int16)
    strengths[:] = np.arange(values)
    for part in parts:
        strengths[:, 1:, part] = rng.permuted(strengths[:, 1:, part], axis=-1)
    return strengths


def _project(fitted: NDArray[np.floating], scored: NDArray[np.floating], strengths: NDArray[np.int16]) -> Floats:
    """Projections of scored points [shape=(clips, fits, points)] on directions that are fitted to other points."""
    predictions = directions.clip_predictions(fitted, scored)
    centred: Floats = strengths - strengths.mean(axis=-1, keepdims=True)
    return centred @ np.swapaxes(predictions, 1, 2)


def zero_without_direction(scores: Floats) -> Floats:
    """Scores [shape=(..., 1 + shuffles)], 0 for a shuffle without a direction, all NaN where the truth has none."""
    known = ~np.isnan(scores[..., :1])
    return np.where(known & np.isnan(scores), 0, np.where(known, scores, np.nan))
