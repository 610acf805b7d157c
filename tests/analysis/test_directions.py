from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from earshift.analysis import directions
from earshift.analysis.directions import clip_directions, clip_predictions, projections, stacked_weights, unit


def sklearn_direction(rows, strengths):
    from sklearn.cross_decomposition import CCA

    return CCA(n_components=1, scale=False).fit(rows, strengths).x_weights_[:, 0]


def assert_same_directions(found, expected):
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)
    assert (1 - (found * expected).sum(axis=-1)).max() < 1e-9  # the sign, too


def smooth(rng, clips, values, dim, jitter, offset=5.0):
    strengths = np.linspace(0, 1, values)
    curves = np.stack([strengths, strengths**2, np.sin(3 * strengths)], axis=1)
    moved = rng.normal(0, offset, (clips, 1, dim)) + curves @ rng.normal(size=(clips, 3, dim))
    return moved + jitter * rng.normal(size=(clips, values, dim))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values, dim", [(31, 512), (34, 40), (12, 300), (6, 64), (4, 2), (31, 20), (3, 3), (2, 7)])
@pytest.mark.parametrize("jitter", [1.0, 0.05, 1e-4])
def test_clip_directions_are_those_of_sklearn(rng, values, dim, jitter, dtype):
    vectors = smooth(rng, 12, values, dim, jitter).astype(dtype)
    strengths = np.arange(values)
    expected = [sklearn_direction(clip, strengths) for clip in vectors]
    assert_same_directions(clip_directions(vectors, strengths), expected)


def test_badly_conditioned_clips_beside_good_ones(rng):
    vectors = rng.normal(size=(6, 12, 64)).astype(np.float32)
    vectors[1] = smooth(rng, 1, 12, 64, 0)  # float32 rounding is all that lifts it off three dimensions
    vectors[2, 6:] = vectors[2, :6]  # each point twice
    vectors[3] = 1 + 1e-5 * vectors[3]
    vectors[4] *= 1e-25  # squares underflow in float32
    vectors[5, 1:] = vectors[5, 1]  # a single step
    strengths = np.linspace(0, 1, 12)
    expected = [sklearn_direction(clip, strengths) for clip in vectors]
    assert_same_directions(clip_directions(vectors, strengths), expected)


def test_every_route_gives_the_same_directions(rng, monkeypatch):
    vectors = smooth(rng, 20, 10, 80, 0.3).astype(np.float32)
    found = [clip_directions(vectors, np.arange(10))]
    for bound in ("_WELL_CONDITIONED", "_ACCURATE", "_CORRECTABLE"):
        monkeypatch.setattr(directions, bound, 0)
        found.append(clip_directions(vectors, np.arange(10)))
    assert len({directions.tobytes() for directions in found}) == 4  # four routes, indeed
    assert_same_directions(found[0], found[3])
    np.testing.assert_allclose(found[1:3], [found[3]] * 2, atol=1e-12)


def test_directions_do_not_depend_on_the_block_a_clip_falls_in(rng, monkeypatch):
    vectors = smooth(rng, 9, 6, 32, 0.3).astype(np.float32)
    whole = clip_directions(vectors, np.arange(6))
    monkeypatch.setattr(directions, "_ELEMENTS", 2 * 6 * 32)
    assert_same_directions(clip_directions(vectors, np.arange(6)), whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_clip_that_does_not_move_has_no_direction(rng, dtype):
    vectors = rng.normal(3, 1, (4, 7, 20)).astype(dtype)
    vectors[1] = vectors[1, :1]
    vectors[2] = 0
    vectors[3] = 2 + np.abs(np.arange(7) - 3)[:, None]  # moves, and back again
    found = clip_directions(vectors, np.arange(7))
    assert np.isnan(found[[1, 2, 3]]).all()
    assert_same_directions(found[0], sklearn_direction(vectors[0], np.arange(7)))


def test_several_strengths_at_once(rng):
    vectors = smooth(rng, 5, 6, 40, 0.2).astype(np.float32)
    strengths = rng.permuted(np.tile(np.arange(6), (3, 5, 1)), axis=-1)
    found = clip_directions(vectors, strengths)
    for fit in range(3):
        expected = [sklearn_direction(clip, y) for clip, y in zip(vectors, strengths[fit], strict=True)]
        assert_same_directions(found[fit], expected)


def test_unit_points_along_the_largest_entry():
    assert unit(np.array([[3.0, -4.0], [0.6, 0.8]])) == pytest.approx(np.array([[-0.6, 0.8], [0.6, 0.8]]))


@pytest.mark.parametrize("n, m, dim", [(3, 3, 50), (6, 5, 50), (9, 4, 5)])
def test_clip_predictions_are_least_squares(rng, n, m, dim):
    vectors = rng.normal(2, 1, (4, n + m, dim)).astype(np.float32)
    found = clip_predictions(vectors[:, :n], vectors[:, n:])
    strengths = rng.normal(size=n)
    for matrix, clip in zip(found, vectors.astype(np.float64), strict=True):
        mean = clip[:n].mean(axis=0)
        weights = np.linalg.lstsq(clip[:n] - mean, strengths - strengths.mean(), rcond=None)[0]
        np.testing.assert_allclose(matrix @ (strengths - strengths.mean()), (clip[n:] - mean) @ weights, atol=1e-9)


SHAPES = [(10, 6, 100), (10, 6, 59), (10, 6, 60), (10, 6, 61), (30, 8, 50), (120, 5, 16), (1, 6, 9)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clips, values, dim", SHAPES)
def test_stacked_weights_point_where_sklearn_does(rng, clips, values, dim, dtype):
    vectors = smooth(rng, clips + 3, values, dim, 0.3).astype(dtype)
    chosen = rng.permutation(clips + 3)[:clips]
    strengths = np.tile(np.arange(values), (1, clips, 1))
    mean, (weights,) = stacked_weights(vectors, chosen, strengths)
    rows = vectors[chosen].reshape(-1, dim)
    np.testing.assert_allclose(mean, rows.mean(axis=0, dtype=np.float64), atol=1e-12)
    assert_same_directions(unit(weights[:, 0]), sklearn_direction(rows, strengths.ravel()))


def test_stacked_weights_of_a_degenerate_network(rng):
    vectors = smooth(rng, 40, 5, 30, 0.3).astype(np.float32)
    vectors[..., ::4] = 0  # units that never fire
    vectors[..., 1] = 2 * vectors[..., 2]  # and twins
    vectors[:, 3] = vectors[:, 4]
    strengths = np.tile(np.arange(5), (1, 40, 1))
    for count in (4, 40):
        _, (weights,) = stacked_weights(vectors, np.arange(count), strengths[:, :count])
        expected = sklearn_direction(vectors[:count].reshape(-1, 30), strengths[:, :count].ravel())
        assert_same_directions(unit(weights[:, 0]), expected)


@pytest.mark.parametrize("count", [3, 40])
def test_singular_values_that_sklearn_takes_for_zero_are_dropped(rng, count):
    vectors = smooth(rng, count, 5, 20, 0.3, offset=0.1)
    vectors -= vectors.mean(axis=(0, 1))
    vectors[..., 7] *= 1e-11
    strengths = np.tile(np.arange(5), (1, count, 1))
    _, (weights,) = stacked_weights(vectors, np.arange(count), strengths)
    expected = sklearn_direction(vectors.reshape(-1, 20), strengths.ravel())
    assert_same_directions(unit(weights[:, 0]), expected)
    assert abs(expected[7]) < 0.01  # nearly 1 where the column counts


@pytest.mark.parametrize("clips, values, dim", [(10, 6, 100), (30, 8, 50)])
def test_ridge_is_that_of_sklearn(rng, clips, values, dim):
    from sklearn.linear_model import Ridge

    vectors = smooth(rng, clips, values, dim, 0.3).astype(np.float32)
    strengths = rng.permuted(np.tile(np.arange(values), (3, clips, 1)), axis=-1)
    _, (plain, ridged) = stacked_weights(vectors, np.arange(clips), strengths, ridges=(0.0, 0.01))
    rows = vectors.reshape(-1, dim).astype(np.float64)
    largest = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[0]
    expected = Ridge(alpha=0.01 * largest**2, solver="svd").fit(rows, strengths.reshape(3, -1).T).coef_
    np.testing.assert_allclose(ridged.T, expected, atol=1e-10)
    assert (np.linalg.norm(plain, axis=0) > np.linalg.norm(ridged, axis=0)).all()


def test_stacked_points_that_do_not_move_with_strength_have_no_weights(rng):
    still = np.repeat(rng.normal(size=(8, 1, 10)), 4, axis=1).astype(np.float32)
    for vectors in (still, np.ones_like(still), np.zeros_like(still)):
        for count in (2, 8):  # fewer points than dimensions, and more
            strengths = np.tile(np.arange(4), (1, count, 1))
            assert np.isnan(stacked_weights(vectors, np.arange(count), strengths)[1][0]).all()


def test_blocks_change_nothing(rng, monkeypatch):
    vectors = smooth(rng, 60, 5, 12, 0.3).astype(np.float32)
    strengths = np.tile(np.arange(5), (1, 60, 1))
    mean, (weights,) = stacked_weights(vectors, np.arange(60), strengths)
    projected = projections(vectors, np.arange(60), mean, weights)
    monkeypatch.setattr(directions, "_ELEMENTS", 5 * 12 * 7)
    again, (same,) = stacked_weights(vectors, np.arange(60), strengths)
    np.testing.assert_allclose(same, weights, rtol=1e-9)
    np.testing.assert_allclose(projections(vectors, np.arange(60), again, same), projected, atol=1e-9)
    np.testing.assert_allclose(projected[0], (vectors - mean) @ weights[:, 0], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(rng, dtype):
    vectors = rng.normal(size=(300, 12, 400)).astype(dtype)
    alone = clip_directions(vectors, np.arange(12))
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(clip_directions(vectors, np.arange(12), map=pool.map), alone)
