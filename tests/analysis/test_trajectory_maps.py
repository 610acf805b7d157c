import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from sklearn.decomposition import PCA

from earshift.analysis import trajectories as module
from earshift.analysis import trajectory_maps
from earshift.analysis.trajectories import TrajectoryMaps
from earshift.errors import UserError

RIDGE = 0.001


def options(clips=5, neighbours=3, seed=0, bootstrap=50, confidence=0.95):
    return TrajectoryMaps(clips=clips, neighbours=neighbours, seed=seed, bootstrap=bootstrap, confidence=confidence)


def analyse(t, **changes):
    return module.analyse(t, options(**changes), ridge=RIDGE)


def drawn_clips(t, name, clips=5, seed=0):
    return trajectory_maps.draw_clips(t, name, clips, seed)


def of_clip(points, clip):
    return points[points["clip"] == clip]


def test_pca_is_that_of_sklearn(rng, trajectories):
    t = trajectories((rng.normal(size=(32, 6, 12)) * np.arange(1, 13)).astype(np.float32), instruments=2)
    result, points, _ = analyse(t)
    for name in t.instruments:
        clips = drawn_clips(t, name)
        own = points[points["instrument"] == name]
        assert own["clip"].drop_duplicates().tolist() == t.clip[clips].tolist()
        fitted = PCA(n_components=3).fit(t.vectors[clips].reshape(-1, 12).astype(np.float64))
        np.testing.assert_allclose(
            result["instruments"][name]["pca_explained"], fitted.explained_variance_ratio_, rtol=1e-9
        )
        signs = np.sign(np.take_along_axis(fitted.components_, np.abs(fitted.components_).argmax(1)[:, None], 1))[:2, 0]
        for clip in clips:
            rows = of_clip(own, t.clip[clip])
            assert rows["value"].tolist() == ["original", *t.values]
            assert np.isnan(rows["strength"].iloc[0]) and rows["strength"].tolist()[1:] == [0, 0.2, 0.4, 0.6, 0.8, 1]
            expected = fitted.transform(np.vstack([t.originals[clip], t.vectors[clip]]).astype(np.float64))[:, :2]
            np.testing.assert_allclose(rows[["pc_1", "pc_2"]], expected * signs, rtol=1e-6, atol=1e-6)
    shares = [part["pca_explained"] for part in result["instruments"].values()]
    np.testing.assert_allclose(result["overall"]["pca_explained"], np.mean(shares, axis=0))


def test_umap_is_fitted_on_effected_points_and_places_originals_afterwards(rng, trajectories):
    from umap import UMAP

    vectors = rng.normal(size=(16, 1, 30)) + np.linspace(0, 3, 6)[:, None] * rng.normal(size=(16, 1, 30))
    originals = (vectors[:, 0] + 0.1 * rng.normal(size=(16, 30))).astype(np.float32)
    t = trajectories(vectors.astype(np.float32), instruments=2, originals=originals)
    _, points, _ = analyse(t, clips=3, seed=5)
    for name in t.instruments:
        clips = drawn_clips(t, name, clips=3, seed=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = UMAP(n_neighbors=3, random_state=5).fit(t.vectors[clips].reshape(-1, 30))
            placed = fitted.transform(t.originals[clips])
        own = points[points["instrument"] == name]
        effected, crosses = own[own["value"] != "original"], own[own["value"] == "original"]
        np.testing.assert_array_equal(effected[["umap_1", "umap_2"]].to_numpy(np.float32), fitted.embedding_)
        np.testing.assert_array_equal(crosses[["umap_1", "umap_2"]].to_numpy(np.float32), placed)


def test_no_warning_reaches_the_user(rng, trajectories):
    islands = np.repeat(100 * rng.normal(size=(32, 1, 30)), 6, axis=1) + 1e-3 * rng.normal(size=(32, 6, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ImportWarning)  # as Python does: of parts of umap that nobody here uses
        analyse(trajectories(islands.astype(np.float32)))


def test_the_draw_follows_seed_and_clips_alone(rng, trajectories):
    t = trajectories(rng.normal(size=(160, 3, 4)), instruments=2)
    other = trajectories(rng.normal(size=(160, 5, 9)), instruments=2)
    drawn = {seed: drawn_clips(t, "instrument1", seed=seed).tolist() for seed in range(200)}
    assert all(len(set(clips)) == 5 and clips == sorted(clips) for clips in drawn.values())
    assert len({tuple(clips) for clips in drawn.values()}) > 190
    assert set(sum(drawn.values(), [])) == set(t.indices("train", "instrument1").tolist()), "all of them come up"
    assert drawn_clips(other, "instrument1", seed=3).tolist() == drawn[3]
    assert set(drawn[3]) < set(drawn_clips(t, "instrument1", seed=3, clips=12))


def test_fewer_clips_than_asked_are_all_drawn(rng, trajectories):
    t = trajectories(rng.normal(size=(8, 6, 4)))
    result, points, _ = analyse(t, clips=20)
    assert points["clip"].nunique() == 6
    assert "Maps of 1 instrument (all) show all training clips: there are fewer than 20." in result["notes"]


def test_too_few_points_for_the_neighbours(rng, trajectories):
    t = trajectories(rng.normal(size=(8, 3, 6)))
    result, points, _ = analyse(t, clips=1)
    assert points["umap_1"].isna().all() and points["pc_1"].notna().all()
    assert result["instruments"]["all"]["umap_problem"] == "3 points, it takes 4"
    assert "No UMAP map of 1 instrument (all): 3 points, it takes 4." in result["notes"]
    fewer = analyse(t, clips=1, neighbours=2)[0]["instruments"]["all"]["umap_problem"]
    assert fewer == "3 points, it takes 4", "whatever the neighbours: UMAP fails on three points"
    assert analyse(t, clips=2, neighbours=6)[1]["umap_1"].isna().all()
    assert analyse(t, clips=2, neighbours=5)[1]["umap_1"].notna().all()


@pytest.mark.parametrize("clips, values, dim", [(1, 4, 3), (2, 2, 1), (2, 3, 2), (1, 5, 40), (3, 2, 40)])
def test_small_maps(rng, trajectories, clips, values, dim):
    """As few points and dimensions as a map can have: coordinates, or a stated reason."""
    result, points, _ = analyse(trajectories(rng.normal(size=(16, values, dim)).astype(np.float32)), clips=clips)
    problem = result["instruments"]["all"]["umap_problem"]
    assert points["umap_1"].isna().all() if problem else np.isfinite(points[["umap_1", "umap_2"]]).all(axis=None)
    assert np.isfinite(points[["pc_1", "pc_2"]]).all(axis=None)
    explained = result["instruments"]["all"]["pca_explained"]
    assert len(explained) == 3 and sum(explained) <= 1 + 1e-9 and (dim > 1 or explained[1] == 0)


def test_duplicates_are_drawn(rng, trajectories):
    twice = np.repeat(rng.normal(size=(32, 3, 20)).astype(np.float32), 2, axis=1)
    result, points, _ = analyse(trajectories(twice))
    assert result["instruments"]["all"]["umap_problem"] == "" and points.drop(columns="strength").notna().all(axis=None)


def test_what_umap_cannot_do_is_a_reason(rng, trajectories):
    """Distances between such vectors overflow UMAP's float32."""
    result, points, _ = analyse(trajectories((1e25 * rng.normal(size=(32, 6, 20))).astype(np.float32)))
    assert points["umap_1"].isna().all() and points["pc_1"].notna().all()
    assert result["instruments"]["all"]["umap_problem"].startswith("UMAP f")


def test_without_a_place_for_compiled_code(monkeypatch):
    class Unwritable:
        __path__ = []

        def __getattr__(self, name):
            raise RuntimeError("cannot cache function 'rdist': no locator available for file 'layouts.py'")

    monkeypatch.setitem(sys.modules, "umap", Unwritable())
    with pytest.raises(UserError, match="set NUMBA_CACHE_DIR"):
        trajectory_maps._umap_class()


# -------------------------------------------------------------------------------------------- the same in every process


def ring(points=12):
    """Weights of a ring, and 2 of each point to itself: ARPACK's start of ones is an eigenvector already."""
    matrix = scipy.sparse.lil_array((points, points))
    for at in range(points):
        matrix[at, at], matrix[at, (at + 1) % points], matrix[at, at - 1] = 2, 0.5, 0.5
    return matrix.tocsr()


def use_up_random_numbers():
    for points in (10, 11, 12):
        scipy.sparse.linalg.eigsh(ring(points), 3, which="SM", v0=np.ones(points))


def test_a_map_does_not_depend_on_what_was_computed_before(rng, trajectories):
    """Each clip moves by equal steps on a line of its own, far from the others: its graph is symmetric."""
    line = np.arange(6)[:, None] * np.eye(1, 20)
    t = trajectories((line + 1e3 * rng.normal(size=(32, 1, 20))).astype(np.float32))
    first = analyse(t)[1]
    use_up_random_numbers()
    again = analyse(t)[1]
    assert first.equals(again) and first["umap_1"].notna().all()


def test_eigenvectors_are_those_of_arpack_where_it_draws_nothing(rng):
    matrix = rng.normal(size=(40, 40))
    matrix, start = scipy.sparse.csr_array(matrix @ matrix.T), np.ones(40)
    values, vectors = trajectory_maps.eigenvectors(matrix, 3, which="SM", v0=start)
    expected = scipy.sparse.linalg.eigsh(matrix, 3, which="SM", v0=start)
    assert np.array_equal(values, expected[0]) and np.array_equal(vectors, expected[1])


@pytest.mark.parametrize("sigma", [None, 3.5])
def test_eigenvectors_of_a_ring_are_the_same_every_time(sigma):
    """Its eigenvalues are 2 + cos(2 pi j / n)."""
    kind = {"which": "SM"} if sigma is None else {"which": "LM", "sigma": sigma}
    values, vectors = trajectory_maps.eigenvectors(ring(), 3, v0=np.ones(12), **kind)
    closed = np.sort(2 + np.cos(2 * np.pi * np.arange(12) / 12))
    np.testing.assert_allclose(values, closed[:3] if sigma is None else closed[-3:], atol=1e-12)
    np.testing.assert_allclose(ring() @ vectors, values * vectors, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    use_up_random_numbers()
    assert np.array_equal(trajectory_maps.eigenvectors(ring(), 3, v0=np.ones(12), **kind)[1], vectors)


def test_eigenvectors_without_the_counters_of_arpack(rng, monkeypatch):
    from scipy.sparse.linalg._eigen.arpack import arpack

    matrix = rng.normal(size=(9, 9))
    matrix = scipy.sparse.csr_array(matrix @ matrix.T)
    expected = scipy.sparse.linalg.eigsh(matrix, 2, which="SM")
    monkeypatch.delattr(arpack, "_arpack")
    values, vectors = trajectory_maps.eigenvectors(matrix, 2, which="SM")
    np.testing.assert_allclose(values, expected[0], rtol=1e-6)
    np.testing.assert_allclose(np.abs(vectors), np.abs(expected[1]), atol=1e-6)
