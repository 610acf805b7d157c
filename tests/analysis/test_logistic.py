"""The solver against LIBLINEAR itself, step for step, and against the minimum."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from earshift.analysis.logistic import MOST_STEPS, in_span, solve

COSTS = 10.0 ** np.arange(-8, 4)


def overlapping(rng, count, dim):
    positive = np.arange(count) < count // 3
    return rng.normal(size=(count, dim)) / np.sqrt(np.arange(1, dim + 1)) + 0.4 * positive[:, None], positive


@pytest.mark.parametrize("count, dim", [(30, 6), (30, 200), (200, 20), (200, 120)])
def test_same_steps_as_liblinear(rng, count, dim):
    vectors, positive = overlapping(rng, count, dim)
    tolerance = 1e-4 * min(positive.sum(), (~positive).sum()) / count
    weights, steps = solve(vectors, positive, np.repeat(COSTS[:, None], count, axis=1), tolerance=tolerance)
    for cost, found, taken in zip(COSTS, weights, steps, strict=True):
        model = LogisticRegression(solver="liblinear", C=cost, random_state=0).fit(vectors, positive)
        expected = np.append(model.coef_[0], model.intercept_)
        if cost <= 1:  # later on rounding decides where conjugate gradients stop
            assert taken == model.n_iter_[0]
        assert np.linalg.norm(found - expected) <= (1e-9 if cost <= 1 else 3e-3) * np.linalg.norm(expected)


def test_every_clip_has_its_own_cost(rng):
    vectors, positive = overlapping(rng, 60, 10)
    costs = rng.uniform(0.1, 3, (2, 60))
    weights, _ = solve(vectors, positive, costs, tolerance=1e-10)
    signs, matrix = np.where(positive, 1, -1), np.column_stack([vectors, np.ones(60)])
    for own, found in zip(costs, weights, strict=True):

        def objective(w, own=own):
            margins = signs * (matrix @ w)
            slope = w - (own * signs * expit(-margins)) @ matrix
            return w @ w / 2 + own @ np.logaddexp(0, -margins), slope

        minimum = minimize(objective, np.zeros(11), jac=True, method="BFGS", options={"gtol": 1e-9}).x
        np.testing.assert_allclose(found, minimum, atol=1e-7)


def test_problems_do_not_see_each_other(rng):
    """In lockstep or alone, whatever finishes first."""
    vectors, positive = overlapping(rng, 50, 30)
    costs = np.repeat(COSTS[::-1, None], 50, axis=1)
    together, steps = solve(vectors, positive, costs, tolerance=1e-6)
    for place in range(len(costs)):
        alone, taken = solve(vectors, positive, costs[place : place + 1], tolerance=1e-6)
        assert taken[0] == steps[place]
        np.testing.assert_allclose(alone[0], together[place], rtol=1e-6, atol=1e-12)


def test_the_span_of_the_clips_is_enough(rng):
    vectors, positive = overlapping(rng, 20, 90)
    coordinates, basis = in_span(vectors)
    assert coordinates.shape == (20, 20) and basis.shape == (90, 20)
    np.testing.assert_allclose(basis.T @ basis, np.eye(20), atol=1e-12)
    np.testing.assert_allclose(coordinates @ basis.T, vectors, atol=1e-12)
    costs = np.repeat(COSTS[:10, None], 20, axis=1)
    whole, inside = solve(vectors, positive, costs)[0], solve(coordinates, positive, costs)[0]
    np.testing.assert_allclose(inside[:, :-1] @ basis.T, whole[:, :-1], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(inside[:, -1], whole[:, -1], rtol=1e-6, atol=1e-12)


def test_vectors_that_are_not_much_longer_than_clips_stay_as_they_are(rng):
    vectors = rng.normal(size=(20, 30))
    coordinates, basis = in_span(vectors)
    assert coordinates is vectors and basis is None


def test_it_ends_where_nothing_is_left_to_gain(rng):
    """Long before the most steps, though the gradient never comes down to the tolerance."""
    vectors, positive = overlapping(rng, 40, 3)
    weights, steps = solve(vectors, positive, np.full((1, 40), 1.0), tolerance=1e-300)
    assert steps[0] < MOST_STEPS / 5
    np.testing.assert_allclose(weights, solve(vectors, positive, np.full((1, 40), 1.0), tolerance=1e-9)[0], atol=1e-8)


def test_clips_that_say_nothing_give_weights_of_zero():
    weights, steps = solve(np.zeros((6, 4)), np.arange(6) < 3, np.ones((1, 6)))
    assert not weights.any() and steps[0] == 0
