"""The transformer that every stream is read by (Verma, 2023, section 3).

Conventions
-----------
A front end turns features of a chunk into tokens of one width, a sinusoid of their place is added, layers of attention
follow, tokens are halved in number behind every second layer by the larger of neighbours, and their mean is the
embedding. An odd last token has no neighbour and stays: no sound is dropped. A head of two linear layers makes the
embedding K outputs.

Layers are those of Vaswani et al. (2017): attention, then one hidden layer, each added to what it read and normalised
afterwards; dropout acts on what is added. The text asks for 12 heads at a width of 64, which 12 does not divide. Heads
have a width of their own here: ``head_width`` numbers for each query, key and value, whatever the width of tokens.

Imports torch: import this module inside functions.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from earshift.training.verma2023 import options

_HALVED_EVERY = 2  # layers
_BLOCK = 256  # chunks that statistics are summed over together, so that memory does not grow with them

Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


class Projection(nn.Module):
    """A linear layer on features that are brought to mean 0 and deviation 1 before.

    Features of any number type [shape=(..., inputs)] -> [shape=(..., width)]. The statistics are saved along with the
    weights.

    Parameters
    ----------
    inputs, width : int
    statistics : (mean, deviation) of the training chunks, each float [shape=(inputs,)], see :func:`statistics_of`;
        None where features stay as they are, or where weights are loaded, which bring them along
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int, statistics: Statistics | None = None) -> None:
        super().__init__()
        mean, deviation = (np.zeros(inputs), np.ones(inputs)) if statistics is None else statistics
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32))
        self.linear = nn.Linear(inputs, width)

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.linear((features.float() - self.mean) / self.deviation)
        return projected


class Layer(nn.Module):
    """Attention and one hidden layer. The names of its parts stand in files of weights."""

    def __init__(self, wanted: options.Transformer) -> None:
        super().__init__()
        self.heads, inner = wanted.heads, wanted.heads * wanted.head_width
        self.asked = nn.Linear(wanted.width, 3 * inner)  # queries, keys and values
        self.answered = nn.Linear(inner, wanted.width)
        self.attended = nn.LayerNorm(wanted.width)
        self.mlp = nn.Sequential(nn.Linear(wanted.width, wanted.mlp), nn.ReLU(), nn.Linear(wanted.mlp, wanted.width))
        self.read = nn.LayerNorm(wanted.width)
        self.dropout = nn.Dropout(wanted.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = self.asked(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(queries, keys, values)
        tokens = self.attended(tokens + self.dropout(self.answered(heads.transpose(1, 2).flatten(2))))
        tokens = self.read(tokens + self.dropout(self.mlp(tokens)))
        return tokens


def build_head(inputs: int, classes: int, wanted: options.Transformer) -> nn.Sequential:
    """The classifier behind an embedding: linear, activation, linear; also one for several embeddings side by side.

    Embeddings [shape=(chunks, inputs)] -> outputs [shape=(chunks, classes)], without a non-linearity.
    """
    activation = [nn.ReLU()] if wanted.dense_activation == "relu" else []
    return nn.Sequential(nn.Linear(inputs, wanted.hidden), *activation, nn.Linear(wanted.hidden, classes))


class Stream(nn.Module):
    """Front end, transformer and head: features -> outputs [shape=(chunks, classes)], without a non-linearity.

    Parameters
    ----------
    front : features of chunks -> (chunks, tokens, wanted.width)
    classes : int
    wanted : earshift.training.verma2023.options.Transformer
    tokens : int, that the front end gives
    """

    positions: Tensor

    def __init__(self, front: nn.Module, classes: int, wanted: options.Transformer, tokens: int) -> None:
        super().__init__()
        self.front = front
        self.register_buffer("positions", torch.from_numpy(positions(tokens, wanted.width)), persistent=False)
        self.layers = nn.ModuleList([Layer(wanted) for _ in range(wanted.layers)])
        self.halves = [
            number % _HALVED_EVERY == 0 and (number < wanted.layers or wanted.pool_last)
            for number in range(1, wanted.layers + 1)
        ]
        self.head = build_head(wanted.width, classes, wanted)

    def embedding(self, features: Tensor) -> Tensor:
        """The embedding [shape=(chunks, width)]."""
        tokens: Tensor = self.front(features) + self.positions
        for layer, halves in zip(self.layers, self.halves, strict=True):
            tokens = layer(tokens)
            if halves:
                tokens = F.max_pool1d(tokens.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
        return tokens.mean(dim=1)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.embedding(features))
        return outputs


def statistics_of(features: NDArray[Any], places: NDArray[np.int64] | None = None) -> Statistics:
    """Mean and deviation of every number of a slice, over chunks and slices.

    Parameters
    ----------
    features : float [shape=(chunks, slices, numbers)], or what is read in slices like it: a memory map, HDF5
    places : int [shape=(some,)], the chunks that count; all by default

    Returns
    -------
    (float64 [shape=(numbers,)], float64 [shape=(numbers,)])
        Deviations of numbers that do not vary are 1.
    """
    places = np.arange(len(features)) if places is None else places
    total, squares = np.zeros(features.shape[2]), np.zeros(features.shape[2])
    for start in range(0, len(places), _BLOCK):
        some = features[places[start : start + _BLOCK]].astype(np.float64)
        total += some.sum(axis=(0, 1))
        squares += (some**2).sum(axis=(0, 1))
    count = len(places) * features.shape[1]
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean, np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)


def positions(tokens: int, width: int) -> NDArray[np.float32]:
    """Sinusoids of places (Vaswani et al., 2017, 3.5), float32 [shape=(tokens, width)]."""
    pair = np.arange(width) // 2 * 2
    angle = np.arange(tokens)[:, None] / 10000 ** (pair / width)
    return np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)
