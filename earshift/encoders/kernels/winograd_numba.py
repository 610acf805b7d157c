"""The steps before and after the products of :mod:`earshift.encoders.kernels.winograd`, compiled by Numba.

Conventions
-----------
Indices are unsigned, because Numba wraps negative ones around and loops that do so are not vectorised. An inner loop
takes 64 channels, and goes from one scratch array to another at constant distances: so the compiler can see that
nothing overlaps. Copies, which have rows at any distance on one side, take their length from an argument, or they would
be unrolled before they can be vectorised.

Compiled code is kept on disk. Importing this imports Numba. Where Numba finds no folder that it may write to
(NUMBA_CACHE_DIR names one), every process compiles for itself, which takes seconds.
"""

import contextlib
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from earshift.encoders.kernels.winograd_points import FAR, LANES, NEAR

u: Any = np.uint64
f: Any = np.float32
lanes = LANES
near, near2, near3 = f(NEAR), f(NEAR**2), f(NEAR**3)
far, far2, far3 = f(FAR), f(FAR**2), f(FAR**3)
product, total = f(NEAR**2 * FAR**2), f(NEAR**2 + FAR**2)
zero, one, quarter = f(0), f(1), f(0.25)
places, below_half, last_bit = np.uint32(16), np.uint32(0x7FFF), np.uint32(1)

Number = np.float32
Floats = NDArray[Number]


def _evaluate(d0: Number, d1: Number, d2: Number, d3: Number, d4: Number, d5: Number) -> tuple[Number, ...]:
    even, odd = d4 - far2 * d2, near * (d3 - far2 * d1)
    even2, odd2 = d4 - near2 * d2, far * (d3 - near2 * d1)
    first, last = product * d0 - total * d2 + d4, product * d1 - total * d3 + d5
    return first, even + odd, even - odd, even2 + odd2, even2 - odd2, last


def _interpolate(m0: Number, m1: Number, m2: Number, m3: Number, m4: Number, m5: Number) -> tuple[Number, ...]:
    even, odd, even2, odd2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + even + even2,
        near * odd + far * odd2,
        near2 * even + far2 * even2,
        near3 * odd + far3 * odd2 + m5,
    )


def _row_of(image: int, y: int, height: int) -> tuple[int, Number]:
    """Which row of all maps, and by what it counts: rows outside of a map are zero."""
    return image * height + min(max(y, 0), height - 1), one if 0 <= y < height else zero


evaluate, interpolate, row_of = (njit(nogil=True)(each) for each in (_evaluate, _interpolate, _row_of))


@cache
def compile_steps(half: bool) -> tuple[Any, Any]:
    """What leads into the products, of bfloat16 where `half` is true, and what leads out of them."""

    def into(
        maps: Floats,
        start: int,
        stop: int,
        height: int,
        width: int,
        channels: int,
        length: np.uint64,
        spectrum: NDArray[Any],
    ) -> None:
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
                        v0, v1, v2, v3, v4, v5 = evaluate(
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
                            v0, v1, v2, v3, v4, v5 = evaluate(
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

    def out_of(
        spectrum: NDArray[Any], bias: Floats, floor: Number, pool: int, start: int, stop: int, down: int, across: int,
        length: np.uint64, result: Floats,
    ) -> None:  # fmt: skip
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
                            v0, v1, v2, v3 = interpolate(
                                row[c], row[c + u(lanes)], row[c + u(2 * lanes)],
                                row[c + u(3 * lanes)], row[c + u(4 * lanes)], row[c + u(5 * lanes)],
                            )  # fmt: skip
                            columns[to + c], columns[to + c + u(6 * lanes)] = v0, v1
                            columns[to + c + u(12 * lanes)], columns[to + c + u(18 * lanes)] = v2, v3
                    for k in range(4):
                        at, to = u(6 * k * lanes), u((16 * tile + k) * lanes)
                        for c in range(u(0), u(lanes)):
                            v0, v1, v2, v3 = interpolate(
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

    steps = njit(nogil=True)(into), njit(nogil=True)(out_of)
    for step in steps:
        with contextlib.suppress(RuntimeError):  # no folder to write to
            step.enable_caching()
    return steps
