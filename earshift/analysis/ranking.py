"""How well scores rank the clips of a class above the others, for many sets of scores at once.

Conventions
-----------
Scores have the shape (sets, clips); what is positive is the same for all sets. Equal scores are ties. A number that
needs both classes is NaN where one is missing. Definitions are scikit-learn's (``roc_auc_score``,
``average_precision_score``), whose every call costs about a millisecond of checks, as long as the ranking of thousands
of clips; here a classifier tested under many conditions is ranked in one call, and resampled without sorting again.

- :func:`roc_auc`, :func:`average_precision`
- :func:`resampled_roc_auc`: on resamples that repeat clips and leave clips out
- :func:`trapezoidal_auc`: ROC AUC with the rounding of scikit-learn
"""

import numpy as np

from earshift.analysis.compiled import compiled, keep_on_disk


def roc_auc(scores, positive):
    """Share of the pairs of a positive and a negative clip that scores order rightly, ties counting half.

    Parameters
    ----------
    scores : float [shape=(sets, clips)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    float64 [shape=(sets,)]
    """
    once = np.ones((1, scores.shape[1]), dtype=np.float32)
    return resampled_roc_auc(scores, positive, once)[:, 0]


def resampled_roc_auc(scores, positive, counts):
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
    return _weighted_auc(*_sorted(scores), np.asarray(positive), np.ascontiguousarray(counts, dtype=np.float32))


def average_precision(scores, positive):
    """Mean over the positive clips of the precision among the clips that score as high.

    Parameters
    ----------
    scores : float [shape=(sets, clips)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    float64 [shape=(sets,)]
    """
    return _average_precision(*_sorted(scores), np.asarray(positive))


def _sorted(scores):
    """Clips from the highest score down, and which of them end a group of ties; both [shape=(sets, clips)]."""
    keep_on_disk()
    scores = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    descending = np.take_along_axis(scores, order, axis=1)
    ends = np.ones(scores.shape, dtype=bool)
    ends[:, :-1] = descending[:, 1:] != descending[:, :-1]
    return order, ends


@compiled
def _weighted_auc(order, ends, positive, counts):
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


@compiled
def _average_precision(order, ends, positive):
    sets, clips = order.shape
    means = np.empty(sets)
    for row in range(sets):
        found, counted, total = 0, 0, 0.0
        for place in range(clips):
            found += positive[order[row, place]]
            if ends[row, place]:
                total += (found - counted) * found / (place + 1)
                counted = found
        means[row] = total / found if 0 < found < clips else np.nan
    return means


def trapezoidal_auc(scores, positive):
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
        corners = np.ones(len(ends), dtype=bool)
        corners[1:-1] = (np.diff(wrong, 2) != 0) | (np.diff(right, 2) != 0)
        right, wrong = right[corners], wrong[corners]
    right, wrong = np.append(0.0, right), np.append(0.0, wrong)
    return float(np.trapezoid(right / right[-1], wrong / wrong[-1]))
