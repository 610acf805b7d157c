"""The section ``diverse`` of params.yaml: the four streams of verma2023, how they are trained and put together."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from earshift.options import Bounds, Count, Interval, Options, Text, problem
from earshift.training.options import TrainingOptions

PITCH, TIMBRE, END_TO_END, NEURALOGRAM = "pitch", "timbre", "end_to_end", "neuralogram"
STREAMS = (PITCH, TIMBRE, END_TO_END, NEURALOGRAM)


@dataclass(frozen=True)
class Transformer(Options):
    """The transformer of every stream, see :mod:`earshift.training.verma2023.transformer`.

    width : of tokens and of the embedding
    mlp : of the hidden layer of every layer
    hidden : of the head
    pool_last : halve the tokens behind the last layer, too, where it is an even one
    dense_activation : behind the head's hidden layer
    """

    layers: Annotated[int, Interval(ge=1, le=48)]
    width: Annotated[int, Interval(ge=4, le=4096)]
    mlp: Annotated[int, Interval(ge=1, le=16384)]
    heads: Annotated[int, Interval(ge=1, le=256)]
    head_width: Annotated[int, Interval(ge=1, le=1024)]
    dropout: Annotated[float, Interval(ge=0, le=0.95)]
    pool_last: bool
    hidden: Annotated[int, Interval(ge=1, le=65536)]
    dense_activation: Literal["relu", "none"]


@dataclass(frozen=True)
class Timbre(Options):
    """What the text leaves open. ``n_fft`` in samples, ``bands`` of the mel scale."""

    n_fft: Annotated[int, Interval(ge=400, le=8192)]
    bands: Annotated[int, Interval(ge=13, le=256)]


@dataclass(frozen=True)
class MobileNet(Options):
    """The Neuralogram's own network. ``width`` multiplies the maps of all layers but the last, which has ``last``."""

    width: Annotated[float, Interval(ge=0.05, le=4)]
    last: Annotated[int, Interval(ge=8, le=8192)]


@dataclass(frozen=True)
class Networks(Options):
    """Options of the networks. ``filters``: learned ones of the end-to-end stream."""

    transformer: Transformer
    timbre: Timbre
    filters: Annotated[int, Interval(ge=1, le=4096)]
    mobilenet: MobileNet


def _require_probabilities(output: str, info: ValidationInfo) -> str:
    if info.data.get("name") == "bce" and output != "sigmoid":
        raise problem("is {value}; the loss bce needs probabilities, so it must be sigmoid", value=repr(output))
    return output


@dataclass(frozen=True)
class Loss(Options):
    """``delta``: of Huber's loss, where squares end; ``output``: what is between outputs and scores.

    Scores and targets in [0, 1] differ by 1 at most, so with a sigmoid a delta of 1 or more is half the squared error.
    """

    name: Literal["huber", "bce"]
    delta: Annotated[float, Interval(ge=1e-4, le=1e4)]
    output: Annotated[Literal["none", "sigmoid"], AfterValidator(_require_probabilities)]


@dataclass(frozen=True)
class Diverse(TrainingOptions):
    """Options of all streams.

    corpus : what they are trained on, None for the pipeline's own
    filling : of what is shorter than a second
    epochs, mobilenet_epochs : at most
    costs : scikit-learn's C of the linear model on embeddings; the best on validation clips is taken
    """

    corpus: Text | None
    networks: Networks
    loss: Loss
    filling: Literal["zeros", "repeat"]
    epochs: Count
    mobilenet_epochs: Count
    costs: Annotated[tuple[float, ...], Bounds(1e-8, 1e8)]
