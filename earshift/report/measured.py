"""What was measured here, in the shape in which findings of kim2019 are checked (:mod:`earshift.report.kim2019`).

Conventions
-----------
Encoders that differ in nothing but their trial are one level, named after the first of them. Two kinds of intervals
stand behind a mean: those of the model's marginal means, whose errors are what the smooth curves over the values leave,
as in the study; and bootstraps over recordings, which ask what other recordings would give. Of the latter the mean over
perturbations has the mean of their ends as its interval: all perturbations draw the same recordings, so that is the
widest that it can be.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from earshift.encoders.base import Encoder
from earshift.report.figures import consistency, performance
from earshift.report.results import Results
from earshift.report.verdicts import Interval, combine

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("task", "value", "strength", "number", "low", "high", "level", "perturbation")


def levels(encoders: Mapping[str, Encoder]) -> dict[str, list[str]]:
    """Encoders that differ only in their trial together, by the name of the first of them."""
    found: dict[object, list[str]] = {}
    for name, encoder in encoders.items():
        options = dataclasses.asdict(encoder)  # type: ignore[call-overload]
        trial = options.pop("trial", None)
        found.setdefault(name if trial is None else (type(encoder), repr(options)), []).append(name)
    return {group[0]: group for group in found.values()}


class Measured:
    """What was measured, read when it is asked for.

    encoders, perturbations : tuple of str, those of the run
    levels : dict {name: list of encoders}
    consistency : the results of consistency of every pair
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self.encoders, self.perturbations = results.study.encoders, results.study.perturbations
        self.levels = levels(results.study.encoder_options)
        self.models, self.consistency = results.significance["models"], results.consistency

    @property
    def threshold(self) -> float:
        """What is near 1."""
        return self.consistency[self.encoders[0], self.perturbations[0]]["threshold"]

    @cached_property
    def curves(self) -> "dict[tuple[str, str], pd.DataFrame]":
        """The measures of consistency along the grid of every pair."""
        return {pair: consistency.curves(self._results, pair) for pair in self.consistency}

    def along(self, pair: tuple[str, str], measure: str, audio: str = "", latent: str = "") -> dict[str, Interval]:
        """A measure of consistency by value, in order of strength, where it exists."""
        rows = consistency.of(self.curves[pair], measure, audio, latent).dropna(subset="number")
        return dict(zip(rows["value"], intervals(rows), strict=True))

    def smallest(self, perturbation: str) -> list[str]:
        """The smallest value of every side of a perturbation."""
        return [side["smallest"] for side in self.consistency[self.encoders[0], perturbation]["sides"].values()]

    @cached_property
    def performance(self) -> "pd.DataFrame":
        """All points of performance with level and perturbation, standardised within a task so that more is better."""
        import pandas as pd

        level, parts = {encoder: name for name, of in self.levels.items() for encoder in of}, []
        for (encoder, perturbation), numbers in self._results.performance.items():
            table = performance.curves(self._results, (encoder, perturbation)).dropna(subset="number")
            sign = [-1.0 if numbers["tasks"][task]["better"] == "lower" else 1.0 for task in table["task"]]
            ends = table[["low", "high"]].mul(sign, axis=0)
            parts.append(table.assign(level=level[encoder], perturbation=perturbation, number=table["number"] * sign,
                                      low=ends.min(axis=1, skipna=False),
                                      high=ends.max(axis=1, skipna=False)))  # fmt: skip
        parts = [part for part in parts if len(part)]  # an encoder without a task has none
        if not parts:
            return pd.DataFrame(columns=list(_COLUMNS))
        table = pd.concat(parts, ignore_index=True)
        of_task = table.groupby("task")["number"]
        centre, spread = of_task.transform("mean"), of_task.transform("std").replace(0, 1).fillna(1)
        for name in ("low", "number", "high"):
            table[name] = (table[name] - centre) / spread
        return table

    def modelled(self, measure: str, name: str) -> Interval | None:
        """Marginal mean of a level in the model of a measure, or None."""
        model = self.models.get(measure)
        found = model["means"].get("encoder", {}).get(name) if model else None
        return None if found is None else Interval.of({"number": found["mean"], "number_low": found["low"],
                                                       "number_high": found["high"]})  # fmt: skip

    def resampled(self, measure: str, name: str) -> Interval | None:
        """Mean of a measure over perturbations and trials with its interval over recordings, or None."""
        every = [Interval.of(self.consistency[e, p]["overall"], measure) for e in self.levels[name]
                 for p in self.perturbations]  # fmt: skip
        known = [interval for interval in every if interval is not None]
        return combine(np.mean, known) if known else None


def intervals(table: "pd.DataFrame") -> Sequence[Interval]:
    """The numbers of a table with their ends."""
    return [Interval(*map(float, row)) for row in table[["number", "low", "high"]].itertuples(index=False)]
