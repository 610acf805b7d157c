"""Trajectories: what the analyses take.

Conventions
-----------
A trajectory is the vectors of one clip along the grid, shape (values, dim), in order of growing strength. Strength is
the rank of a value along the grid, from 0 to 1. A clip belongs to a group (the recording that it was cut from) and to
the training or the test set.

What the analyses call an instrument is the label of clips. Where no clip has a label and there are tags, it is a tag: a
clip then belongs to as many instruments as it has tags among the classes, or to none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import TypedDict

from earshift.errors import UserError
from earshift.options import Interval, Options
from earshift.perturbations.base import ORIGINAL as ORIGINAL  # stands where a value would, for unperturbed clips

ALL = "all"  # the one instrument of a corpus without labels
UNLABELLED = "unlabelled"  # the instrument of clips without a label where others have one

Booleans = NDArray[np.bool_]
Texts = NDArray[np.str_]
Number = float | None  # of a result, None where it does not exist


@dataclass(frozen=True)
class Classes(Options):
    """``tags``: how many of the commonest are classes, where clips have tags and no labels."""

    tags: Annotated[int, Interval(ge=1, le=10_000)]


class Heading(TypedDict):
    """What the result of every analysis of one encoder under one perturbation begins with."""

    encoder: str
    perturbation: str
    unit: str
    values: list[str]
    dim: int


class Vectors(Protocol):
    """An array of vectors, or a view of files from which ``vectors[clips]`` reads those of some clips."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, clips: Any, /) -> Any: ...


@dataclass(frozen=True)
class Trajectories:
    """What one encoder made of every usable clip at every value.

    encoder, perturbation, unit : str
    values : tuple of str, canonical texts in order of growing strength
    vectors : float32 [shape=(clips, values, dim)], or a view of files
    originals : float32 [shape=(clips, dim)], the unperturbed clips, or a view of files
    clip, group, instrument, split : str [shape=(clips,)]; split is "train" or "test", instrument "all" without labels
    invalid : int, clips of the corpus that cannot be used
    tagged : dict of str to bool [shape=(clips,)], or None
        Which clips have a tag, for every tag that is a class; None where a clip has one instrument, its label.
    """

    encoder: str
    perturbation: str
    unit: str
    values: tuple[str, ...]
    vectors: Vectors
    originals: Vectors
    clip: Texts
    group: Texts
    instrument: Texts
    split: Texts
    invalid: int
    tagged: Mapping[str, Booleans] | None = None

    @classmethod
    def from_arrays(
        cls,
        vectors: ArrayLike,
        *,
        groups: Sequence[str] | Texts,
        splits: Sequence[str] | Texts,
        labels: Sequence[str] | Texts | None = None,
        originals: ArrayLike | None = None,
        values: Sequence[str] | None = None,
        clips: Sequence[str] | Texts | None = None,
        encoder: str = "encoder",
        perturbation: str = "perturbation",
        unit: str = "",
    ) -> "Trajectories":
        """Trajectories from arrays of your own.

        Parameters
        ----------
        vectors : float [shape=(clips, values, dim)], in order of growing strength
        groups : str [shape=(clips,)]
            The recording of each clip: clips of one recording are alike, so that no group may be in both splits.
        splits : str [shape=(clips,)], "train" or "test"
        labels : str [shape=(clips,)], optional
            The class of each clip, "" where it has none. Without labels all clips are one class.
        originals : float [shape=(clips, dim)], optional
            The unperturbed clips. By default, the vectors at the weakest value.
        values : sequence of str, optional
            Texts of the values, numbers in ``unit``; by default 0, 1, 2, ...
        clips : str [shape=(clips,)], optional
            Their names; by default 0, 1, 2, ...

        Raises
        ------
        UserError
            If shapes disagree, a number is not finite, a split is neither "train" nor "test", a group is in both, there
            are fewer than two values, or no clip is in the training set.
        """
        stacked = np.asarray(vectors)
        stacked = stacked if stacked.dtype.kind == "f" else stacked.astype(np.float64)
        if stacked.ndim != 3 or stacked.shape[1] < 2:
            raise UserError(f"vectors have shape {stacked.shape}; it must be (clips, values, dim), of 2 values or more")
        count, steps, dim = stacked.shape
        starts = stacked[:, 0] if originals is None else np.asarray(originals, dtype=stacked.dtype)
        words = {
            "groups": np.asarray(groups, dtype=str),
            "splits": np.asarray(splits, dtype=str),
            "labels": np.full(count, "") if labels is None else np.asarray(labels, dtype=str),
            "clips": np.arange(count).astype(str) if clips is None else np.asarray(clips, dtype=str),
        }
        texts = tuple(map(str, range(steps) if values is None else values))
        shapes = {"originals": (starts.shape, (count, dim)), "values": ((len(texts),), (steps,))}
        shapes |= {name: (array.shape, (count,)) for name, array in words.items()}
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise UserError(f"{name} have shape {found}; with vectors of shape {stacked.shape} it must be {wanted}")
        if not (np.isfinite(stacked).all() and np.isfinite(starts).all()):
            raise UserError("vectors or originals hold NaN or infinite numbers; leave such clips out")
        split, group = words["splits"], words["groups"]
        if not np.isin(split, ["train", "test"]).all() or not (split == "train").any():
            raise UserError('splits must be "train" or "test", and one clip at least must be in "train"')
        both = np.intersect1d(group[split == "train"], group[split == "test"])
        if len(both):
            raise UserError(f"group {both[0]} is in both splits; keep all clips of a recording in one")
        return cls(
            encoder, perturbation, unit, texts, stacked, starts, words["clips"], group,
            instruments_of(words["labels"]), split, invalid=0,
        )  # fmt: skip

    @property
    def raw(self) -> NDArray[np.float64]:
        """The values as numbers, in ``unit`` [shape=(values,)]."""
        return np.array([float(value) for value in self.values])

    @property
    def strengths(self) -> NDArray[np.float64]:
        """Rank of every value along the grid, from 0 to 1 [shape=(values,)]."""
        return np.arange(len(self.values)) / (len(self.values) - 1)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.vectors.shape[2]

    @property
    def heading(self) -> Heading:
        """What the numbers of every analysis begin with."""
        return {
            "encoder": self.encoder,
            "perturbation": self.perturbation,
            "unit": self.unit,
            "values": list(self.values),
            "dim": self.dim,
        }

    @property
    def instruments(self) -> list[str]:
        """Names of the instruments that have training clips, sorted."""
        train = self.split == "train"
        if self.tagged is None:
            return list(map(str, np.unique(self.instrument[train])))
        return sorted(name for name, member in self.tagged.items() if member[train].any())

    def members(self, instrument: str) -> Booleans:
        """Which clips belong to an instrument, and perhaps to others too [shape=(clips,)]."""
        return self.instrument == instrument if self.tagged is None else self.tagged[instrument]

    def indices(self, split: str, instrument: str | None = None) -> NDArray[np.intp]:
        """Positions of the clips of a split, of one instrument or of all."""
        chosen = self.split == split
        return np.flatnonzero(chosen if instrument is None else chosen & self.members(instrument))


def instruments_of(labels: Texts) -> Texts:
    """The instrument of each clip: its label, "unlabelled" without one where others have one, else "all"."""
    if not (labels != "").any():
        return np.full(len(labels), ALL)
    return np.where(labels == "", UNLABELLED, labels)
