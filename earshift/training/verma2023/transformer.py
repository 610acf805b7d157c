"""The transformer that every stream is read by (Verma, 2023, section 3).

Conventions
-----------
A front end turns features of a chunk into tokens of one width, a sinusoid of their place is added, layers of attention
follow, tokens are halved in number behind every second layer by the larger of neighbours, and their mean is the
embedding. A head of two linear layers makes it K outputs.

Layers are those of Vaswani et al. (2017): attention, then one hidden layer, each added to what it read and normalised
afterwards; dropout acts on what is added. The text asks for 12 heads at a width of 64, which 12 does not divide. Heads
have a width of their own here: ``head_width`` numbers for each query, key and value, whatever the width of tokens.

torch is imported when a network is built.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

import numpy as np

from earshift.options import Interval, Options

_HALVED_EVERY = 2  # layers
_BLOCK = 256  # chunks that statistics are summed over together, so that memory does not grow with them


@dataclass(frozen=True)
class Transformer(Options):
    """Options. ``width`` is that of tokens and of the embedding, ``mlp`` that of the hidden layer of every layer,
    ``hidden`` that of the head; ``pool_last``: halve the tokens behind the last layer, too, where it is an even one;
    ``dense_activation``: behind the head's hidden layer.
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


def network(front, classes, options, *, tokens):
    """A stream: front end, transformer and head.

    Parameters
    ----------
    front : torch.nn.Module, features of chunks -> (chunks, tokens, options.width)
    classes : int
    options : Transformer
    tokens : int, that the front end gives

    Returns
    -------
    torch.nn.Module
        features -> outputs (chunks, classes), without a non-linearity; its ``embedding`` features ->
        (chunks, options.width), its ``head`` what follows.
    """
    return _classes().Stream(front, classes, options, tokens)


def head(inputs, classes, options):
    """The classifier behind an embedding: linear, activation, linear; also the one on several embeddings side by side.

    Parameters
    ----------
    inputs : int, of embeddings [shape=(chunks, inputs)]
    classes : int
    options : Transformer

    Returns
    -------
    torch.nn.Module, embeddings -> outputs (chunks, classes), without a non-linearity
    """
    from torch import nn

    activation = [nn.ReLU()] if options.dense_activation == "relu" else []
    return nn.Sequential(nn.Linear(inputs, options.hidden), *activation, nn.Linear(options.hidden, classes))


def projection(inputs, width, *, statistics=None):
    """A linear layer on features that are brought to mean 0 and deviation 1 before.

    Parameters
    ----------
    inputs, width : int
    statistics : (mean, deviation) of the training chunks, each float [shape=(inputs,)], see :func:`statistics_of`;
        None where features stay as they are

    Returns
    -------
    torch.nn.Module, (..., inputs) of any number type -> (..., width); the statistics are saved along with the weights
    """
    return _classes().Projection(inputs, width, statistics)


def statistics_of(features):
    """Mean and deviation of every number of a slice, over chunks and slices.

    Parameters
    ----------
    features : float [shape=(chunks, slices, numbers)], or what is read in slices like it: a memory map, HDF5

    Returns
    -------
    (float64 [shape=(numbers,)], float64 [shape=(numbers,)])
        Deviations of numbers that do not vary are 1.
    """
    total, squares = np.zeros(features.shape[2]), np.zeros(features.shape[2])
    for start in range(0, len(features), _BLOCK):
        some = features[start : start + _BLOCK].astype(np.float64)
        total += some.sum(axis=(0, 1))
        squares += (some**2).sum(axis=(0, 1))
    mean = total / (len(features) * features.shape[1])
    deviation = np.sqrt(np.maximum(squares / (len(features) * features.shape[1]) - mean**2, 0))
    return mean, np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)


def positions(tokens, width):
    """Sinusoids of places (Vaswani et al., 2017, 3.5), float32 [shape=(tokens, width)]."""
    pair = np.arange(width) // 2 * 2
    angle = np.arange(tokens)[:, None] / 10000 ** (pair / width)
    return np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def token_counts(tokens, options):
    """How many tokens every layer reads, and how many are averaged in the end.

    An odd last token has no neighbour and stays: no sound is dropped.

    Returns
    -------
    list of int, options.layers + 1 of them
    """
    counts = [tokens]
    for layer in range(options.layers):
        counts.append(-(-counts[-1] // 2) if _halves_behind(layer, options) else counts[-1])
    return counts


def parameter_count(module):
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _halves_behind(layer, options):
    return (layer + 1) % _HALVED_EVERY == 0 and (layer + 1 < options.layers or options.pool_last)


@cache
def _classes():
    from types import SimpleNamespace

    import torch
    from torch import nn
    from torch.nn import functional as F

    class Projection(nn.Module):
        def __init__(self, inputs, width, statistics):
            super().__init__()
            mean, deviation = (np.zeros(inputs), np.ones(inputs)) if statistics is None else statistics
            self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
            self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32))
            self.linear = nn.Linear(inputs, width)

        def forward(self, features):
            return self.linear((features.float() - self.mean) / self.deviation)

    class Layer(nn.Module):
        def __init__(self, options):
            super().__init__()
            self.heads, inner = options.heads, options.heads * options.head_width
            self.asked = nn.Linear(options.width, 3 * inner)  # queries, keys and values
            self.answered = nn.Linear(inner, options.width)
            self.attended = nn.LayerNorm(options.width)
            self.mlp = nn.Sequential(
                nn.Linear(options.width, options.mlp), nn.ReLU(), nn.Linear(options.mlp, options.width)
            )
            self.read = nn.LayerNorm(options.width)
            self.dropout = nn.Dropout(options.dropout)

        def forward(self, tokens):
            queries, keys, values = self.asked(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            heads = F.scaled_dot_product_attention(queries, keys, values)
            tokens = self.attended(tokens + self.dropout(self.answered(heads.transpose(1, 2).flatten(2))))
            return self.read(tokens + self.dropout(self.mlp(tokens)))

    class Stream(nn.Module):
        def __init__(self, front, classes, options, tokens):
            super().__init__()
            self.front = front
            self.register_buffer("positions", torch.from_numpy(positions(tokens, options.width)), persistent=False)
            self.layers = nn.ModuleList([Layer(options) for _ in range(options.layers)])
            self.halves = [_halves_behind(layer, options) for layer in range(options.layers)]
            self.head = head(options.width, classes, options)

        def embedding(self, features):
            tokens = self.front(features) + self.positions
            for layer, halves in zip(self.layers, self.halves, strict=True):
                tokens = layer(tokens)
                if halves:
                    tokens = F.max_pool1d(tokens.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
            return tokens.mean(dim=1)

        def forward(self, features):
            return self.head(self.embedding(features))

    return SimpleNamespace(Projection=Projection, Stream=Stream)
