"""Splits: groups stay whole, classes balance, given splits stay, order does not matter. Reference: the study's way."""

import random
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshift.corpora.split import Split, assign_splits, splits_by_group
from earshift.errors import UserError

PUBLISHED = Split(folds=4, seed=20220419, balance=True, balance_seed=42)


def clips_of(groups, labels, *, splits=None, valid=None, names=None):
    count = len(groups)
    return pd.DataFrame(
        {
            "clip": names or [f"c{i:04d}" for i in range(count)],
            "group": groups,
            "label": labels,
            "split": splits or [""] * count,
            "valid": [True] * count if valid is None else valid,
        }
    )


def music(rng, *, groups=120, labels=("cello", "flute", "organ")):
    """A table like IRMAS': one label per recording, 1 to 6 clips of each."""
    rows = []
    for group in range(groups):
        label = labels[int(rng.integers(len(labels)))]
        rows += [(f"{group:04d}", label)] * int(rng.integers(1, 7))
    return clips_of(*map(list, zip(*rows, strict=True)))


def test_is_the_study_s_split(rng):
    """Script 2A.3_train_test_split.py on clips in the order of their names, written out with its own calls."""
    from sklearn.model_selection import StratifiedGroupKFold

    clips = music(rng)
    names, labels = clips["clip"].to_numpy(), clips["label"].to_numpy()
    splitter = StratifiedGroupKFold(4, shuffle=True, random_state=20220419)
    train, test = next(splitter.split(names, y=labels, groups=clips["group"]))
    by_label = {label: [] for label in sorted(set(labels))}
    for name, label in zip(names[train], labels[train], strict=True):
        by_label[label].append(name)
    smallest = min(map(len, by_label.values()))
    random.seed(42)
    kept = []
    for own in by_label.values():
        random.shuffle(own)
        kept.extend(own[:smallest])

    splits = dict(zip(names, assign_splits(clips, PUBLISHED), strict=True))
    assert {name for name in names if splits[name] == "test"} == set(names[test])
    assert {name for name in names if splits[name] == "train"} == set(kept)
    assert len(kept) == 3 * smallest and 0 < len(test) < len(names) / 2


def test_a_quarter_is_for_test_and_labels_are_alike_in_it(rng):
    clips = music(rng, groups=400)
    clips["split"] = assign_splits(clips, PUBLISHED)
    shares = (clips["split"] == "test").groupby(clips["label"]).mean()
    assert shares.between(0.23, 0.27).all()


def test_balance_can_be_off(rng):
    clips = music(rng)
    off = Split(folds=4, seed=20220419, balance=False, balance_seed=42)
    balanced, plain = assign_splits(clips, PUBLISHED), assign_splits(clips, off)
    assert "unused" in balanced and set(plain) == {"train", "test"}
    assert [s == "test" for s in balanced] == [s == "test" for s in plain]


def test_seeds_matter(rng):
    clips = music(rng)
    base = assign_splits(clips, PUBLISHED)
    other_fold = assign_splits(clips, Split(folds=4, seed=1, balance=True, balance_seed=42))
    other_balance = assign_splits(clips, Split(folds=4, seed=20220419, balance=True, balance_seed=1))
    assert [s == "test" for s in other_fold] != [s == "test" for s in base]
    assert other_balance != base and [s == "test" for s in other_balance] == [s == "test" for s in base]


@st.composite
def tables(draw):
    """Anything a folder may hold: mixed labels within groups, rare and missing labels, invalid clips, given splits."""
    count = draw(st.integers(1, 40))
    groups = [f"g{draw(st.integers(0, 12))}" for _ in range(count)]
    labels = [draw(st.sampled_from(["", "a", "b", "c", "d"])) for _ in range(count)]
    valid = [draw(st.booleans()) or draw(st.booleans()) for _ in range(count)]
    by_group = {group: draw(st.sampled_from(["", "", "", "train", "test"])) for group in sorted(set(groups))}
    splits = [by_group[group] if draw(st.booleans()) else "" for group in groups]
    return clips_of(groups, labels, splits=splits, valid=valid), draw(st.integers(2, 8)), draw(st.randoms())


@settings(max_examples=120, deadline=None)
@given(tables())
def test_what_holds_for_every_corpus(case):
    clips, folds, order = case
    split = Split(folds=folds, seed=3, balance=True, balance_seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips["result"] = assign_splits(clips, split)

    assert (clips["result"][~clips["valid"]] == "unused").all()
    used = clips[clips["result"] != "unused"]
    assert used.groupby("group")["result"].nunique().max() <= 1 or used.empty

    chosen = splits_by_group(clips["group"], clips["split"])
    is_given = clips["group"].isin(chosen) & clips["valid"]
    assert (clips["result"][is_given] == clips["group"][is_given].map(chosen)).all()

    free = clips[~is_given & clips["valid"]]
    if free["group"].nunique() >= 2:
        assert (free["result"] == "test").any() and (free["result"] != "test").any()
    elif len(free):
        assert (free["result"] != "test").all()  # all training, but for what balance leaves out

    before = clips["valid"] & (clips["result"] != "test") & (clips["label"] != "")
    counts, kept = Counter(clips["label"][before]), Counter(clips["label"][before & (clips["result"] == "train")])
    fixed = Counter(clips["label"][before & is_given])
    if counts:
        smallest = min(counts.values())
        assert kept == {label: max(smallest, fixed[label]) for label in counts}
    assert (clips["result"][clips["valid"] & (clips["label"] == "")] != "unused").all()

    shuffled = clips.iloc[order.sample(range(len(clips)), len(clips))]
    assert assign_splits(shuffled, split) == list(shuffled["result"])


def test_no_labels_is_one_class():
    clips = clips_of([f"g{i // 3}" for i in range(60)], [""] * 60)
    assert Counter(assign_splits(clips, PUBLISHED)) == {"train": 45, "test": 15}


def test_a_label_of_its_own_for_every_clip():
    clips = clips_of([f"g{i}" for i in range(12)], [f"l{i}" for i in range(12)])
    assert Counter(assign_splits(clips, PUBLISHED)) == {"train": 9, "test": 3}


def test_labels_with_fewer_groups_than_folds_are_on_both_sides():
    clips = clips_of([f"g{i}" for i in range(22)], [f"l{i % 11}" for i in range(22)])
    clips["result"] = assign_splits(clips, PUBLISHED)
    assert (clips.groupby("label")["result"].agg(sorted).map(tuple) == ("test", "train")).all()


def test_a_rare_label_among_common_ones():
    clips = clips_of([f"g{i}" for i in range(41)], ["x"] * 20 + ["y"] * 20 + ["rare"])
    splits = assign_splits(clips, PUBLISHED)
    counts = Counter(zip(clips["label"], splits, strict=True))
    assert counts["x", "test"] == counts["y", "test"] == 5
    rare = "train" if counts["rare", "train"] else "test"
    assert counts["x", "train"] == (1 if rare == "train" else 15)


def test_fewer_groups_than_folds():
    clips = clips_of(["a"] * 4 + ["b"] * 4, ["x", "y"] * 4)
    splits = assign_splits(clips, PUBLISHED)
    assert sorted([tuple(splits[:4]), tuple(splits[4:])]) == [("test",) * 4, ("train",) * 4]


def test_a_single_group_is_all_for_training():
    clips = clips_of(["a"] * 4, ["x", "x", "y", "y"])
    assert assign_splits(clips, PUBLISHED) == ["train"] * 4


def test_given_splits_are_kept_and_balance_counts_them():
    groups = [f"g{i}" for i in range(20)]
    clips = clips_of(groups, ["x"] * 12 + ["y"] * 8, splits=["train"] * 9 + ["test"] * 3 + ["train"] * 8)
    assert assign_splits(clips, PUBLISHED) == ["train"] * 9 + ["test"] * 3 + ["train"] * 8


def test_a_given_split_holds_for_its_whole_group():
    clips = clips_of(["a", "a", "b", "b"], ["x"] * 4, splits=["test", "", "train", ""])
    assert assign_splits(clips, PUBLISHED) == ["test", "test", "train", "train"]


def test_given_splits_that_tear_a_group():
    clips = clips_of(["a", "a"], ["x", "x"], splits=["train", "test"])
    with pytest.raises(UserError, match="group 'a' is in both train and test; give all its clips one split"):
        assign_splits(clips, PUBLISHED)


def test_all_invalid():
    clips = clips_of(["a", "b"], ["x", "x"], valid=[False, False])
    assert assign_splits(clips, PUBLISHED) == ["unused", "unused"]
    assert np.array_equal(clips.index, [0, 1])
