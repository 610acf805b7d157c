"""Scores against scikit-learn, definitions and resamples counted out."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from earshift.training.verma2023 import scores


@pytest.fixture
def ranked(rng):
    """Scores with ties, labels that are rare, one that nobody has."""
    targets = rng.random((60, 6)) > 0.8
    targets[:, 4] = False
    return np.round(rng.random((60, 6)) + 0.3 * targets, 1), targets


def sklearns(found, targets, weights=None):
    values = [
        average_precision_score(targets[:, c], found[:, c], sample_weight=weights) if targets[:, c].any() else np.nan
        for c in range(targets.shape[1])
    ]
    return np.array(values)


def test_average_precision_is_scikit_learns_ties_and_weights_included(ranked, rng):
    np.testing.assert_allclose(scores.average_precisions(*ranked), sklearns(*ranked), rtol=1e-12)
    counts = scores.resample_counts(rng, np.arange(60), 100)
    found = scores.average_precisions(*ranked, counts)
    for draw in (0, 70, 99):
        np.testing.assert_allclose(found[draw], sklearns(*ranked, weights=counts[draw]), rtol=1e-12)


def test_the_mean_is_over_the_classes_that_somebody_has(ranked):
    precisions = scores.average_precisions(*ranked)
    assert np.isnan(precisions[4])
    assert scores.mean_average_precision(precisions) == pytest.approx(np.nanmean(precisions))
    assert np.isnan(scores.mean_average_precision(np.full((2, 3), np.nan))).all()


def test_a_clips_score_is_the_mean_of_its_chunks(rng):
    found, clip = rng.random((7, 3)), np.array([2, 0, 0, 2, 1, 0, 2])
    expected = [found[clip == c].mean(axis=0) for c in range(3)]
    np.testing.assert_allclose(scores.clip_scores(found, clip, 3), expected, rtol=1e-12)


def test_hits_among_the_five_highest():
    found = np.arange(8.0)[None].repeat(5, axis=0)  # classes 3 to 7 are the highest
    targets = np.zeros((5, 8), dtype=bool)
    targets[0, 7] = targets[1, [0, 7]] = targets[2, [0, 1]] = True
    targets[3, 1:] = True  # seven hold, five can be found
    hit, recall = scores.hits(found, targets)
    np.testing.assert_array_equal(hit, [1, 1, 0, 1, np.nan])
    np.testing.assert_array_equal(recall, [1, 0.5, 0, 1, np.nan])
    tied = scores.hits(np.zeros((1, 8)), np.eye(8, dtype=bool)[[4]])[0]
    assert tied == 1 and scores.hits(np.zeros((1, 8)), np.eye(8, dtype=bool)[[5]])[0] == 0


def test_resamples_of_recordings_take_all_their_clips(rng):
    counts = scores.resample_counts(rng, np.array(["a", "b", "a", "c"]), 200)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert ((counts[:, 0] + counts[:, 1] + counts[:, 3]) == 3).all()
    assert scores.resample_counts(rng, np.array(["a", "a"]), 5) is None


def test_means_over_chunks_of_resampled_clips():
    values, clip = np.array([1, 0, np.nan, 1, 1]), np.array([0, 0, 1, 2, 2])
    counts = np.array([[1, 1, 1], [2, 0, 0], [0, 3, 0]])
    np.testing.assert_allclose(scores.mean_over_chunks(values, clip, counts), [0.75, 0.5, np.nan])


def test_an_interval_lies_around_its_estimate(rng):
    draws = 0.6 + 0.1 * rng.normal(size=4000)
    low, high = scores.interval(0.5, draws, 0.95)
    assert (low, high) == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=0.01)
    assert scores.interval(0.5, None, 0.95) == (None, None)
    assert scores.interval(0.97, draws, 0.95)[1] == 1
