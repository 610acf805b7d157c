"""The study's classifier against the study's own procedure, written out with scikit-learn."""

import itertools
import random

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, classification_report, roc_auc_score
from sklearn.model_selection import GridSearchCV

from earshift.analysis import classify, ranking
from earshift.analysis.classify import evaluate, fit, study_order, training_set

STUDY = ["clarinet", "organ", "cello", "violin", "guitar_acc", "voice", "guitar_ele", "saxophone", "trumpet", "piano",
         "flute"]  # fmt: skip


def published_model(vectors, positive):
    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=42)
    return GridSearchCV(model, {"C": [10.0**k for k in range(-8, 4)]}, scoring="roc_auc", cv=3).fit(vectors, positive)


def two_classes(rng, count, dim, shift=0.25, decay=0.5):
    """Two classes of unequal size that overlap, in coordinates of very different spread."""
    positive = np.arange(count) < count // 3
    spread = 3 * np.arange(1.0, dim + 1) ** -decay
    vectors = (rng.normal(size=(count, dim)) + shift * positive[:, None]) * spread
    return vectors @ np.linalg.qr(rng.normal(size=(dim, dim)))[0], positive


# --------------------------------------------------------------------------------------------------------- who is in it


def test_negatives_are_the_studys():
    """Facts 1b: all positives, then 28 per other instrument, random.seed(42) anew for each."""
    instruments = np.array(STUDY * 288)  # interleaved: positions count within a class, whatever lies between
    positions, positive = training_set(instruments, "cello")
    assert positions[:288].tolist() == np.flatnonzero(instruments == "cello").tolist()
    assert positive.tolist() == [True] * 288 + [False] * 280
    expected = []
    for other in STUDY:
        if other != "cello":
            random.seed(42)
            drawn = random.sample(list(range(288)), 28)
            expected += [int(np.flatnonzero(instruments == other)[i]) for i in drawn]
    assert positions[288:].tolist() == expected


def test_classes_stand_in_the_studys_order_and_strangers_follow():
    assert study_order(["zither", "flute", "banjo", "flute", "organ"]) == ["organ", "flute", "zither", "banjo"]
    instruments = np.array(["zither", "flute", "organ", "cello", "cello", "cello"])
    positions, _ = training_set(instruments, "cello")
    assert positions.tolist() == [3, 4, 5, 2, 1, 0]


@pytest.mark.parametrize("positives, negatives", [(29, [14, 14]), (28, [14, 14]), (61, [30, 20]), (1, [1, 1])])
def test_negatives_of_other_sizes(positives, negatives):
    """floor(positives / others) of each, at least one, or all where there are fewer."""
    instruments = np.array(["cello"] * positives + ["flute"] * 40 + ["piano"] * 20)
    positions, positive = training_set(instruments, "cello")
    chosen = instruments[positions[~positive]]
    assert [int((chosen == name).sum()) for name in ("flute", "piano")] == negatives
    assert len(set(positions.tolist())) == len(positions)


def test_one_instrument_alone_has_no_negatives():
    positions, positive = training_set(np.array(["all"] * 5), "all")
    assert positions.tolist() == [0, 1, 2, 3, 4] and positive.all()


# ------------------------------------------------------------------------------------------------------------ the model


@pytest.mark.parametrize("dim", [40, 300])  # fewer and more dimensions than clips
def test_same_auc_as_the_published_procedure(rng, dim):
    vectors, positive = two_classes(rng, 240, dim)
    train, test = np.arange(240) % 2 == 0, np.arange(240) % 2 == 1
    expected = published_model(vectors[train], positive[train])
    found = fit(vectors[train].astype(np.float64), positive[train])
    assert found.penalty == expected.best_params_["C"] and found.problem == found.note == ""
    np.testing.assert_allclose(found.decide(vectors[test]), expected.decision_function(vectors[test]), rtol=1e-9)
    auc = roc_auc_score(positive[test], expected.predict_proba(vectors[test])[:, 1])
    assert 0.6 < auc < 0.99
    scores = evaluate(found.decide(vectors[test])[None], positive[test])
    assert scores["roc_auc"][0] == pytest.approx(auc, abs=1e-6)


@pytest.mark.parametrize("count, dim", [(40, 12), (40, 200), (300, 12), (300, 260)])
@pytest.mark.parametrize("mean", [0.0, 5.0])
def test_costs_are_chosen_as_by_the_grid_search(rng, count, dim, mean):
    """Few clips rank equally well under many costs: which of them is the first best is a matter of rounding.

    With large costs liblinear's result is no sharper than its tolerance, so what is compared is how clips rank.
    """
    for _ in range(3):
        vectors, positive = two_classes(rng, count + 1500, dim, shift=0.3)
        order = rng.permutation(count + 1500)
        train, test = np.sort(order[:count]), order[count:]
        vectors += mean
        expected, found = published_model(vectors[train], positive[train]), fit(vectors[train], positive[train])
        assert found.penalty == expected.best_params_["C"]
        areas = [roc_auc_score(positive[test], m(vectors[test])) for m in (found.decide, expected.decision_function)]
        assert areas[0] == pytest.approx(areas[1], abs=2e-4)
        if found.penalty <= 1:
            weights = expected.best_estimator_.coef_[0]
            assert np.linalg.norm(found.weights - weights) <= 2e-3 * np.linalg.norm(weights)
            assert found.intercept == pytest.approx(expected.best_estimator_.intercept_[0], rel=2e-3, abs=1e-6)


def test_equally_good_costs_are_told_apart_by_scikit_learns_rounding():
    """To the last bit, with ties and without."""
    rng, positive = np.random.default_rng(0), np.arange(60) < 23
    scores = rng.normal(size=(400, 60)) + positive
    scores[200:] = np.round(scores[200:])
    expected = [roc_auc_score(positive, row) for row in scores]
    assert [ranking.trapezoidal_auc(row, positive) for row in scores] == expected
    assert (ranking.roc_auc(scores, positive) != expected).any()  # so it makes a difference


def test_versions_of_a_clip_stay_together_and_weigh_as_one(rng):
    """Equal versions change nothing: neither which cost is chosen, nor the weights."""
    vectors, positive = two_classes(rng, 90, 8)
    alone, thrice = fit(vectors, positive), fit(np.repeat(vectors[:, None], 3, axis=1), positive)
    assert thrice.penalty == alone.penalty
    np.testing.assert_allclose(thrice.weights, alone.weights, rtol=1e-9)


def test_float32_vectors_are_trained_in_float64(rng):
    vectors, positive = two_classes(rng, 60, 10)
    vectors = vectors.astype(np.float32)
    np.testing.assert_array_equal(fit(vectors, positive).weights, fit(vectors.astype(np.float64), positive).weights)


# ----------------------------------------------------------------------------------------------------------- its scores


def test_scores_are_those_of_the_published_report(rng):
    positive = np.arange(90) < 20
    decisions = rng.normal(size=(3, 90)) + positive - [[0.3], [0.8], [9.0]]
    decisions[1] = np.round(decisions[1])  # ties
    found = evaluate(decisions, positive)
    for place, decision in enumerate(decisions):
        report = classification_report(positive, decision > 0, output_dict=True, zero_division=0.0)
        names = (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support", "support"))
        for ours, theirs in names:
            assert found[ours][place] == pytest.approx(report["True"][theirs])
        assert found["accuracy"][place] == pytest.approx(report["accuracy"])
        probability = expit(decision)
        assert found["roc_auc"][place] == pytest.approx(roc_auc_score(positive, probability), abs=1e-14)
        precision = average_precision_score(positive, probability)
        assert found["average_precision"][place] == pytest.approx(precision, abs=1e-14)


def test_probabilities_that_round_to_one_tie():
    """Published AUCs rank probabilities: 40 and 50 are both 1.0 there, so one of the two pairs is half won."""
    found = evaluate(np.array([[40.0, 50.0, 0.0]]), np.array([True, False, False]))
    assert found["roc_auc"][0] == 0.75


def test_resampled_auc_is_that_of_the_repeated_clips(rng):
    positive, scores = np.arange(30) % 3 == 0, np.round(rng.normal(size=(2, 30)), 1)
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=5)
    counts[4] = positive  # none of the others
    found = ranking.resampled_roc_auc(scores, positive, counts)
    for row, draw in itertools.product(range(2), range(4)):
        clips = np.repeat(np.arange(30), counts[draw])
        assert found[row, draw] == pytest.approx(roc_auc_score(positive[clips], scores[row, clips]), abs=1e-12)
    assert np.isnan(found[:, 4]).all()


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_class_among_the_test_clips_has_no_ranking(positive):
    found = evaluate(np.array([[1.0, -1.0]]), np.array(positive))
    assert np.isnan([found["roc_auc"][0], found["average_precision"][0]]).all()
    assert found["accuracy"][0] == 0.5 and found["support"][0] == sum(positive)


def test_no_test_clips_have_no_scores():
    found = evaluate(np.empty((2, 0)), np.empty(0, dtype=bool))
    assert all(np.isnan(found[name]).all() for name in classify.SCORES if name != "support")
    assert found["support"].tolist() == [0, 0]


# --------------------------------------------------------------------------------------------------- without an outcome


@pytest.mark.parametrize(
    "counts, problem", [((2, 9), "2 positive training clips"), ((9, 2), "2 negative"), ((5, 0), "0 negative")]
)
def test_classes_smaller_than_the_folds(rng, counts, problem):
    positive = np.arange(sum(counts)) < counts[0]
    classifier = fit(rng.normal(size=(sum(counts), 4)), positive)
    assert not len(classifier.weights) and classifier.problem.startswith(problem) and "3 folds" in classifier.problem


def test_vectors_that_are_alike_cannot_be_told_apart(rng):
    alike = np.tile(rng.normal(size=(1, 5)), (12, 1))
    rounding = alike * (1 + 1e-9 * rng.normal(size=alike.shape))
    for vectors in (alike, rounding):
        classifier = fit(vectors, np.arange(12) < 6)
        assert not len(classifier.weights) and "alike" in classifier.problem
    assert not fit(rounding - alike, np.arange(12) < 6).problem
    assert "alike" in fit(rounding - alike, np.arange(12) < 6, scale=1.0).problem  # what a removal left over


def test_three_clips_of_each_class_are_enough(rng):
    classifier = fit(rng.normal(size=(6, 4)), np.arange(6) < 3)
    assert classifier.problem == "" and np.isfinite(classifier.weights).all()


def test_an_encoder_that_returns_a_constant():
    assert fit(np.full((20, 5), 0.3), np.arange(20) < 10).problem == "all training vectors are alike"
