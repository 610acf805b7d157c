"""Dynamic time warping against a plain table and librosa."""

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.distances import exact_dtw
from earshift.analysis.dtw import dtw, dtw_matrix
from earshift.analysis.sequences import pack


def sequences(rng, lengths, dims=24, scale=20.0):
    return [rng.normal(0, scale, (length, dims)).astype(np.float32) for length in lengths]


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.integers(1, 9))
def test_equals_the_definition(seed, rows, columns, dims):
    rng = np.random.default_rng(seed)
    query, candidate = sequences(rng, [rows, columns], dims, scale=10.0 ** rng.uniform(-3, 3))
    assert dtw(query, candidate) == pytest.approx(exact_dtw(query, candidate), rel=1e-6)


@pytest.mark.parametrize("rows, columns", [(130, 130), (130, 87), (40, 433)])
def test_equals_librosa(rng, rows, columns):
    query, candidate = sequences(rng, [rows, columns])
    accumulated = librosa.sequence.dtw(query.T.astype(np.float64), candidate.T.astype(np.float64), backtrack=False)
    assert dtw(query, candidate) == pytest.approx(accumulated[-1, -1], rel=1e-6)


def test_nearly_equal_sequences_far_from_zero(rng):
    query = sequences(rng, [50], scale=1.0)[0] + np.float32(500)
    candidate = query + rng.normal(0, 1e-3, query.shape).astype(np.float32)
    assert dtw(query, candidate) == pytest.approx(exact_dtw(query, candidate), rel=1e-6)


def test_a_sequence_is_at_no_distance_from_itself_played_slowly(rng):
    query = sequences(rng, [60])[0]
    assert dtw(query, query) == 0
    assert dtw(query, np.repeat(query, 3, axis=0)) == 0


def test_the_matrix_is_that_of_the_pairs_to_the_bit_and_symmetric(rng):
    several = sequences(rng, [30, 1, 64, 17])
    matrix = dtw_matrix(pack(several), pack(several))
    assert matrix.dtype == np.float32
    assert (matrix == [[np.float32(dtw(a, b)) for b in several] for a in several]).all()
    assert (matrix == matrix.T).all()


def test_a_clip_without_frames_has_no_distance(rng):
    some = [*sequences(rng, [5, 6]), np.empty((0, 24), dtype=np.float32)]
    matrix = dtw_matrix(pack(some), pack(some))
    assert np.isnan(matrix[2]).all() and np.isnan(matrix[:, 2]).all() and np.isfinite(matrix[:2, :2]).all()


def test_sequences_of_different_dimensions_are_refused(rng):
    with pytest.raises(ValueError, match="3, 4 dimensions"):
        pack([*sequences(rng, [5], dims=3), *sequences(rng, [5], dims=4)])
