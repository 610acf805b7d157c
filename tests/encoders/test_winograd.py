"""Fast convolutions against PyTorch's plain ones in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from earshift.encoders.kernels import winograd, winograd_numba
from earshift.encoders.kernels.winograd import convolve, prepare


def layer(rng, inputs=64, outputs=64):
    """Weights as a network has them: outputs vary about as much as inputs."""
    return rng.normal(0, np.sqrt(2 / (9 * inputs)), (outputs, inputs, 3, 3)), rng.normal(0, 0.2, outputs)


def plain(maps, kernel, bias, *, relu=True, pool=None):
    x = torch.from_numpy(maps).double().permute(0, 3, 1, 2)
    x = F.conv2d(x, torch.from_numpy(kernel), torch.from_numpy(bias), padding=1)
    x = torch.relu(x) if relu else x
    x = {None: lambda x: x, "max": lambda x: F.max_pool2d(x, 2), "mean": lambda x: F.avg_pool2d(x, 2)}[pool](x)
    return x.permute(0, 2, 3, 1).numpy()


def maps_of(rng, n, height, width, channels):
    return rng.standard_normal((n, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("pool", [None, "max", "mean"])
@pytest.mark.parametrize("size", [(4, 4), (8, 12), (9, 6), (7, 11), (2, 3), (33, 14)])
def test_it_is_the_convolution(rng, size, pool, relu):
    kernel, bias = layer(rng, 64, 128)
    maps = maps_of(rng, 2, *size, 64)
    found = convolve(maps, prepare(kernel, bias), relu=relu, pool=pool)
    expected = plain(maps, kernel, bias, relu=relu, pool=pool)
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.sampled_from([64, 128, 192]), st.integers(1, 20))
def test_any_size_and_any_cut_into_blocks(n, height, width, channels, rows):
    rng = np.random.default_rng([n, height, width, channels])
    kernel, bias = layer(rng, channels, 64)
    maps = maps_of(rng, n, height, width, channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_rows_per_block", lambda *_: rows)
        found = convolve(maps, prepare(kernel, bias))
    np.testing.assert_allclose(found, plain(maps, kernel, bias), rtol=0, atol=2e-5)


def test_many_channels_keep_the_accuracy(rng):
    kernel, bias = layer(rng, 512, 512)
    maps = np.maximum(maps_of(rng, 1, 16, 24, 512), 0)
    found, expected = convolve(maps, prepare(kernel, bias), relu=False), plain(maps, kernel, bias, relu=False)
    error = (found - expected) / expected.std()
    assert np.sqrt((error**2).mean()) < 2e-6  # the module's docstring says 1e-6


def test_products_of_bfloat16_cost_what_the_docstring_says(rng):
    kernel, bias = layer(rng, 128, 128)
    maps = np.maximum(maps_of(rng, 1, 16, 24, 128), 0)
    found = convolve(maps, prepare(kernel, bias, torch.bfloat16), relu=False)
    expected = plain(maps, kernel, bias, relu=False)
    error = np.sqrt(((found - expected) ** 2).mean()) / expected.std()
    assert found.dtype == np.float32 and 1e-3 < error < 2e-2


def test_rounding_to_bfloat16_is_that_of_pytorch(rng):
    split, _ = winograd_numba.compile_steps(True)
    exact, _ = winograd_numba.compile_steps(False)
    maps = maps_of(rng, 1, 4, 4, 64) * np.float32(10.0) ** rng.integers(-20, 20, 64).astype(np.float32)
    rounded, numbers = np.zeros(36 * 64, dtype=np.uint16), np.zeros(36 * 64, dtype=np.float32)
    for into, target in ((split, rounded), (exact, numbers)):
        into(maps.reshape(-1), 0, 1, 4, 4, 64, np.uint64(64), target)
    expected = torch.from_numpy(numbers).bfloat16().view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(rounded, expected)


def test_the_input_is_left_as_it_was_and_bits_repeat(rng):
    kernel, bias = layer(rng)
    maps = maps_of(rng, 2, 10, 9, 64)
    before, ready = maps.copy(), prepare(kernel, bias)
    np.testing.assert_array_equal(convolve(maps, ready), convolve(maps, ready))
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize("pool", [None, "max", "mean"])
def test_nan_is_not_lost(rng, pool):
    kernel, bias = layer(rng)
    maps = maps_of(rng, 1, 8, 8, 64)
    maps[0] = np.nan
    assert np.isnan(convolve(maps, prepare(kernel, bias), pool=pool)).all()


@pytest.mark.parametrize("shape", [(64, 64, 5, 5), (64, 1, 3, 3), (96, 64, 3, 3), (64, 64, 3)])
def test_other_kernels_are_refused(shape):
    with pytest.raises(ValueError, match="3 x 3"):
        prepare(np.zeros(shape), np.zeros(shape[0]))
