"""Convolutions of 3 x 3 with a quarter of the multiplications, in float32 on a CPU: minimal filtering F(4 x 4, 3 x 3).

Conventions
-----------
Maps are C-contiguous float32 arrays of shape (n, height, width, channels), channels in multiples of 64. Convolutions
are those of neural networks (no flip), stride 1, padded with zeros to the same size.

The maps are cut into tiles of 6 x 6 that overlap by 2. Along each axis a tile is seen as a polynomial and evaluated at
six points, where convolution is a product; so the 4 x 4 results of a tile cost 36 products per pair of channels instead
of 144. For all tiles together the products are 36 matrix products, which are PyTorch's; what leads in and out of them
(:mod:`earshift.encoders.kernels.winograd_numba`) goes block by block so that it stays in the cache.

The points are 0, 5/8, -5/8, 3/2, -3/2 and infinity. With the 1 and 2 of the textbook in place of 5/8 and 3/2 rounding
errors are twice as large; these leave about 1e-6 of the standard deviation of a layer's output (a direct convolution:
2e-7). The products can be made of bfloat16 numbers, which leaves about 1e-2 (a direct convolution: 3e-3).

Sources: A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016; B. Barabasz et al., Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2020, for points between 0 and 2.

- :class:`Layer`, :func:`prepare`: a convolution's weights, transformed
- :func:`convolve`: the convolution, with bias, ReLU and pooling in the same pass
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from earshift.encoders.kernels.winograd_points import FAR, LANES, NEAR

_BLOCK = 1 << 20  # numbers between the steps
_POOLS = {None: 0, "max": 1, "mean": 2}

_POINTS = np.array([0, NEAR, -NEAR, FAR, -FAR])  # and infinity
_TILE = len(_POINTS) + 1


@dataclass(frozen=True)
class Layer:
    """A convolution, ready for :func:`convolve`.

    kernel : float32 or bfloat16 tensor [shape=(36, inputs, outputs)], the type in which products are made
    bias : float32 array [shape=(outputs,)]
    """

    kernel: torch.Tensor
    bias: NDArray[np.float32]


def prepare(kernel: NDArray[Any], bias: NDArray[Any], dtype: torch.dtype | None = None) -> Layer:
    """Transform the weights of a convolution.

    Parameters
    ----------
    kernel : array [shape=(outputs, inputs, 3, 3)], as PyTorch orders it
    bias : array [shape=(outputs,)]
    dtype : torch.dtype, of the products; float32 if None, or bfloat16

    Returns
    -------
    Layer

    Raises
    ------
    ValueError
        If the kernel is not 3 x 3, or a number of channels no multiple of 64.
    """

    outputs, inputs, *size = kernel.shape
    if size != [3, 3] or inputs % LANES or outputs % LANES:
        raise ValueError(f"kernel of shape {kernel.shape}: it must be 3 x 3, channels in multiples of {LANES}")
    rows = [point ** np.arange(3) / np.prod(point - _POINTS[point != _POINTS]) for point in _POINTS]
    transform = np.array([*rows, [0, 0, 1]])
    columns = np.tensordot(transform, np.asarray(kernel, dtype=np.float64), (1, 3))
    both = np.tensordot(transform, columns, (1, 3)).transpose(0, 1, 3, 2)  # (row, column, inputs, outputs)
    flat = np.ascontiguousarray(both.reshape(_TILE**2, inputs, outputs), dtype=np.float32)
    return Layer(torch.from_numpy(flat).to(dtype or torch.float32), np.ascontiguousarray(bias, dtype=np.float32))


def convolve(
    maps: NDArray[np.float32], layer: Layer, *, relu: bool = True, pool: Literal["max", "mean"] | None = None
) -> NDArray[np.float32]:
    """Convolve, add the bias, and where wanted clip at zero and pool.

    Parameters
    ----------
    maps : float32 array [shape=(n, height, width, inputs)], C-contiguous
    layer : from :func:`prepare`
    relu : bool
    pool : None, "max" or "mean", over 2 x 2 without overlap; an odd row or column at the end is dropped

    Returns
    -------
    float32 array [shape=(n, height, width, outputs)], height and width halved where pooled
    """

    from earshift.encoders.kernels.winograd_numba import compile_steps

    dtype = layer.kernel.dtype
    into, out_of = compile_steps(dtype == torch.bfloat16)
    n, height, width, inputs = maps.shape
    outputs = layer.kernel.shape[2]
    down, across = -(-height // 4), -(-width // 4)
    size = (height // 2, width // 2) if pool else (height, width)
    result = np.empty((n, *size, outputs), dtype=np.float32)
    rows = _rows_per_block(n * down, across, inputs, outputs)
    spectra, products = (
        torch.empty(_TILE**2 * rows * across * channels, dtype=dtype) for channels in (inputs, outputs)
    )
    length, floor = np.uint64(LANES), np.float32(0 if relu else -np.inf)
    for start in range(0, n * down, rows):
        stop = min(start + rows, n * down)
        tiles = (stop - start) * across
        before = spectra[: _TILE**2 * tiles * inputs]
        after = products[: _TILE**2 * tiles * outputs]
        into(maps.reshape(-1), start, stop, height, width, inputs, length, _bits(before))
        torch.bmm(before.view(_TILE**2, tiles, inputs), layer.kernel, out=after.view(_TILE**2, tiles, outputs))
        out_of(_bits(after), layer.bias, floor, _POOLS[pool], start, stop, down, across, length, result)
    return result


def _rows_per_block(total: int, across: int, inputs: int, outputs: int) -> int:
    """Rows of tiles that are taken together.

    What lies between the steps should stay in the cache, but the kernels are read once per block: so it is as large as
    these, or as _BLOCK where that is more.
    """
    numbers = max(_BLOCK, _TILE**2 * inputs * outputs)
    tiles = numbers // (_TILE**2 * (inputs + outputs))
    return min(max(tiles // across, 1), total)


def _bits(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor's memory as Numba can take it: float32, or uint16 for bfloat16, which it does not know."""

    if tensor.dtype == torch.float32:
        return tensor.numpy()
    return tensor.view(torch.int16).numpy().view(np.uint16)
