"""Performance: how well networks that were trained here do their tasks on test clips.

Conventions
-----------
The score of a task is the mean over test clips, its interval is over recordings. Which score it is, and whether a lower
or a higher one is better, the task says; the baseline is the score of the trivial prediction.
"""

from typing import Literal, NamedTuple

from typing_extensions import TypedDict


class TaskPerformance(TypedDict):
    """Scores of one task.

    original : on the clips as they are, with its interval; None where no clip has a score
    clips : how many have one
    mean : over the values of the perturbation
    """

    metric: Literal["mse", "auc", "accuracy", "sdr", "map"]
    better: Literal["lower", "higher"]
    baseline: float | None
    original: float | None
    original_low: float | None
    original_high: float | None
    clips: int
    mean: float | None


class PerformanceResult(TypedDict):
    """Content of metrics/performance/ENCODER/PERTURBATION.json."""

    encoder: str
    perturbation: str
    unit: str
    values: list[str]
    tasks: dict[str, TaskPerformance]


class CurveRow(NamedTuple):
    """A row of plots/performance/ENCODER/PERTURBATION/curves.csv: the score of a task at one value."""

    task: str
    metric: str
    value: str
    strength: float
    number: float
    low: float
    high: float
    clips: int
