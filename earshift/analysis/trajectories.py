"""What shape trajectories have.

Conventions
-----------
Two things: maps to look at, of a few training clips, and measures, in the full space, of all clips.

*Maps*, one per instrument, of ``trajectories.clips`` training clips drawn with the seed.

- UMAP as in the study (notebook 2B.1): ``trajectories.neighbours`` neighbours, all else default, fitted only on the
  effected points; the originals are placed on the finished map afterwards. Every map has its own coordinates.
  Distances, directions and the gaps between clips mean nothing on it (docs/trajectories.md).
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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis.data import ALL, ORIGINAL, Heading, Number, Trajectories
from earshift.analysis.shapes import Shapes, measure_shapes, monotonicity, spread
from earshift.analysis.statistics import Floats, group_bootstrap, present_mean, with_interval
from earshift.analysis.trajectory_maps import Maps, draw_maps
from earshift.analysis.words import count_and_name
from earshift.options import Confidence, Count, Interval, Options, Seed

if TYPE_CHECKING:
    import pandas as pd

_BOUNDS = {  # of the numbers with an interval
    "straightness": (0, 1),
    "turning_angle": (0, 180),
    "monotonicity": (-1, 1),
    "monotonicity_ridged": (-1, 1),
}
_SCORED = {"train": ("straightness", "turning_angle"), "test": ("monotonicity", "monotonicity_ridged")}
_NOISIEST = 1.5  # up to so many points per dimension a fit without penalty interpolates, or nearly so


@dataclass(frozen=True)
class TrajectoryMaps(Options):
    """``clips``: how many of each instrument a map shows. ``neighbours``: of UMAP."""

    clips: Annotated[int, Interval(ge=1, le=20)]
    neighbours: Annotated[int, Interval(ge=2, le=100)]
    seed: Seed
    bootstrap: Count
    confidence: Confidence


class TrajectoryClips(TypedDict):
    """Numbers of clips. ``still``: those that do not move along the grid."""

    train: int
    test: int
    invalid: int
    still: int


class Reference(TypedDict):
    """What a path of a known kind has."""

    straightness: float
    turning_angle: float


class References(TypedDict):
    """Paths of known kinds with as many values."""

    independent_points: Reference
    random_walk: Reference
    straight_line: Reference


class Shape(TypedDict):
    """Means over clips, see the module's conventions, and the shares of the variance that the PCA map shows."""

    path_length: Number
    displacement: Number
    straightness: Number
    straightness_low: Number
    straightness_high: Number
    turning_angle: Number
    turning_angle_low: Number
    turning_angle_high: Number
    monotonicity: Number
    monotonicity_low: Number
    monotonicity_high: Number
    monotone_clips: Number
    monotonicity_ridged: Number
    monotonicity_ridged_low: Number
    monotonicity_ridged_high: Number
    monotone_clips_ridged: Number
    pca_explained: list[Number]


class InstrumentShape(Shape):
    """One instrument. ``umap_problem``: why it has no UMAP map, or ""."""

    umap_problem: str
    train_clips: int
    test_clips: int
    still: int


class TrajectoriesResult(Heading):
    """Content of metrics/trajectories/ENCODER/PERTURBATION.json."""

    clips: TrajectoryClips
    distance_between_originals: Number
    references: References
    overall: Shape
    instruments: dict[str, InstrumentShape]
    notes: list[str]


def analyse(
    trajectories: Trajectories, options: TrajectoryMaps, *, ridge: float
) -> tuple[TrajectoriesResult, "pd.DataFrame", "pd.DataFrame"]:
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : Trajectories
    options : TrajectoryMaps
    ridge : float, penalty of ``monotonicity_ridged``, relative to the largest squared singular value

    Returns
    -------
    TrajectoriesResult
    pandas.DataFrame
        The points of the maps (instrument, clip, value, strength, umap_1, umap_2, pc_1, pc_2); an unperturbed point has
        the value "original" and no strength.
    pandas.DataFrame
        Means along the path (instrument, value, strength, distance_from_original, step_length: from the value before,
        step_share: of the path length, turning_angle: at the value), instrument "all" over instruments.
    """
    t, values = trajectories, len(trajectories.values)
    shapes = measure_shapes(t.vectors, t.originals)
    order = {name: monotonicity(t, name, shapes.moves, ridge) for name in t.instruments}
    means = {name: _mean_shape(t, shapes, name, rho) for name, rho in order.items()}
    draws, alone = _resample(t, shapes, order, options)
    maps = {
        name: draw_maps(t, name, shapes.moves, clips=options.clips, neighbours=options.neighbours, seed=options.seed)
        for name in order
    }
    instruments = {}
    for place, (name, found) in enumerate(means.items()):
        own = {
            key: each[:, place] if _recordings(t, split, name) > 1 and each is not None else None
            for split, keys in _SCORED.items()
            for key, each in ((key, draws[key]) for key in keys)
        }
        instruments[name] = cast(
            InstrumentShape,
            {
                **_with_intervals(found, own, options.confidence),
                "pca_explained": maps[name].explained.tolist(),
                "umap_problem": maps[name].problem,
                "train_clips": len(t.indices("train", name)),
                "test_clips": len(t.indices("test", name)),
                "still": int((~shapes.moves[t.members(name)]).sum()),
            },
        )
    overall = {key: _mean(found[key] for found in means.values()) for key in next(iter(means.values()))}
    over_instruments = {key: None if each is None else present_mean(each.T) for key, each in draws.items()}
    result: TrajectoriesResult = {
        **t.heading,
        "clips": {
            "train": len(t.indices("train")),
            "test": len(t.indices("test")),
            "invalid": t.invalid,
            "still": int((~shapes.moves).sum()),
        },
        "distance_between_originals": spread(t.originals, t.indices("train")),
        "references": {
            "independent_points": {"straightness": 1 / (values - 1), "turning_angle": 120},
            "random_walk": {"straightness": 1 / float(np.sqrt(values - 1)), "turning_angle": 90},
            "straight_line": {"straightness": 1, "turning_angle": 0},
        },
        "overall": cast(
            Shape,
            {
                **_with_intervals(overall, over_instruments, options.confidence),
                "pca_explained": present_mean([drawn.explained for drawn in maps.values()]).tolist(),
            },
        ),
        "instruments": instruments,
        "notes": _notes(t, shapes, instruments, maps, alone, options),
    }
    return result, _points(t, maps), _path(t, shapes)


def _mean_shape(t: Trajectories, shapes: Shapes, name: str, order: Floats) -> dict[str, float]:
    """Means over the clips of one instrument, whose test clips have this `order`."""
    train = t.indices("train", name)
    means = {
        "path_length": _mean(shapes.path_length[train]),
        "displacement": _mean(shapes.displacement[train]),
        "straightness": _mean(shapes.straightness[train]),
        "turning_angle": _mean(shapes.turning_angle[train]),
    }
    for key, rho in zip(_SCORED["test"], order, strict=True):
        means[key] = _mean(rho)
        means[key.replace("monotonicity", "monotone_clips")] = _mean(np.where(np.isnan(rho), rho, rho > 1 - 1e-9))
    return means


def _resample(
    t: Trajectories, shapes: Shapes, order: Mapping[str, Floats], options: TrajectoryMaps
) -> tuple[dict[str, Floats | None], list[str]]:
    """Resampled means [shape=(draws, instruments)] by measure; and the splits that have a single recording."""
    found: dict[str, Floats | None] = {}
    single = []
    for stream, (split, keys) in enumerate(_SCORED.items()):
        clips = t.indices(split)
        own = [t.indices(split, name) for name in order]
        places = [np.searchsorted(clips, each) for each in own]
        columns = list(order.values())
        if split == "train":
            columns = [np.stack([shapes.straightness[each], shapes.turning_angle[each]]) for each in own]

        def means(
            counts: NDArray[np.int64],
            columns: Sequence[Floats] = columns,
            places: Sequence[NDArray[np.intp]] = places,
        ) -> Floats:
            return _means(counts, columns, places)

        draws = group_bootstrap(np.random.default_rng((options.seed, stream)), t.group[clips], options.bootstrap, means)
        if draws is None and len(clips):
            single.append(split)
        found |= {key: None if draws is None else draws[:, i] for i, key in enumerate(keys)}
    return found, single


def _means(counts: NDArray[np.int64], columns: Sequence[Floats], places: Sequence[NDArray[np.intp]]) -> Floats:
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


def _with_intervals(
    means: Mapping[str, float], draws: Mapping[str, Floats | None], confidence: float
) -> dict[str, Number]:
    """Means, with ``_low`` and ``_high`` beside those that have draws."""
    found: dict[str, Number] = {}
    for key, mean in means.items():
        found |= with_interval(key, mean, draws[key], confidence, _BOUNDS[key]) if key in draws else {key: mean}
    return found


def _recordings(t: Trajectories, split: str, name: str) -> int:
    """How many recordings an instrument has in a split."""
    return len(np.unique(t.group[t.indices(split, name)]))


def _mean(numbers: Iterable[float]) -> float:
    """Mean of those that are not NaN; NaN without any."""
    found = np.array(list(numbers), dtype=np.float64)
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else float("nan")


def _path(t: Trajectories, shapes: Shapes) -> "pd.DataFrame":
    """Means along the path, by instrument and over instruments."""
    import pandas as pd

    def row(clips: NDArray[np.intp]) -> Floats:
        start, both = [np.nan], [np.nan, np.nan]
        return np.stack([
            present_mean(shapes.distance_from_original[clips]),
            np.concatenate([start, present_mean(shapes.step_length[clips])]),
            np.concatenate([start, present_mean(shapes.step_share[clips])]),
            np.concatenate([both[:1], present_mean(shapes.turning_angles[clips]), both[1:]]),
        ])  # fmt: skip

    tables = {name: row(t.indices("train", name)) for name in t.instruments}
    if t.instruments != [ALL]:
        tables = {ALL: present_mean(list(tables.values())), **tables}
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


# --------------------------------------------------------------------------------------------------------------- output


def _points(t: Trajectories, maps: Mapping[str, Maps]) -> "pd.DataFrame":
    import pandas as pd

    tables = []
    for name, drawn in maps.items():
        clips, values = drawn.clips, 1 + len(t.values)
        tables.append(
            pd.DataFrame(
                {
                    "instrument": name,
                    "clip": np.repeat(t.clip[clips], values),
                    "value": np.tile([ORIGINAL, *t.values], len(clips)),
                    "strength": np.tile([np.nan, *t.strengths], len(clips)),
                    **{f"umap_{i + 1}": drawn.umap[..., i].reshape(-1) for i in range(2)},
                    **{f"pc_{i + 1}": drawn.pca[..., i].reshape(-1) for i in range(2)},
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _notes(
    t: Trajectories,
    shapes: Shapes,
    numbers: Mapping[str, InstrumentShape],
    maps: Mapping[str, Maps],
    alone: Sequence[str],
    options: TrajectoryMaps,
) -> list[str]:
    """What a reader must know about these numbers, one sentence each."""

    def named(names: Sequence[str]) -> str:
        return count_and_name(names, "instrument")

    notes = []
    still = {split: int((~shapes.moves[t.indices(split)]).sum()) for split in ("train", "test")}
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
        notes.append(f"No monotonicity for {named(untested)}: no valid test clips.")
    unordered = [
        name
        for name, part in numbers.items()
        if name not in untested and part["monotonicity"] is not None and np.isnan(part["monotonicity"])
    ]
    if unordered:
        notes.append(f"No monotonicity for {named(unordered)}: vectors do not move with strength.")
    tight = [name for name in numbers if len(t.indices("train", name)) * len(t.values) <= _NOISIEST * t.dim]
    if tight:
        notes.append(
            f"The published direction of {named(tight)} is fitted to too few points for {t.dim} dimensions (training "
            "clips x values) and follows noise; read monotonicity_ridged there."
        )
    few = [name for name in numbers if len(maps[name].clips) < options.clips]
    if few:
        notes.append(f"Maps of {named(few)} show all training clips: there are fewer than {options.clips}.")
    problems: dict[str, list[str]] = {}
    for name, drawn in maps.items():
        if drawn.problem:
            problems.setdefault(drawn.problem, []).append(name)
    notes += [f"No UMAP map of {named(names)}: {problem}." for problem, names in problems.items()]
    if alone:
        notes.append(f"No interval over {' and '.join(alone)} groups: there is one.")
    lonely = [
        name
        for name in numbers
        if any(_recordings(t, split, name) == 1 for split in ("train", "test") if split not in alone)
    ]
    if lonely and len(numbers) > 1:
        notes.append(f"No interval for part of {named(lonely)}: it takes two recordings.")
    return notes
