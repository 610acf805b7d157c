"""What shape trajectories have: ``python -m stages.trajectories ENCODER PERTURBATION``.

Conventions
-----------
Two things: maps to look at, of a few training clips, and measures, in the full space, of all clips.

*Maps*, one per instrument, of ``trajectories.clips`` training clips drawn with the seed.

- UMAP as in the study (notebook 2B.1): ``trajectories.neighbours`` neighbours, all else default, fitted on the effected
  points alone; the originals are placed on the finished map afterwards. Every map has its own coordinates. Distances,
  directions and the gaps between clips mean nothing on it (docs/trajectories.md).
- PCA, fitted and placed in the same way: a plain projection, in embedding units, beside the share of the variance that
  it shows.

*Measures* follow a clip along the grid, in order of growing strength. The original is no part of the path. Means are
over the clips of an instrument, overall over instruments, and intervals are bootstraps over recordings. A clip of
several instruments counts for each, and has an order along the direction of each.

- path_length: sum of the steps between neighbouring values. displacement: distance from the first value to the last.
  straightness: displacement / path_length; 1 is a straight line, whatever its steps.
- turning_angle: between successive steps, in degrees, mean along the path. 0 is a straight line. Independent steps of
  no preferred direction (a random walk) turn by 90 degrees on average, in any number of dimensions. Independent
  *points*, and so values whose order means nothing, turn by 120: any three exchangeable points are the corners of a
  triangle whose angles add up to 180 degrees, so that each is 60 on average, and a path turns by the rest.
- Where dimensions are many, P independent points have a straightness of about 1 / (P - 1) and a random walk one of
  about 1 / sqrt(P - 1). ``references`` in the metrics holds these numbers.
- monotonicity: Spearman's correlation between strength and the projection on the published global CCA direction of the
  instrument, fitted on its training clips (:mod:`earshift.analysis.directions`), one number for each *test* clip, their
  mean. Without order it is 0 on average. monotone_clips: the share of test clips in perfect order; chance is 1 / P!.
  The published fit interpolates wherever an instrument has no more points than dimensions, and then follows noise as
  readily as strength; monotonicity_ridged and monotone_clips_ridged are on the direction with the penalty ``cca.ridge``
  that held-out R2 has (:mod:`earshift.analysis.cca`).
- distance_from_original at every value, beside distance_between_originals: the root mean square distance between two
  training clips as they are, which makes encoders comparable.

A step that changes no number by more than 16 times what float32 resolves at the clip's largest number
(:data:`earshift.analysis.statistics.RESOLUTION`) has length 0: encoders compute in float32, and their last bits are
rounding, which turns by 120 degrees like any noise. It has no angle with its neighbours. A clip without any longer step
does not move: it has no angle, straightness or order, is counted, and is left out of these three.
"""

import warnings
import zlib

import numpy as np

from earshift.analysis import data, directions
from earshift.analysis.data import ORIGINAL
from earshift.analysis.statistics import RESOLUTION, group_bootstrap, present_mean, spearman, with_interval
from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import write_json, write_table

COMPONENTS = 3  # of PCA whose share of the variance is told; two of them are drawn

_BOUNDS = {  # of the numbers with an interval
    "straightness": (0, 1),
    "turning_angle": (0, 180),
    "monotonicity": (-1, 1),
    "monotonicity_ridged": (-1, 1),
}
_SCORED = {"train": ("straightness", "turning_angle"), "test": ("monotonicity", "monotonicity_ridged")}
_ROUNDING = 16 * RESOLUTION  # the encoders here differ by up to 4 where gain should change nothing, then by 64 and more
_NOISIEST = 1.5  # up to so many points per dimension a fit without penalty interpolates, or nearly so
_FEWEST = 4  # points of a UMAP in two dimensions: it begins with three eigenvectors, which must be fewer than points
_NAMED = 5  # instruments that a note names


def analyse(trajectories, options, *, ridge):
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    options : earshift.pipeline.config.TrajectoryMaps
    ridge : float, ``cca.ridge``

    Returns
    -------
    dict
        Content of metrics/trajectories/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        The points of the maps (instrument, clip, value, strength, umap_1, umap_2, pc_1, pc_2); an unperturbed point has
        the value "original" and no strength.
    pandas.DataFrame
        Means along the path (instrument, value, strength, distance_from_original, step_length: from the value before,
        step_share: of the path length, turning_angle: at the value), instrument "all" over instruments.
    """
    t = trajectories
    shape = measures(t.vectors, t.originals)
    order = {name: monotonicity(t, name, shape["moves"], ridge) for name in t.instruments}
    numbers = {name: _numbers(t, shape, name, rho) for name, rho in order.items()}
    overall = {key: _mean(part[key] for part in numbers.values()) for key in next(iter(numbers.values()))}
    alone = _add_intervals(t, shape, order, overall, numbers, options)
    curves = _path(t, shape)
    maps = {name: _maps(t, name, shape["moves"], options) for name in t.instruments}
    for name, part in numbers.items():
        part["pca_explained"] = maps[name]["explained"]
        part["umap_problem"] = maps[name]["problem"]
        part["train_clips"], part["test_clips"] = len(t.indices("train", name)), len(t.indices("test", name))
        part["still"] = int((~shape["moves"][t.members(name)]).sum())
    values = len(t.values)
    result = {
        **t.heading,
        "clips": {
            "train": len(t.indices("train")),
            "test": len(t.indices("test")),
            "invalid": t.invalid,
            "still": int((~shape["moves"]).sum()),
        },
        "distance_between_originals": _spread(t.originals, t.indices("train")),
        "references": {
            "independent_points": {"straightness": 1 / (values - 1), "turning_angle": 120},
            "random_walk": {"straightness": 1 / np.sqrt(values - 1), "turning_angle": 90},
            "straight_line": {"straightness": 1, "turning_angle": 0},
        },
        "overall": overall | {"pca_explained": present_mean([part["pca_explained"] for part in numbers.values()])},
        "instruments": numbers,
        "notes": _notes(t, shape, numbers, maps, alone, options),
    }
    return result, _points(t, maps), curves


# ------------------------------------------------------------------------------------------------------------- measures


def measures(vectors, originals):
    """The shape of every clip's path in the full space.

    Parameters
    ----------
    vectors : float [shape=(clips, values, dim)], in order of growing strength
    originals : float [shape=(clips, dim)]

    Returns
    -------
    dict of float64 arrays
        distance_from_original [shape=(clips, values)], step_length and step_share [shape=(clips, values - 1)],
        turning_angles [shape=(clips, values - 2)] in degrees, and per clip path_length, displacement, straightness,
        turning_angle (mean of the defined ones) and moves (bool). NaN where undefined: see the module's conventions.
    """
    count, values, dim = vectors.shape
    distance, length = np.empty((count, values)), np.empty((count, values - 1))
    angles, displacement = np.empty((count, values - 2)), np.empty(count)
    for part in directions.blocks(count, values * dim):
        points, start = vectors[part].astype(np.float64), originals[part].astype(np.float64)[:, None]
        scale = np.maximum(np.abs(points).max(axis=(1, 2)), np.abs(start).max(axis=(1, 2)))[:, None]
        steps = np.diff(points, axis=1)
        distance[part] = _lengths(points - start, scale)
        length[part] = _lengths(steps, scale)
        displacement[part] = _lengths(points[:, -1:] - points[:, :1], scale)[:, 0]
        angles[part] = _angles(steps, length[part])
    path = length.sum(axis=1)
    moves = path > 0
    known = np.where(moves, path, np.nan)
    return {
        "distance_from_original": distance,
        "step_length": length,
        "step_share": length / known[:, None],
        "turning_angles": angles,
        "path_length": path,
        "displacement": displacement,
        "straightness": np.minimum(displacement / known, 1),  # rounding may put a straight line beyond
        "turning_angle": present_mean(angles.T),
        "moves": moves,
    }


def _lengths(differences, scale):
    """Lengths [shape=(clips, n)] of differences [shape=(clips, n, dim)], 0 where they are rounding."""
    lengths = np.sqrt(np.einsum("cnd,cnd->cn", differences, differences))
    return np.where(np.abs(differences).max(axis=2) > _ROUNDING * scale, lengths, 0)


def _angles(steps, lengths):
    """Degrees between successive steps [shape=(clips, steps - 1)], NaN beside a step of length 0.

    Kahan's form, exact near 0 and 180 degrees, where an arc cosine would lose half of the digits.
    """
    still = lengths == 0
    unit = steps / np.where(still, 1, lengths)[..., None]
    apart, along = (np.linalg.norm(pair, axis=2) for pair in (unit[:, 1:] - unit[:, :-1], unit[:, 1:] + unit[:, :-1]))
    return np.where(still[:, 1:] | still[:, :-1], np.nan, np.degrees(2 * np.arctan2(apart, along)))


def _spread(originals, clips):
    """Root mean square distance between two of the clips; NaN with fewer than two."""
    if len(clips) < 2:
        return float("nan")
    parts = [clips[part] for part in directions.blocks(len(clips), originals.shape[1])]
    mean = sum(originals[part].sum(axis=0, dtype=np.float64) for part in parts) / len(clips)
    squares = sum(np.square(originals[part] - mean).sum() for part in parts)
    return float(np.sqrt(2 * squares / (len(clips) - 1)))


def monotonicity(t, name, moves, ridge):
    """Order of the test clips of an instrument along its global direction, published and ridged.

    Parameters
    ----------
    t : earshift.analysis.data.Trajectories
    name : str
    moves : bool [shape=(clips,)]
    ridge : float, relative to the largest squared singular value

    Returns
    -------
    float64 [shape=(2, test clips)]
        Spearman's correlation; NaN for clips that do not move, and for an instrument without a direction.
    """
    values, train, test = len(t.values), t.indices("train", name), t.indices("test", name)
    ranks = np.broadcast_to(np.arange(values, dtype=np.float64), (1, len(train), values))
    mean, weights = directions.stacked_weights(t.vectors, train, ranks, ridges=(0.0, ridge))
    projected = directions.projections(t.vectors, test, mean, np.hstack(weights))
    return np.where(moves[test], spearman(projected, np.arange(values)), np.nan)


def _numbers(t, shape, name, order):
    """Means over the clips of one instrument, whose test clips have this `order`."""
    train = t.indices("train", name)
    means = {key: _mean(shape[key][train]) for key in ("path_length", "displacement", *_SCORED["train"])}
    for key, rho in zip(_SCORED["test"], order, strict=True):
        means[key] = _mean(rho)
        means[key.replace("monotonicity", "monotone_clips")] = _mean(np.where(np.isnan(rho), rho, rho > 1 - 1e-9))
    return means


def _add_intervals(t, shape, order, overall, numbers, options):
    """Put ``_low`` and ``_high`` beside the numbers that have one; the splits that have a single recording."""
    single = []
    for stream, (split, keys) in enumerate(_SCORED.items()):
        clips = t.indices(split)
        places = [np.searchsorted(clips, t.indices(split, name)) for name in numbers]
        if split == "test":
            columns = list(order.values())
        else:
            columns = [np.stack([shape[key][t.indices(split, name)] for key in keys]) for name in numbers]
        rng = np.random.default_rng((options.seed, stream))
        draws = group_bootstrap(rng, t.group[clips], options.bootstrap, lambda w, c=columns, p=places: _means(w, c, p))
        if draws is None and len(clips):
            single.append(split)
        for i, key in enumerate(keys):
            each = None if draws is None else draws[:, i]
            _interval(overall, key, None if each is None else present_mean(each.T), options.confidence)
            for j, (name, part) in enumerate(numbers.items()):
                several = len(np.unique(t.group[t.indices(split, name)])) > 1
                _interval(part, key, each[:, j] if several else None, options.confidence)
    return single


def _means(counts, columns, places):
    """Weighted means [shape=(draws, measures, instruments)] over clips that have a number, NaN without any.

    columns : list of float64 [shape=(measures, own clips)], by instrument
    places : list of int [shape=(own clips,)], where these are among the counted clips
    """
    found = np.empty((len(counts), len(columns[0]), len(places)))
    for j, (own, numbers) in enumerate(zip(places, columns, strict=True)):
        weights, known = counts[:, own].astype(np.float64), ~np.isnan(numbers)
        total = weights @ known.T
        found[..., j] = weights @ np.nan_to_num(numbers).T / np.where(total > 0, total, np.nan)
    return found


def _interval(part, key, draws, confidence):
    place = list(part).index(key)
    items = list(part.items())
    part.clear()
    part.update(items[:place])
    part.update(with_interval(key, dict(items)[key], draws, confidence, _BOUNDS[key]))
    part.update(items[place + 1 :])


def _mean(numbers):
    """Mean of those that are not NaN; NaN without any."""
    numbers = np.array(list(numbers), dtype=np.float64)
    known = numbers[~np.isnan(numbers)]
    return float(known.mean()) if len(known) else float("nan")


def _path(t, shape):
    """Means along the path, by instrument and over instruments."""
    import pandas as pd

    def row(clips):
        start, both = [np.nan], [np.nan, np.nan]
        return np.stack([
            present_mean(shape["distance_from_original"][clips]),
            np.concatenate([start, present_mean(shape["step_length"][clips])]),
            np.concatenate([start, present_mean(shape["step_share"][clips])]),
            np.concatenate([both[:1], present_mean(shape["turning_angles"][clips]), both[1:]]),
        ])  # fmt: skip

    tables = {name: row(t.indices("train", name)) for name in t.instruments}
    if t.instruments != [data.ALL]:
        tables = {data.ALL: present_mean(list(tables.values())), **tables}
    columns = ("distance_from_original", "step_length", "step_share", "turning_angle")
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "instrument": name,
                    "value": t.values,
                    "strength": t.strengths,
                    **dict(zip(columns, rows, strict=True)),
                }
            )
            for name, rows in tables.items()
        ],
        ignore_index=True,
    )


# ----------------------------------------------------------------------------------------------------------------- maps


def drawn_clips(t, name, options):
    """Positions of the training clips of one instrument that its maps show, in the order of clips.csv.

    The draw depends on the seed, the instrument and its clips alone, so encoders and perturbations show the same ones,
    and a larger ``clips`` adds to those of a smaller one.
    """
    clips = t.indices("train", name)
    rng = np.random.default_rng((options.seed, zlib.crc32(name.encode())))
    return np.sort(rng.permutation(clips)[: options.clips])


def _maps(t, name, moves, options):
    """Clips, coordinates [shape=(clips, 1 + values, 2)] (the original first), and what could not be drawn."""
    clips = drawn_clips(t, name, options)
    points = t.vectors[clips].reshape(-1, t.dim)
    effected = {"pca": np.full((len(points), 2), np.nan), "umap": np.full((len(points), 2), np.nan)}
    originals = {key: np.full((len(clips), 2), np.nan) for key in effected}
    explained, problem = np.full(COMPONENTS, np.nan), ""
    if not moves[clips].any():
        problem = "vectors do not move"
    elif len(points) < max(options.neighbours + 1, _FEWEST):
        problem = f"{len(points)} points, it takes {max(options.neighbours + 1, _FEWEST)}"
    else:
        placed, problem = _umap(points, t.originals[clips], options)
        if not problem:
            effected["umap"], originals["umap"] = placed
    if moves[clips].any():
        effected["pca"], originals["pca"], explained = principal_components(points, t.originals[clips])
    shown = {
        key: np.concatenate([originals[key][:, None], effected[key].reshape(len(clips), -1, 2)], axis=1)
        for key in effected
    }
    return {"clips": clips, "explained": explained, "problem": problem, **shown}


def principal_components(points, others):
    """PCA of points, and others placed on it.

    Components point so that their entry of largest magnitude is positive.

    Parameters
    ----------
    points : float [shape=(n, dim)], not all alike
    others : float [shape=(m, dim)]

    Returns
    -------
    float64 [shape=(n, 2)], float64 [shape=(m, 2)]
        Scores on the first two components; 0 on a second that does not exist.
    float64 [shape=(COMPONENTS,)]
        Shares of the variance of `points`.
    """
    points, others = points.astype(np.float64), others.astype(np.float64)
    mean = points.mean(axis=0)
    _, singular, right = np.linalg.svd(points - mean, full_matrices=False)
    shares = np.zeros(COMPONENTS)
    shares[: len(singular)] = (singular**2 / (singular**2).sum())[:COMPONENTS]
    axes = np.zeros((2, points.shape[1]))
    axes[: len(right)] = directions.unit(right[:2])
    return (points - mean) @ axes.T, (others - mean) @ axes.T, shares


def _umap(points, originals, options):
    """Coordinates of points and originals, or None; and why there are none, or ""."""
    from scipy.sparse.linalg import ArpackError

    fitting = _umap_class()(n_neighbors=options.neighbours, random_state=options.seed, n_jobs=1)
    with warnings.catch_warnings():
        # Clips far apart, or without effect, are islands to UMAP: what its map of them is worth, docs/trajectories.md
        warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
        warnings.filterwarnings("ignore", "A large number of your vertices were disconnected", UserWarning)
        try:
            placed = fitting.fit(points).embedding_, fitting.transform(originals)
        except (ValueError, TypeError, ArpackError, np.linalg.LinAlgError) as error:
            return None, f"UMAP fails with {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if not all(np.isfinite(coordinates).all() for coordinates in placed):
        return None, "UMAP finds no finite coordinates"
    return placed, ""


def _umap_class():
    """umap.UMAP, with what it compiles kept on disk.

    UMAP compiles on first use, for ten seconds, and keeps hardly any of it. There is one process per pair.
    """
    try:
        from umap import layouts, umap_, utils
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        raise UserError(
            "numba finds no folder for compiled code that it may write; set NUMBA_CACHE_DIR to one"
        ) from error
    for function in (
        utils.fast_knn_indices,
        utils.submatrix,
        umap_.smooth_knn_dist,
        umap_.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
    ):
        function.enable_caching()
    return umap_.UMAP


def _points(t, maps):
    import pandas as pd

    tables = []
    for name, drawn in maps.items():
        clips, values = drawn["clips"], 1 + len(t.values)
        tables.append(
            pd.DataFrame(
                {
                    "instrument": name,
                    "clip": np.repeat(t.clip[clips], values),
                    "value": np.tile([ORIGINAL, *t.values], len(clips)),
                    "strength": np.tile([np.nan, *t.strengths], len(clips)),
                    **{f"umap_{i + 1}": drawn["umap"][..., i].reshape(-1) for i in range(2)},
                    **{f"pc_{i + 1}": drawn["pca"][..., i].reshape(-1) for i in range(2)},
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


# --------------------------------------------------------------------------------------------------------------- output


def _notes(t, shape, numbers, maps, alone, options):
    """What a reader must know about these numbers, one sentence each."""
    notes, moves = [], shape["moves"]
    still = {split: int((~moves[t.indices(split)]).sum()) for split in ("train", "test")}
    if any(still.values()):
        notes.append(
            f"{still['train']} training and {still['test']} test clips do not move along the grid: they have no angle, "
            "straightness or order and are left out of these."
        )
    if len(t.values) == 2:
        notes.append(
            "No turning angle: it takes three values, the grid has 2. Straightness is 1 by construction, and "
            "monotonicity is 1 or -1 for a clip."
        )
    untested = [name for name in numbers if not len(t.indices("test", name))]
    if untested:
        notes.append(f"No monotonicity for {_named(untested)}: no valid test clips.")
    unordered = [name for name, part in numbers.items() if name not in untested and np.isnan(part["monotonicity"])]
    if unordered:
        notes.append(f"No monotonicity for {_named(unordered)}: vectors do not move with strength.")
    tight = [name for name in numbers if len(t.indices("train", name)) * len(t.values) <= _NOISIEST * t.dim]
    if tight:
        notes.append(
            f"The published direction of {_named(tight)} is fitted to too few points for {t.dim} dimensions (training "
            "clips x values) and follows noise; monotonicity_ridged says more there."
        )
    few = [name for name in numbers if len(maps[name]["clips"]) < options.clips]
    if few:
        notes.append(f"Maps of {_named(few)} show all training clips: there are fewer than {options.clips}.")
    problems = {}
    for name, drawn in maps.items():
        if drawn["problem"]:
            problems.setdefault(drawn["problem"], []).append(name)
    notes += [f"No UMAP map of {_named(names)}: {problem}." for problem, names in problems.items()]
    if alone:
        notes.append(f"No interval over {' and '.join(alone)} groups: there is one.")
    lonely = [
        name
        for name in numbers
        if any(
            split not in alone and len(np.unique(t.group[t.indices(split, name)])) == 1 for split in ("train", "test")
        )
    ]
    if lonely and len(numbers) > 1:
        notes.append(f"No interval for part of {_named(lonely)}: it takes two recordings.")
    return notes


def _named(names):
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{len(names)} instrument{'s' if len(names) > 1 else ''} ({shown})"


@command
def main(arguments=None):
    """Write metrics and plot data of one encoder under one perturbation."""
    encoder, perturbation = data.arguments("trajectories", __doc__.partition("\n")[0], arguments)
    loaded = params.load()
    t = data.load(encoder, perturbation, classes=loaded.classes.tags, lazily=True)
    result, points, path = analyse(t, loaded.trajectories, ridge=loaded.cca.ridge)
    folder = paths.plots("trajectories", encoder, perturbation)
    write_table(folder / "points.csv", points)
    write_table(folder / "path.csv", path)
    write_json(paths.metrics("trajectories", encoder, perturbation), result)


if __name__ == "__main__":
    main()
