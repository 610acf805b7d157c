import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earshift.analysis.statistics import (
    average_ranks,
    bootstrap_interval,
    effective_rank,
    group_bootstrap,
    jackknife_blocks,
    jackknife_interval,
    rank_at_energy,
    resampled_spearman,
    shuffle_strengths,
    signed_square,
    spearman,
)


@given(arrays(np.float64, (3, 2, 9), elements=st.integers(-4, 4)))
def test_average_ranks_are_those_of_scipy(values):
    assert np.array_equal(average_ranks(values), scipy.stats.rankdata(values, axis=-1))


def test_numbers_that_float32_cannot_tell_apart_are_ties():
    assert average_ranks([1.0, 1.0 + 1e-9, 0.5, -1.0 - 1e-9]).tolist() == [3.5, 3.5, 2.0, 1.0]
    assert average_ranks([1.0, 1.0 + 1e-6, 0.5, -1.0]).tolist() == [3.0, 4.0, 2.0, 1.0]
    assert average_ranks(np.zeros(4)).tolist() == [2.5] * 4


@pytest.mark.parametrize("clips, values", [(1, 6), (12, 6), (7, 31), (40, 2)])
def test_spearman_is_that_of_scipy(rng, clips, values):
    strengths = np.tile(np.arange(values), (5, clips))
    projections = strengths + rng.normal(0, values, strengths.shape)
    projections[1] = np.round(projections[1])
    expected = [scipy.stats.spearmanr(p, s).statistic for p, s in zip(projections, strengths, strict=True)]
    assert spearman(projections, strengths) == pytest.approx(expected, abs=1e-12)
    assert spearman(projections, strengths[0] * -3.0 + 2) == pytest.approx(-np.array(expected), abs=1e-12)


def test_projections_that_tell_nothing_have_no_correlation():
    strengths = np.arange(4)
    rounding = 1e-14 * np.array([1, 3, 2, 5])
    assert spearman(np.stack([np.full(4, 2.0), rounding]), strengths).tolist() == [0, 0]
    assert np.isnan(spearman(np.array([1, np.nan, 2, 3]), strengths))


def test_signed_square():
    assert signed_square(np.array([-0.5, 0, 0.5])).tolist() == [-0.25, 0, 0.25]


def test_shuffles_stay_within_clips():
    strengths = shuffle_strengths(np.random.default_rng(0), 500, 3, 4)
    assert np.array_equal(np.sort(strengths, axis=-1), np.broadcast_to(np.arange(4), (500, 3, 4)))
    assert len({row.tobytes() for row in strengths[:, 0]}) == 24  # every order comes up
    together = np.mean((strengths[:, 0] == strengths[:, 1]).all(axis=-1))
    assert together < 0.1  # 1 / 24 where clips are shuffled apart from each other, 1 where all alike
    assert np.array_equal(strengths, shuffle_strengths(np.random.default_rng(0), 500, 3, 4))


def test_resampled_correlation_is_that_of_the_repeated_clips(rng):
    strengths = np.arange(5)
    projections = strengths + rng.normal(0, 3, (8, 5))
    projections[2:5] = np.round(projections[2:5])
    counts = rng.integers(0, 4, (20, 8))
    expected = []
    for row in counts:
        repeated = np.repeat(projections, row, axis=0)
        expected.append(scipy.stats.spearmanr(repeated.ravel(), np.tile(strengths, len(repeated))).statistic)
    assert resampled_spearman(projections, strengths)(counts) == pytest.approx(expected, abs=1e-12)


def test_a_resample_without_clips_has_no_correlation(rng):
    rho = resampled_spearman(rng.normal(size=(2, 3)), np.arange(3))(np.array([[0, 0], [1, 0]]))
    assert np.isnan(rho[0]) and np.isfinite(rho[1])


def test_groups_are_resampled_as_a_whole():
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    counts = group_bootstrap(np.random.default_rng(0), groups, 1000, lambda counts: counts)
    assert counts.shape == (1000, 6)
    for name in "abc":
        assert np.ptp(counts[:, groups == name], axis=1).max() == 0
    assert set(counts[:, [1, 0, 3]].sum(axis=1)) == {3}  # as many draws as groups
    assert counts[:, 3].mean() == pytest.approx(1, abs=0.1)
    assert group_bootstrap(np.random.default_rng(0), np.array(["a", "a"]), 10, lambda counts: counts) is None


def test_bootstrap_interval_has_the_spread_of_the_draws_and_the_place_of_the_estimate():
    draws = np.append(np.arange(101) / 100, np.nan)  # mean 0.5; 10th and 90th percentiles 0.1 and 0.9
    assert bootstrap_interval(0.5, draws, 0.8, bounds=(0, 1)) == pytest.approx((0.1, 0.9))
    assert bootstrap_interval(0.3, draws, 0.8, bounds=(-1, 1)) == pytest.approx((-0.1, 0.7))
    assert bootstrap_interval(0.3, draws, 0.8, bounds=(0, 1)) == pytest.approx((0, 0.7))
    assert bootstrap_interval(0.3, None, 0.8, bounds=(0, 1)) == (None, None)
    assert bootstrap_interval(0.3, np.full(3, np.nan), 0.8, bounds=(0, 1)) == (None, None)


@pytest.mark.parametrize("instruments, groups, least", [(1, 20, 0.8), (11, 2, 0.6)])
def test_bootstrap_interval_covers_the_expected_correlation(rng, instruments, groups, least):
    """95 % nominal; two recordings per instrument, the default's test set, are few, and plain percentiles then fail."""
    strengths, clips = np.arange(6), 2 * groups
    estimates, covered, plain = [], [], []
    for _ in range(80):
        shared = np.repeat(rng.normal(0, 1, (instruments, groups, 1)), 2, axis=1)
        projections = strengths + shared + rng.normal(0, 0.5, (instruments, clips, 1))
        projections = projections + rng.normal(0, 0.5, (instruments, clips, 6))
        scores = [resampled_spearman(p, strengths) for p in projections]

        def mean_over_instruments(counts, scores=scores):
            parts = zip(scores, np.split(counts, instruments, axis=1), strict=True)
            columns = np.stack([signed_square(rho(part)) for rho, part in parts])
            known = np.isfinite(columns)
            return np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)

        names = np.arange(instruments * clips) // 2
        estimates.append(mean_over_instruments(np.ones((1, instruments * clips), dtype=int))[0])
        draws = group_bootstrap(rng, names, 200, mean_over_instruments)
        covered.append(bootstrap_interval(estimates[-1], draws, 0.95, bounds=(-1, 1)))
        plain.append(np.quantile(draws, [0.025, 0.975]))
    truth = np.mean(estimates)
    rates = [np.mean([low <= truth <= high for low, high in intervals]) for intervals in (covered, plain)]
    assert rates[0] >= max(least, rates[1])
    assert np.mean([high - low for low, high in covered]) < 0.5


def test_effective_rank_of_known_spectra():
    assert effective_rank(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_rank(np.array([2.0, 0, 0])) == 1
    assert effective_rank(np.array([2.0, 1, 1])) == pytest.approx(2**1.5)  # shares 1/2, 1/4, 1/4: 1.5 bits
    assert effective_rank(np.array([2.0, 1, 1]) * 1e-9) == pytest.approx(2**1.5)
    assert np.isnan(effective_rank(np.zeros(3)))


def test_rank_at_energy():
    energies = np.array([5.0, 3, 2])
    assert [rank_at_energy(energies, share) for share in (0.1, 0.5, 0.51, 0.8, 0.81, 0.9999)] == [1, 1, 2, 2, 3, 3]
    assert rank_at_energy(np.full(10, 0.1), 0.9) == 9
    assert rank_at_energy(np.zeros(2), 0.9) is None


def test_jackknife_of_a_mean_is_the_t_interval(rng):
    sample = rng.normal(size=9)
    deleted = [np.delete(sample, i).mean() for i in range(9)]
    expected = scipy.stats.t.interval(0.9, 8, sample.mean(), scipy.stats.sem(sample))
    assert jackknife_interval(sample.mean(), deleted, 0.9) == pytest.approx(expected)
    assert jackknife_interval(1.0, [1.0], 0.9) == (None, None)


def test_jackknife_blocks():
    groups = np.array(["c", "a", "b", "a", "d", "e"])
    assert [x if np.isscalar(x) else x.tolist() for x in jackknife_blocks(groups, 9)] == [[2, 0, 1, 0, 3, 4], 5]
    assert [x if np.isscalar(x) else x.tolist() for x in jackknife_blocks(groups, 2)] == [[0, 0, 1, 0, 1, 0], 2]
