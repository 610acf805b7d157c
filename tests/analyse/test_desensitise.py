"""What is removed: closed forms, and the study's procedure written out with scikit-learn."""

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA

from stages.analyse.classify import evaluation, fit, projected
from stages.analyse.desensitise import METHODS, removal


def unit(*entries):
    entries = np.array(entries, dtype=float)
    return entries / np.linalg.norm(entries)


def clips(rng, count=12, values=5, dim=8):
    """Originals, and trajectories that bend and jitter."""
    originals = rng.normal(size=(count, dim))
    strengths = np.linspace(0.2, 1, values)[:, None]
    bent = strengths * rng.normal(size=dim) + strengths**2 * rng.normal(size=(count, 1, dim))
    vectors = originals[:, None] + bent + 0.05 * rng.normal(size=(count, values, dim))
    return originals.astype(np.float32), vectors.astype(np.float32)


def same_space(found, expected):
    np.testing.assert_allclose(found.T @ found, expected.T @ expected, atol=1e-6)


def test_none_removes_nothing(rng):
    originals, vectors = clips(rng)
    found = removal("none", originals, vectors)
    assert found.basis.shape == (0, 8) and found.problem == ""
    assert projected(originals, found.basis) is originals


def test_average_displacement_is_the_line_between_the_centroids(rng):
    line, originals = unit(1, 2, -2, 0), rng.normal(size=(9, 4))
    steps = np.array([1.0, 2.0, 6.0])[:, None]  # centroid of the perturbed: 3 along the line
    vectors = originals[:, None] + steps * line + rng.permutation([-1, 0, 1] * 3)[:, None, None] * unit(2, -1, 0, 0)
    found = removal("average_displacement", originals, vectors)
    same_space(found.basis, line[None])
    centroids = [projected(rows, found.basis).mean(axis=0) for rows in (originals, vectors.reshape(-1, 4))]
    np.testing.assert_allclose(*centroids, atol=1e-12)


@pytest.mark.parametrize("count, values, dim", [(12, 5, 8), (4, 3, 40)])  # more and fewer displacements than dimensions
def test_pca_is_that_of_scikit_learn(rng, count, values, dim):
    originals, vectors = clips(rng, count, values, dim)
    displacements = (vectors - originals[:, None].astype(np.float64)).reshape(-1, dim)
    same_space(removal("pca", originals, vectors).basis, PCA(svd_solver="full").fit(displacements).components_[:1])


def test_pca_leaves_the_mean_displacement(rng):
    """The displacements have a large common part and vary along another line: it is the latter that goes."""
    common, line, originals = unit(1, 0, 0), unit(0, 3, 4), rng.normal(size=(6, 3))
    vectors = originals[:, None] + 10 * common + np.array([-1.0, 0.0, 1.0])[:, None] * line
    same_space(removal("pca", originals, vectors).basis, line[None])


def test_samplewise_directions_are_those_of_scikit_learn(rng):
    originals, vectors = clips(rng, 14, 6, 30)
    own = [CCA(n_components=1, scale=False).fit(clip, np.linspace(0, 1, 6)).x_weights_[:, 0] for clip in vectors]
    singular, right = np.linalg.svd(np.array(own), full_matrices=False)[1:]
    shares = singular / singular[0]
    for count in (1, 2, 3, 8):
        found = removal("samplewise_cca_svd", originals, vectors, threshold=(shares[count - 1] + shares[count]) / 2)
        assert len(found.basis) == count
        same_space(found.basis, right[:count])


@pytest.mark.parametrize("threshold, kept", [(0.3, 2), (0.39, 2), (0.41, 1), (0.5, 1)])
def test_singular_vectors_are_removed_while_they_reach_the_threshold(rng, threshold, kept):
    """25 clips move along one axis, 4 along another: singular values 5 and 2."""
    originals = rng.normal(size=(29, 6))
    axes = np.eye(6)[[0] * 25 + [3] * 4]
    vectors = originals[:, None] + np.arange(1.0, 5)[:, None] * axes[:, None]
    found = removal("samplewise_cca_svd", originals, vectors, threshold=threshold)
    same_space(found.basis, np.eye(6)[[0, 3][:kept]])


@pytest.mark.parametrize("method, options", [(m, {"threshold": 0.4} if "svd" in m else {}) for m in METHODS])
def test_rows_are_orthonormal(rng, method, options):
    basis = removal(method, *clips(rng), **options).basis
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-10)
    assert basis.dtype == np.float64


def test_a_planted_direction_is_removed_and_the_auc_comes_back(rng):
    """A perturbation that moves clips by unequal amounts along one line that tells nothing about the class."""
    line, positive = unit(*([0] * 9), 1), np.arange(120) % 2 == 0
    originals = rng.normal(size=(120, 10))
    originals[:, 0] += 1.5 * positive
    originals[:, 9] += 1.5 * positive  # so that the classifier looks that way, too
    vectors = originals[:, None] + rng.uniform(0, 20, (120, 1, 1)) * np.array([0.3, 0.6, 1.0])[:, None] * line
    train, test = np.arange(120) < 60, np.arange(120) >= 60
    own = train & positive
    auc = {}
    for method in ("none", "average_displacement", "pca", "samplewise_cca_svd"):
        options = {"threshold": 0.9} if method == "samplewise_cca_svd" else {}
        found = removal(method, originals[own], vectors[own], **options)
        classifier = fit(originals[train], positive[train], found.basis)
        auc[method] = [
            evaluation(classifier, tested[test], positive[test])["roc_auc"] for tested in (originals, vectors[:, 2])
        ]
        if method != "none":
            same_space(found.basis, line[None])
            assert auc[method][0] == pytest.approx(auc[method][1], abs=1e-9)  # the line is gone from both
    assert auc["none"][1] < auc["pca"][1] - 0.05


# -------------------------------------------------------------------------------------------------- without a direction


def test_centroids_that_coincide(rng):
    originals = rng.normal(size=(4, 3))
    around = np.array([1.0, -1.0])[:, None] * rng.normal(size=3)
    found = removal("average_displacement", originals, originals[:, None] + around)
    assert "the same mean" in found.problem and found.basis.shape == (0, 3)


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_displacements_that_are_all_the_same(rng, shift):
    originals = rng.normal(size=(4, 3)).astype(np.float32)
    found = removal("pca", originals, np.repeat(originals[:, None], 5, axis=1) + np.float32(shift))
    assert "all displacements are the same" in found.problem


def test_a_perturbation_without_effect(rng):
    originals = rng.normal(size=(6, 4)).astype(np.float32)
    still = np.repeat(originals[:, None], 5, axis=1)
    for method in METHODS:
        options = {"threshold": 0.3} if method == "samplewise_cca_svd" else {}
        assert bool(removal(method, originals, still, **options).problem) == (method != "none")


def test_clips_that_do_not_move_have_no_say(rng):
    originals, vectors = clips(rng, 10, 5, 12)
    found = removal("samplewise_cca_svd", originals[:7], vectors[:7], threshold=0.3)
    vectors[7:] = originals[7:, None]
    same_space(removal("samplewise_cca_svd", originals, vectors, threshold=0.3).basis, found.basis)


def test_no_singular_value_below_the_threshold(rng):
    """All directions go, as published; where that is every dimension there is nothing left to classify."""
    axes = np.eye(5)[:4]
    vectors = np.arange(1.0, 4)[None, :, None] * axes[:, None]
    found = removal("samplewise_cca_svd", vectors[:, 0], vectors, threshold=0.5)
    assert len(found.basis) == 4 and found.problem == ""
    found = removal("samplewise_cca_svd", vectors[:, 0, :4], vectors[..., :4], threshold=0.5)
    assert "no dimension would be left" in found.problem and len(found.basis) == 0


def test_no_clips():
    empty = np.empty((0, 3)), np.empty((0, 4, 3))
    for method in METHODS:
        options = {"threshold": 0.3} if method == "samplewise_cca_svd" else {}
        assert removal(method, *empty, **options).problem.startswith("no training clips")
