"""Training and test clips: stratified by label, grouped by recording, training classes balanced.

Conventions
-----------
A clip is in "train", "test" or "unused" (invalid, or left out for balance), or in "valid" where the corpus itself sets
clips apart to choose a model by. A group never straddles two of them.
Protocol: Deng et al., ICASSP 2025, script 2A.3_train_test_split.py: the first fold of a shuffled StratifiedGroupKFold
is the test set; of every class as many training clips stay as the rarest class has. Clips are taken in the order of
their names, so the split does not depend on the order in which a corpus lists them.
"""

import random
import warnings

import numpy as np

from earshift.errors import UserError

TRAIN, VALID, TEST, UNUSED = "train", "valid", "test", "unused"


def assigned_splits(clips, split):
    """The split of every clip.

    Splits that the corpus gives are kept, for all clips of a group that has one; other groups are split as published.
    Unlabelled clips count as one class when folds are made and are never dropped for balance.

    Parameters
    ----------
    clips : pandas.DataFrame with columns clip, group, label, split ("" where not given) and valid
    split : earshift.pipeline.config.Split

    Returns
    -------
    list of str, in the order of `clips`

    Raises
    ------
    UserError
        If given splits put one group on both sides.
    """
    given = splits_by_group(clips["group"], clips["split"])
    result = dict.fromkeys(clips["clip"], UNUSED)
    ordered = clips[clips["valid"].to_numpy(dtype=bool)].sort_values("clip", kind="stable")
    is_given = ordered["group"].isin(given).to_numpy(dtype=bool)
    for row in ordered[is_given].itertuples():
        result[row.clip] = given[row.group]

    left = ordered[~is_given]
    in_test = _first_fold(left["label"].to_numpy(dtype=str), left["group"].to_numpy(dtype=str), split)
    result.update(zip(left["clip"], np.where(in_test, TEST, TRAIN), strict=True))
    if split.balance:
        kept = _balanced([row for row in ordered.itertuples() if result[row.clip] == TRAIN], given, split.balance_seed)
        result.update((clip, UNUSED) for clip in left["clip"] if result[clip] == TRAIN and clip not in kept)
    return [str(result[clip]) for clip in clips["clip"]]


def splits_by_group(groups, splits, *, where=""):
    """The given split of every group that has one, "" standing for none given.

    where : str, for the message: where the splits were given

    Raises
    ------
    UserError
        If a group is in both.
    """
    given = {}
    for group, split in zip(groups, splits, strict=True):
        if split and given.setdefault(group, split) != split:
            both = " and ".join(sorted((given[group], split), reverse=True))
            raise UserError(
                f"group {group!r} is in both {both}{where}; give all its clips one split, or different groups"
            )
    return given


def _first_fold(labels, groups, split):
    """Whether each clip is in the test fold: all False where there are fewer than two groups.

    Where every label has fewer groups than ``split.folds``, there are as many folds as the commonest label has groups,
    so that it is on both sides; where each has but one, labels are left out of it.
    """
    by_label = {}
    for label, group in zip(labels, groups, strict=True):
        by_label.setdefault(label, set()).add(group)
    most = max(map(len, by_label.values()), default=0)
    if most < 2:
        labels, most = np.zeros(len(labels)), len(set(groups))
    folds = min(split.folds, most)
    if folds < 2:
        return np.zeros(len(groups), dtype=bool)
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=split.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that labels are rare, or many, is how the user's data are
        _, test = next(splitter.split(labels, labels, groups))
    in_test = np.zeros(len(labels), dtype=bool)
    in_test[test] = True
    return in_test


def _balanced(training, given, seed):
    """Names of the training clips to keep: of every label as many as the rarest has; given and unlabelled ones all."""
    by_label = {}
    for row in training:
        if row.label:
            by_label.setdefault(row.label, []).append(row)
    smallest = min(map(len, by_label.values()), default=0)
    kept = {row.clip for row in training if not row.label}
    rng = random.Random(seed)
    for label in sorted(by_label):
        own = [row.clip for row in by_label[label] if row.group not in given]
        fixed = [row.clip for row in by_label[label] if row.group in given]
        rng.shuffle(own)
        kept.update(fixed, own[: max(smallest - len(fixed), 0)])
    return kept
