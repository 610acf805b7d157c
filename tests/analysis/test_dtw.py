"""Dynamic time warping against a plain table and librosa; the search against the whole matrix."""

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.distances import exact_dtw
from earshift.analysis.dtw import dtw, dtw_matrix, own_nearest
from earshift.analysis.sequences import packed


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
    matrix = dtw_matrix(packed(several), packed(several))
    assert matrix.dtype == np.float32
    assert (matrix == [[np.float32(dtw(a, b)) for b in several] for a in several]).all()
    assert (matrix == matrix.T).all()


def test_a_clip_without_frames_has_no_distance(rng):
    some = [*sequences(rng, [5, 6]), np.empty((0, 24), dtype=np.float32)]
    matrix = dtw_matrix(packed(some), packed(some))
    assert np.isnan(matrix[2]).all() and np.isnan(matrix[:, 2]).all() and np.isfinite(matrix[:2, :2]).all()


def nearest_by_matrix(queries, candidates):
    matrix = dtw_matrix(packed(queries), packed(candidates))
    own = np.diag(matrix)
    others = np.where(np.eye(len(matrix), dtype=bool), np.inf, matrix).min(axis=1)
    return own < others


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 1.0, 3.0]), st.sampled_from([3, 4, 13]), st.booleans())
def test_the_search_answers_as_the_matrix_does(seed, noise, dims, coarse):
    """Clusters of clips that resemble each other; coarse numbers and copies of clips make ties."""
    rng = np.random.default_rng(seed)
    centres = sequences(rng, rng.integers(1, 30, 4), dims, scale=3.0)
    candidates = [centres[i % 4] + rng.normal(0, 1, centres[i % 4].shape).astype(np.float32) for i in range(12)]
    candidates[7] = candidates[3]
    queries = [c + noise * rng.normal(0, 1, c.shape).astype(np.float32) for c in candidates]
    queries[5] = queries[5][: max(1, len(queries[5]) // 2)]
    if coarse:
        queries, candidates = ([np.rint(s) for s in several] for several in (queries, candidates))
    found = own_nearest(packed(queries), packed(candidates))
    assert (found == nearest_by_matrix(queries, candidates)).all()
    assert not found[3] and not found[7]


def test_the_search_sees_both_answers(rng):
    candidates = sequences(rng, [40] * 30)
    noisy = [c + rng.normal(0, i, c.shape).astype(np.float32) for i, c in enumerate(candidates[:15])]
    queries = [*noisy, *sequences(rng, [40] * 15)]
    found = own_nearest(packed(queries), packed(candidates))
    assert (found == nearest_by_matrix(queries, candidates)).all()
    assert found[:5].all() and not found[15:].all()


def test_a_tie_between_different_ways_is_no_nearest(rng):
    """The own candidate and another one at the same distance, which sums from both ends round differently."""
    query = sequences(rng, [37])[0]
    candidates = [query + np.float32(1), query - np.float32(1)]
    queries = [query, query]
    matrix = dtw_matrix(packed(queries), packed(candidates))
    assert (own_nearest(packed(queries), packed(candidates)) == nearest_by_matrix(queries, candidates)).all()
    assert matrix[0, 0] == pytest.approx(matrix[0, 1], rel=1e-6)


def test_the_search_needs_pairs_of_clips_with_frames(rng):
    some = packed(sequences(rng, [5, 6]))
    with pytest.raises(ValueError, match="2 queries have no own ones among 1 candidates"):
        own_nearest(some, packed(sequences(rng, [5])))
    with pytest.raises(ValueError, match="empty sequence"):
        own_nearest(some, packed([*sequences(rng, [5]), np.empty((0, 24), dtype=np.float32)]))


def test_sequences_of_different_dimensions_are_refused(rng):
    with pytest.raises(ValueError, match="3, 4 dimensions"):
        packed([*sequences(rng, [5], dims=3), *sequences(rng, [5], dims=4)])
