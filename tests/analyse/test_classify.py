"""The study's classifier against the study's own procedure, written out with scikit-learn."""

import random

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, roc_auc_score
from sklearn.model_selection import GridSearchCV

from stages.analyse import classify
from stages.analyse.classify import Classifier, evaluation, fit, study_order, training_set

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
    np.testing.assert_allclose(found.decision(vectors[test]), expected.decision_function(vectors[test]), rtol=1e-9)
    auc = roc_auc_score(positive[test], expected.predict_proba(vectors[test])[:, 1])
    assert 0.6 < auc < 0.99
    assert evaluation(found, vectors[test], positive[test])["roc_auc"] == pytest.approx(auc, abs=1e-6)


def test_removed_directions_are_projected_out_of_every_set(rng):
    vectors, positive = two_classes(rng, 160, 30)
    removed = np.linalg.qr(rng.normal(size=(30, 3)))[0].T
    projector = np.eye(30) - removed.T @ removed
    train, test = np.arange(160) % 2 == 0, np.arange(160) % 2 == 1
    expected = published_model(vectors[train] @ projector, positive[train])
    found = fit(vectors[train], positive[train], removed)
    np.testing.assert_allclose(
        found.decision(vectors[test]), expected.decision_function(vectors[test] @ projector), rtol=1e-6, atol=1e-9
    )
    assert np.abs(removed @ found.weights).max() < 1e-12 * np.linalg.norm(found.weights)


def test_float32_vectors_are_trained_in_float64(rng):
    vectors, positive = two_classes(rng, 60, 10)
    vectors = vectors.astype(np.float32)
    np.testing.assert_array_equal(fit(vectors, positive).weights, fit(vectors.astype(np.float64), positive).weights)


# ----------------------------------------------------------------------------------------------------------- its scores


def test_scores_are_those_of_the_published_report(rng):
    positive = np.arange(90) < 20
    vectors = rng.normal(size=(90, 2)) + positive[:, None]
    classifier = Classifier(weights=np.array([1.0, 0.5]), intercept=-0.8)
    decision = vectors @ [1.0, 0.5] - 0.8
    report = classification_report(positive, decision > 0, output_dict=True)
    found = evaluation(classifier, vectors, positive)
    for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support", "support")):
        assert found[ours] == pytest.approx(report["True"][theirs])
    assert found["accuracy"] == pytest.approx(report["accuracy"]) and found["problem"] == ""
    wins = (decision[positive][:, None] > decision[~positive]).mean()
    assert found["roc_auc"] == pytest.approx(wins)
    ranked = positive[np.argsort(-decision)]
    precisions = np.cumsum(ranked) / np.arange(1, 91)
    assert found["average_precision"] == pytest.approx(precisions[ranked].mean())


def test_probabilities_that_round_to_one_tie():
    """Published AUCs rank probabilities: 40 and 50 are both 1.0 there, so one of the two pairs is half won."""
    classifier = Classifier(weights=np.ones(1), intercept=0.0)
    found = evaluation(classifier, np.array([[40.0], [50.0], [0.0]]), np.array([True, False, False]))
    assert found["roc_auc"] == 0.75


# --------------------------------------------------------------------------------------------------- without an outcome


@pytest.mark.parametrize(
    "counts, problem", [((2, 9), "2 positive training clips"), ((9, 2), "2 negative"), ((5, 0), "0 negative")]
)
def test_classes_smaller_than_the_folds(rng, counts, problem):
    positive = np.arange(sum(counts)) < counts[0]
    classifier = fit(rng.normal(size=(sum(counts), 4)), positive)
    assert classifier.weights is None and classifier.problem.startswith(problem) and "3 folds" in classifier.problem
    scores = evaluation(classifier, rng.normal(size=(6, 4)), np.arange(6) < 2)
    assert scores["problem"] == classifier.problem and scores["support"] == 2
    assert np.isnan([scores[name] for name in ("roc_auc", "average_precision", "f1", "accuracy")]).all()


def test_three_clips_of_each_class_are_enough(rng):
    classifier = fit(rng.normal(size=(6, 4)), np.arange(6) < 3)
    assert classifier.problem == "" and np.isfinite(classifier.weights).all()


def test_an_encoder_that_returns_a_constant():
    assert fit(np.full((20, 5), 0.3), np.arange(20) < 10).problem == "all training vectors are alike"


def test_nothing_is_left_when_all_that_varies_is_removed(rng):
    line = np.array([0.6, 0.8, 0.0])
    vectors = 100 + rng.normal(size=(20, 1)) * line
    assert fit(vectors, np.arange(20) < 10).problem == ""
    assert fit(vectors, np.arange(20) < 10, line[None]).problem.startswith("once the directions are removed all")
    assert fit(vectors - 100, np.arange(20) < 10, line[None]).problem.startswith("once the directions are removed all")


def test_a_test_set_of_one_class(rng):
    classifier = Classifier(weights=np.ones(2), intercept=0.0)
    for positive, problem in ((np.ones(5, bool), "no negative test clips"), (np.zeros(5, bool), "no positive")):
        scores = evaluation(classifier, rng.normal(size=(5, 2)), positive)
        assert scores["problem"].startswith(problem) and np.isfinite(scores["accuracy"])
        assert np.isnan(scores["roc_auc"]) and np.isnan(scores["average_precision"])
    assert evaluation(classifier, np.empty((0, 2)), np.empty(0, bool))["problem"] == "no test clips"


def test_constants_are_the_studys():
    assert (classify.SEED, classify.FOLDS) == (42, 3)
    assert [round(np.log10(c)) for c in classify.PENALTIES] == list(range(-8, 4))
