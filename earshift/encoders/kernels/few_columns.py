"""3 x 3 convolutions of maps that are two or four columns wide and have many channels, by fewer products.

Conventions
-----------
Maps have channels last, [shape=(clips, height, width, channels)]. Convolutions are those of neural networks (no flip),
stride 1, padded with zeros to the same size, and followed by the rectifier.

Such maps hold few numbers and their kernels many: what counts is how many products a kernel takes part in, and that
each is one product of matrices over all clips. As in :mod:`earshift.encoders.kernels.winograd`, sums of inputs are
multiplied by sums of weights, and sums of the products are the outputs. Along the height, which may be any, a tile of
inputs gives 4 outputs by 6 products, or 3 by 5, instead of 12 or 9. Across two columns both outputs take 3 products
instead of 4 (or 6, with the zeros around the map). Rounding errors are a millionth of the largest value.

- :func:`few_columns_convolution`: such a convolution with its weights
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from earshift.encoders.kernels.onednn import Layer, linear

_ROWS = 80  # of the matrices: tiles of 16 clips of 3 s
_BLOCK = 64  # outputs whose weights are summed at once, in the cache


@dataclass(frozen=True)
class _Scheme:
    """How a convolution with three weights is done along an axis.

    margin : int, zeros before the axis
    give : int, outputs of a tile, and the step from tile to tile
    inputs : sums of a tile's inputs [shape=(products, inputs of a tile)]
    weights : sums of weights [shape=(products, 3)]
    outputs : sums of products [shape=(give, products)]
    """

    margin: int
    give: int
    inputs: NDArray[Any]
    weights: NDArray[Any]
    outputs: NDArray[Any]


def _tiles(*places: float) -> _Scheme:
    """Tiles of n + 1 inputs that give n - 1 outputs: polynomials evaluated at n points and infinity."""
    points, count = np.array(places), len(places)
    inputs, weights, outputs = (np.zeros(s) for s in ((count + 1, count + 1), (count + 1, 3), (count - 1, count + 1)))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        inputs[i, :-1] = np.poly(others)[::-1]
        weights[i] = point ** np.arange(3) / np.prod(point - others)
    inputs[-1], weights[-1, -1] = np.poly(points)[::-1], 1
    outputs[:, :-1], outputs[-1, -1] = points ** np.arange(count - 1)[:, None], 1
    return _Scheme(1, count - 1, inputs, weights, outputs)


_FOUR = _tiles(0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)
_THREE = _tiles(0, 1, -1, 1 / 2)
# with weights l, c, r and inputs x, y: c x + r y = c (x + y) + (r - c) y, and l x + c y = c (x + y) + (l - c) x
_BOTH = _Scheme(
    margin=0,
    give=2,
    inputs=np.array([[1.0, 1], [0, 1], [1, 0]]),
    weights=np.array([[0.0, 1, 0], [0, -1, 1], [1, -1, 0]]),
    outputs=np.array([[1.0, 1, 0], [1, 0, 1]]),
)


def few_columns_convolution(weight: torch.Tensor, bias: torch.Tensor, *, width: int, dtype: torch.dtype) -> Layer:
    """A 3 x 3 convolution and the rectifier after it.

    Parameters
    ----------
    weight : float32 tensor [shape=(outputs, inputs, 3, 3)], height before width
    bias : float32 tensor [shape=(outputs,)]
    width : 2 or 4, of the maps; their height may vary
    dtype : torch.dtype, of the products

    Returns
    -------
    callable
        float32 tensor [shape=(clips, height, width, inputs)] -> float32 tensor [shape=(clips, height, width, outputs)]
    """

    down, across = (_THREE, _BOTH) if width == 2 else (_FOUR, _FOUR)
    outputs, inputs = weight.shape[:2]
    spread = torch.from_numpy(np.kron(down.weights, across.weights)).to(weight)
    kernels = weight.new_empty(len(spread), outputs, inputs, dtype=dtype)
    for start in range(0, outputs, _BLOCK):
        some = weight[start : start + _BLOCK]
        kernels[:, start : start + _BLOCK] = (spread @ some.reshape(-1, 9).T).view(len(spread), -1, inputs)
    layers = [linear(kernel, None, rows=_ROWS) for kernel in kernels]
    gather, join = (torch.from_numpy(np.kron(*pair)).to(weight) for pair in (
        (down.inputs, across.inputs), (down.outputs, across.outputs)))  # fmt: skip

    def convolve(maps: torch.Tensor) -> torch.Tensor:
        clips, height = maps.shape[:2]
        tiles = -(-height // down.give)
        padded = _pad(maps, down, across, tiles)
        sums = gather @ _cut(padded, down, across, tiles).reshape(gather.shape[1], -1)
        sums = sums.view(len(layers), -1, inputs).to(dtype)
        products = torch.stack([layer(rows) for layer, rows in zip(layers, sums, strict=True)]).float()
        found = (join @ products.view(len(layers), -1)).view(down.give, width, clips, tiles, outputs)
        found = found.permute(2, 3, 0, 1, 4).reshape(clips, -1, width, outputs)[:, :height]
        return found.add_(bias).relu_()

    return convolve


def _pad(maps: torch.Tensor, down: _Scheme, across: _Scheme, tiles: int) -> torch.Tensor:
    """Maps with the zeros around them that their tiles reach into."""

    height = (tiles - 1) * down.give + down.inputs.shape[1]
    below, after = height - down.margin - maps.shape[1], across.inputs.shape[1] - across.margin - maps.shape[2]
    return F.pad(maps, (0, 0, across.margin, after, down.margin, below))


def _cut(padded: torch.Tensor, down: _Scheme, across: _Scheme, tiles: int) -> torch.Tensor:
    """Tiles, which may overlap [shape=(inputs down, inputs across, clips, tiles, channels)]."""
    clip, line, place, channel = padded.stride()
    shape = (down.inputs.shape[1], across.inputs.shape[1], len(padded), tiles, padded.shape[-1])
    return padded.as_strided(shape, (line, place, clip, down.give * line, channel))
