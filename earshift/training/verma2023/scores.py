"""How well streams do: top-5 accuracy on chunks, mean average precision on clips (Verma, 2023, section 4).

Conventions
-----------
Scores are float [shape=(rows, classes)], targets bool of the same shape, rows are chunks or clips. A clip has the mean
score of its chunks. Resamples draw recordings with replacement, a clip as often as its recording; *counts* say how
often each clip occurs in each draw.

Top-5 accuracy has no definition for several labels at once. *Any hit*: one of the five highest scores is a label that
holds. *Recall*: the share of labels that hold which are among the five (of five, where more than five hold).
"""

import numpy as np
from numpy.typing import NDArray

from earshift.corpora.split import TEST
from earshift.training.records import StreamScores
from earshift.training.verma2023.corpus import ChunkedCorpus
from earshift.training.verma2023.options import Diverse

_TOP = 5
_DRAWS = 64  # resamples that are computed together, so that memory does not grow with them


def clip_scores(scores: NDArray[np.floating], clip: NDArray[np.int64], clips: int) -> NDArray[np.float64]:
    """Mean scores of every clip's chunks.

    Parameters
    ----------
    scores : float [shape=(chunks, classes)]
    clip : int [shape=(chunks,)], the clip that each belongs to
    clips : int, each with one chunk at least

    Returns
    -------
    float64 [shape=(clips, classes)]
    """
    from scipy.sparse import csr_array

    share = 1 / np.bincount(clip, minlength=clips)[clip]
    means = csr_array((share, (clip, np.arange(len(clip)))), shape=(clips, len(clip)))
    of_clips: NDArray[np.float64] = means @ scores.astype(np.float64)
    return of_clips


# ------------------------------------------------------------------------------------------------------------- top five


def hits(
    scores: NDArray[np.floating], targets: NDArray[np.bool_], *, k: int = _TOP
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether the k highest scores of a row hold a label, and what share of its labels they hold.

    Of equal scores the class that comes first is taken first.

    Parameters
    ----------
    scores, targets : [shape=(chunks, classes)]
    k : int

    Returns
    -------
    any hit, recall : float64 [shape=(chunks,)], NaN where no label holds
    """
    k = min(k, scores.shape[1])
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(targets, highest, axis=1).sum(axis=1)
    labels = targets.sum(axis=1)
    possible = np.where(labels > 0, np.minimum(labels, k), np.nan)
    return np.where(labels > 0, found > 0, np.nan), found / possible


def mean_over_chunks(
    values: NDArray[np.float64], clip: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Means of chunks' values in resamples of clips.

    Parameters
    ----------
    values : float [shape=(chunks,)], NaN for chunks that do not count
    clip : int [shape=(chunks,)]
    counts : int [shape=(draws, clips)]

    Returns
    -------
    float64 [shape=(draws,)], NaN for a draw without any chunk that counts
    """
    clips, good = counts.shape[1], ~np.isnan(values)
    sums = np.bincount(clip[good], values[good], minlength=clips)
    numbers = np.bincount(clip[good], minlength=clips)
    total = counts @ numbers
    means = np.full(len(counts), np.nan)
    np.divide(counts @ sums, total, out=means, where=total > 0)
    return means


# --------------------------------------------------------------------------------------------------- average precision


def average_precisions(
    scores: NDArray[np.floating], targets: NDArray[np.bool_], counts: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Average precision of every class, as ``sklearn.metrics.average_precision_score`` has it, rows weighted by counts.

    Parameters
    ----------
    scores : float [shape=(clips, classes)]
    targets : bool [shape=(clips, classes)]
    counts : int [shape=(draws, clips)] or None, each clip once

    Returns
    -------
    float64 [shape=(draws, classes)], or [shape=(classes,)] without counts
        NaN for a class that no clip of the draw has.
    """
    given = np.ones((1, len(scores)), dtype=np.int32) if counts is None else counts.astype(np.int32)
    found = np.full((len(given), scores.shape[1]), np.nan)
    for label in np.flatnonzero(targets.any(axis=0)):
        order = np.argsort(-scores[:, label], kind="stable")
        ordered, holds = scores[order, label], np.flatnonzero(targets[order, label])
        # clips of equal score are retrieved together: precision is that at the last of them
        last = np.searchsorted(-ordered, -ordered[holds], side="right") - 1
        for start in range(0, len(given), _DRAWS):
            weights = given[start : start + _DRAWS, order]
            retrieved = np.cumsum(weights, axis=1, dtype=np.int32)[:, last]
            own = weights[:, holds]
            right = np.cumsum(own, axis=1)[:, np.searchsorted(holds, last, side="right") - 1]
            total = own.sum(axis=1)
            precision = np.divide(right, retrieved, out=np.zeros(right.shape), where=retrieved > 0)
            found[start : start + _DRAWS, label] = np.divide(
                (own * precision).sum(axis=1), total, out=np.full(len(own), np.nan), where=total > 0
            )
    return found[0] if counts is None else found


def mean_average_precision(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the classes that have one, of :func:`average_precisions`; NaN where none has."""
    there = np.isfinite(precisions)
    total = there.sum(axis=-1)
    sums = np.where(there, precisions, 0).sum(axis=-1)
    means = np.full(total.shape, np.nan)
    np.divide(sums, total, out=means, where=total > 0)
    return means


# ----------------------------------------------------------------------------------------------------------- resamples


def resample_counts(rng: np.random.Generator, groups: NDArray[np.str_], resamples: int) -> NDArray[np.int64] | None:
    """How often each clip occurs in resamples of recordings.

    Parameters
    ----------
    rng : numpy Generator
    groups : str [shape=(clips,)], the recording of each; each clip its own where clips are recordings
    resamples : int

    Returns
    -------
    int64 [shape=(resamples, clips)], or None where there are fewer than two recordings
    """
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)[:, member]


def interval(
    estimate: float, draws: NDArray[np.float64] | None, confidence: float
) -> tuple[float | None, float | None]:
    """Percentile interval of a share from its resamples, shifted so that their mean is the estimate.

    A clip that is drawn twice is its own neighbour in the ranking, so average precision is higher on resamples than on
    the data; only the spread of the draws is used.

    Parameters
    ----------
    estimate : float
    draws : float [shape=(resamples,)] or None; NaN draws are left out
    confidence : float

    Returns
    -------
    (float, float) in [0, 1], or (None, None) without draws
    """
    draws = None if draws is None else draws[np.isfinite(draws)]
    if draws is None or not len(draws) or not np.isfinite(estimate):
        return None, None
    ends = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2]) - draws.mean() + estimate
    low, high = np.clip(ends, 0, 1).tolist()
    return low, high


# ----------------------------------------------------------------------------------------------------------- all scores


def score_chunks(
    scores: NDArray[np.floating],
    clip: NDArray[np.int64],
    targets: NDArray[np.bool_],
    groups: NDArray[np.str_],
    options: Diverse,
) -> StreamScores:
    """Mean average precision of clips and top-5 accuracy of chunks, with intervals over recordings.

    Parameters
    ----------
    scores : float [shape=(chunks, tags)]
    clip : int [shape=(chunks,)], the clip of each
    targets : bool [shape=(clips, tags)]
    groups : str [shape=(clips,)]
    options : its seed, bootstrap and confidence
    """
    of_clips = clip_scores(scores, clip, len(targets))
    counts = resample_counts(np.random.default_rng(options.seed), groups, options.bootstrap)
    mean = float(mean_average_precision(average_precisions(of_clips, targets)))
    any_hit, recall = hits(scores, targets[clip])
    top = float(np.nanmean(any_hit))
    of_map = of_top = None
    if counts is not None:
        of_map = mean_average_precision(average_precisions(of_clips, targets, counts))
        of_top = mean_over_chunks(any_hit, clip, counts)
    map_low, map_high = interval(mean, of_map, options.confidence)
    top_low, top_high = interval(top, of_top, options.confidence)
    return {
        "map": mean, "map_low": map_low, "map_high": map_high, "top5": top, "top5_low": top_low,
        "top5_high": top_high, "top5_recall": float(np.nanmean(recall)),
    }  # fmt: skip


def score_part(scores: NDArray[np.floating], corpus: ChunkedCorpus, part: str, options: Diverse) -> StreamScores:
    """:func:`score_chunks` of a part of the training corpus."""
    clips, clip = corpus.clips(part)
    return score_chunks(scores, clip, corpus.targets[clips], corpus.data.groups(clips), options)


def chance(corpus: ChunkedCorpus) -> float:
    """Mean average precision of a constant: the mean share of test clips that a tag of theirs holds for."""
    share = corpus.targets[corpus.data.places(TEST)].mean(axis=0)
    return float(share[share > 0].mean()) if (share > 0).any() else float("nan")
