"""The section ``diverse`` of params.yaml: how the streams are trained and put together."""

from dataclasses import dataclass
from typing import Annotated, Literal

from earshift.options import Bounds, Confidence, Count, Interval, Options, Seed, Text
from earshift.training.verma2023.losses import Loss
from earshift.training.verma2023.streams import Networks


@dataclass(frozen=True)
class Diverse(Options):
    """Options of all streams.

    corpus : what they learn from, None for the pipeline's own
    validation, draw, seed : as in ``training``
    filling : of what is shorter than a second
    batch : chunks
    epochs, mobilenet_epochs : at most
    costs : scikit-learn's C of the linear model on embeddings; the best on validation clips is taken
    bootstrap, confidence : of intervals over test recordings
    """

    corpus: Text | None
    networks: Networks
    loss: Loss
    filling: Literal["zeros", "repeat"]
    validation: Annotated[float, Interval(ge=0.01, le=0.5)]
    draw: Annotated[float, Interval(ge=0.01, le=1)]
    seed: Seed
    batch: Annotated[int, Interval(ge=2, le=10_000)]
    epochs: Count
    mobilenet_epochs: Count
    patience: Count | None
    learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    final_learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    weight_decay: Annotated[float, Interval(ge=0, le=1)]
    threads: Annotated[int, Interval(ge=1, le=256)]
    mixed_precision: bool
    costs: Annotated[tuple[float, ...], Bounds(1e-8, 1e8)]
    bootstrap: Count
    confidence: Confidence
