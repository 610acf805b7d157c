"""Consistency against a loop-by-loop reading of equations 9 to 12, scipy, and resamples written out."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from earshift.analysis import agreement


@pytest.fixture(params=["ties", "no ties"])
def distances(request, rng):
    """Three matrices; with ties, also between own and other distances."""

    def draw():
        return rng.integers(0, 6, (14, 14)).astype(np.float32) if request.param == "ties" else rng.random((14, 14))

    return [draw() for _ in range(3)]


def literal_delta(distances):
    """Equation 9, point by point."""
    delta = []
    for p in range(len(distances)):
        nearest = True
        for other in range(len(distances)):
            if other != p and not distances[p][p] < distances[p][other]:
                nearest = False
        delta.append(0 if nearest else 1)
    return delta


def test_errors_are_those_of_equation_9(distances):
    for d in distances:
        assert agreement.errors(d).tolist() == [bool(delta) for delta in literal_delta(d.tolist())]


def test_within_space_consistency_is_that_of_equation_10(distances):
    for d in distances:
        expected = 1 - sum(literal_delta(d.tolist())) / len(d)
        assert 1 - agreement.errors(d).mean() == pytest.approx(expected)


def test_between_space_agreement_is_that_of_equation_12(distances):
    for x, z in itertools.combinations(distances, 2):
        same = [a == b for a, b in zip(literal_delta(x.tolist()), literal_delta(z.tolist()), strict=True)]
        assert agreement.agreements(agreement.errors(x), agreement.errors(z)).mean() == sum(same) / len(same)


def literal_ranks(numbers):
    """Average ranks by counting."""
    return [1 + sum(b < a for b in numbers) + (sum(b == a for b in numbers) - 1) / 2 for a in numbers]


def test_between_space_correlation_is_that_of_equation_11(distances):
    for x, z in itertools.combinations(distances, 2):
        pairs = [(i, j) for i in range(len(x)) for j in range(len(x))]
        ranks = [literal_ranks([d[i][j] for i, j in pairs]) for d in (x.tolist(), z.tolist())]
        rho, _ = agreement.spearman(x, z)
        assert rho == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)
        assert rho == pytest.approx(spearmanr(x.ravel(), z.ravel()).statistic, abs=1e-12)
        own, _ = agreement.spearman(np.diagonal(x), np.diagonal(z))
        assert own == pytest.approx(spearmanr(np.diagonal(x), np.diagonal(z)).statistic, abs=1e-12)


def test_a_tie_with_the_own_original_is_an_error():
    d = np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 1.0], [2.0, 1.0, 1.5]])
    assert agreement.errors(d).tolist() == [False, True, True]
    assert agreement.errors(np.zeros((2, 2))).tolist() == [True, True]
    assert agreement.errors(np.array([[7.0]])).tolist() == [False], "nothing to be confused with"


def test_order_and_its_reverse():
    d = np.arange(9.0).reshape(3, 3)
    assert agreement.spearman(d, np.exp(d))[0] == 1
    assert agreement.spearman(d, -(d**3))[0] == -1
    rho, slopes = agreement.spearman(d, np.ones((3, 3)))
    assert np.isnan(rho) and not slopes.any()


def weighted_spearman(first, second, weights):
    """Spearman's correlation of weighted entries, ranks by counting weights."""
    ranks = []
    for numbers in (first, second):
        below = (weights * (numbers < numbers[:, None])).sum(1) + (weights * (numbers == numbers[:, None])).sum(1) / 2
        ranks.append(below - np.average(below, weights=weights))
    a, b = ranks
    return (weights * a * b).sum() / np.sqrt((weights * a * a).sum() * (weights * b * b).sum())


def test_slopes_are_derivatives(distances):
    x, z, _ = (d[:7, :7] for d in distances)
    rho, slopes = agreement.spearman(x, z)
    entries = x.ravel(), z.ravel()
    assert weighted_spearman(*entries, np.ones(49)) == pytest.approx(rho)
    for entry in range(49):
        step = 1e-6 * (np.arange(49) == entry)
        ends = [weighted_spearman(*entries, np.ones(49) + side * step) for side in (1, -1)]
        assert slopes.ravel()[entry] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def pair_counts(counts, member):
    """How often every pair of clips occurs in a resample: two copies of one recording are never paired."""
    return np.array([[counts[g] if g == h else counts[g] * counts[h] for h in member] for g in member])


def test_slopes_of_recordings_are_derivatives(distances):
    x, z, _ = distances
    member = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 5, 0])
    rho, slopes = agreement.spearman(x, z)
    found = agreement.sum_pairs(slopes, member, 7)
    assert found[6] == 0, "a recording without clips"
    for recording in range(6):
        step = 1e-6 * (np.arange(7) == recording)
        ends = [
            weighted_spearman(x.ravel(), z.ravel(), pair_counts(1 + side * step, member).ravel().astype(float))
            for side in (1, -1)
        ]
        assert found[recording] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_draws_spread_as_written_out_resamples_do(rng):
    """40 recordings of two clips: pairs repeated as often as a resample has them, ranked anew by scipy."""
    member = np.repeat(np.arange(40), 2)
    x = rng.normal(size=(40, 3)).repeat(2, axis=0) + 0.3 * rng.normal(size=(80, 3))
    z = x[:, :2] + 0.6 * rng.normal(size=(80, 2))
    x, z = cdist(x, x + 0.1), cdist(z, z + 0.2)
    rho, slopes = agreement.spearman(x, z)
    draws = rng.multinomial(40, np.full(40, 1 / 40), size=250)
    linear = agreement.resampled_correlation(rho, agreement.sum_pairs(slopes, member, 40), draws)
    exact = np.array([
        spearmanr(*(np.repeat(d.ravel(), pair_counts(counts, member).ravel()) for d in (x, z))).statistic
        for counts in draws
    ])  # fmt: skip
    assert np.corrcoef(linear, exact)[0, 1] > 0.95
    assert linear.std() == pytest.approx(exact.std(), rel=0.1)
    rows_alone = agreement.sum_clips(slopes.sum(axis=1), member, 40)
    assert agreement.resampled_correlation(rho, rows_alone, draws).std() < 0.75 * exact.std()


def test_means_of_draws(rng):
    member, terms = np.array([0, 0, 1, 3]), np.array([True, False, True, True])
    draws = np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 2, 1, 1], [0, 0, 4, 0]])
    found = agreement.resampled_mean(terms, member, draws)
    np.testing.assert_allclose(found, [3 / 4, 1 / 2, 1, np.nan])


# ------------------------------------------------------------------------------------------------------------ distances


def test_distances_are_those_of_scipy(rng):
    a, b = (rng.normal(size=(9, 40)).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(agreement.euclidean(a, b), cdist(a, b), rtol=1e-12)
    np.testing.assert_allclose(agreement.cosine(a, b), cdist(a, b, "cosine"), rtol=1e-9)


def test_rounding_is_no_distance(rng):
    a = rng.normal(size=(5, 200)).astype(np.float32)
    noisy = a * (1 + 2.0**-22 * rng.choice([-1, 1], a.shape)).astype(np.float32)
    assert (noisy != a).any()
    for distance in agreement.LATENT.values():
        found = distance(noisy, a)
        assert (np.diagonal(found) == 0).all() and (found + np.eye(5) > 0).all()
    assert agreement.cosine(3 * a, a).diagonal().tolist() == [0] * 5


def test_silence_has_no_cosine(rng):
    a = rng.normal(size=(4, 3))
    a[2] = 0
    found = agreement.cosine(a, a)
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all() and np.isnan(found).sum() == 7
    assert agreement.usable_clips(found).tolist() == [True, True, False, True]
    assert agreement.usable_clips(found, np.where(np.arange(4) == 0, np.nan, np.ones((4, 4)))).tolist() == [
        False, True, False, True
    ]  # fmt: skip
    assert np.isfinite(agreement.euclidean(a, a)).all()
