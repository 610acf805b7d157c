"""The four streams of verma2023 as encoders that are trained here (P. Verma, Diverse Audio Embeddings, 2023).

Conventions
-----------
A clip is mixed to one channel at 16 kHz and cut into chunks of a second as in training; its vector is the mean of its
chunks' embeddings, before the classifier. ``diverse_all`` has the four streams' embeddings side by side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.networks import TrainedNetwork
from earshift.encoders.weights.record import open_weights
from earshift.options import Interval
from earshift.training.verma2023 import chunks
from earshift.training.verma2023.options import END_TO_END, NEURALOGRAM, PITCH, STREAMS, TIMBRE, Diverse

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
    training = "verma2023"
    tasks = (_TASK,)
    streams: ClassVar[tuple[str, ...]] = ()

    @property
    def dim(self) -> int:
        return self.diverse.networks.transformer.width * len(self.streams)

    def weights_source(self, *, downloads: Path, networks: Path) -> TrainedNetwork:
        """See :meth:`Encoder.weights_source`."""
        return TrainedNetwork(networks, _TASK)

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        from earshift.training.verma2023.streams import embed_chunks, open_streams

        arrays = open_weights(folder)
        head = next(name for name in arrays if name.endswith("head.2.bias"))
        opened = open_streams(arrays, self.streams, len(arrays[head]), self.diverse.networks, device)

        def vectors(waveforms: Floats) -> Floats:
            with reproducible_inference():
                cut = (chunks.cut_chunks(waveform, filling=self.diverse.filling) for waveform in waveforms)
                return np.stack([_mean(embed_chunks(opened, of_clip)) for of_clip in cut])

        return vectors


def _mean(embeddings: Floats) -> Floats:
    vector: Floats = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    return vector


@dataclass(frozen=True)
class DiversePitch(Stream):
    """Where the spectral peaks of a second are."""

    name = "diverse_pitch"
    streams = (PITCH,)


@dataclass(frozen=True)
class DiverseTimbre(Stream):
    """The timbre of a second: MFCC without the first."""

    name = "diverse_timbre"
    streams = (TIMBRE,)


@dataclass(frozen=True)
class DiverseEndToEnd(Stream):
    """The output of learned filters over a second."""

    name = "diverse_end_to_end"
    streams = (END_TO_END,)


@dataclass(frozen=True)
class DiverseNeuralogram(Stream):
    """A second as a network with a window of 100 ms represents it."""

    name = "diverse_neuralogram"
    streams = (NEURALOGRAM,)


@dataclass(frozen=True)
class DiverseAll(Stream):
    """The four streams' embeddings side by side."""

    name = "diverse_all"
    streams = STREAMS
