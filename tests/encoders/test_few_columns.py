"""Convolutions by fewer products against PyTorch's in float64."""

import pytest
import torch
from torch import nn

from earshift.encoders.kernels.few_columns import few_columns_convolution


@pytest.mark.parametrize(("width", "height"), [(2, 9), (2, 31), (2, 1), (4, 18), (4, 5), (4, 1)])
def test_few_columns_convolutions_are_convolutions(width, height):
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(128, 64, 3, 3, generator=generator) / 24
    bias, maps = torch.randn(128, generator=generator), torch.randn(3, height, width, 64, generator=generator)
    exact = nn.functional.conv2d(maps.permute(0, 3, 1, 2).double(), weight.double(), bias.double(), padding=1).relu()
    found = few_columns_convolution(weight, bias, width=width, dtype=torch.float32)(maps).permute(0, 3, 1, 2)
    assert found.shape == exact.shape and ((found - exact).abs().max() / exact.max()).item() < 5e-6
