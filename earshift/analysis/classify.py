"""One instrument against the rest, as deng2025 classifies it.

Conventions
-----------
Protocol: Deng et al., ICASSP 2025, deem.py. The training set of an instrument is all its training clips followed by
floor(positives / other instruments) clips of every other instrument: 28 of each for 288 positives and ten others; in a
corpus much smaller than the study's, at least one. They are drawn with Python's ``random``, seeded with 42 anew for
each instrument, so that the same positions of every class are drawn under every condition. The model is L2 logistic
regression by liblinear (its intercept is penalised like a weight), classes balanced by weight; C is chosen from
1e-8 .. 1e3 by ROC AUC over three stratified folds that are not shuffled, and the model is fitted again with it. All
test clips are scored, however unbalanced.

Order matters: it decides which clips are drawn and which fold each is in. Classes stand in the order of the study
(:func:`study_order`), the clips of a class in the order of the arrays that are handed in: in the study the rows of its
split table, in this project the rows of clips.csv unless the split table is available
(:mod:`earshift.analysis.published`).

Where clips have several tags at once, other classes overlap, and "so many of every other instrument" has no meaning.
The training set of a tag is then its training clips, or `most` drawn from them, followed by as many clips without the
tag, or all of those if there are fewer. They are drawn in the same way, from all clips without the tag alike, clips
without any tag included, and stand in the order in which they were drawn. Which other tags are classes does not matter.

This is what ``GridSearchCV(LogisticRegression(solver="liblinear", class_weight="balanced"), cv=3, scoring="roc_auc")``
of scikit-learn does, including its choice between equally good costs, computed by :mod:`earshift.analysis.logistic`
with the same objective, steps and stopping rule. The result of liblinear depends a little on rounding where
clips are hardly regularised, because it stops at its tolerance; ``benchmarks/robustness.py`` measures the differences
and the gain in speed.

- :func:`training_set`, :func:`training_set_of_tag`: who is in it
- :func:`fit`: the classifier, or why there is none
- :func:`evaluate`: its scores on test sets
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.statistics import RESOLUTION

# The order in which the study goes through its instruments (instrument_map.json)
STUDY_INSTRUMENTS = ("clarinet", "organ", "cello", "violin", "guitar_acc", "voice", "guitar_ele", "saxophone",
                     "trumpet", "piano", "flute")  # fmt: skip
SEED = 42
FOLDS = 3
PENALTIES = tuple(10.0**k for k in range(-8, 4))  # C, inverse strength of regularisation
SCORES = ("roc_auc", "average_precision", "precision", "recall", "f1", "support", "accuracy")


@dataclass(frozen=True)
class Classifier:
    """A linear decision: positive where ``vectors @ weights + intercept`` is above 0.

    weights : float64 [shape=(dim,)], empty where there is no classifier
    intercept : float
    penalty : float, the C that was chosen
    problem : str, why there is no classifier; "" where there is one
    note : str, a remark on the fit; "" where there is none
    """

    weights: NDArray[np.float64]
    intercept: float = float("nan")
    penalty: float = float("nan")
    problem: str = ""
    note: str = ""

    @classmethod
    def missing(cls, problem: str) -> "Classifier":
        """No classifier, and why."""
        return cls(np.empty(0), problem=problem)

    def decide(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Signed distance of vectors [shape=(clips, dim)] from the decision, up to scale [shape=(clips,)]."""
        return np.asarray(vectors, dtype=np.float64) @ self.weights + self.intercept


def study_order(instruments: Sequence[str] | NDArray[np.str_]) -> list[str]:
    """Distinct instruments: the study's in its order, then the others in order of appearance."""
    present = dict.fromkeys(np.asarray(instruments).tolist())
    known = [name for name in STUDY_INSTRUMENTS if name in present]
    return known + [name for name in present if name not in STUDY_INSTRUMENTS]


def training_set(instruments: NDArray[np.str_], instrument: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Positions of the clips that a classifier is trained on, and which of them are positive.

    Parameters
    ----------
    instruments : str [shape=(clips,)], of the training clips, in the order that counts
    instrument : str

    Returns
    -------
    int [shape=(chosen,)]
        The positives, then the negatives, instrument by instrument. All clips of an instrument that has fewer than
        should be drawn.
    bool [shape=(chosen,)]
    """
    positives = np.flatnonzero(instruments == instrument)
    others = [name for name in study_order(instruments) if name != instrument]
    each = max(1, len(positives) // max(1, len(others)))
    return _training_set(positives, [_draw(np.flatnonzero(instruments == name), each) for name in others])


def training_set_of_tag(
    positive: NDArray[np.bool_], most: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Positions of the clips that the classifier of a tag is trained on, and which of them are positive.

    Parameters
    ----------
    positive : bool [shape=(clips,)], which training clips have the tag, in the order that counts
    most : int, optional
        How many positives there are at most, drawn if there are more.

    Returns
    -------
    int [shape=(chosen,)]
        The positives, then as many of the others in the order in which they are drawn.
    bool [shape=(chosen,)]
    """
    positives = np.flatnonzero(positive)
    if most is not None and len(positives) > most:
        positives = _draw(positives, most)
    return _training_set(positives, [_draw(np.flatnonzero(~positive), len(positives))])


def _training_set(
    positives: NDArray[np.intp], negatives: list[NDArray[np.intp]]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    positions = np.concatenate([positives, *negatives])
    return positions, np.arange(len(positions)) < len(positives)


def _draw(positions: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """So many of the positions in the order in which they are drawn, or all if there are fewer."""
    return positions[random.Random(SEED).sample(range(len(positions)), min(count, len(positions)))]


def fit(vectors: NDArray[np.floating], positive: NDArray[np.bool_], *, scale: float | None = None) -> Classifier:
    """Train on vectors, the cost chosen by cross-validation.

    Parameters
    ----------
    vectors : float [shape=(clips, dim)] or [shape=(clips, versions, dim)]
        Several versions of a clip stay in one fold and count as one clip together.
    positive : bool [shape=(clips,)]
    scale : float, optional
        Magnitude relative to which differences between vectors count as rounding; that of the vectors, if None.
        Vectors that something was removed from have the magnitude that they had before.

    Returns
    -------
    Classifier
        Without weights, and with the problem, where a class has fewer clips than there are folds, or where the vectors
        are alike.
    """
    from earshift.analysis import logistic

    for name, count in (("positive", int(np.sum(positive))), ("negative", int(np.sum(~positive)))):
        if count < FOLDS:
            return Classifier.missing(f"{count} {name} training clips, {FOLDS} folds need {FOLDS}")
    versions = 1 if vectors.ndim == 2 else vectors.shape[1]
    fold, positive = np.repeat(_folds(positive), versions), np.repeat(positive, versions)
    rows: NDArray[np.float64] = np.asarray(vectors, dtype=np.float64).reshape(-1, vectors.shape[-1])
    if not np.ptp(rows, axis=0).max() > RESOLUTION * (np.abs(rows).max() if scale is None else scale):
        return Classifier.missing("all training vectors are alike")
    coordinates, basis = logistic.in_span(rows)
    penalty = PENALTIES[_best([_validate(coordinates, positive, fold != k, versions) for k in range(FOLDS)])]
    weights, steps = _solve(coordinates, positive, [penalty], versions)
    return Classifier(
        weights=weights[0, :-1] if basis is None else basis @ weights[0, :-1],
        intercept=float(weights[0, -1]),
        penalty=penalty,
        note="" if steps[0] < logistic.MOST_STEPS else f"liblinear stopped after {logistic.MOST_STEPS} iterations",
    )


def _folds(positive: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Which fold each clip is held out in."""
    from sklearn.model_selection import StratifiedKFold

    fold = np.empty(len(positive), dtype=np.intp)
    for k, (_, heldout) in enumerate(StratifiedKFold(FOLDS).split(positive, positive)):
        fold[heldout] = k
    return fold


def _solve(
    vectors: NDArray[np.float64], positive: NDArray[np.bool_], penalties: Sequence[float], versions: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weights for every penalty, classes balanced by weight, and how many steps each took."""
    from earshift.analysis import logistic

    counts = np.where(positive, positive.sum(), (~positive).sum())
    balanced = len(positive) / (2 * counts * versions)
    tolerance = logistic.TOLERANCE * counts.min() / len(positive)
    return logistic.solve(vectors, positive, np.multiply.outer(penalties, balanced), tolerance=tolerance)


def _validate(
    vectors: NDArray[np.float64], positive: NDArray[np.bool_], kept: NDArray[np.bool_], versions: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Decisions on the clips that are not kept, for every penalty, and which of them are positive."""
    weights, _ = _solve(vectors[kept], positive[kept], PENALTIES, versions)
    return weights[:, :-1] @ vectors[~kept].T + weights[:, -1:], positive[~kept]


def _best(folds: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> int:
    """Place of the penalty whose ROC AUC, averaged over folds, is best: the first of the best, rounding included."""
    from earshift.analysis import ranking

    means = np.mean([ranking.roc_auc(decisions, positive) for decisions, positive in folds], axis=0)
    near = np.flatnonzero(means > means.max() - 1e-9)
    if len(near) == 1 or means[near[0]] == 1:
        return int(near[0])
    areas = [[ranking.trapezoidal_auc(decisions[place], positive) for decisions, positive in folds] for place in near]
    return int(near[np.argmax(np.average(areas, axis=1))])


def evaluate(decisions: NDArray[np.floating], positive: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """The scores that the study stores, for several test sets of the same clips.

    ROC AUC and average precision rank by probability, as published: probabilities that float64 rounds to 1 tie.

    Parameters
    ----------
    decisions : float [shape=(tests, clips)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    dict of str to float64 [shape=(tests,)]
        By name as in :data:`SCORES`. Without positive decisions precision is 0, as in scikit-learn. Both rankings are
        NaN where one class has no clips, all scores but the support (the number of positive clips) where there are no
        clips at all.
    """
    from scipy.special import expit

    from earshift.analysis import ranking

    if not len(positive):
        return {name: np.full(len(decisions), 0 if name == "support" else np.nan) for name in SCORES}
    found = decisions > 0
    right = (found & positive).sum(axis=1)
    probability = expit(np.asarray(decisions, dtype=np.float64))
    return {
        "roc_auc": ranking.roc_auc(probability, positive),
        "average_precision": ranking.average_precision(probability, positive),
        "precision": right / np.maximum(found.sum(axis=1), 1),
        "recall": right / max(positive.sum(), 1),
        "f1": 2 * right / np.maximum(found.sum(axis=1) + positive.sum(), 1),
        "support": np.full(len(decisions), positive.sum()),
        "accuracy": (found == positive).mean(axis=1),
    }
