"""Options that the networks of both studies are trained by."""

from dataclasses import dataclass
from typing import Annotated

from earshift.options import Confidence, Count, Interval, Options, Seed


@dataclass(frozen=True)
class Schedule:
    """How one network is trained.

    epochs : int, at most
    patience : int or None, epochs without a better validation loss after which it stops
    learning_rate, final_learning_rate : float, of the first and the last epoch, geometric in between
    weight_decay : float
    amsgrad : bool, see torch.optim.Adam
    seed : int
    threads : int, of a CPU
    mixed_precision : bool, bfloat16 on a GPU
    """

    epochs: int
    patience: int | None
    learning_rate: float
    final_learning_rate: float
    weight_decay: float
    amsgrad: bool
    seed: int
    threads: int
    mixed_precision: bool

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch."""
        share = (epoch - 1) / max(self.epochs - 1, 1)
        ratio: float = (self.final_learning_rate / self.learning_rate) ** share
        return self.learning_rate * ratio


@dataclass(frozen=True)
class TrainingOptions(Options):
    """What the sections ``training`` and ``diverse`` have in common.

    validation, draw : shares of recordings, see :func:`earshift.training.data.assign_parts`
    batch : examples
    bootstrap, confidence : of intervals over test recordings
    """

    validation: Annotated[float, Interval(ge=0.01, le=0.5)]
    draw: Annotated[float, Interval(ge=0.01, le=1)]
    seed: Seed
    batch: Annotated[int, Interval(ge=2, le=10_000)]
    patience: Count | None
    learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    final_learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    weight_decay: Annotated[float, Interval(ge=0, le=1)]
    threads: Annotated[int, Interval(ge=1, le=256)]
    mixed_precision: bool
    bootstrap: Count
    confidence: Confidence

    def schedule(self, epochs: int, trial: int, *, amsgrad: bool) -> Schedule:
        """The schedule of one network; every trial has a seed of its own."""
        return Schedule(
            epochs, self.patience, self.learning_rate, self.final_learning_rate, self.weight_decay, amsgrad,
            self.seed + trial, self.threads, self.mixed_precision,
        )  # fmt: skip
