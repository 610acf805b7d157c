"""Convolutions of 3 x 3 with a quarter of the multiplications, in float32 on a CPU: minimal filtering F(4 x 4, 3 x 3).

Conventions
-----------
Maps are C-contiguous float32 arrays of shape (n, height, width, channels), channels in multiples of 64. Convolutions
are those of neural networks (no flip), stride 1, padded with zeros to the same size.

The maps are cut into tiles of 6 x 6 that overlap by 2. Along each axis a tile is seen as a polynomial and evaluated at
six points, where convolution is a product; so the 4 x 4 results of a tile cost 36 products per pair of channels instead
of 144. For all tiles together the products are 36 matrix products, which are PyTorch's; what leads in and out of them
is compiled by Numba on first use, and goes block by block so that it stays in the cache.

The points are 0, 5/8, -5/8, 3/2, -3/2 and infinity. With the 1 and 2 of the textbook in place of 5/8 and 3/2 rounding
errors are twice as large; these leave about 1e-6 of the standard deviation of a layer's output (a direct convolution:
2e-7). The products can be made of bfloat16 numbers, which leaves about 1e-2 (a direct convolution: 3e-3).

Sources: A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016; B. Barabasz et al., Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2020, for points between 0 and 2.

- :class:`Layer`, :func:`prepared`: a convolution's weights, transformed
- :func:`convolved`: the convolution, with bias, ReLU and pooling in the same pass
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

_LANES = 64  # channels that the inner loops take at once
_BLOCK = 1 << 20  # numbers between the steps
_POOLS = {None: 0, "max": 1, "mean": 2}

_NEAR, _FAR = 5 / 8, 3 / 2
_POINTS = np.array([0, _NEAR, -_NEAR, _FAR, -_FAR])  # and infinity
_TILE = len(_POINTS) + 1


@dataclass(frozen=True)
class Layer:
    """A convolution, ready for :func:`convolved`.

    kernel : float32 or bfloat16 tensor [shape=(36, inputs, outputs)], the type in which products are made
    bias : float32 array [shape=(outputs,)]
    """

    kernel: object
    bias: np.ndarray


def prepared(kernel, bias, dtype=None):
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
    import torch

    outputs, inputs, *size = kernel.shape
    if size != [3, 3] or inputs % _LANES or outputs % _LANES:
        raise ValueError(f"kernel of shape {kernel.shape}: it must be 3 x 3, channels in multiples of {_LANES}")
    rows = [point ** np.arange(3) / np.prod(point - _POINTS[point != _POINTS]) for point in _POINTS]
    transform = np.array([*rows, [0, 0, 1]])
    columns = np.tensordot(transform, np.asarray(kernel, dtype=np.float64), (1, 3))
    both = np.tensordot(transform, columns, (1, 3)).transpose(0, 1, 3, 2)  # (row, column, inputs, outputs)
    flat = np.ascontiguousarray(both.reshape(_TILE**2, inputs, outputs), dtype=np.float32)
    return Layer(torch.from_numpy(flat).to(dtype or torch.float32), np.ascontiguousarray(bias, dtype=np.float32))


def convolved(maps, layer, *, relu=True, pool=None):
    """Convolve, add the bias, and where wanted clip at zero and pool.

    Parameters
    ----------
    maps : float32 array [shape=(n, height, width, inputs)], C-contiguous
    layer : from :func:`prepared`
    relu : bool
    pool : None, "max" or "mean", over 2 x 2 without overlap; an odd row or column at the end is dropped

    Returns
    -------
    float32 array [shape=(n, height, width, outputs)], height and width halved where pooled
    """
    import torch

    dtype = layer.kernel.dtype
    into, out_of = _kernels(dtype == torch.bfloat16)
    n, height, width, inputs = maps.shape
    outputs = layer.kernel.shape[2]
    down, across = -(-height // 4), -(-width // 4)
    size = (height // 2, width // 2) if pool else (height, width)
    result = np.empty((n, *size, outputs), dtype=np.float32)
    rows = _rows_per_block(n * down, across, inputs, outputs)
    spectra, products = (
        torch.empty(_TILE**2 * rows * across * channels, dtype=dtype) for channels in (inputs, outputs)
    )
    length, floor = np.uint64(_LANES), np.float32(0 if relu else -np.inf)
    for start in range(0, n * down, rows):
        stop = min(start + rows, n * down)
        tiles = (stop - start) * across
        before = spectra[: _TILE**2 * tiles * inputs]
        after = products[: _TILE**2 * tiles * outputs]
        into(maps.reshape(-1), start, stop, height, width, inputs, length, _bits(before))
        torch.bmm(before.view(_TILE**2, tiles, inputs), layer.kernel, out=after.view(_TILE**2, tiles, outputs))
        out_of(_bits(after), layer.bias, floor, _POOLS[pool], start, stop, down, across, length, result)
    return result


def _rows_per_block(total, across, inputs, outputs):
    """Rows of tiles that are taken together.

    What lies between the steps should stay in the cache, but the kernels are read once per block: so it is as large as
    these, or as _BLOCK where that is more.
    """
    numbers = max(_BLOCK, _TILE**2 * inputs * outputs)
    tiles = numbers // (_TILE**2 * (inputs + outputs))
    return min(max(tiles // across, 1), total)


def _bits(tensor):
    """A tensor's memory as Numba can take it: float32, or uint16 for bfloat16, which it does not know."""
    import torch

    return tensor.numpy() if tensor.dtype == torch.float32 else tensor.view(torch.int16).numpy().view(np.uint16)


@cache
def _kernels(half):
    """What leads into the products, of bfloat16 where `half` is true, and what leads out of them, compiled.

    Indices are unsigned, because Numba wraps negative ones around and loops that do so are not vectorised. An inner
    loop takes 64 channels, and goes from one scratch array to another at constant distances: so the compiler can see
    that nothing overlaps. Copies, which have rows at any distance on one side, take their length from an argument, or
    they would be unrolled before they can be vectorised.
    """
    from numba import njit

    u, f = np.uint64, np.float32
    lanes = _LANES
    near, near2, near3 = f(_NEAR), f(_NEAR**2), f(_NEAR**3)
    far, far2, far3 = f(_FAR), f(_FAR**2), f(_FAR**3)
    product, total = f(_NEAR**2 * _FAR**2), f(_NEAR**2 + _FAR**2)
    zero, one, quarter = f(0), f(1), f(0.25)
    places, below_half, last_bit = np.uint32(16), np.uint32(0x7FFF), np.uint32(1)

    @njit(nogil=True)
    def evaluated(d0, d1, d2, d3, d4, d5):
        even, odd = d4 - far2 * d2, near * (d3 - far2 * d1)
        even2, odd2 = d4 - near2 * d2, far * (d3 - near2 * d1)
        first, last = product * d0 - total * d2 + d4, product * d1 - total * d3 + d5
        return first, even + odd, even - odd, even2 + odd2, even2 - odd2, last

    @njit(nogil=True)
    def interpolated(m0, m1, m2, m3, m4, m5):
        even, odd, even2, odd2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
        return (
            m0 + even + even2,
            near * odd + far * odd2,
            near2 * even + far2 * even2,
            near3 * odd + far3 * odd2 + m5,
        )

    @njit(nogil=True)
    def row_of(image, y, height):
        """Which row of all maps, and by what it counts: rows outside of a map are zero."""
        return image * height + min(max(y, 0), height - 1), one if 0 <= y < height else zero

    @njit(nogil=True)
    def into(maps, start, stop, height, width, channels, length, spectrum):
        down, across = (height + 3) // 4, (width + 3) // 4
        apart = (stop - start) * across * channels  # from one of the 36 points to the next
        columns = np.empty((4 * across + 2) * 6 * lanes, f)
        row = np.empty(6 * lanes, f)
        bits = row.view(np.uint32)
        for index in range(start, stop):
            image, y = index // down, 4 * (index % down) - 1
            (i0, w0), (i1, w1) = row_of(image, y, height), row_of(image, y + 1, height)
            (i2, w2), (i3, w3) = row_of(image, y + 2, height), row_of(image, y + 3, height)
            (i4, w4), (i5, w5) = row_of(image, y + 4, height), row_of(image, y + 5, height)
            for channel in range(0, channels, lanes):
                for x in range(4 * across + 2):
                    to = u(x * 6 * lanes)
                    if x == 0 or x > width:
                        for c in range(u(0), length * u(6)):
                            columns[to + c] = zero
                        continue
                    at = (x - 1) * channels + channel
                    r0, r1 = u(i0 * width * channels + at), u(i1 * width * channels + at)
                    r2, r3 = u(i2 * width * channels + at), u(i3 * width * channels + at)
                    r4, r5 = u(i4 * width * channels + at), u(i5 * width * channels + at)
                    for c in range(u(0), u(lanes)):
                        v0, v1, v2, v3, v4, v5 = evaluated(
                            w0 * maps[r0 + c], w1 * maps[r1 + c], w2 * maps[r2 + c],
                            w3 * maps[r3 + c], w4 * maps[r4 + c], w5 * maps[r5 + c],
                        )  # fmt: skip
                        columns[to + c], columns[to + c + u(lanes)] = v0, v1
                        columns[to + c + u(2 * lanes)], columns[to + c + u(3 * lanes)] = v2, v3
                        columns[to + c + u(4 * lanes)], columns[to + c + u(5 * lanes)] = v4, v5
                for tile in range(across):
                    place = ((index - start) * across + tile) * channels + channel
                    for k in range(6):
                        at = u((24 * tile + k) * lanes)
                        for c in range(u(0), u(lanes)):
                            v0, v1, v2, v3, v4, v5 = evaluated(
                                columns[at + c], columns[at + c + u(6 * lanes)], columns[at + c + u(12 * lanes)],
                                columns[at + c + u(18 * lanes)], columns[at + c + u(24 * lanes)],
                                columns[at + c + u(30 * lanes)],
                            )  # fmt: skip
                            row[c], row[c + u(lanes)], row[c + u(2 * lanes)] = v0, v1, v2
                            row[c + u(3 * lanes)], row[c + u(4 * lanes)], row[c + u(5 * lanes)] = v3, v4, v5
                        for j in range(6):
                            at, to = u(j * lanes), u(place + (6 * k + j) * apart)
                            for c in range(u(0), length):
                                if half:  # the upper half of the bits, rounded to even
                                    b = bits[at + c]
                                    spectrum[to + c] = (b + below_half + ((b >> places) & last_bit)) >> places
                                else:
                                    spectrum[to + c] = row[at + c]

    @njit(nogil=True)
    def out_of(spectrum, bias, floor, pool, start, stop, down, across, length, result):
        height, width, channels = result.shape[1], result.shape[2], result.shape[3]
        flat = result.reshape(-1)
        apart = (stop - start) * across * channels
        row, columns = np.empty(6 * lanes, f), np.empty(24 * lanes, f)
        bits = row.view(np.uint32)
        pixels = np.empty(16 * across * lanes, f)  # (column, row, channel)
        for index in range(start, stop):
            image, y = index // down, (2 if pool else 4) * (index % down)
            for channel in range(0, channels, lanes):
                first = u(channel)
                for tile in range(across):
                    place = ((index - start) * across + tile) * channels + channel
                    for j in range(6):
                        for k in range(6):
                            at, to = u(place + (6 * k + j) * apart), u(k * lanes)
                            for c in range(u(0), length):
                                if half:
                                    bits[to + c] = np.uint32(spectrum[at + c]) << places
                                else:
                                    row[to + c] = spectrum[at + c]
                        to = u(j * lanes)
                        for c in range(u(0), u(lanes)):
                            v0, v1, v2, v3 = interpolated(
                                row[c], row[c + u(lanes)], row[c + u(2 * lanes)],
                                row[c + u(3 * lanes)], row[c + u(4 * lanes)], row[c + u(5 * lanes)],
                            )  # fmt: skip
                            columns[to + c], columns[to + c + u(6 * lanes)] = v0, v1
                            columns[to + c + u(12 * lanes)], columns[to + c + u(18 * lanes)] = v2, v3
                    for k in range(4):
                        at, to = u(6 * k * lanes), u((16 * tile + k) * lanes)
                        for c in range(u(0), u(lanes)):
                            v0, v1, v2, v3 = interpolated(
                                columns[at + c], columns[at + c + u(lanes)], columns[at + c + u(2 * lanes)],
                                columns[at + c + u(3 * lanes)], columns[at + c + u(4 * lanes)],
                                columns[at + c + u(5 * lanes)],
                            )  # fmt: skip
                            b = bias[first + c]
                            v0, v1, v2, v3 = v0 + b, v1 + b, v2 + b, v3 + b
                            # written so that NaN passes through
                            pixels[to + c] = floor if v0 < floor else v0
                            pixels[to + c + u(4 * lanes)] = floor if v1 < floor else v1
                            pixels[to + c + u(8 * lanes)] = floor if v2 < floor else v2
                            pixels[to + c + u(12 * lanes)] = floor if v3 < floor else v3
                for k in range(min(2 if pool else 4, height - y)):
                    for x in range(width):
                        to = u(((image * height + y + k) * width + x) * channels + channel)
                        if not pool:
                            at = u((4 * x + k) * lanes)
                            for c in range(u(0), length):
                                flat[to + c] = pixels[at + c]
                            continue
                        at = u((8 * x + 2 * k) * lanes)
                        for c in range(u(0), u(lanes)):
                            v0, v1 = pixels[at + c], pixels[at + c + u(lanes)]
                            v2, v3 = pixels[at + c + u(4 * lanes)], pixels[at + c + u(5 * lanes)]
                            high, high2 = v1 if v0 < v1 else v0, v3 if v2 < v3 else v2
                            mean = quarter * ((v0 + v1) + (v2 + v3))
                            flat[to + c] = mean if pool == 2 else high2 if high < high2 else high

    return into, out_of
