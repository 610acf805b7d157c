"""What is removed: closed forms, and the study's procedure written out with scikit-learn."""

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from earshift.analysis import desensitise
from earshift.analysis.classify import evaluate
from earshift.analysis.desensitise import METHODS, Method, Removal, TrainingClips, reference_variances
from earshift.analysis.robustness import Training, train

# Those that project out directions, and what they need
PROJECTIONS = [method for method in METHODS if method not in ("leace", "conditional_displacement", "augmentation")]


def removal(method, originals, vectors, *, threshold=0.4, reference=None):
    if reference is None and len(originals) > 1:
        reference = reference_variances(originals)
    return desensitise.estimate_removal(TrainingClips(originals, vectors, reference), Method(method, method, threshold))


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
    assert found.directions.shape == (0, 8) and found.problem == ""
    np.testing.assert_array_equal(found.apply(originals, None), originals)


def test_average_displacement_is_the_line_between_the_centroids(rng):
    line, originals = unit(1, 2, -2, 0), rng.normal(size=(9, 4))
    steps = np.array([1.0, 2.0, 6.0])[:, None]  # centroid of the perturbed: 3 along the line
    vectors = originals[:, None] + steps * line + rng.permutation([-1, 0, 1] * 3)[:, None, None] * unit(2, -1, 0, 0)
    found = removal("average_displacement", originals, vectors)
    same_space(found.directions, line[None])
    centroids = [found.apply(rows, None).mean(axis=0) for rows in (originals, vectors.reshape(-1, 4))]
    np.testing.assert_allclose(*centroids, atol=1e-12)


@pytest.mark.parametrize("count, values, dim", [(12, 5, 8), (4, 3, 40)])  # more and fewer displacements than dimensions
def test_pca_is_that_of_scikit_learn(rng, count, values, dim):
    originals, vectors = clips(rng, count, values, dim)
    displacements = (vectors - originals[:, None].astype(np.float64)).reshape(-1, dim)
    same_space(removal("pca", originals, vectors).directions, PCA(svd_solver="full").fit(displacements).components_[:1])


def test_pca_leaves_the_mean_displacement(rng):
    """The displacements have a large common part and vary along another line: it is the latter that goes."""
    common, line, originals = unit(1, 0, 0), unit(0, 3, 4), rng.normal(size=(6, 3))
    vectors = originals[:, None] + 10 * common + np.array([-1.0, 0.0, 1.0])[:, None] * line
    same_space(removal("pca", originals, vectors).directions, line[None])


def test_samplewise_directions_are_those_of_scikit_learn(rng):
    originals, vectors = clips(rng, 14, 6, 30)
    own = [CCA(n_components=1, scale=False).fit(clip, np.linspace(0, 1, 6)).x_weights_[:, 0] for clip in vectors]
    singular, right = np.linalg.svd(np.array(own), full_matrices=False)[1:]
    shares = singular / singular[0]
    for count in (1, 2, 3, 8):
        found = removal("samplewise_cca_svd", originals, vectors, threshold=(shares[count - 1] + shares[count]) / 2)
        assert len(found.directions) == count
        same_space(found.directions, right[:count])


@pytest.mark.parametrize("threshold, kept", [(0.3, 2), (0.39, 2), (0.41, 1), (0.5, 1)])
def test_singular_vectors_are_removed_while_they_reach_the_threshold(rng, threshold, kept):
    """25 clips move along one axis, 4 along another: singular values 5 and 2."""
    originals = rng.normal(size=(29, 6))
    axes = np.eye(6)[[0] * 25 + [3] * 4]
    vectors = originals[:, None] + np.arange(1.0, 5)[:, None] * axes[:, None]
    found = removal("samplewise_cca_svd", originals, vectors, threshold=threshold)
    same_space(found.directions, np.eye(6)[[0, 3][:kept]])


@pytest.mark.parametrize("method", PROJECTIONS)
def test_rows_are_orthonormal(rng, method):
    basis = removal(method, *clips(rng)).directions
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-10)
    assert basis.dtype == np.float64


def planted(rng, count=160, dim=10, amounts=(20, 60)):
    """Clips of two classes that a perturbation moves along one line, by amounts of their own; and that line."""
    line, positive = unit(*([0] * (dim - 1)), 1), np.arange(count) % 2 == 0
    originals = rng.normal(size=(count, dim))
    originals[:, 0] += 1.5 * positive
    vectors = originals[:, None] + rng.uniform(*amounts, (count, 1, 1)) * np.array([0.3, 0.6, 1.0])[:, None] * line
    return originals, vectors, positive, line


def roc_auc(originals, vectors, positive, method, threshold=0.9):
    """Of a classifier trained on the originals of one half, tested on the originals and the strongest of the other."""
    half, test = np.arange(len(positive)) % 4 < 2, np.arange(len(positive)) % 4 >= 2
    own = half & positive
    found = removal(method, originals[own], vectors[own], threshold=threshold,
                    reference=reference_variances(originals[half]))  # fmt: skip
    classifier = train(Training(originals[half], positive[half], found))
    assert classifier.problem == ""
    decisions = np.array([classifier.decide(tested[test]) for tested in (originals, vectors[:, -1])])
    return found, evaluate(decisions, positive[test])["roc_auc"]


@pytest.mark.parametrize("method", ["average_displacement", "pca", "pca_normalised", "samplewise_cca_svd", "leace"])
def test_a_planted_nuisance_is_removed_and_the_auc_comes_back(rng, method):
    """A line that tells nothing about the class but that a classifier of few clips has a weight on."""
    originals, vectors, positive, line = planted(rng)
    untouched = roc_auc(originals, vectors, positive, "none")[1]
    found, (original, strongest) = roc_auc(originals, vectors, positive, method)
    assert untouched[1] < untouched[0] - 0.1  # it costs much
    assert strongest > untouched[0] - 0.03 and original > untouched[0] - 0.03
    assert abs(found.directions[0] @ line) > 0.99 * np.linalg.norm(found.directions[0])


@pytest.mark.parametrize("method", ["cca", "lda"])
def test_weights_of_a_regression_come_near_a_planted_line_with_many_clips(rng, method):
    """They are the inverse covariance times the line, so that what clips vary in by chance stands out in them."""
    originals, vectors, positive, line = planted(rng, 4000, 10, amounts=(3, 12))
    few = removal(method, originals[:20], vectors[:20]).directions[0]
    many, (original, strongest) = roc_auc(originals, vectors, positive, method)
    assert abs(few @ line) < 0.9 < 0.95 < abs(many.directions[0] @ line)
    assert strongest == pytest.approx(original, abs=2e-3)


@pytest.mark.parametrize("method", ["average_displacement", "pca", "samplewise_cca_svd", "lda", "leace"])
def test_a_direction_along_the_label_costs_accuracy_when_it_is_removed(rng, method):
    originals, _, positive, _ = planted(rng)
    label = np.eye(10)[0]
    steps = rng.uniform(5, 20, (160, 1, 1)) * np.array([0.3, 0.6, 1.0])[:, None]
    vectors = originals[:, None] + steps * label
    untouched = roc_auc(originals, vectors, positive, "none")[1][0]
    assert roc_auc(originals, vectors, positive, method)[1][0] < untouched - 0.1


# ------------------------------------------------------------------------------------------------------ other methods


@pytest.mark.parametrize("count, dim", [(20, 6), (5, 30)])
def test_lda_is_that_of_scikit_learn(rng, count, dim):
    originals, vectors = clips(rng, count, 5, dim)
    stacked = np.concatenate([originals, vectors.reshape(-1, dim)])
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(stacked, np.arange(len(stacked)) >= count)
    same_space(removal("lda", originals, vectors).directions, unit(*model.coef_[0])[None])


def test_a_dimension_that_never_changes_does_not_stop_lda(rng):
    originals, vectors = clips(rng, 9, 5, 12)
    originals[:, 3] = vectors[..., 3] = 0.5
    stacked = np.concatenate([originals, vectors.reshape(-1, 12)])
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(stacked, np.arange(len(stacked)) >= 9)
    same_space(removal("lda", originals, vectors).directions, unit(*model.coef_[0])[None])


@pytest.mark.parametrize("count, values, dim", [(12, 5, 8), (4, 3, 40)])
def test_normalised_pca_takes_the_largest_ratio_of_variances(rng, count, values, dim):
    originals, vectors = clips(rng, count, values, dim)
    others = rng.normal(size=(60, dim)) * np.linspace(4, 0.1, dim)
    reference = PCA(svd_solver="full").fit(others).explained_variance_
    np.testing.assert_allclose(reference_variances(others), reference, rtol=1e-9)
    displacements = PCA(svd_solver="full").fit((vectors - originals[:, None].astype(np.float64)).reshape(-1, dim))
    ratios = displacements.explained_variance_ / reference[: len(displacements.explained_variance_)]
    expected = displacements.components_[np.argmax(ratios)]
    same_space(removal("pca_normalised", originals, vectors, reference=reference_variances(others)).directions,
               expected[None])  # fmt: skip


def test_normalised_pca_does_not_divide_by_rounding(rng):
    """Ten original clips span nine dimensions: the tenth variance is rounding, and dividing by it would win."""
    originals, vectors = clips(rng, 10, 4, 15)
    found = removal("pca_normalised", originals, vectors)
    components = PCA(svd_solver="full").fit((vectors - originals[:, None].astype(np.float64)).reshape(-1, 15))
    ratios = components.explained_variance_[:9] / reference_variances(originals)[:9]
    same_space(found.directions, components.components_[np.argmax(ratios)][None])


def test_cca_is_that_of_scikit_learn(rng):
    originals, vectors = clips(rng, 14, 6, 9)
    model = CCA(n_components=1, scale=False).fit(vectors.reshape(-1, 9), np.tile(np.arange(6.0), 14))
    same_space(removal("cca", originals, vectors).directions, model.x_weights_.T)


def test_leace_leaves_no_covariance_and_moves_vectors_least(rng):
    """Guarded: nothing is left to predict strength from. Least: any other such map of rank one moves them more."""
    originals, vectors = clips(rng, 400, 5, 4)
    found = removal("leace", originals, vectors)
    rows, strengths = vectors.reshape(-1, 4).astype(np.float64), np.tile(np.arange(5.0) - 2, 400)
    erased = found.apply(rows, 1)
    np.testing.assert_allclose(erased.T @ strengths / len(rows), 0, atol=1e-7)
    np.testing.assert_allclose(erased.mean(axis=0), rows.mean(axis=0), atol=1e-6)
    covariance = np.cov(rows.T, bias=True)
    written = (rows - rows.mean(axis=0)).T @ strengths / len(rows)
    read = np.linalg.solve(covariance, written)
    expected = rows - np.outer((rows - rows.mean(axis=0)) @ read / (written @ read), written)
    np.testing.assert_allclose(erased, expected, atol=0.05)  # but for the shrinkage, which many clips make small
    moved = np.square(erased - rows).sum()
    for _ in range(20):
        other = read + 0.3 * np.linalg.norm(read) * unit(*rng.normal(size=4))
        swept = np.outer((rows - rows.mean(axis=0)) @ other / (written @ other), written)
        assert np.square(swept).sum() > moved


def test_conditional_displacement_takes_the_mean_of_each_value_away(rng):
    originals, vectors = clips(rng)
    found = removal("conditional_displacement", originals, vectors)
    for place in range(5):
        left = found.apply(vectors[:, place], place)
        np.testing.assert_allclose(left.mean(axis=0), originals.mean(axis=0, dtype=np.float64), atol=1e-6)
    np.testing.assert_array_equal(found.apply(originals, None), originals)
    places = rng.integers(5, size=12)
    mixed = found.apply(vectors[np.arange(12), places], places)
    each = [found.apply(vectors[i, place], place) for i, place in enumerate(places)]
    np.testing.assert_allclose(mixed, each)


@pytest.mark.parametrize("method", METHODS)
def test_a_decision_takes_the_removal_in(rng, method):
    originals, vectors = clips(rng)
    found = removal(method, originals, vectors)
    weights, intercept = rng.normal(size=8), 0.7
    own, moved = found.absorb(weights, intercept)
    expected = found.apply(vectors[:, 2], 2) @ weights + intercept
    shift = found.shift(2)
    untouched = vectors[:, 2] if shift is None else vectors[:, 2] - shift
    np.testing.assert_allclose(untouched @ own + moved, expected, rtol=1e-9, atol=1e-9)


def test_equal_removals_have_equal_keys(rng):
    originals, vectors = clips(rng)
    keys = {removal(method, originals, vectors).key for method in METHODS}
    assert len(keys) == len(METHODS) - 1  # none and augmentation remove the same: nothing
    assert removal("pca", originals, vectors).key == removal("pca", originals, vectors).key
    assert Removal(np.empty((0, 8)), problem="no").key != Removal(np.empty((0, 8))).key


# -------------------------------------------------------------------------------------------------- without a direction


def test_centroids_that_coincide(rng):
    originals = rng.normal(size=(4, 3))
    around = np.array([1.0, -1.0])[:, None] * rng.normal(size=3)
    found = removal("average_displacement", originals, originals[:, None] + around)
    assert "the same mean" in found.problem and found.directions.shape == (0, 3)


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_displacements_that_are_all_the_same(rng, shift):
    originals = rng.normal(size=(4, 3)).astype(np.float32)
    found = removal("pca", originals, np.repeat(originals[:, None], 5, axis=1) + np.float32(shift))
    assert "all displacements are the same" in found.problem


def test_a_perturbation_without_effect(rng):
    originals = rng.normal(size=(6, 4)).astype(np.float32)
    still = np.repeat(originals[:, None], 5, axis=1)
    for method in METHODS:
        assert bool(removal(method, originals, still).problem) == (method not in ("none", "augmentation"))


def test_clips_that_do_not_move_have_no_say(rng):
    originals, vectors = clips(rng, 10, 5, 12)
    found = removal("samplewise_cca_svd", originals[:7], vectors[:7], threshold=0.3)
    vectors[7:] = originals[7:, None]
    same_space(removal("samplewise_cca_svd", originals, vectors, threshold=0.3).directions, found.directions)


def test_no_singular_value_below_the_threshold(rng):
    """All directions go, as published; where that is every dimension there is nothing left to classify."""
    axes = np.eye(5)[:4]
    vectors = np.arange(1.0, 4)[None, :, None] * axes[:, None]
    found = removal("samplewise_cca_svd", vectors[:, 0], vectors, threshold=0.5)
    assert len(found.directions) == 4 and found.problem == ""
    found = removal("samplewise_cca_svd", vectors[:, 0, :4], vectors[..., :4], threshold=0.5)
    assert "no dimension would be left" in found.problem and len(found.directions) == 0


def test_no_clips():
    empty = np.empty((0, 3)), np.empty((0, 4, 3))
    for method in METHODS:
        assert removal(method, *empty).problem.startswith("no training clips")
