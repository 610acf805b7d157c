"""Trajectories from the embedding files of one encoder under one perturbation.

Conventions
-----------
The order of growing strength follows from the direction of growth that the files name and from the values themselves,
so a value that is added later finds its place. A clip counts only where it is valid in the corpus, in the original and
at every value, and where it belongs to the training or the test set.

Where no clip has a label and there are tags, classes are the commonest tags of the valid training clips in clips.csv,
so that they are the same for every encoder and perturbation.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.data import Booleans, Trajectories, instruments_of
from earshift.corpora.base import TAG_SEPARATOR
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.clips import read_clips
from earshift.storage.vectors import Embeddings, Rows, read_embeddings

if TYPE_CHECKING:
    import pandas as pd

_GROWTH = ("up", "down", "two-sided")
_BLOCK = 4096  # vectors looked at together


class Chosen:
    """Some rows of one file: ``chosen[clips]`` reads vectors [shape=(clips, dim)] from it."""

    def __init__(self, rows: NDArray[np.float32] | Rows, places: NDArray[np.intp]) -> None:
        self._rows, self._places = rows, places
        self.shape: tuple[int, ...] = (len(places), rows.shape[1])
        self.dtype: np.dtype[Any] = np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, clips: Any) -> NDArray[np.float32]:
        return self._rows[self._places[clips]].astype(np.float32, copy=False)


class Stacked:
    """The same rows of one file for each value: ``stacked[clips]`` reads vectors [shape=(clips, values, dim)]."""

    def __init__(self, steps: Sequence[Chosen]) -> None:
        self._steps = steps
        count, dim = steps[0].shape
        self.shape: tuple[int, ...] = (count, len(steps), dim)
        self.dtype = steps[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, clips: Any) -> NDArray[np.float32]:
        vectors = np.empty((len(np.arange(len(self))[clips]), *self.shape[1:]), np.float32)
        for place, step in enumerate(self._steps):
            vectors[:, place] = step[clips]
        return vectors


def read_trajectories(
    encoder: str, perturbation: str, *, classes: int | None = None, lazily: bool = False
) -> Trajectories:
    """Read the trajectories of one encoder under one perturbation.

    Parameters
    ----------
    encoder, perturbation : str, as under data/embeddings
    classes : int, optional
        How many tags are classes at most, where no clip has a label; all, if None.
    lazily : bool
        Whether vectors stay in their files: memory then does not grow with clips x values x dim.

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
    growth, unit, steps = None, "", []
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
    table = clips.iloc[wanted]
    if not (table["split"] == "train").any():
        raise UserError(
            f"no clip of the training set is valid for {encoder} under {perturbation}: of {len(clips)} clips in "
            f"{paths.CLIPS}, {int((~usable).sum())} are not valid; see its columns split and problem, and corpus in "
            f"{paths.PARAMS}"
        )
    clip, group, label, split = (table[name].to_numpy(dtype=str) for name in ("clip", "group", "label", "split"))
    return Trajectories(
        encoder=encoder,
        perturbation=perturbation,
        unit=unit,
        values=tuple(values),
        vectors=vectors if lazily else vectors[:],
        originals=unperturbed if lazily else unperturbed[:],
        clip=clip,
        group=group,
        instrument=instruments_of(label),
        split=split,
        invalid=int((~usable).sum()),
        tagged=_tagged(clips, wanted, classes),
    )


def _files(encoder: str, perturbation: str) -> tuple[list[str], list[Path]]:
    """Texts and files of the values, smallest value first."""
    folder = paths.embeddings(encoder, perturbation)
    files = list(folder.glob("*.h5"))
    if not files:
        raise UserError(f"{folder} holds no embeddings; `dvc repro embed@{encoder}` computes them")
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


def _read(path: Path, clips: "pd.DataFrame") -> Embeddings:
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


def _tagged(clips: "pd.DataFrame", wanted: NDArray[np.intp], classes: int | None) -> dict[str, Booleans] | None:
    """Which of the `wanted` rows of clips.csv have a tag, by tag in order; None where clips have labels or no tags."""
    counts = clips["valid"].to_numpy(dtype=bool) & (clips["split"] == "train").to_numpy()
    tags = [set(text.split(TAG_SEPARATOR)) - {""} for text in clips["tags"]]
    common = Counter(tag for row in np.flatnonzero(counts) for tag in sorted(tags[row]))
    if not common or (clips["label"] != "").any():
        return None
    chosen = sorted(sorted(common, key=lambda tag: (-common[tag], tag))[:classes])
    found = {tag: np.array([tag in tags[row] for row in wanted], dtype=bool) for tag in chosen}
    return found if any(member[counts[wanted]].any() for member in found.values()) else None
