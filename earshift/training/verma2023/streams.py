"""The four streams by name: the network from features to outputs, and how a trained one is opened.

Imports torch: import this module inside functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earshift.training.arrays import Arrays, below, load_arrays
from earshift.training.verma2023.chunks import SLICES
from earshift.training.verma2023.end_to_end import FilterBank
from earshift.training.verma2023.features import LOG_MEL, compute_features, shape_of
from earshift.training.verma2023.mobilenet import MobileNet, compute_neuralogram
from earshift.training.verma2023.options import END_TO_END, NEURALOGRAM, STREAMS, Networks
from earshift.training.verma2023.transformer import Projection, Statistics, Stream

MOBILENET, STREAM = "mobilenet.", "stream."  # before the names of arrays where a stream has a network of its own


def build_network(stream: str, classes: int, wanted: Networks, *, statistics: Statistics | None = None) -> Stream:
    """A stream from features to outputs.

    Parameters
    ----------
    stream : one of :data:`earshift.training.verma2023.options.STREAMS`
    classes : int
    wanted : Networks
    statistics : of the training chunks' features (:func:`earshift.training.verma2023.transformer.statistics_of`), where
        :func:`earshift.training.verma2023.features.has_statistics`; None where weights are loaded, which bring them
        along
    """
    width = wanted.transformer.width
    if stream == END_TO_END:
        front: nn.Module = nn.Sequential(FilterBank(wanted.filters), Projection(wanted.filters, width))
        return Stream(front, classes, wanted.transformer, SLICES)
    _, (tokens, numbers) = shape_of(stream, wanted)
    return Stream(Projection(numbers, width, statistics), classes, wanted.transformer, tokens)


@dataclass(frozen=True)
class OpenStream:
    """A trained stream in evaluation mode.

    mobilenet : the Neuralogram's own network, None for other streams
    """

    name: str
    network: Stream
    mobilenet: MobileNet | None
    wanted: Networks
    device: str

    def embed(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings, float32 [shape=(chunks, width)], of chunks [shape=(chunks, 16000)]."""
        if self.mobilenet is not None:
            features: NDArray[Any] = compute_neuralogram(self.mobilenet, compute_features(LOG_MEL, chunks, self.wanted))
        else:
            features = compute_features(self.name, chunks, self.wanted)
        return self.network.embedding(torch.from_numpy(features).to(self.device)).float().cpu().numpy()


def open_stream(stream: str, arrays: Arrays, classes: int, wanted: Networks, device: str = "cpu") -> OpenStream:
    """A stream with its weights.

    Parameters
    ----------
    stream : one of :data:`earshift.training.verma2023.options.STREAMS`
    arrays : of its file
    classes : int
    wanted : Networks
    device : "cpu", "cuda" or "cuda:N"
    """
    network, mobilenet = build_network(stream, classes, wanted), None
    if stream == NEURALOGRAM:
        mobilenet = MobileNet(classes, wanted.mobilenet)
        load_arrays(mobilenet, arrays, MOBILENET)
        mobilenet.to(device).eval()
    load_arrays(network, arrays, STREAM if stream == NEURALOGRAM else "")
    return OpenStream(stream, network.to(device).eval(), mobilenet, wanted, device)


def open_streams(
    arrays: Arrays, names: Sequence[str], classes: int, wanted: Networks, device: str = "cpu"
) -> list[OpenStream]:
    """The streams of a model file in the order of :data:`earshift.training.verma2023.options.STREAMS`."""
    several = len(names) > 1
    return [
        open_stream(stream, below(arrays, f"{stream}.") if several else arrays, classes, wanted, device)
        for stream in STREAMS
        if stream in names
    ]


def embed_chunks(opened: Sequence[OpenStream], chunks: NDArray[np.float32], *, size: int = 64) -> NDArray[np.float32]:
    """Embeddings side by side, float32 [shape=(chunks, width * streams)].

    Parameters
    ----------
    opened : from :func:`open_streams`
    chunks : float32 [shape=(chunks, 16000)]
    size : int, chunks at a time
    """
    with torch.inference_mode():
        parts = [chunks[start : start + size] for start in range(0, len(chunks), size)]
        return np.concatenate([np.hstack([stream.embed(part) for stream in opened]) for part in parts])
