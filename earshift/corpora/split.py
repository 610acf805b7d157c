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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.options import Interval, Options, Seed

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALID, TEST, UNUSED = "train", "valid", "test", "unused"


@dataclass(frozen=True)
class Split(Options):
    """How clips are split.

    folds : int, of which the first is the test set
    seed : int, of the folds
    balance : bool, whether every class keeps as many training clips as the rarest
    balance_seed : int, which training clips of the other classes are dropped
    """

    folds: Annotated[int, Interval(ge=2, le=100)]
    seed: Seed
    balance: bool
    balance_seed: Seed


def assign_splits(clips: "pd.DataFrame", split: Split) -> list[str]:
    """The split of every clip.

    Splits that the corpus gives are kept, for all clips of a group that has one; other groups are split as published.
    Unlabelled clips count as one class when folds are made and are never dropped for balance.

    Parameters
    ----------
    clips : pandas.DataFrame with columns clip, group, label, split ("" where not given) and valid
    split : Split

    Returns
    -------
    list of str, in the order of `clips`

    Raises
    ------
    UserError
        If given splits put one group on both sides.
    """
    given = splits_by_group(clips["group"], clips["split"])
    result: dict[str, str] = dict.fromkeys(clips["clip"], UNUSED)
    ordered = clips[clips["valid"].to_numpy(dtype=bool)].sort_values("clip", kind="stable")
    is_given = ordered["group"].isin(given).to_numpy(dtype=bool)
    result.update(zip(ordered["clip"][is_given], ordered["group"][is_given].map(given), strict=True))
    left = ordered[~is_given]
    in_test = _first_fold(left["label"].to_numpy(dtype=str), left["group"].to_numpy(dtype=str), split)
    result.update(zip(left["clip"], np.where(in_test, TEST, TRAIN), strict=True))
    if split.balance:
        training = ordered[ordered["clip"].map(result) == TRAIN]
        kept = _balance(training, training["group"].isin(given), split.balance_seed)
        result.update((str(clip), UNUSED) for clip in left["clip"] if result[clip] == TRAIN and clip not in kept)
    return [str(result[clip]) for clip in clips["clip"]]


def splits_by_group(groups: Iterable[str], splits: Iterable[str], *, where: str = "") -> dict[str, str]:
    """The given split of every group that has one, "" standing for none given.

    where : str, for the message: where the splits were given

    Raises
    ------
    UserError
        If a group is in both.
    """
    given: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if split and given.setdefault(group, split) != split:
            both = " and ".join(sorted((given[group], split), reverse=True))
            raise UserError(
                f"group {group!r} is in both {both}{where}; give all its clips one split, or different groups"
            )
    return given


def _first_fold(labels: NDArray[np.str_], groups: NDArray[np.str_], split: Split) -> NDArray[np.bool_]:
    """Whether each clip is in the test fold: all False where there are fewer than two groups.

    Where every label has fewer groups than ``split.folds``, there are as many folds as the commonest label has groups,
    so that it is on both sides; where each has but one, labels are left out of it.
    """
    by_label: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        by_label.setdefault(label, set()).add(group)
    most = max(map(len, by_label.values()), default=0)
    if most < 2:
        labels, most = np.zeros(len(labels), dtype=str), len(set(groups))
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


def _balance(training: "pd.DataFrame", given: "pd.Series[bool]", seed: int) -> set[str]:
    """Names of the training clips to keep: of every label as many as the rarest has; given and unlabelled ones all."""
    kept = set(training["clip"][given | (training["label"] == "")])
    labelled = training["label"][training["label"] != ""]
    counts = labelled.value_counts()
    rng = random.Random(seed)
    for label in sorted(counts.index):
        own = list(training["clip"][(training["label"] == label) & ~given])
        rng.shuffle(own)
        kept.update(own[: max(counts.min() - (counts[label] - len(own)), 0)])
    return kept
