"""Trajectories from the embedding files of one encoder under one perturbation.

Conventions
-----------
A trajectory is the vectors of one clip along the grid, shape (values, dim), in order of growing strength. Strength is
the rank of a value along the grid that lies on disk, from 0 to 1: it follows from the direction of growth that the
files name and from the values themselves, so a value added later finds its place. A clip counts only where it is valid
in the corpus, in the original and in every value, and where it belongs to the training or the test set.

What the analyses call an instrument is the label of clips. Where no clip has a label and there are tags, it is a tag: a
clip then belongs to as many instruments as it has tags among the classes, or to none. The classes are the commonest
tags of the valid training clips in clips.csv, so that they are the same for every encoder and perturbation.
"""

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np

from earshift.corpora.base import TAG_SEPARATOR
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.clips import read_clips
from earshift.storage.vectors import read_embeddings

ORIGINAL = "original"  # stands where a value would, for unperturbed clips
ALL = "all"  # the one instrument of a corpus without labels
UNLABELLED = "unlabelled"  # the instrument of clips without a label where others have one

_GROWTH = ("up", "down", "two-sided")
_BLOCK = 4096  # vectors looked at together


@dataclass(frozen=True)
class Trajectories:
    """What one encoder made of every usable clip at every value.

    encoder, perturbation, unit : str
    values : tuple of str, canonical texts in order of growing strength
    vectors : float32 [shape=(clips, values, dim)], or :class:`Stacked` where they are read lazily
    originals : float32 [shape=(clips, dim)], the unperturbed clips, or :class:`Chosen`
    clip, group, instrument, split : str [shape=(clips,)]; split is "train" or "test", instrument "all" without labels
    invalid : int, clips of the corpus that cannot be used
    tagged : dict of str to bool [shape=(clips,)], or None
        Which clips have a tag, for every tag that is a class; None where a clip has one instrument, its label.
    """

    encoder: str
    perturbation: str
    unit: str
    values: tuple
    vectors: np.ndarray
    originals: np.ndarray
    clip: np.ndarray
    group: np.ndarray
    instrument: np.ndarray
    split: np.ndarray
    invalid: int
    tagged: dict | None = None

    @property
    def raw(self):
        """The values as numbers, in ``unit`` [shape=(values,)]."""
        return np.array([float(value) for value in self.values])

    @property
    def strengths(self):
        """Rank of every value along the grid, from 0 to 1 [shape=(values,)]."""
        return np.arange(len(self.values)) / (len(self.values) - 1)

    @property
    def dim(self):
        """Length of a vector."""
        return self.vectors.shape[2]

    @property
    def heading(self):
        """What the numbers of every analysis begin with."""
        return {
            "encoder": self.encoder,
            "perturbation": self.perturbation,
            "unit": self.unit,
            "values": list(self.values),
            "dim": self.dim,
        }

    @property
    def instruments(self):
        """Names of the instruments that have training clips, sorted."""
        train = self.split == "train"
        if self.tagged is None:
            return np.unique(self.instrument[train]).tolist()
        return sorted(name for name, member in self.tagged.items() if member[train].any())

    def members(self, instrument):
        """Which clips belong to an instrument, and perhaps to others too [shape=(clips,)]."""
        return self.instrument == instrument if self.tagged is None else self.tagged[instrument]

    def indices(self, split, instrument=None):
        """Positions of the clips of a split, of one instrument or of all."""
        chosen = self.split == split
        return np.flatnonzero(chosen if instrument is None else chosen & self.members(instrument))


class Chosen:
    """Some rows of one file: ``chosen[clips]`` reads vectors [shape=(clips, dim)] from it."""

    def __init__(self, rows, places):
        self._rows, self._places = rows, places
        self.shape, self.dtype = (len(places), rows.shape[1]), np.dtype(np.float32)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, clips):
        return self._rows[self._places[clips]].astype(self.dtype, copy=False)


class Stacked:
    """The same rows of one file for each value: ``stacked[clips]`` reads vectors [shape=(clips, values, dim)]."""

    def __init__(self, steps):
        self._steps = steps
        count, dim = steps[0].shape
        self.shape, self.dtype = (count, len(steps), dim), steps[0].dtype

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, clips):
        vectors = np.empty((len(np.arange(len(self))[clips]), *self.shape[1:]), self.dtype)
        for place, step in enumerate(self._steps):
            vectors[:, place] = step[clips]
        return vectors


def load(encoder, perturbation, *, classes=None, lazily=False):
    """Read the trajectories of one encoder under one perturbation.

    Parameters
    ----------
    encoder, perturbation : str, as under data/embeddings
    classes : int, optional
        How many tags are classes at most, where no clip has a label; all, if None.
    lazily : bool
        Whether vectors stay in their files: memory then does not grow with clips x values x dim.

    Returns
    -------
    Trajectories

    Raises
    ------
    UserError
        If files are missing, disagree with clips.csv or with each other, if there are fewer than two values or no valid
        training clip, or if a vector of a valid clip is not finite.
    """
    clips = read_clips(paths.CLIPS)
    values, files = _files(encoder, perturbation)
    originals = _read(paths.originals(encoder), clips)
    usable = clips["valid"].to_numpy(dtype=bool) & originals.valid
    dim = originals.features.shape[1]
    growth, unit, steps = None, None, []
    for value, path in zip(values, files, strict=True):
        step = _read(path, clips)
        found = step.features.shape[1], step.attributes.get("value"), step.attributes.get("growth")
        if found != (dim, value, growth or found[2]) or found[2] not in _GROWTH:
            raise UserError(
                f"{path} holds vectors of length {found[0]}, value {found[1]} and growth {found[2]}; its original has "
                f"length {dim}, other values have growth {growth}. Delete {path.parent} and run `dvc repro`"
            )
        growth, unit = found[2], step.attributes.get("unit", "")
        usable &= step.valid
        steps.append(step.features)
    if growth == "down":
        steps, values = steps[::-1], values[::-1]
    wanted = np.flatnonzero(usable & clips["split"].isin(["train", "test"]).to_numpy())
    unperturbed, vectors = Chosen(originals.features, wanted), Stacked([Chosen(step, wanted) for step in steps])
    if not lazily:
        unperturbed, vectors = unperturbed[:], vectors[:]
    table = clips.iloc[wanted]
    if not (table["split"] == "train").any():
        raise UserError(
            f"no clip of the training set is valid for {encoder} under {perturbation}: of {len(clips)} clips in "
            f"{paths.CLIPS}, {int((~usable).sum())} are not valid; see its columns split and problem, and corpus in "
            f"{paths.PARAMS}"
        )
    return Trajectories(
        encoder=encoder,
        perturbation=perturbation,
        unit=unit,
        values=tuple(values),
        vectors=vectors,
        originals=unperturbed,
        clip=table["clip"].to_numpy(dtype=str),
        group=table["group"].to_numpy(dtype=str),
        instrument=_instruments(table["label"].to_numpy(dtype=str)),
        split=table["split"].to_numpy(dtype=str),
        invalid=int((~usable).sum()),
        tagged=_tagged(clips, wanted, classes),
    )


def arguments(module, description, given=None):
    """ENCODER and PERTURBATION from a stage's command line."""
    parser = argparse.ArgumentParser(prog=f"python -m earshift.analysis.{module}", description=description)
    parser.add_argument("encoder", metavar="ENCODER")
    parser.add_argument("perturbation", metavar="PERTURBATION")
    parsed = parser.parse_args(given)
    return parsed.encoder, parsed.perturbation


def _files(encoder, perturbation):
    """Texts and files of the values, smallest value first."""
    folder = paths.embeddings(encoder, perturbation)
    files = list(folder.glob("*.h5"))
    if not files:
        raise UserError(f"{folder} holds no embeddings; `dvc repro embed@{encoder}-{perturbation}` computes them")
    try:
        files = sorted(files, key=lambda path: float(path.name.removesuffix(".h5")))
    except ValueError as error:
        raise UserError(f"{folder} holds a file whose name is not a value ({error}); remove it") from error
    if len(files) < 2:
        raise UserError(
            f"{folder} holds one value, {files[0].name}; a trajectory needs at least two, "
            f"see perturbations.{perturbation}.grid in {paths.PARAMS}"
        )
    return [path.name.removesuffix(".h5") for path in files], files


def _read(path, clips):
    embeddings = read_embeddings(path, lazily=True)
    if embeddings.clip != clips["clip"].tolist():
        raise UserError(
            f"{path} holds {len(embeddings.clip)} clips that are not the {len(clips)} of {paths.CLIPS} in their order; "
            "run `dvc repro`"
        )
    finite = np.ones(len(embeddings.clip), dtype=bool)
    for start in range(0, len(finite), _BLOCK):
        part = slice(start, start + _BLOCK)
        finite[part] = np.isfinite(embeddings.features[part]).all(axis=1)
    broken = embeddings.valid & ~finite
    if broken.any():
        clip = embeddings.clip[int(np.argmax(broken))]
        raise UserError(
            f"{path} holds NaN or infinite numbers for {int(broken.sum())} valid clips, the first is {clip}; "
            "the encoder must return finite numbers, or corpus.on_bad_clip: skip must leave the clip out"
        )
    return embeddings


def _instruments(labels):
    if not (labels != "").any():
        return np.full(len(labels), ALL)
    return np.where(labels == "", UNLABELLED, labels)


def _tagged(clips, wanted, classes):
    """Which of the `wanted` rows of clips.csv have a tag, by tag in order; None where clips have labels or no tags."""
    counts = clips["valid"].to_numpy(dtype=bool) & (clips["split"] == "train").to_numpy()
    tags = [set(text.split(TAG_SEPARATOR)) - {""} for text in clips["tags"]]
    common = Counter(tag for row in np.flatnonzero(counts) for tag in sorted(tags[row]))
    if not common or (clips["label"] != "").any():
        return None
    chosen = sorted(sorted(common, key=lambda tag: (-common[tag], tag))[:classes])
    found = {tag: np.array([tag in tags[row] for row in wanted], dtype=bool) for tag in chosen}
    return found if any(member[counts[wanted]].any() for member in found.values()) else None
