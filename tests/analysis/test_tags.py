"""Clips that belong to several classes at once: who counts where, and once where clips are counted together."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from earshift.analysis import cca, classify, ranking, robustness, svd, trajectories
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline.trajectories import read_trajectories

MAPS = trajectories.TrajectoryMaps(clips=1, neighbours=3, seed=0, bootstrap=20, confidence=0.95)


@pytest.fixture
def labelled(rng, trajectories):
    """48 clips of three instruments that move with strength, two clips a recording."""
    line = rng.normal(size=6)
    vectors = rng.normal(size=(48, 5, 6)) + np.arange(5)[:, None] * line * rng.uniform(0.2, 1, (48, 1, 1))
    return trajectories(vectors.astype(np.float32), instruments=3)


def as_tags(t, **tagged):
    """The same clips without labels, with these tags or with their labels for tags."""
    tagged = tagged or {name: t.instrument == name for name in t.instruments}
    return dataclasses.replace(t, instrument=np.full(len(t.clip), "all"), tagged=tagged)


def options(*methods, bootstrap=40):
    document = params.read()["robustness"] | {"methods": list(methods), "bootstrap": bootstrap}
    return check(params.Robustness, document, "robustness")


# ------------------------------------------------------------------------------------------------------- from clips.csv


def test_tags_are_the_classes_where_no_clip_has_a_label(on_disk, rng):
    tags = ["Bark|Dog", "Dog", "", "Rain", "Bark|Dog|Rain", "Meow"]
    splits = ["train", "train", "train", "train", "test", "test"]
    on_disk(rng.normal(size=(6, 2, 3)), [1, 2], labels=[""] * 6, tags=tags, splits=splits)
    t = read_trajectories("mfcc", "gain")
    assert t.instruments == ["Bark", "Dog", "Rain"] and set(t.instrument) == {"all"}
    assert [t.members(name).tolist() for name in t.instruments] == [
        [True, False, False, False, True, False], [True, True, False, False, True, False],
        [False, False, False, True, True, False],
    ]  # fmt: skip
    assert t.indices("train", "Dog").tolist() == [0, 1] and t.indices("test", "Rain").tolist() == [4]
    # of the two tags that one clip has, the first
    assert read_trajectories("mfcc", "gain", classes=2).instruments == ["Bark", "Dog"]


def test_the_commonest_are_those_of_valid_training_clips_in_the_corpus(on_disk, rng):
    tags, splits = ["a", "b", "b", "c", "c", "c"], ["train", "train", "train", "train", "test", "valid"]
    valid = [True, True, False, True, True, True]
    on_disk(rng.normal(size=(6, 2, 3)), [1, 2], labels=[""] * 6, tags=tags, splits=splits, valid=valid)
    assert read_trajectories("mfcc", "gain", classes=1).instruments == ["a"]


@pytest.mark.parametrize("labels, tags", [(["", "", "flute"], ["x", "y", "x"]), ([""] * 3, [""] * 3)])
def test_labels_come_first_and_no_tags_are_one_class(on_disk, rng, labels, tags):
    on_disk(rng.normal(size=(3, 2, 3)), [1, 2], labels=labels, tags=tags)
    t = read_trajectories("mfcc", "gain")
    assert t.tagged is None and "x" not in t.instruments


# ------------------------------------------------------------------------------------------------------- every analysis


def test_tags_that_do_not_overlap_are_what_labels_are(labelled):
    tagged = as_tags(labelled)
    for analyse in (
        lambda t: cca.analyse(t, cca.Cca(ridge=0.001, seed=0, permutations=5, bootstrap=20, confidence=0.95)),
        lambda t: svd.analyse(t, svd.Svd(seed=0, permutations=2, confidence=0.95, energy=0.9)),
        lambda t: trajectories.analyse(t, MAPS, ridge=0.001),
    ):
        (expected, *_), (found, *_) = analyse(labelled), analyse(tagged)
        np.testing.assert_equal(found, expected)


def test_a_clip_counts_for_each_of_its_tags_and_once_in_all(labelled):
    every, t = np.ones(48, dtype=bool), labelled
    half = np.arange(48) % 4 < 2
    tagged = as_tags(t, every=every, half=half)
    found = cca.analyse(tagged, cca.Cca(ridge=0.001, seed=0, permutations=5, bootstrap=20, confidence=0.95))[0]
    assert found["instruments"]["every"]["global"] == found["pooled"]
    assert found["instruments"]["every"]["samplewise"] == found["samplewise"]
    assert found["clips"]["train"] == found["instruments"]["every"]["train_clips"]
    assert found["instruments"]["half"]["train_clips"] == (half & (t.split == "train")).sum()
    numbers = svd.analyse(tagged, svd.Svd(seed=0, permutations=2, confidence=0.95, energy=0.9))[0]
    np.testing.assert_equal(numbers["overall"], numbers["instruments"]["every"])
    assert numbers["instruments"]["half"]["directions"] == (half & (t.split == "train")).sum()
    shape = trajectories.analyse(tagged, MAPS, ridge=0.001)[0]["instruments"]
    alone = trajectories.analyse(as_tags(t, half=half), MAPS, ridge=0.001)[0]["instruments"]
    np.testing.assert_equal(shape["half"], alone["half"])
    assert shape["every"]["monotonicity"] != shape["half"]["monotonicity"]


def test_test_clips_without_any_class_are_named(labelled):
    t = as_tags(labelled, first=labelled.instrument == "instrument0")
    notes = cca.analyse(t, cca.Cca(ridge=0.001, seed=0, permutations=2, bootstrap=5, confidence=0.95))[0]["notes"]
    assert "Test clips of none of the instruments count for the pooled direction only." in notes


# ---------------------------------------------------------------------------------------------------------- classifiers


def test_as_many_without_the_tag_as_with_it():
    positive = np.arange(50) % 5 == 0
    positions, which = classify.training_set_of_tag(positive)
    assert positions[which].tolist() == list(range(0, 50, 5)) and which.sum() == (~which).sum() == 10
    assert len(set(positions.tolist())) == 20 and not positive[positions[~which]].any()
    again = classify.training_set_of_tag(positive)
    assert np.array_equal(again[0], positions) and np.array_equal(again[1], which)
    most = classify.training_set_of_tag(~positive)
    assert (~most[1]).sum() == 10 and most[1].sum() == 40  # all that there are
    few, which = classify.training_set_of_tag(~positive, 4)
    assert len(set(few.tolist())) == 8 and which.tolist() == [True] * 4 + [False] * 4 and positive[few[4:]].all()


def test_classifiers_of_tags(labelled, rng):
    t = labelled
    first, second = t.instrument == "instrument0", t.instrument != "instrument2"  # one lies in the other
    moved = t.originals + 0.8 * first[:, None] - 0.5 * second[:, None]
    t = as_tags(dataclasses.replace(t, originals=moved.astype(np.float32)), first=first, second=second)
    result, tables = robustness.analyse(t, options("none", "pca"))
    scores = tables["scores"].set_index(["method", "train", "test", "instrument"])
    train, test = t.indices("train"), t.indices("test")
    for name, member in (("first", first), ("second", second)):
        chosen, positive = classify.training_set_of_tag(member[train])
        classifier = classify.fit(t.originals[train[chosen]], positive)
        row = scores.loc["none", "original", "original", name]
        assert row["support"] == member[test].sum()
        expected = ranking.roc_auc(classifier.decide(t.originals[test])[None], member[test])[0]
        assert row["roc_auc"] == pytest.approx(expected, abs=1e-12)
    both = np.array([scores.loc[("none", "original", "original", name), "roc_auc"] for name in ("first", "second")])
    assert result["original"]["roc_auc"] == pytest.approx(both.mean()) and result["skipped"] == {}
    assert result["clips"] == {"train": len(train), "test": len(test), "invalid": 0}


def test_positives_are_drawn_where_there_are_too_many(labelled):
    t = as_tags(labelled, second=labelled.instrument != "instrument2")
    few = dataclasses.replace(options("none"), positives=5)
    chosen, positive = robustness.Experiment(t, few).training_set("second")
    assert positive.sum() == 5 and len(chosen) == 10 and (t.split[chosen] == "train").all()
    assert np.array_equal(t.members("second")[chosen], positive)


def test_tags_that_cannot_be_told_are_named(labelled):
    t = labelled
    rare = np.isin(np.arange(48), [*t.indices("train")[:2], *t.indices("test")[:2]])
    untested = (t.split == "train") & (np.arange(48) % 2 == 0)
    always = (t.split == "test") | (np.arange(48) % 2 == 0)
    fine = t.instrument == "instrument0"
    t = as_tags(t, rare=rare, untested=untested, always=always, fine=fine, every=np.ones(48, dtype=bool))
    result, tables = robustness.analyse(t, options("none"))
    assert result["skipped"] == {
        "always": "no negative test clips",
        "every": "0 negative training clips, 3 folds need 3",
        "rare": "2 positive training clips, 3 folds need 3",
        "untested": "no positive test clips",
    }
    assert result["methods"]["none"]["instruments"] == 1
    curves = tables["curves"]
    assert set(curves["instrument"]) == {"all", "fine"}
    pd.testing.assert_series_equal(
        *(curves.loc[curves["instrument"] == name, "roc_auc"].reset_index(drop=True) for name in ("all", "fine"))
    )
