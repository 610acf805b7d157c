"""SiMPle against the median of a profile that is written out by the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshift.analysis.sequences import pack
from earshift.analysis.simple_profile import simple, simple_matrix


def brute_force(query, candidate, length):
    query, candidate = query.astype(np.float64), candidate.astype(np.float64)
    passages = [candidate[j : j + length] for j in range(len(candidate) - length + 1)]
    starts = range(len(query) - length + 1)
    return np.median([min(np.square(query[i : i + length] - p).sum() for p in passages) for i in starts])


def sequence(rng, frames, dims=24, scale=20.0):
    return rng.normal(0, scale, (frames, dims)).astype(np.float32)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(0, 30), st.integers(0, 30), st.integers(1, 6))
def test_equals_brute_force(seed, length, more_rows, more_columns, dims):
    rng = np.random.default_rng(seed)
    query, candidate = (sequence(rng, length + more, dims) for more in (more_rows, more_columns))
    assert simple(query, candidate, length) == pytest.approx(brute_force(query, candidate, length), rel=1e-6)


@pytest.mark.parametrize("rows, columns", [(130, 130), (50, 101), (173, 50)])
def test_equals_brute_force_at_the_sizes_of_the_study(rng, rows, columns):
    query, candidate = sequence(rng, rows), sequence(rng, columns)
    assert simple(query, candidate, 50) == pytest.approx(brute_force(query, candidate, 50), rel=1e-6)


def test_a_quiet_passage_after_a_loud_one_keeps_its_digits(rng):
    query, candidate = (np.concatenate([sequence(rng, 30, scale=1e4), sequence(rng, 90, scale=1e-3)]) for _ in "ab")
    assert simple(query, candidate, 20) == pytest.approx(brute_force(query, candidate, 20), rel=1e-6)


def test_a_passage_is_found_wherever_it_lies(rng):
    candidate = sequence(rng, 200)
    assert simple(candidate, candidate, 50) == 0
    assert simple(candidate[77:150], candidate, 50) == 0
    assert simple(candidate, candidate[77:150], 50) > 0


def test_too_few_frames_give_no_distance(rng):
    several = [sequence(rng, frames) for frames in (60, 50, 49)] + [np.empty((0, 24), dtype=np.float32)]
    matrix = simple_matrix(pack(several), pack(several), 50)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix[:2, :2]).all()
    assert np.isnan(matrix[2:]).all() and np.isnan(matrix[:, 2:]).all()
