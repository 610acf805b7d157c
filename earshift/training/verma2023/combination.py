"""One linear model on any subset of frozen embeddings (Verma, 2023, section 3.5).

Conventions
-----------
Embeddings stand side by side in the order of the streams and are brought to mean 0 and deviation 1 of the training
chunks. Each class has a logistic regression of its own: scikit-learn's ``OneVsRestClassifier(LogisticRegression(C))``
has the same objective, cost * sum of losses + w'w / 2 with an intercept that is not penalised, and the same minimum.
Here all classes are solved in lockstep, so that their products with the vectors are one product of matrices each way.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.corpora.split import TEST, TRAIN, VALID
from earshift.training.records import StreamScores
from earshift.training.verma2023 import scores
from earshift.training.verma2023.corpus import ChunkedCorpus
from earshift.training.verma2023.options import STREAMS, Diverse

Matrix = NDArray[np.float64]

_TOLERANCE = 1e-8  # largest entry of the gradient of the mean loss; scikit-learn stops at 1e-4
_MOST_STEPS = 1000
_MEMORY = 10  # steps that the curvature is learned from
_ELEMENTS = 2**21  # of decisions that are held at a time


@dataclass(frozen=True)
class Linear:
    """A fitted model.

    mean, deviation : float64 [shape=(dim,)]
    weights : float64 [shape=(dim, classes)]
    intercepts : float64 [shape=(classes,)]
    """

    mean: Matrix
    deviation: Matrix
    weights: Matrix
    intercepts: Matrix

    def scores(self, vectors: Matrix) -> Matrix:
        """Probability of every class, float64 [shape=(chunks, classes)], for vectors [shape=(chunks, dim)]."""
        from scipy.special import expit

        found: Matrix = expit((vectors - self.mean) / self.deviation @ self.weights + self.intercepts)
        return found


def subsets(streams: Sequence[str] = STREAMS) -> list[tuple[str, ...]]:
    """All non-empty subsets of streams, small ones first: 15 of four."""
    return [subset for size in range(1, len(streams) + 1) for subset in combinations(streams, size)]


def side_by_side(embeddings: Mapping[str, NDArray[np.floating]], subset: Collection[str]) -> Matrix:
    """Embeddings of a subset's streams next to one another.

    Parameters
    ----------
    embeddings : dict of str to float [shape=(chunks, width)], by stream
    subset : collection of str

    Returns
    -------
    float64 [shape=(chunks, width * streams)], in the order of :data:`earshift.training.verma2023.options.STREAMS`
    """
    return np.hstack([embeddings[stream] for stream in STREAMS if stream in subset]).astype(np.float64)


def fit_linear(vectors: NDArray[np.floating], targets: NDArray[np.bool_], *, cost: float) -> Linear:
    """The linear model.

    Parameters
    ----------
    vectors : float [shape=(chunks, dim)]
    targets : bool [shape=(chunks, classes)]
    cost : float, above 0, scikit-learn's C: the smaller, the more are weights held back

    Returns
    -------
    Linear
        A class that all or no chunks have gets no weights, and the odds of its number as intercept, half a chunk added
        to either side.
    """
    vectors = vectors.astype(np.float64)
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation[deviation <= 1e-12 * np.abs(mean)] = 1.0
    standard = (vectors - mean) / deviation
    # along their principal axes vectors are uncorrelated; turning them changes no decision and no penalty
    axes = np.linalg.eigh(standard.T @ standard)[1]
    matrix = np.column_stack([standard @ axes, np.ones(len(vectors))])
    solution = np.zeros((matrix.shape[1], targets.shape[1]))
    number = targets.sum(axis=0)
    solution[-1] = np.log((number + 0.5) / (len(targets) - number + 0.5))
    varying = np.flatnonzero((number > 0) & (number < len(targets)))
    some = max(1, _ELEMENTS // len(matrix))
    for start in range(0, len(varying), some):
        classes = varying[start : start + some]
        signs = np.where(targets[:, classes], 1.0, -1.0)
        solution[:, classes] = _minimise(matrix, signs, cost, solution[:, classes])
    return Linear(mean, deviation, axes @ solution[:-1], solution[-1])


def _minimise(matrix: Matrix, signs: Matrix, cost: float, start: Matrix) -> Matrix:
    """Minimise every column's objective by L-BFGS from `start`, each with its own steps, products in common.

    The curvature's diagonal at the start scales the unknowns; along principal axes there is little beside it.
    """
    held = np.ones((matrix.shape[1], 1))
    held[-1] = 0  # the intercept
    decisions = matrix @ start
    value, gradient, curvature = _objective(matrix, signs, cost, held, start, decisions)
    scale = 1 / np.sqrt((matrix**2).T @ curvature + held)
    done = start.copy()
    active = np.arange(start.shape[1])
    weights = start.copy()
    memory: list[tuple[Matrix, Matrix, Matrix]] = []
    for _ in range(_MOST_STEPS):
        left = np.abs(gradient).max(axis=0) > _TOLERANCE * cost * len(matrix)
        if not left.all():
            done[:, active[~left]] = weights[:, ~left]
            if not left.any():
                return done
            active, signs, decisions = active[left], signs[:, left], decisions[:, left]
            weights, gradient, scale, value = weights[:, left], gradient[:, left], scale[:, left], value[left]
            memory = [(step[:, left], change[:, left], weight[left]) for step, change, weight in memory]
        direction = -scale * _precondition(scale * gradient, memory)
        slope = (direction * gradient).sum(axis=0)
        along = matrix @ direction
        length = np.ones(len(active))
        while True:  # halve the steps that gain too little
            tried = weights + length * direction
            moved = decisions + length * along
            found, after, _ = _objective(matrix, signs, cost, held, tried, moved)
            short = found > value + 1e-4 * length * slope + 1e-12 * np.abs(value)
            if not short.any() or length.min() < 1e-10:
                break
            length[short] /= 2
        step, change = (tried - weights) / scale, (after - gradient) * scale
        product = (step * change).sum(axis=0)
        curved = product > 1e-14 * (change**2).sum(axis=0)
        memory.append((step, change, np.divide(1, product, out=np.zeros(len(product)), where=curved)))
        memory = memory[-_MEMORY:]
        weights, decisions, value, gradient = tried, moved, found, after
    done[:, active] = weights
    return done


def _objective(
    matrix: Matrix, signs: Matrix, cost: float, held: Matrix, weights: Matrix, decisions: Matrix
) -> tuple[Matrix, Matrix, Matrix]:
    """Value, gradient and second derivatives of the losses by the decisions, of every column."""
    margins = signs * decisions
    smaller = np.exp(-np.abs(margins))  # odds of the less likely class
    losses = np.log1p(smaller) - np.minimum(margins, 0)
    wrong = np.where(margins < 0, 1, smaller) / (1 + smaller)
    value = cost * losses.sum(axis=0) + (held * weights**2).sum(axis=0) / 2
    return value, held * weights - cost * (matrix.T @ (signs * wrong)), cost * wrong * (1 - wrong)


def _precondition(gradient: Matrix, memory: Sequence[tuple[Matrix, Matrix, Matrix]]) -> Matrix:
    """The inverse curvature that the memory knows, times the gradient (J. Nocedal, 1980)."""
    rest, shares = gradient, []
    for step, change, weight in reversed(memory):
        share = weight * (step * rest).sum(axis=0)
        shares.append(share)
        rest = rest - share * change
    if memory:
        step, change, weight = memory[-1]
        squared = weight * (change**2).sum(axis=0)
        rest = rest / np.where(squared > 0, squared, 1)
    for (step, change, weight), share in zip(memory, reversed(shares), strict=True):
        rest = rest + step * (share - weight * (change * rest).sum(axis=0))
    return rest


# ------------------------------------------------------------------------------------------------------------- subsets


@dataclass(frozen=True)
class Combination:
    """The linear model on all streams, and what is known of every subset.

    model : Linear, on all streams
    scores : on the test clips
    subsets : rows of subsets.csv, the last one of all streams
    classes : rows of classes.csv, of single streams and of all
    """

    model: Linear
    scores: StreamScores
    subsets: list[dict[str, Any]]
    classes: list[dict[str, Any]]


def combine(embeddings: Mapping[str, NDArray[np.float32]], corpus: ChunkedCorpus, options: Diverse) -> Combination:
    """Fit the linear model on every subset of streams and score it on the test clips.

    Parameters
    ----------
    embeddings : dict of str to float32 [shape=(chunks, width)], of all chunks of the corpus by stream
    corpus : ChunkedCorpus
    options : Diverse
    """
    clips, clip = corpus.clips(TEST)
    targets, chance = corpus.targets[clips], scores.chance(corpus)
    rows, classes = [], []
    for subset in subsets(tuple(embeddings)):
        vectors, name = side_by_side(embeddings, subset), "+".join(subset)
        model = _best(vectors, corpus, options)
        found = model.scores(vectors[corpus.places(TEST)])
        report = scores.score_part(found, corpus, TEST, options)
        rows.append({"subset": name, "streams": len(subset), **report, "chance_map": chance, "clips": len(clips),
                     "chunks": len(clip)})  # fmt: skip
        if len(subset) in (1, len(embeddings)):
            precision = scores.average_precisions(scores.clip_scores(found, clip, len(clips)), targets)
            classes += [
                {"subset": name, "tag": tag, "positives": int(positives), "average_precision": number}
                for tag, number, positives in zip(corpus.tags, precision, targets.sum(axis=0), strict=True)
            ]
    return Combination(model, report, rows, classes)


def _best(vectors: Matrix, corpus: ChunkedCorpus, options: Diverse) -> Linear:
    """The linear model whose cost does best on validation clips."""
    clips, clip = corpus.clips(VALID)
    own, held = corpus.places(TRAIN), vectors[corpus.places(VALID)]
    targets = corpus.targets[corpus.clip[own]]
    models = [fit_linear(vectors[own], targets, cost=cost) for cost in options.costs]

    def precision(model: Linear) -> float:
        of_clips = scores.clip_scores(model.scores(held), clip, len(clips))
        found = float(scores.mean_average_precision(scores.average_precisions(of_clips, corpus.targets[clips])))
        return found if np.isfinite(found) else -1.0

    return max(models, key=precision)
