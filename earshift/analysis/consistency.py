"""Whether near neighbours stay near.

Conventions
-----------
The measures of Kim et al. (2019, 3.1) at every value, over all clips that are valid in the original and at every value.
Distances in the audio are ``dtw`` and ``simple`` (:mod:`earshift.analysis.distances`); those between vectors are
``consistency.latent``. All are from a transformed clip to an original one (:mod:`earshift.analysis.agreement`).

- within_D: share of the clips that are strictly nearer to their own original than to any other one, by distance D
  (equation 10; ties are errors). Chance is 1 / clips.
- between_agreement_A_L: share of the clips about which the distance A in the audio and L between vectors agree, both
  right or both wrong (equation 12). It is 1 where both are always right, and again where both are always wrong.
- between_spearman_A_L: Spearman's correlation of the two matrices, own distances included (equation 11, as the study's
  code has it).
- own_spearman_A_L: the same over own distances alone, d(transformed, original) in the audio against the latent one, as
  the study's text says; the two numbers have little in common.
- originals_spearman_A_L: the correlation between originals alone, over all pairs of different clips (its Figure 13).

Clips without a distance (silence has no cosine, a short clip no SiMPle) are left out of what needs that distance; a
measure of two spaces leaves them out of both. Overall numbers are means over the values that have one. Intervals
resample recordings, in the same draws for all measures and values; they take :data:`FEWEST` recordings.

*Sides*: a two-sided perturbation grows in both directions from the value that changes nothing; each of them is a side,
nearest value first. Perturbations without such a value, or with one at an end, have one side in order of strength.
``smallest`` is the first value of a side, ``at_smallest`` within-space consistency there (as in the study's Figure 12),
``falls_below`` the first value at which it lies below ``consistency.threshold``, None where it never does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis import agreement
from earshift.analysis.agreement import LATENT
from earshift.analysis.data import ORIGINAL, Heading, Number, Trajectories
from earshift.analysis.statistics import Floats, group_bootstrap, present_mean, with_interval
from earshift.analysis.words import name_some
from earshift.options import Confidence, Count, Interval, Known, Names, Options, Seed

AUDIO = ("dtw", "simple")
FEWEST = 3  # recordings that an interval takes

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str]  # measure, distance in the audio, distance between vectors; "" where there is none
Distances = Mapping[str, NDArray[np.floating]]
Spaces = tuple[list[str], list[str]]

_SHARE, _CORRELATION = (0, 1), (-1, 1)
_BOUNDS = {
    "within": _SHARE,
    "between_agreement": _SHARE,
    "between_spearman": _CORRELATION,
    "own_spearman": _CORRELATION,
    "originals_spearman": _CORRELATION,
}


@dataclass(frozen=True)
class Consistency(Options):
    """``latent``: distances between vectors, of those in :mod:`earshift.analysis.agreement`."""

    latent: Annotated[Names, Known(*LATENT)]
    threshold: Annotated[float, Interval(ge=0.01, le=1)]
    seed: Seed
    bootstrap: Count
    confidence: Confidence


class ConsistencyClips(TypedDict):
    """Numbers of clips. ``twins``: originals at distance 0 from another one, by distance."""

    used: int
    recordings: int
    invalid: int
    twins: dict[str, int]


class Side(TypedDict):
    """Values that grow in one direction, see the module's conventions; the last two by name of a distance."""

    values: list[str]
    smallest: str
    distance_from_neutral: Number
    at_smallest: dict[str, Number]
    falls_below: dict[str, str | None]


class ConsistencyResult(Heading):
    """Content of metrics/consistency/ENCODER/PERTURBATION.json.

    audio, latent : names of the distances
    overall : by :func:`name_of` a measure, and with ``_low`` and ``_high``
    originals : the same between originals
    sides : "all", or "below" and "above" the neutral value
    """

    clips: ConsistencyClips
    audio: list[str]
    latent: list[str]
    threshold: float
    overall: dict[str, Number]
    originals: dict[str, Number]
    sides: dict[str, Side]
    notes: list[str]


@dataclass(frozen=True)
class _Measures:
    """The measures at one value, or between originals, by :data:`Key`: numbers, their draws, and how many clips.

    member : int [shape=(clips,)], the recording of each clip
    resamples : int [shape=(draws, recordings)], how often each occurs; None where there are too few
    """

    member: NDArray[np.intp]
    resamples: NDArray[np.int64] | None
    numbers: dict[Key, float] = field(default_factory=dict)
    draws: dict[Key, Floats | None] = field(default_factory=dict)
    clips: dict[Key, int] = field(default_factory=dict)

    def add_share(self, key: Key, terms: NDArray[np.bool_], clips: NDArray[np.intp]) -> None:
        """Add the share of the clips whose term is true."""
        number, draws = float("nan"), None
        if len(terms):
            number = float(np.mean(terms))
            if self.resamples is not None:
                draws = agreement.resampled_mean(terms, self.member[clips], self.resamples)
        self.numbers[key], self.draws[key], self.clips[key] = number, draws, len(clips)

    def add_correlation(
        self,
        key: Key,
        first: NDArray[np.floating],
        second: NDArray[np.floating],
        clips: NDArray[np.intp],
        *,
        own: bool = True,
    ) -> None:
        """Add Spearman's correlation of two arrays, over pairs of the given clips, or over the clips."""
        if first.ndim == 1 or own:
            rho, slopes = agreement.spearman(first, second)
        else:
            apart, slopes = ~np.eye(len(first), dtype=bool), np.zeros(first.shape)
            rho, slopes[apart] = agreement.spearman(first[apart], second[apart])
        draws = None
        if self.resamples is not None and np.isfinite(rho):
            sums = agreement.sum_clips if first.ndim == 1 else agreement.sum_pairs
            slopes = sums(slopes, self.member[clips], self.resamples.shape[1])
            draws = agreement.resampled_correlation(rho, slopes, self.resamples)
        self.numbers[key], self.draws[key], self.clips[key] = rho, draws, len(clips)


def analyse(
    trajectories: Trajectories,
    audio: Callable[[str], Distances],
    options: Consistency,
    *,
    neutral: float | None = None,
) -> tuple[ConsistencyResult, "pd.DataFrame"]:
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : Trajectories
    audio : callable
        Text of a value, or "original" -> {distance: float [shape=(clips, clips)]}, from the clips at that value to the
        clips as they are, in the order of ``trajectories.clip``; NaN where there is none.
    options : Consistency
    neutral : float or None
        The value that changes nothing, of a perturbation that grows from it in both directions.

    Returns
    -------
    ConsistencyResult
        Content of metrics/consistency/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        The measures at every value (measure, audio, latent, value, strength, number, low, high, clips).
    """
    t = trajectories
    recordings, member = np.unique(t.group, return_inverse=True)
    resamples = None
    if len(recordings) >= FEWEST:
        rng = np.random.default_rng(options.seed)
        resamples = group_bootstrap(rng, np.arange(len(recordings)), options.bootstrap, lambda counts: counts)
    vectors, unperturbed = t.vectors[:], t.originals[:]
    between = {**audio(ORIGINAL), **_latent(unperturbed, unperturbed, options)}
    spaces = [name for name in AUDIO if name in between], list(options.latent)
    originals = _between_originals(between, spaces, _Measures(member, resamples))
    steps = []
    for place, value in enumerate(t.values):
        distances = {**audio(value), **_latent(vectors[:, place], unperturbed, options)}
        steps.append(_at_value(distances, spaces, _Measures(member, resamples)))
    sides = _sides(t, neutral)
    for name in between:
        within = {value: step.numbers[_within(name)] for value, step in zip(t.values, steps, strict=True)}
        for side in sides.values():
            side["at_smallest"][name] = within[side["smallest"]]
            side["falls_below"][name] = next((v for v in side["values"] if within[v] < options.threshold), None)
    twins = {name: _twins(between[name]) for name in sum(spaces, [])}
    result: ConsistencyResult = {
        **t.heading,
        "clips": {"used": len(t.clip), "recordings": len(recordings), "invalid": t.invalid, "twins": twins},
        "audio": spaces[0],
        "latent": spaces[1],
        "threshold": options.threshold,
        "overall": _overall(steps, options),
        "originals": _flat(originals.numbers, originals.draws, options),
        "sides": sides,
        "notes": _notes(t, steps, twins, len(recordings)),
    }
    return result, _curves(t, steps, options)


def _latent(vectors: NDArray[np.floating], originals: NDArray[np.floating], options: Consistency) -> dict[str, Floats]:
    return {name: LATENT[name](vectors, originals) for name in options.latent}


def _at_value(distances: Distances, spaces: Spaces, measures: _Measures) -> _Measures:
    for name in sum(spaces, []):
        clips = np.flatnonzero(agreement.usable_clips(distances[name]))
        measures.add_share(_within(name), ~agreement.errors(_among(distances[name], clips)), clips)
    for a, z, first, second, clips in _pairs(distances, spaces):
        terms = agreement.agreements(agreement.errors(first), agreement.errors(second))
        measures.add_share(("between_agreement", a, z), terms, clips)
        measures.add_correlation(("between_spearman", a, z), first, second, clips)
        measures.add_correlation(("own_spearman", a, z), np.diagonal(first), np.diagonal(second), clips)
    return measures


def _between_originals(distances: Distances, spaces: Spaces, measures: _Measures) -> _Measures:
    for a, z, first, second, clips in _pairs(distances, spaces):
        measures.add_correlation(("originals_spearman", a, z), first, second, clips, own=False)
    return measures


def _pairs(
    distances: Distances, spaces: Spaces
) -> Iterator[tuple[str, str, NDArray[np.floating], NDArray[np.floating], NDArray[np.intp]]]:
    """Every distance in the audio with every latent one: names, matrices, and the clips that have both."""
    for a in spaces[0]:
        for z in spaces[1]:
            clips = np.flatnonzero(agreement.usable_clips(distances[a], distances[z]))
            yield a, z, _among(distances[a], clips), _among(distances[z], clips), clips


def _among(distances: NDArray[np.floating], clips: NDArray[np.intp]) -> NDArray[np.floating]:
    return distances if len(clips) == len(distances) else distances[np.ix_(clips, clips)]


def _within(name: str) -> Key:
    return ("within", name, "") if name in AUDIO else ("within", "", name)


def _twins(distances: NDArray[np.floating]) -> int:
    """How many originals have another one at distance 0."""
    apart = ~np.eye(len(distances), dtype=bool)
    return int(((distances == 0) & apart).any(axis=1).sum())


def _sides(t: Trajectories, neutral: float | None) -> dict[str, Side]:
    """The sides of a perturbation: their values, nearest first, the smallest and its distance from neutral."""
    away: dict[str, float] = {}
    ways = {"all": list(t.values)}
    if neutral is not None:
        away = {value: abs(float(value) - neutral) for value in t.values}
        ways = {
            "below": sorted((v for v in t.values if float(v) < neutral), key=away.__getitem__),
            "above": sorted((v for v in t.values if float(v) > neutral), key=away.__getitem__),
        }
    return {
        name: {
            "values": values,
            "smallest": values[0],
            "distance_from_neutral": away.get(values[0]),
            "at_smallest": {},
            "falls_below": {},
        }
        for name, values in ways.items()
        if values
    }


# --------------------------------------------------------------------------------------------------------------- output


def name_of(key: Iterable[str]) -> str:
    """The name of a measure in the metrics, as within_dtw or between_spearman_dtw_euclidean."""
    return "_".join(part for part in key if part)


def _overall(steps: Sequence[_Measures], options: Consistency) -> dict[str, Number]:
    """Means over the values, with intervals."""
    numbers: dict[Key, float] = {}
    draws: dict[Key, Floats | None] = {}
    for key in steps[0].numbers:
        known = [step for step in steps if np.isfinite(step.numbers[key])]
        numbers[key] = float(np.mean([step.numbers[key] for step in known])) if known else float("nan")
        resampled = [found for step in known if (found := step.draws[key]) is not None]
        draws[key] = present_mean(resampled) if resampled and len(resampled) == len(known) else None
    return _flat(numbers, draws, options)


def _flat(numbers: Mapping[Key, float], draws: Mapping[Key, Floats | None], options: Consistency) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for key, number in numbers.items():
        found |= with_interval(name_of(key), number, draws[key], options.confidence, _BOUNDS[key[0]])
    return found


def _curves(t: Trajectories, steps: Sequence[_Measures], options: Consistency) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for key in steps[0].numbers:
        for value, strength, step in zip(t.values, t.strengths, steps, strict=True):
            shown = with_interval("x", step.numbers[key], step.draws[key], options.confidence, _BOUNDS[key[0]])
            rows.append((*key, value, strength, *shown.values(), step.clips[key]))
    columns = ["measure", "audio", "latent", "value", "strength", "number", "low", "high", "clips"]
    return pd.DataFrame(rows, columns=columns)


def _notes(t: Trajectories, steps: Sequence[_Measures], twins: Mapping[str, int], recordings: int) -> list[str]:
    """What a reader must know about these numbers, one sentence each."""
    notes = []
    if recordings < FEWEST:
        notes.append(f"No intervals of consistency: they take {FEWEST} recordings, there are {recordings}.")
    for name, count in twins.items():
        if count:
            space = "the audio" if name in AUDIO else "the embedding"
            notes.append(
                f"{count} of {len(t.clip)} originals lie at distance 0 from another one in {space} ({name}): a clip "
                "cannot be nearer to its own, so they count as errors even where the clip is unchanged."
            )
    for key in steps[0].numbers:
        if key[0] == "within":
            notes += _left_out(t, steps, key)
    return notes


def _left_out(t: Trajectories, steps: Sequence[_Measures], key: Key) -> Iterator[str]:
    """Values at which some clips, or all, have no distance."""
    name = key[1] or key[2]
    none = [value for value, step in zip(t.values, steps, strict=True) if not step.clips[key]]
    some = [value for value, step in zip(t.values, steps, strict=True) if 0 < step.clips[key] < len(t.clip)]
    if none:
        yield f"No clip has a distance by {name} at {name_some(none)}; means are over the other values."
    if some:
        fewest = min(step.clips[key] for step in steps if step.clips[key])
        yield f"Some clips have no distance by {name} at {name_some(some)}: at least {fewest} of {len(t.clip)} do."
