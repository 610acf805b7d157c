"""What one can hear on the page, and what embeddings made of it.

Conventions
-----------
A clip is heard as it is and at a few values of every perturbation (data/excerpts). Beside every value stands, for each
encoder, the distance of that clip's vector from its original's, as :mod:`earshift.analysis.trajectories` defines it and
relative to the root mean square distance between two original training clips: at 1 it went as far as another clip is.
"""

from dataclasses import dataclass

import numpy as np

from earshift.analysis import trajectories
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.files import read_json
from earshift.storage.vectors import read_embeddings


@dataclass(frozen=True)
class Sound:
    """One thing to hear.

    perturbation : str, "" for the original
    value : str, or "original"
    mp3 : str, Base64
    distances : dict {encoder: float or None}, empty for the original
    """

    perturbation: str
    value: str
    mp3: str
    distances: dict


@dataclass(frozen=True)
class Heard:
    """One clip: its name, its label ("" where it has none) and split, the original, and {perturbation: its sounds}."""

    clip: str
    label: str
    split: str
    original: Sound
    versions: dict


def heard(g):
    """The clips to listen to, and why there are none.

    Parameters
    ----------
    g : earshift.report.page.content.Gathered

    Returns
    -------
    list of Heard
    str
        "" where there are any.

    Raises
    ------
    UserError
        If excerpts are missing.
    """
    excerpts = {p: _excerpts(p) for p in g.perturbations}
    silent = next((e["silent"] for e in excerpts.values() if e["silent"]), "")
    first = excerpts[g.perturbations[0]]["clips"]
    if silent or not first:
        return [], silent or "no clip can be used"
    distances = _distances(g, excerpts)
    rows = g.clips.set_index("clip")
    made = []
    for place, of in enumerate(first):
        clip = of["clip"]
        versions = {
            p: [
                Sound(p, e["value"], e["mp3"], {name: distances[name, p][e["value"]][place] for name in g.encoders})
                for e in excerpts[p]["clips"][place]["excerpts"][1:]
            ]
            for p in g.perturbations
        }
        original = Sound("", of["excerpts"][0]["value"], of["excerpts"][0]["mp3"], {})
        made.append(Heard(clip, rows.loc[clip, "label"], rows.loc[clip, "split"], original, versions))
    return made, ""


def _excerpts(perturbation):
    content = read_json(paths.excerpts(perturbation))
    if content is None:
        raise UserError(f"{paths.excerpts(perturbation)} is missing or not whole; `dvc repro` makes it")
    return content


def _distances(g, excerpts):
    """{(encoder, perturbation): {value: list of distances, one per clip}}."""
    found = {}
    for encoder in g.encoders:
        clips = [of["clip"] for of in excerpts[g.perturbations[0]]["clips"]]
        start = _vectors(paths.originals(encoder), clips)
        for perturbation in g.perturbations:
            values = [e["value"] for e in excerpts[perturbation]["clips"][0]["excerpts"][1:]]
            folder = paths.embeddings(encoder, perturbation)
            vectors = np.stack([_vectors(folder / f"{value}.h5", clips) for value in values], axis=1)
            apart = g.metrics["trajectories"][encoder, perturbation]["distance_between_originals"]
            away = _relative(vectors, start, apart)
            found[encoder, perturbation] = {value: away[:, i].tolist() for i, value in enumerate(values)}
    return found


def _vectors(path, clips):
    embeddings = read_embeddings(path)
    place = {clip: i for i, clip in enumerate(embeddings.clip)}
    return embeddings.features[[place[clip] for clip in clips]]


def _relative(vectors, originals, apart):
    """Distances [shape=(clips, values)] of vectors [shape=(clips, values, dim)] from originals [shape=(clips, dim)]."""
    if not apart:  # one clip, or vectors that are all alike: nothing to compare with
        return np.full(vectors.shape[:2], np.nan)
    if vectors.shape[1] == 1:  # measures() follows a path, which a single value does not make
        vectors = np.repeat(vectors, 2, axis=1)
    return trajectories.measures(vectors, originals)["distance_from_original"] / apart
