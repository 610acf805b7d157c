"""Clips to listen to on the page, and how far the vectors of each went.

Conventions
-----------
A clip is heard as it is and at a few values of every perturbation (data/excerpts). Every value has, for each encoder,
the distance of that clip's vector from its original's, as :mod:`earshift.analysis.trajectories` defines it, relative to
the root mean square distance between two original training clips: 1 is the distance of another clip.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.shapes import measure_shapes
from earshift.errors import UserError
from earshift.report.page.content import Content
from earshift.storage.files import read_json
from earshift.storage.vectors import read_embeddings


@dataclass(frozen=True)
class Sound:
    """A clip at a value, or "original": the MP3 in Base64, and {encoder: distance}, empty for the original."""

    value: str
    mp3: str
    distances: dict[str, float]


@dataclass(frozen=True)
class Clip:
    """One clip: its name, its label ("" where it has none) and split, the original, and {perturbation: its sounds}."""

    clip: str
    label: str
    split: str
    original: Sound
    versions: dict[str, list[Sound]]


def read_clips(g: Content) -> tuple[list[Clip], str]:
    """The clips to listen to, and why there are none ("" where there are any).

    Raises
    ------
    UserError
        If excerpts are missing.
    """
    excerpts = {p: _read_excerpts(g.results.folders.excerpts / f"{p}.json") for p in g.perturbations}
    silent: str = next((of["silent"] for of in excerpts.values() if of["silent"]), "")
    first = excerpts[g.perturbations[0]]["clips"]
    if silent or not first:
        return [], silent or "no clip can be used"
    distances = {(e, p): _distances(g, e, p, excerpts[p]["clips"]) for e, p in g.pairs}
    rows = g.clips.set_index("clip")
    return [
        Clip(
            clip=of["clip"],
            label=rows.loc[of["clip"], "label"],
            split=rows.loc[of["clip"], "split"],
            original=Sound(of["excerpts"][0]["value"], of["excerpts"][0]["mp3"], {}),
            versions={
                p: [Sound(sound["value"], sound["mp3"], {e: distances[e, p][place, i] for e in g.encoders})
                    for i, sound in enumerate(excerpts[p]["clips"][place]["excerpts"][1:])]
                for p in g.perturbations
            },
        )
        for place, of in enumerate(first)
    ], ""  # fmt: skip


def _read_excerpts(path: Path) -> dict[str, Any]:
    content: dict[str, Any] | None = read_json(path)
    if content is None:
        raise UserError(f"{path} is missing or not whole; `dvc repro` makes it")
    return content


def _distances(g: Content, encoder: str, perturbation: str, excerpts: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Distances [shape=(clips, values)] of the heard clips from their originals at the heard values."""
    folder, clips = g.results.folders.embeddings / encoder, [of["clip"] for of in excerpts]
    values = [sound["value"] for sound in excerpts[0]["excerpts"][1:]]
    originals = _vectors(folder / "original.h5", clips)
    vectors = np.stack([_vectors(folder / perturbation / f"{value}.h5", clips) for value in values], axis=1)
    apart = g.results.trajectories[encoder, perturbation]["distance_between_originals"]
    return relative_distances(vectors, originals, apart)


def _vectors(path: Path, clips: list[str]) -> NDArray[np.float32]:
    embeddings = read_embeddings(path)
    place = {clip: i for i, clip in enumerate(embeddings.clip)}
    return np.asarray(embeddings.features[[place[clip] for clip in clips]])


def relative_distances(
    vectors: NDArray[np.float32], originals: NDArray[np.float32], apart: float | None
) -> NDArray[np.float64]:
    """Distances of vectors [shape=(clips, values, dim)] from originals [shape=(clips, dim)] in units of `apart`.

    Returns
    -------
    array [shape=(clips, values)], NaN where `apart` is None or 0: one clip, or vectors that are all alike
    """
    if not apart:
        return np.full(vectors.shape[:2], np.nan)
    values = vectors.shape[1]
    if values == 1:  # measure_shapes() needs a path, which a single value does not make
        vectors = np.repeat(vectors, 2, axis=1)
    return np.asarray(measure_shapes(vectors, originals).distance_from_original[:, :values] / apart)
