"""The second study's streams as encoders, trained here (P. Verma, Diverse Audio Embeddings, 2023).

Conventions
-----------
A clip is mixed to one channel at 16 kHz and cut into chunks of a second as in training; its vector is the mean of its
chunks' embeddings, before the classifier. ``diverse_all`` has the four streams' embeddings side by side.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from earshift.encoders.base import Encoder
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.networks import Trained
from earshift.encoders.weights.record import open_weights
from earshift.options import Interval
from earshift.training.verma2023 import chunks
from earshift.training.verma2023.options import Diverse
from earshift.training.verma2023.streams import END_TO_END, NEURALOGRAM, PITCH, STREAMS, TIMBRE

_TASK = "tagging"


@dataclass(frozen=True)
class Stream(Encoder):
    """One stream or several.

    trial : int, which draw of the training recordings and which initial weights
    diverse : the options that all streams have in common, of the section ``diverse``
    """

    trial: Annotated[int, Interval(ge=0, le=10_000)]
    diverse: Diverse

    sample_rate = chunks.SAMPLE_RATE
    packages = ("numpy", "scipy", "soxr", "torch")
    trainer = "earshift.training.verma2023.training"
    tasks = (_TASK,)
    lessons = ("diverse",)
    streams = ()
    code = (
        *(f"earshift.training.verma2023.{name}" for name in
          ("chunks", "evaluation", "pitch", "timbre", "end_to_end", "neuralogram", "streams", "transformer")),
        "earshift.audio.mel",
    )  # fmt: skip

    @property
    def dim(self):
        return self.diverse.networks.transformer.width * len(self.streams)

    def origin(self, name):
        """See :meth:`Encoder.origin`."""
        return Trained(name, _TASK)

    def load(self, folder, device):
        """See :meth:`Encoder.load`."""
        import torch

        from earshift.training.verma2023.evaluation import embedder

        arrays = {name: torch.from_numpy(array) for name, array in open_weights(folder).items()}
        head = next(name for name in arrays if name.endswith("head.2.bias"))
        embed = embedder(arrays, self.streams, len(arrays[head]), self.diverse, device)

        def vectors(waveforms):
            with reproducible_inference():
                return np.stack([_mean(embed, waveform, self.diverse.filling) for waveform in waveforms])

        return vectors


def _mean(embed, waveform, filling):
    return embed(chunks.chunks(waveform, filling=filling)).mean(axis=0, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True)
class DiversePitch(Stream):
    """Where the spectral peaks of a second are."""

    name = "diverse_pitch"
    streams = (PITCH,)


@dataclass(frozen=True)
class DiverseTimbre(Stream):
    """What colour a second has: MFCC without the first."""

    name = "diverse_timbre"
    streams = (TIMBRE,)


@dataclass(frozen=True)
class DiverseEndToEnd(Stream):
    """What learned filters answer to a second."""

    name = "diverse_end_to_end"
    streams = (END_TO_END,)


@dataclass(frozen=True)
class DiverseNeuralogram(Stream):
    """What a network that hears 100 ms makes of a second."""

    name = "diverse_neuralogram"
    streams = (NEURALOGRAM,)


@dataclass(frozen=True)
class DiverseAll(Stream):
    """The four streams' embeddings side by side."""

    name = "diverse_all"
    streams = STREAMS
