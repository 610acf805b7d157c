"""How well scores rank the clips of a class above the others, for many sets of scores at once.

Conventions
-----------
Scores have the shape (sets, clips); what is positive is the same for all sets. Equal scores are ties. A number that
needs both classes is NaN where one is missing. Definitions are scikit-learn's (``roc_auc_score``,
``average_precision_score``). This code is our own because every call there costs about a millisecond of checks, as long
as the ranking of thousands of clips; here a classifier tested under many conditions is ranked in one call, and
resampled without sorting again.

- :func:`roc_auc`, :func:`average_precision`
- :func:`resampled_roc_auc`: on resamples that repeat clips and leave clips out
- :func:`trapezoidal_auc`: ROC AUC with the rounding of scikit-learn
"""

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.compiled import jit, keep_on_disk


def roc_auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the pairs of a positive and a negative clip that scores order rightly, ties counting half.

    Parameters
    ----------
    scores : float [shape=(sets, clips)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    float64 [shape=(sets,)]
    """
    return resampled_roc_auc(scores, positive, np.ones((1, scores.shape[1]), dtype=np.float32))[:, 0]


def resampled_roc_auc(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], counts: NDArray[np.number]
) -> NDArray[np.float64]:
    """ROC AUC of resamples in which every clip occurs as often as its count says.

    Parameters
    ----------
    scores : float [shape=(sets, clips)]
    positive : bool [shape=(clips,)]
    counts : float32 [shape=(draws, clips)], whole numbers

    Returns
    -------
    float64 [shape=(sets, draws)], NaN for a draw without one of the classes
    """
    keep_on_disk()
    return _weighted_auc(*_sort(scores), np.asarray(positive), np.ascontiguousarray(counts, dtype=np.float32))


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the positive clips of the precision among the clips that score as high.

    Parameters
    ----------
    scores : float [shape=(sets, clips)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    float64 [shape=(sets,)]
    """
    clips, found = len(positive), int(np.sum(positive))
    if not 0 < found < clips:
        return np.full(len(scores), np.nan)
    order, ends = _sort(scores)
    right = np.asarray(positive)[order]
    place = np.where(ends, np.arange(clips), clips)
    last = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]  # where each clip's group of ties ends
    precision = np.take_along_axis(right.cumsum(axis=1), last, axis=1) / (last + 1)
    return np.asarray((precision * right).sum(axis=1) / found)


def _sort(scores: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Clips from the highest score down, and which of them end a group of ties; both [shape=(sets, clips)]."""
    scores = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    descending = np.take_along_axis(scores, order, axis=1)
    ends = np.ones(scores.shape, dtype=np.bool_)
    ends[:, :-1] = descending[:, 1:] != descending[:, :-1]
    return order, ends


@jit
def _weighted_auc(
    order: NDArray[np.intp], ends: NDArray[np.bool_], positive: NDArray[np.bool_], counts: NDArray[np.float32]
) -> NDArray[np.float64]:
    sets, clips = order.shape
    draws = len(counts)
    areas = np.empty((sets, draws))
    for row in range(sets):
        for draw in range(draws):
            above, below, area = 0.0, 0.0, 0.0  # positives above the group of ties, negatives so far, pairs
            tied, untied = 0.0, 0.0
            for place in range(clips):
                clip = order[row, place]
                if positive[clip]:
                    tied += counts[draw, clip]
                else:
                    untied += counts[draw, clip]
                if ends[row, place]:
                    area += untied * (above + tied / 2)
                    above += tied
                    below += untied
                    tied = untied = 0.0
            areas[row, draw] = area / (above * below) if above * below > 0 else np.nan
    return areas


def trapezoidal_auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """ROC AUC of one set, summed as scikit-learn does: over trapezoids between the corners of the curve.

    Two rankings of equal area then differ by rounding just as they do there, where the first of the best costs is
    chosen by such differences.

    Parameters
    ----------
    scores : float [shape=(clips,)]
    positive : bool [shape=(clips,)], of both classes

    Returns
    -------
    float
    """
    order = np.argsort(scores, kind="stable")[::-1]
    descending = scores[order]
    ends = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    right = np.cumsum(positive[order])[ends].astype(np.float64)
    wrong = 1.0 + ends - right
    if len(ends) > 2:
        corners = np.ones(len(ends), dtype=np.bool_)
        corners[1:-1] = (np.diff(wrong, 2) != 0) | (np.diff(right, 2) != 0)
        right, wrong = right[corners], wrong[corners]
    right, wrong = np.append(0.0, right), np.append(0.0, wrong)
    return float(np.trapezoid(right / right[-1], wrong / wrong[-1]))
