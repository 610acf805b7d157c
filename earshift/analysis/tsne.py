"""A map of originals and of the smallest deformations: ``python -m stages.tsne ENCODER``.

Conventions
-----------
After the third study's Figure 9 (Kim et al. 2019, 5.4). Points are the vectors of ``tsne.clips`` clips, spread evenly
over those that are valid under every selected perturbation: each as it is, and at the smallest value of every side of
every perturbation. What the smallest value of a side is, ``consistency`` says (:mod:`earshift.analysis.consistency`).

The map is t-SNE with Euclidean distances, started from the first two principal components. Vectors longer than
:data:`DIMENSIONS` are projected on their first principal components beforehand. Only who lies next to whom means
something on such a map: t-SNE pulls clips apart and together as it likes, and a map of other clips is another map.
One thread and a fixed seed: on one machine equal vectors give equal numbers.
"""

import argparse

import numpy as np

from earshift.analysis import data
from earshift.analysis.data import ORIGINAL
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import read_json, write_table

DIMENSIONS = 50  # what t-SNE is given; the first principal components hold what neighbours are made of
COLUMNS = ("clip", "group", "label", "perturbation", "value", "x", "y")


def spread(count, wanted):
    """Places of at most `wanted` of `count` things, at even distances."""
    return np.arange(min(wanted, count)) * count // max(min(wanted, count), 1)


def points(originals, steps, count):
    """The vectors of a map.

    Parameters
    ----------
    originals : earshift.analysis.data.Trajectories
        Of any perturbation: the clips as they are.
    steps : list of (earshift.analysis.data.Trajectories, list of str)
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
    clips = [clip for clip in originals.clip if clip in shared]
    if not clips:
        names = ", ".join(t.perturbation for t, _ in steps)
        raise UserError(
            f"no clip is valid for {originals.encoder} under all of {names}; see column problem in {paths.CLIPS}, or "
            "select fewer perturbations (run.perturbations)"
        )
    clips = [clips[place] for place in spread(len(clips), count)]
    rows, vectors = [], []
    for t, value, found in [(originals, ORIGINAL, originals.originals), *_steps(steps)]:
        place = {clip: i for i, clip in enumerate(t.clip)}
        chosen = np.array([place[clip] for clip in clips])
        name = ORIGINAL if value == ORIGINAL else t.perturbation
        rows += [(t.clip[i], t.group[i], t.instrument[i], name, value) for i in chosen]
        vectors.append(found[chosen])
    return pd.DataFrame(rows, columns=COLUMNS[:-2]), np.concatenate(vectors)


def _steps(steps):
    """(trajectories, value, vectors at it) of all values that are shown."""
    return [(t, value, t.vectors[:, t.values.index(value)]) for t, values in steps for value in values]


def positions(vectors, options):
    """Where vectors lie on the map.

    Parameters
    ----------
    vectors : float32 [shape=(points, dim)]
    options : earshift.pipeline.config.Tsne

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
        made = TSNE(init="pca", perplexity=perplexity, random_state=options.seed, n_jobs=1)
        return made.fit_transform(centred.astype(np.float32)).astype(np.float64)


def smallest(encoder, perturbation):
    """The smallest value of every side of a perturbation, as ``consistency`` has them.

    Raises
    ------
    UserError
        If its file is missing.
    """
    path = paths.metrics("consistency", encoder, perturbation)
    numbers = read_json(path) if path.exists() else None
    if numbers is None:
        raise UserError(f"{path} is missing or not whole; `dvc repro consistency@{encoder}-{perturbation}` computes it")
    return [side["smallest"] for side in numbers["sides"].values()]


@command
def main(arguments=None):
    """Write the map of one encoder."""
    parser = argparse.ArgumentParser(prog="python -m stages.tsne", description=__doc__.partition("\n")[0])
    parser.add_argument("encoder", metavar="ENCODER")
    encoder = parser.parse_args(arguments).encoder
    content = params.read()
    options = check(params.Tsne, content.get("tsne"), "tsne")
    steps = [
        (data.load(encoder, perturbation), smallest(encoder, perturbation))
        for perturbation in check(params.Run, content.get("run"), "run").perturbations
    ]
    table, vectors = points(steps[0][0], steps, options.clips)
    table["x"], table["y"] = positions(vectors, options).T
    write_table(paths.tsne(encoder), table)
    print(f"tsne: {encoder}, {table['clip'].nunique()} clips, {len(table)} points in {paths.tsne(encoder)}")


if __name__ == "__main__":
    main()
