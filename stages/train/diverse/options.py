"""The section ``diverse`` of params.yaml: how the streams are trained and put together."""

from dataclasses import dataclass

from stages.params import choice, corpus_name, flag, integer, number, numbers, section
from stages.train.diverse import chunks
from stages.train.diverse.losses import Loss
from stages.train.diverse.streams import Networks


@dataclass(frozen=True)
class Diverse:
    """Options of all streams.

    corpus : what they learn from, None for the pipeline's own
    validation, draw, seed : as in ``training``
    filling : of what is shorter than a second
    batch : chunks
    epochs, mobilenet_epochs : at most
    costs : scikit-learn's C of the linear model on embeddings; the best on validation clips is taken
    bootstrap, confidence : of intervals over test recordings
    """

    corpus: str = corpus_name()
    networks: Networks = section(Networks)
    loss: Loss = section(Loss)
    filling: str = choice(*chunks.FILLINGS)
    validation: float = number(0.01, 0.5)
    draw: float = number(0.01, 1)
    seed: int = integer(0, 2**32 - 1)
    batch: int = integer(2, 10_000)
    epochs: int = integer(1, 1_000_000)
    mobilenet_epochs: int = integer(1, 1_000_000)
    patience: int = integer(1, 1_000_000, nullable=True)
    learning_rate: float = number(1e-8, 10)
    final_learning_rate: float = number(1e-8, 10)
    weight_decay: float = number(0, 1)
    threads: int = integer(1, 256)
    mixed_precision: bool = flag()
    costs: tuple = numbers(1e-8, 1e8)
    bootstrap: int = integer(1, 1_000_000)
    confidence: float = number(0.5, 0.999)
