"""The section ``training`` of params.yaml: how the networks of kim2019 are trained."""

from dataclasses import dataclass
from typing import Annotated

from earshift.options import Count, Interval, Options, Text
from earshift.training.options import TrainingOptions

AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION = "autoencoder", "autotagging", "instruments", "separation"
TASK_NAMES = (AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION)

# The accidents of the published networks, each an option
SWITCHES = ("unpool_places", "linear_mfcc_target", "two_sided_mask", "references_apart")


@dataclass(frozen=True)
class TaskTraining(Options):
    """One task of networks that are trained here; ``corpus``: what it is trained on, None for the pipeline's own."""

    corpus: Text | None
    epochs: Count


@dataclass(frozen=True)
class Tagging(TaskTraining):
    """``tags``: how many of the commonest are learned."""

    tags: Annotated[int, Interval(ge=2, le=10_000)]


@dataclass(frozen=True)
class Training(TrainingOptions):
    """Of networks that are trained here; the tasks, and the published accidents, of which None follows ``fidelity``."""

    autoencoder: TaskTraining
    autotagging: Tagging
    instruments: TaskTraining
    separation: TaskTraining
    dropout: Annotated[float, Interval(ge=0, le=0.95)]
    unpool_places: bool | None
    linear_mfcc_target: bool | None
    two_sided_mask: bool | None
    references_apart: bool | None

    def switches(self, fidelity: str) -> dict[str, bool]:
        """The accidents of the published networks that are on: those set by hand, else as ``fidelity`` says."""
        return {n: fidelity == "paper" if getattr(self, n) is None else getattr(self, n) for n in SWITCHES}

    def task(self, name: str) -> TaskTraining:
        """The options of one task."""
        found: TaskTraining = getattr(self, name)
        return found
