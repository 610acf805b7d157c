"""Results of robustness over all instruments: drops, areas between curves, intervals and tests.

Conventions
-----------
Terms are defined in :mod:`earshift.analysis.robustness`. An instrument counts for a method and a direction where it has
a ROC AUC at the original and at every value, and where the untouched classifier has them too, so that means compare
the same instruments; the others are named in the notes. All numbers are linear in the ROC AUC of instruments, and a
resample of recordings gives new values of each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis.data import ORIGINAL, Trajectories
from earshift.analysis.statistics import bootstrap_interval, bootstrap_p, holm, present_mean, with_interval

if TYPE_CHECKING:
    import pandas as pd

RANDOM, ALL = "random", "all"  # conditions beside the original and the values
ROC_AUC = 0  # column of the scores
_BASE, _SHIFT = "none", "conditional_displacement"

Direction = Literal["forward", "backward", "matched"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "matched")
Test = tuple[str, str]  # conditions (trained on, tested on)


class RocAuc(TypedDict):
    """Mean ROC AUC over instruments with its interval; None without instruments or with one test recording."""

    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None


class Clips(TypedDict):
    """How many clips there are; ``invalid`` ones of the corpus count nowhere."""

    train: int
    test: int
    invalid: int


class DirectionNumbers(TypedDict):
    """What the perturbation costs a method in one direction; ``area`` is that to the curve of the method none.

    No interval where there is one test recording, and no test of the method none against itself.
    """

    mean_auc: float
    mean_auc_low: float | None
    mean_auc_high: float | None
    mean_drop: float
    mean_drop_low: float | None
    mean_drop_high: float | None
    worst_drop: float
    worst_drop_low: float | None
    worst_drop_high: float | None
    worst_value: str
    area: float
    area_low: float | None
    area_high: float | None
    p: float | None
    p_holm: float | None


class RandomNumbers(TypedDict):
    """Mean ROC AUC with a random value for each clip; None where there is no such test or no number."""

    forward: float | None
    backward: float | None
    matched: float | None


class MethodResult(TypedDict):
    """One method: ``problem`` says why it has no numbers, ``instruments`` how many do, ``removed`` is directions."""

    problem: str
    instruments: int
    removed: float | None
    original: RocAuc
    forward: DirectionNumbers | None
    backward: DirectionNumbers | None
    matched: DirectionNumbers | None
    random: RandomNumbers


class RobustnessResult(TypedDict):
    """Content of metrics/robustness/ENCODER/PERTURBATION.json; ``skipped``: instruments without numbers, and why."""

    encoder: str
    perturbation: str
    unit: str
    values: list[str]
    dim: int
    clips: Clips
    original: RocAuc
    methods: dict[str, MethodResult]
    skipped: dict[str, str]
    notes: list[str]


@dataclass(frozen=True)
class Outcome:
    """What one method gave for one instrument.

    scores : float64 [shape=(tests, 8)], classify.SCORES and the penalty; NaN where there is none
    notes : list of str, by test: why there is no score, or a remark on it
    draws : float32 [shape=(tests, resamples)], resampled ROC AUC; no resamples with a single test recording
    removed : int, directions taken out
    """

    scores: NDArray[np.float64]
    notes: list[str]
    draws: NDArray[np.float32]
    removed: int


Outcomes = Mapping[str, Mapping[str, Outcome]]  # by instrument and method


def directions_of(start: str) -> tuple[Direction, ...]:
    """The directions of a method whose forward classifiers are trained on the condition `start`."""
    return DIRECTIONS if start == ORIGINAL else ("forward",)


def test_at(direction: Direction, condition: str, start: str) -> Test:
    """The test of a direction at one condition."""
    ends = {"forward": (start, condition), "backward": (condition, ORIGINAL), "matched": (condition, condition)}
    return ends[direction]


def summarise(
    trajectories: Trajectories, found: Outcomes, tests: Mapping[str, list[Test]], confidence: float
) -> "tuple[RobustnessResult, pd.DataFrame, pd.DataFrame]":
    """Numbers and tables over all instruments.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    found : by instrument and method
    tests : by method: the tests of its scores in their order, the first of them at the original
    confidence : float

    Returns
    -------
    RobustnessResult
    pandas.DataFrame
        Curves.
    pandas.DataFrame
        Resampled ROC AUC of the untouched classifier.
    """
    t = trajectories
    skipped = {
        name: outcomes[_BASE].notes[0]
        for name, outcomes in found.items()
        if not np.isfinite(outcomes[_BASE].scores[0, ROC_AUC])
    }
    rows = {name: outcomes for name, outcomes in found.items() if name not in skipped}
    curves = {
        method: {d: _Curves(rows, method, of_method, d, t.values) for d in directions_of(of_method[0][0])}
        for method, of_method in tests.items()
    }
    sections = {
        method: _section(method, of_method, curves[_BASE], rows, tests[method], t.values, confidence)
        for method, of_method in curves.items()
    }
    for direction in DIRECTIONS:
        compared = [of for method, section in sections.items() if method != _BASE and (of := section[direction])]
        for numbers, p in zip(compared, holm([numbers["p"] for numbers in compared]), strict=True):
            numbers["p_holm"] = p
    base = curves[_BASE]["forward"]
    result = {
        **t.heading,
        "clips": {"train": len(t.indices("train")), "test": len(t.indices("test")), "invalid": t.invalid},
        "original": with_interval("roc_auc", *base.mean(0), confidence, (0, 1)),
        "methods": sections,
        "skipped": skipped,
        "notes": list(_notes(rows, curves, base, skipped)),
    }
    return cast(RobustnessResult, result), _curve_table(t, curves, confidence), _draw_table(t, base)


class _Curves:
    """ROC AUC at the original and along the grid, of the instruments that have all of it.

    names : list of str
    areas : float64 [shape=(instruments, 1 + values)]
    draws : float64 [shape=(instruments, 1 + values, resamples)]
    """

    def __init__(
        self, rows: Outcomes, method: str, tests: list[Test], direction: Direction, values: Sequence[str]
    ) -> None:
        start = tests[0][0]
        places = [0, *(tests.index(test_at(direction, value, start)) for value in values)]
        areas = {name: outcomes[method].scores[places, ROC_AUC] for name, outcomes in rows.items()}
        self.names = [name for name, area in areas.items() if np.isfinite(area).all()]
        self.areas = np.array([areas[name] for name in self.names]).reshape(-1, len(places))
        draws = [rows[name][method].draws[places] for name in self.names]
        self.draws = np.array(draws, dtype=np.float64).reshape(len(draws), len(places), -1 if draws else 0)

    def among(self, names: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Areas and draws of some of the instruments only."""
        places = [self.names.index(name) for name in names]
        return self.areas[places], self.draws[places]

    def mean(self, place: int) -> tuple[float, NDArray[np.float64] | None]:
        """Mean over instruments at one place of the line, and its resamples."""
        if not self.names:
            return float("nan"), None
        return float(self.areas[:, place].mean()), present_mean(self.draws[:, place])


def _section(
    method: str,
    curves: dict[Direction, _Curves],
    base: dict[Direction, _Curves],
    rows: Outcomes,
    tests: list[Test],
    values: Sequence[str],
    confidence: float,
) -> MethodResult:
    """All numbers of one method."""
    own = curves["forward"]
    problems = sorted({outcomes[method].notes[0] for outcomes in rows.values()})
    removed = [rows[name][method].removed for name in own.names]
    section: dict[str, Any] = {
        "problem": "" if own.names else "; ".join(problems) or "no instrument can be classified",
        "instruments": len(own.names),
        "removed": float(np.mean(removed)) if removed else None,
        "original": with_interval("roc_auc", *own.mean(0), confidence, (0, 1)),
        **dict.fromkeys(DIRECTIONS),
        "random": dict.fromkeys(DIRECTIONS),
    }
    for direction, of_direction in curves.items():
        against = None if method == _BASE else base[direction]
        section[direction] = _numbers(of_direction, base["forward"], against, values, confidence)
        place = tests.index(test_at(direction, RANDOM, tests[0][0]))
        areas = [outcomes[method].scores[place, ROC_AUC] for outcomes in rows.values()]
        section["random"][direction] = float(present_mean(areas)) if areas else None
    return cast(MethodResult, section)


def _numbers(
    curves: _Curves, untouched: _Curves, against: _Curves | None, values: Sequence[str], confidence: float
) -> DirectionNumbers | None:
    """Numbers of one direction; the area is that to the curves `against`, None where those are the same."""
    compared = untouched if against is None else against
    names = [name for name in curves.names if name in untouched.names and name in compared.names]
    if not names:
        return None
    areas, draws = curves.among(names)
    start, start_draws = (part[:, :1] for part in untouched.among(names))
    drop, drop_draws = (start - areas[:, 1:]).mean(axis=0), present_mean(start_draws - draws[:, 1:])
    worst = int(np.argmax(drop))
    numbers: dict[str, Any] = {
        **with_interval("mean_auc", areas[:, 1:].mean(), present_mean(draws[:, 1:].mean(axis=1)), confidence, (0, 1)),
        **with_interval("mean_drop", drop.mean(), drop_draws.mean(axis=0), confidence, (-1, 1)),
        **with_interval("worst_drop", drop[worst], drop_draws[worst], confidence, (-1, 1)),
        "worst_value": values[worst],
        "area": 0.0,
        **dict.fromkeys(("area_low", "area_high", "p", "p_holm")),
    }
    if against is not None:
        other, other_draws = against.among(names)
        step = 1 / (len(values) - 1)
        area = np.trapezoid((areas - other)[:, 1:].mean(axis=0), dx=step)
        area_draws = np.asarray(np.trapezoid(present_mean((draws - other_draws)[:, 1:]), dx=step, axis=0))
        numbers |= {
            **with_interval("area", area, area_draws, confidence, (-1, 1)),
            "p": bootstrap_p(area, area_draws),
        }
    return cast(DirectionNumbers, numbers)


def _notes(
    rows: Outcomes, curves: dict[str, dict[Direction, _Curves]], base: _Curves, skipped: dict[str, str]
) -> Iterator[str]:
    """What a reader must know about these numbers, one sentence each."""
    if not rows:
        yield "No instrument can be classified, so there are no numbers."
    for name, reason in skipped.items():
        yield f"{name} is left out: {reason}."
    for method, of_method in curves.items():
        complete = of_method["forward"].names
        yield from _missing(rows, method, method, [name for name in rows if name not in complete])
        for direction, of_direction in of_method.items():
            names = [name for name in complete if name not in of_direction.names]
            yield from _missing(rows, method, f"{method}, {direction},", names)
    if rows and _SHIFT in curves and curves[_SHIFT]["forward"].names:
        yield (
            f"{_SHIFT} moves all clips of a value alike, which does not change their order: forward, its ROC AUC is "
            "that of none. It has an effect where values are mixed (random), and on precision, recall and accuracy."
        )
    if base.names and base.draws.shape[-1] == 0:
        yield "There are no intervals: they need two test recordings."


def _missing(rows: Outcomes, method: str, subject: str, instruments: list[str]) -> Iterator[str]:
    """Notes on the instruments that a method has no numbers for."""
    reasons: dict[str, list[str]] = {}
    for name in instruments:
        reasons.setdefault(next((note for note in rows[name][method].notes if note), "no score"), []).append(name)
    for reason, names in reasons.items():
        which = "all instruments" if len(names) == len(rows) else ", ".join(names)
        yield f"{subject} has no numbers for {which}: {reason}."


def _curve_table(t: Trajectories, curves: dict[str, dict[Direction, _Curves]], confidence: float) -> "pd.DataFrame":
    import pandas as pd

    steps = list(zip((ORIGINAL, *t.values), (np.nan, *t.strengths), strict=True))
    parts: list[tuple[object, ...]] = []
    for method, of_method in curves.items():
        for direction, of_direction in of_method.items():
            for place, step in enumerate(steps):
                mean, draws = of_direction.mean(place)
                interval = bootstrap_interval(mean, draws, confidence, bounds=(0, 1))
                parts.append(("all", method, direction, *step, mean, *interval))
            for name, areas in zip(of_direction.names, of_direction.areas.tolist(), strict=True):
                parts += [
                    (name, method, direction, *step, area, None, None) for step, area in zip(steps, areas, strict=True)
                ]
    columns = ["instrument", "method", "direction", "value", "strength", "roc_auc", "low", "high"]
    return pd.DataFrame(parts, columns=columns).astype({"low": float, "high": float})


def _draw_table(t: Trajectories, base: _Curves) -> "pd.DataFrame":
    import pandas as pd

    draws = present_mean(base.draws) if base.names else np.empty((1 + len(t.values), 0))
    values, resamples = draws.shape
    return pd.DataFrame({
        "draw": np.tile(np.arange(resamples), values),
        "value": np.repeat((ORIGINAL, *t.values), resamples),
        "roc_auc": draws.reshape(-1),
    })  # fmt: skip
