"""What a training gives, and what data/models/ENCODER/model.json says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NotRequired

from numpy.typing import NDArray
from typing_extensions import TypedDict

MODEL = "model.json"
RECORD = "model.json"  # in the folder of an encoder: a ModelRecord
FINISHED: Literal["finished"] = "finished"
EARLY: Literal["stopped early"] = "stopped early"
DIVERGED: Literal["diverged"] = "diverged"


class Epoch(TypedDict):
    """One row of a history."""

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    best : int, the epoch whose weights were taken
    """

    history: list[Epoch]
    best: int
    ended: Literal["finished", "stopped early", "diverged"]


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that was trained.

    arrays : all its numbers, by name
    parameters : int, how many numbers were learned
    baseline : float, score of the trivial prediction on the test clips
    scores : what else is known from the test clips, as :class:`StreamScores`
    """

    arrays: dict[str, NDArray[Any]]
    outcome: Outcome
    parameters: int
    baseline: float
    scores: Mapping[str, object] = field(default_factory=dict)


class StreamScores(TypedDict):
    """Mean average precision of clips and top-5 accuracy of chunks on the test clips, with their intervals."""

    map: float | None
    map_low: float | None
    map_high: float | None
    top5: float | None
    top5_low: float | None
    top5_high: float | None
    top5_recall: float | None


class NetworkRecord(TypedDict):
    """What model.json says about the network of a task.

    fingerprint : hash of all that determines the network
    outputs : names of classes or tags
    clips : how many, by part
    parameters : how many numbers were learned
    best : the epoch whose weights were taken, None for a linear model
    baseline : score of the trivial prediction on the test clips
    sha256 : of the file with the arrays
    mobilenet : sha256 of the arrays of the Neuralogram's own network
    files : what else lies beside the arrays
    """

    fingerprint: str
    outputs: list[str]
    clips: dict[str, int]
    parameters: int
    epochs: int
    best: int | None
    ended: Literal["finished", "stopped early", "diverged", "fitted"]
    baseline: float | None
    sha256: str
    map: NotRequired[float | None]
    map_low: NotRequired[float | None]
    map_high: NotRequired[float | None]
    top5: NotRequired[float | None]
    top5_low: NotRequired[float | None]
    top5_high: NotRequired[float | None]
    top5_recall: NotRequired[float | None]
    mobilenet: NotRequired[str]
    files: NotRequired[list[str]]


class ModelRecord(TypedDict):
    """Content of data/models/ENCODER/model.json."""

    encoder: str
    tasks: dict[str, NetworkRecord]


class Score(NamedTuple):
    """A score, its interval over recordings (NaN where there is none), and over how many clips it is."""

    number: float
    low: float
    high: float
    clips: int
