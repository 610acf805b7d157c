"""The linear model on several embeddings is the one that scikit-learn fits to them side by side."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from earshift.training.verma2023 import combination
from earshift.training.verma2023.options import STREAMS


@pytest.fixture
def embedded(rng):
    """Correlated embeddings of four streams, one of their numbers constant; classes from common to rare."""
    common = rng.normal(size=(300, 5))
    found = {}
    for place, stream in enumerate(STREAMS):
        mixed = common @ rng.normal(size=(5, 8)) + 0.3 * rng.normal(size=(300, 8))
        found[stream] = (10.0**place * (mixed + 2)).astype(np.float32)
    found["timbre"][:, 3] = 7
    decisions = common @ rng.normal(size=(5, 6)) + rng.logistic(size=(300, 6)) - np.array([-1, 0, 1, 2, 3, 4])
    return found, decisions > 0


@pytest.mark.parametrize("subset", [("pitch",), ("neuralogram", "timbre"), STREAMS])
@pytest.mark.parametrize("cost", [0.01, 10.0])
def test_it_is_scikit_learns_on_concatenated_embeddings(subset, cost, embedded):
    found, targets = embedded
    vectors = combination.side_by_side(found, subset)
    model = combination.fit_linear(vectors, targets, cost=cost)
    stacked = np.concatenate([found[stream] for stream in STREAMS if stream in subset], axis=1).astype(np.float64)
    logistic = LogisticRegression(C=cost, tol=1e-10, max_iter=10000)
    theirs = make_pipeline(StandardScaler(), OneVsRestClassifier(logistic)).fit(stacked, targets.astype(int))
    weights = np.concatenate([one.coef_ for one in theirs[-1].estimators_]).T
    np.testing.assert_allclose(model.weights, weights, atol=2e-4 * np.abs(weights).max())
    np.testing.assert_allclose(model.scores(vectors), theirs.predict_proba(stacked), atol=1e-4)


def test_many_classes_are_solved_in_parts_alike(embedded, monkeypatch):
    found, targets = embedded
    vectors = combination.side_by_side(found, STREAMS)
    whole = combination.fit_linear(vectors, targets, cost=1.0)
    monkeypatch.setattr(combination, "_ELEMENTS", 2 * len(vectors))
    np.testing.assert_allclose(combination.fit_linear(vectors, targets, cost=1.0).weights, whole.weights, atol=1e-4)


def test_a_class_that_nobody_or_everybody_has_is_a_constant(embedded):
    found, targets = embedded
    targets[:, 0], targets[:, 1] = False, True
    vectors = combination.side_by_side(found, ("pitch",))
    scores = combination.fit_linear(vectors, targets, cost=1.0).scores(vectors)
    np.testing.assert_allclose(scores[:, 0], 0.5 / 301)
    np.testing.assert_allclose(scores[:, 1], 300.5 / 301)


def test_all_subsets_small_ones_first():
    found = combination.subsets()
    assert len(found) == len(set(found)) == 15
    assert found[0] == ("pitch",) and found[-1] == STREAMS
    assert [len(subset) for subset in found] == sorted(len(subset) for subset in found)
