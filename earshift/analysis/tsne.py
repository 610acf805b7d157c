"""A map of originals and of the smallest deformations.

Conventions
-----------
After Figure 9 of Kim et al. (2019, 5.4). Points are the vectors of ``tsne.clips`` clips, spread evenly
over those that are valid under every selected perturbation: each as it is, and at the smallest value of every side of
every perturbation (:mod:`earshift.analysis.consistency` defines sides).

The map is t-SNE with Euclidean distances, started from the first two principal components. Vectors longer than
:data:`DIMENSIONS` are projected on their first principal components beforehand. Only neighbourhoods mean something on
such a map: t-SNE distorts distances, and a map of other clips is another map.
One thread and a fixed seed: on one machine equal vectors give equal numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.data import ORIGINAL, Trajectories
from earshift.errors import UserError
from earshift.options import Interval, Options, Seed

if TYPE_CHECKING:
    import pandas as pd

Steps = Sequence[tuple[Trajectories, Sequence[str]]]  # every perturbation with the values that the map shows

DIMENSIONS = 50  # principal components that t-SNE gets: they determine the neighbours
COLUMNS = ("clip", "group", "label", "perturbation", "value", "x", "y")


@dataclass(frozen=True)
class Tsne(Options):
    """``clips``: how many of the corpus the map shows."""

    clips: Annotated[int, Interval(ge=1, le=5_000)]
    perplexity: Annotated[float, Interval(ge=1, le=1_000)]
    seed: Seed


def spread_places(count: int, wanted: int) -> NDArray[np.intp]:
    """Places of at most `wanted` of `count` things, at even distances."""
    return np.arange(min(wanted, count)) * count // max(min(wanted, count), 1)


def points(steps: Steps, count: int) -> tuple["pd.DataFrame", NDArray[np.float32]]:
    """The vectors of a map.

    Parameters
    ----------
    steps : list of (Trajectories, list of str)
        Every perturbation with the values that the map shows.
    count : int, clips at most

    Returns
    -------
    pandas.DataFrame
        The columns of :data:`COLUMNS` without x and y, clip by clip within a value, originals first.
    float32 [shape=(points, dim)]

    Raises
    ------
    UserError
        If no clip is valid under all perturbations.
    """
    import pandas as pd

    shared = set.intersection(*(set(t.clip) for t, _ in steps))
    originals = steps[0][0]
    clips = [clip for clip in originals.clip if clip in shared]
    if not clips:
        names = ", ".join(t.perturbation for t, _ in steps)
        raise UserError(
            f"no clip is valid for {originals.encoder} under all of {names}; see column problem of clips.csv, or "
            "select fewer perturbations (run.perturbations)"
        )
    clips = [clips[place] for place in spread_places(len(clips), count)]
    rows, vectors = [], []
    shown = [(t, value, t.vectors[:][:, t.values.index(value)]) for t, values in steps for value in values]
    for t, value, found in [(originals, ORIGINAL, originals.originals[:]), *shown]:
        place = {clip: i for i, clip in enumerate(t.clip)}
        chosen = np.array([place[clip] for clip in clips])
        name = ORIGINAL if value == ORIGINAL else t.perturbation
        rows += [(t.clip[i], t.group[i], t.instrument[i], name, value) for i in chosen]
        vectors.append(found[chosen])
    return pd.DataFrame(rows, columns=COLUMNS[:-2]), np.concatenate(vectors)


def positions(vectors: NDArray[np.float32], options: Tsne) -> NDArray[np.float64]:
    """The places of vectors on the map.

    Parameters
    ----------
    vectors : float32 [shape=(points, dim)]
    options : Tsne

    Returns
    -------
    float64 [shape=(points, 2)]
        All 0 where the vectors are all the same.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    if np.abs(centred).max() <= 1e-6 * np.abs(vectors).max():  # rounding alone
        return np.zeros((len(vectors), 2))
    with threadpool_limits(1):
        if min(centred.shape) > DIMENSIONS:
            centred = PCA(DIMENSIONS, svd_solver="full").fit_transform(centred)
        if centred.shape[1] < 2:
            centred = np.column_stack([centred, np.zeros(len(centred))])
        perplexity = min(options.perplexity, (len(vectors) - 1) / 3)
        fitting = TSNE(init="pca", perplexity=perplexity, random_state=options.seed, n_jobs=1)
        placed: NDArray[np.float64] = fitting.fit_transform(centred.astype(np.float32)).astype(np.float64)
    return placed


def analyse(steps: Steps, options: Tsne) -> "pd.DataFrame":
    """The map of one encoder.

    Parameters
    ----------
    steps : list of (Trajectories, list of str)
        Every perturbation with the values that the map shows.
    options : Tsne

    Returns
    -------
    pandas.DataFrame, the columns of :data:`COLUMNS`
    """
    table, vectors = points(steps, options.clips)
    table["x"], table["y"] = positions(vectors, options).T
    return table
