"""L2 logistic regression for many costs at once.

This solver is our own because a grid search over costs and folds is most of what the robustness analysis computes:
scikit-learn's liblinear solves one problem at a time in all dimensions. ``benchmarks/robustness.py`` measures both, and
the tests compare every problem with liblinear.

Conventions
-----------
The objective is that of LIBLINEAR's solver 0: w'w / 2 + sum c_i log(1 + exp(-y_i w'x_i)), where every x carries a last
entry of 1, so that the intercept is penalised like a weight. It is minimised from w = 0 by the trust region Newton
method that LIBLINEAR uses, with its constants and its stopping rule (C.-J. Lin, R. C. Weng, S. S. Keerthi, JMLR 9,
2008): a problem is done when the norm of its gradient is below ``tolerance`` times that at 0; the result is within that
tolerance and need not be the minimum. The steps are those of LIBLINEAR, so that the weights are the same, and with them
the ranking of clips.

The arithmetic differs. Problems that share their clips (all costs of a grid search) advance together: their products
with the clips' vectors are one matrix product each way. Decisions are updated along with the weights, so that a trial
step needs no product. Where vectors are much longer than clips are many, everything is computed in the span of the
clips, in coordinates of an orthonormal basis: the objective, and so every step, is the same there (:func:`in_span`).

Compiled by Numba on first use and kept on disk.
"""

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.compiled import jit, keep_on_disk

TOLERANCE = 1e-4  # scikit-learn's
MOST_STEPS = 100  # its max_iter

_WORTH = 1.5  # dimensions for each clip from which a basis pays

# What a problem waits for
_GRADIENT, _HESSIAN, _DONE = 0, 1, 2

# Scalars of a problem
_VALUE, _RADIUS, _FIRST_NORM, _NORM, _RESIDUAL = range(5)

# Vectors of a problem with an entry for each dimension, and those with an entry for each clip: decisions of the
# weights, of the step and of the search direction, and the second derivatives of the losses
_WEIGHTS, _SLOPE, _STEP, _REST, _SEARCH = range(5)
_DECISIONS, _STEPPED, _SEARCHED, _CURVATURE = range(4)


def in_span(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Coordinates of vectors in an orthonormal basis of their span, where that is worth it.

    Parameters
    ----------
    vectors : float64 [shape=(clips, dim)]

    Returns
    -------
    float64 [shape=(clips, coordinates)]
    float64 [shape=(dim, coordinates)] or None
        Takes weights in these coordinates back to those of the vectors; None where the vectors are as they were.
    """
    if vectors.shape[1] <= _WORTH * len(vectors):
        return vectors, None
    basis, triangle = np.linalg.qr(vectors.T)
    return np.ascontiguousarray(triangle.T), basis


def solve(
    vectors: NDArray[np.float64],
    positive: NDArray[np.bool_],
    costs: NDArray[np.float64],
    *,
    tolerance: float = TOLERANCE,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Minimise the objective for every row of costs.

    Parameters
    ----------
    vectors : float64 [shape=(clips, dim)], without the entry of 1
    positive : bool [shape=(clips,)]
    costs : float64 [shape=(problems, clips)], above 0
    tolerance : float
        Relative to the norm of the gradient at 0. LIBLINEAR multiplies its own by the share of the rarer class.

    Returns
    -------
    weights : float64 [shape=(problems, dim + 1)], the intercept last
    steps : int [shape=(problems,)], Newton steps; :data:`MOST_STEPS` where the method stopped before it was done
    """
    keep_on_disk()
    matrix = np.column_stack([vectors, np.ones(len(vectors))])
    signs = np.where(positive, 1.0, -1.0)
    return _minimise(matrix, np.ascontiguousarray(matrix.T), signs, np.ascontiguousarray(costs), tolerance)


@jit
def _minimise(
    matrix: NDArray[np.float64],
    transposed: NDArray[np.float64],
    signs: NDArray[np.float64],
    costs: NDArray[np.float64],
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    problems, clips = costs.shape
    dim = matrix.shape[1]
    vectors, fields = np.zeros((problems, 5, dim)), np.zeros((problems, 4, clips))
    numbers = np.zeros((problems, 5))
    waits, steps = np.full(problems, _GRADIENT), np.ones(problems, np.int64)
    searches, along = np.empty((problems, dim)), np.empty((problems, clips))
    asked, products = np.empty((problems, clips)), np.empty((problems, dim))
    active = np.arange(problems)
    for j in range(problems):
        numbers[j, _VALUE] = _value(vectors[j], fields[j], signs, costs[j])
    while len(active):
        searching = 0
        for place in range(len(active)):
            j = active[place]
            if waits[j] == _HESSIAN:
                _combine(searches[searching], 1.0, vectors[j, _SEARCH], 0.0, vectors[j, _SEARCH])
                searching += 1
        np.dot(searches[:searching], transposed, along[:searching])
        searching = 0
        for place in range(len(active)):
            j = active[place]
            if waits[j] == _HESSIAN:
                for i in range(clips):
                    fields[j, _SEARCHED, i] = along[searching, i]
                    asked[place, i] = fields[j, _CURVATURE, i] * along[searching, i]
                searching += 1
            else:
                _differentiate(fields[j], signs, costs[j], asked[place])
        np.dot(asked[: len(active)], matrix, products[: len(active)])
        left = 0
        for place in range(len(active)):
            j = active[place]
            waits[j], steps[j] = _advance(
                vectors[j], fields[j], numbers[j], waits[j], steps[j], products[place], signs, costs[j], tolerance
            )
            if waits[j] != _DONE:
                active[left] = j
                left += 1
        active = active[:left]
    return vectors[:, _WEIGHTS].copy(), steps - 1


@jit
def _advance(
    vectors: NDArray[np.float64],
    fields: NDArray[np.float64],
    numbers: NDArray[np.float64],
    waits: int,
    steps: int,
    product: NDArray[np.float64],
    signs: NDArray[np.float64],
    costs: NDArray[np.float64],
    tolerance: float,
) -> tuple[int, int]:
    """Add what the losses contribute to gradient or Hessian product; gives what is needed next, and the steps."""
    if waits == _GRADIENT:
        _combine(vectors[_SLOPE], 1.0, vectors[_WEIGHTS], 1.0, product)
        numbers[_NORM] = _length(vectors[_SLOPE])
        if steps == 1:
            numbers[_FIRST_NORM] = numbers[_RADIUS] = numbers[_NORM]
        if not numbers[_NORM] > tolerance * numbers[_FIRST_NORM] or steps > MOST_STEPS:
            return _DONE, steps
    elif _search(vectors, fields, numbers, product):
        return _HESSIAN, steps
    else:
        taken, done = _try_step(vectors, fields, numbers, steps, signs, costs)
        steps += taken
        if done or taken:
            return _DONE if done else _GRADIENT, steps
    # Conjugate gradients begin at the steepest descent
    _combine(vectors[_STEP], 0.0, vectors[_STEP], 0.0, vectors[_STEP])
    _combine(fields[_STEPPED], 0.0, fields[_STEPPED], 0.0, fields[_STEPPED])
    _combine(vectors[_REST], -1.0, vectors[_SLOPE], 0.0, vectors[_SLOPE])
    _combine(vectors[_SEARCH], -1.0, vectors[_SLOPE], 0.0, vectors[_SLOPE])
    numbers[_RESIDUAL] = np.dot(vectors[_REST], vectors[_REST])
    return _HESSIAN, steps


@jit
def _differentiate(
    fields: NDArray[np.float64], signs: NDArray[np.float64], costs: NDArray[np.float64], asked: NDArray[np.float64]
) -> None:
    """First derivatives of the losses by the decisions, and the second."""
    for i in range(len(signs)):
        probability = 1 / (1 + np.exp(-signs[i] * fields[_DECISIONS, i]))
        asked[i] = (probability - 1) * signs[i] * costs[i]
        fields[_CURVATURE, i] = costs[i] * probability * (1 - probability)


@jit
def _value(
    vectors: NDArray[np.float64], fields: NDArray[np.float64], signs: NDArray[np.float64], costs: NDArray[np.float64]
) -> float:
    """The objective."""
    total = np.dot(vectors[_WEIGHTS], vectors[_WEIGHTS]) / 2
    for i in range(len(signs)):
        margin = signs[i] * fields[_DECISIONS, i]
        total += costs[i] * (np.log(1 + np.exp(-margin)) if margin >= 0 else np.log(1 + np.exp(margin)) - margin)
    return float(total)


@jit
def _combine(into: NDArray[np.float64], a: float, x: NDArray[np.float64], b: float, y: NDArray[np.float64]) -> None:
    """a x + b y. Compiles in a tenth of the time that expressions of arrays take."""
    for i in range(len(into)):
        into[i] = a * x[i] + b * y[i]


@jit
def _length(vector: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.dot(vector, vector)))


@jit
def _search(
    vectors: NDArray[np.float64],
    fields: NDArray[np.float64],
    numbers: NDArray[np.float64],
    product: NDArray[np.float64],
) -> bool:
    """One iteration of conjugate gradients; whether another is wanted."""
    step, rest, search = vectors[_STEP], vectors[_REST], vectors[_SEARCH]
    factor = numbers[_RESIDUAL] / (np.dot(search, search) + np.dot(search, product))
    _combine(step, 1.0, step, factor, search)
    outside = _length(step) > numbers[_RADIUS]
    if outside:  # back, and on to where the direction leaves the trust region
        _combine(step, 1.0, step, -factor, search)
        along, squared = np.dot(step, search), np.dot(search, search)
        room = numbers[_RADIUS] ** 2 - np.dot(step, step)
        root = np.sqrt(along * along + squared * room)
        factor = room / (along + root) if along >= 0 else (root - along) / squared
        _combine(step, 1.0, step, factor, search)
    _combine(fields[_STEPPED], 1.0, fields[_STEPPED], factor, fields[_SEARCHED])
    for i in range(len(rest)):
        rest[i] -= factor * (search[i] + product[i])
    if outside:
        return False
    residual = np.dot(rest, rest)
    if not np.sqrt(residual) > 0.1 * numbers[_NORM]:
        return False
    _combine(search, residual / numbers[_RESIDUAL], search, 1.0, rest)
    numbers[_RESIDUAL] = residual
    return True


@jit
def _try_step(
    vectors: NDArray[np.float64],
    fields: NDArray[np.float64],
    numbers: NDArray[np.float64],
    steps: int,
    signs: NDArray[np.float64],
    costs: NDArray[np.float64],
) -> tuple[bool, bool]:
    """Try the step that the search found, and adapt the trust region to its success.

    Returns whether the step is taken, and whether nothing is left to gain; where neither, another search must start.
    """
    slope = np.dot(vectors[_SLOPE], vectors[_STEP])
    predicted = -0.5 * (slope - np.dot(vectors[_STEP], vectors[_REST]))
    before, decided = vectors[_WEIGHTS].copy(), fields[_DECISIONS].copy()
    _combine(vectors[_WEIGHTS], 1.0, vectors[_WEIGHTS], 1.0, vectors[_STEP])
    _combine(fields[_DECISIONS], 1.0, fields[_DECISIONS], 1.0, fields[_STEPPED])
    value = _value(vectors, fields, signs, costs)
    reduction = numbers[_VALUE] - value
    length, radius = _length(vectors[_STEP]), numbers[_RADIUS]
    if steps == 1:
        radius = min(radius, length)
    excess = -reduction - slope
    factor = 4.0 if excess <= 0 else max(0.25, -0.5 * slope / excess)
    if reduction < 1e-4 * predicted:
        radius = min(max(factor, 0.25) * length, 0.5 * radius)
    elif reduction < 0.25 * predicted:
        radius = max(0.25 * radius, min(factor * length, 0.5 * radius))
    elif reduction < 0.75 * predicted:
        radius = max(0.25 * radius, min(factor * length, 4 * radius))
    else:
        radius = max(radius, min(factor * length, 4 * radius))
    numbers[_RADIUS] = radius
    taken = reduction > 1e-4 * predicted
    if taken:
        numbers[_VALUE] = value
    else:
        _combine(vectors[_WEIGHTS], 1.0, before, 0.0, before)
        _combine(fields[_DECISIONS], 1.0, decided, 0.0, decided)
    smallest = 1e-12 * abs(numbers[_VALUE])
    done = (abs(reduction) <= smallest and abs(predicted) <= smallest) or (reduction == 0 and predicted <= 0)
    return taken, done
