"""Layers with weights arranged beforehand against PyTorch's plain ones, with and without oneDNN."""

import os

import pytest
import torch
from torch.nn import functional as F

from earshift.encoders.kernels import onednn
from earshift.encoders.kernels.onednn import convolution, linear, number_type
from earshift.errors import UserError

GENERATOR = torch.Generator().manual_seed(2)


@pytest.fixture(params=["oneDNN", "plain"])
def operators(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(onednn, "_operators", lambda *_: None)
    return request.param


def test_the_operators_are_there():
    assert onednn._operators(torch.zeros(1), "_reorder_linear_weight", "_linear_pointwise") is not None
    assert onednn._operators(torch.zeros(1), "_convolution_pointwise") is not None
    assert onednn._operators(torch.zeros(1), "no_such_operator") is None
    assert onednn._operators(torch.zeros(1, device="meta"), "_linear_pointwise") is None


@pytest.mark.parametrize("biased", [True, False])
def test_a_product_with_a_matrix(operators, biased):
    weight, rows = torch.randn(48, 24, generator=GENERATOR), torch.randn(7, 24, generator=GENERATOR)
    bias = torch.randn(48, generator=GENERATOR) if biased else None
    found = linear(weight, bias, rows=512)(rows)
    torch.testing.assert_close(found, F.linear(rows, weight, bias), rtol=0, atol=1e-5)


def test_a_convolution_and_its_rectifier(operators):
    weight, bias = torch.randn(16, 3, 3, 3, generator=GENERATOR), torch.randn(16, generator=GENERATOR)
    maps = torch.randn(2, 9, 5, 3, generator=GENERATOR)
    found = convolution(weight, bias, shape=(1, 3, 20, 5))(maps)
    expected = F.conv2d(maps.permute(0, 3, 1, 2), weight, bias, padding=1).relu().permute(0, 2, 3, 1)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_weights_are_copied_where_they_are_not_in_order(operators):
    weight, rows = torch.randn(24, 48, generator=GENERATOR), torch.randn(7, 24, generator=GENERATOR)
    torch.testing.assert_close(linear(weight.T, None, rows=7)(rows), rows @ weight, rtol=0, atol=1e-5)


def test_bfloat16_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(UserError, match="bfloat16, which this CPU cannot multiply; set precision: float32"):
        number_type("bfloat16", "cpu")
    assert number_type("float32", "cpu") == torch.float32


@pytest.mark.parametrize(("precision", "capped"), [("bfloat16", False), ("float32", True)])
def test_bfloat16_lifts_the_cap_on_instructions(monkeypatch, precision, capped):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    number_type(precision, "cpu")
    assert ("ONEDNN_MAX_CPU_ISA" in os.environ) is capped
