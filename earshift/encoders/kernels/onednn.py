"""Layers whose weights are laid out once, when a network is loaded, for the processor that computes them.

On a CPU, oneDNN (part of PyTorch) multiplies fastest with weights in a layout of its own. PyTorch rearranges them in
every call; the operators that its own compiler uses take them arranged beforehand. That is worth a tenth on large
batches, and half of the time on a batch of one clip, where as much time goes into moving weights as into sums. Where
these operators do not exist, and on a GPU, the plain ones are used: same sums, in another order.

- :func:`linear`, :func:`convolution`: a layer with its weights
- :func:`number_type`: which numbers such layers multiply
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from earshift.errors import UserError

Layer = Callable[[torch.Tensor], torch.Tensor]


def linear(weight: torch.Tensor, bias: torch.Tensor | None, *, rows: int) -> Layer:
    """A product with a matrix.

    Parameters
    ----------
    weight : tensor [shape=(outputs, inputs)]
    bias : tensor [shape=(outputs,)], or None
    rows : int, how many rows a call usually has

    Returns
    -------
    callable
        tensor [shape=(rows, inputs)] -> tensor [shape=(rows, outputs)]
    """

    weight, bias = _plain(weight), None if bias is None else _plain(bias)
    operators = _operators(weight, "_reorder_linear_weight", "_linear_pointwise")
    if operators is None:
        return lambda x: F.linear(x, weight, bias)
    arranged = operators._reorder_linear_weight(weight, rows)
    return lambda x: operators._linear_pointwise(x, arranged, bias, "none", [], "")


def convolution(weight: torch.Tensor, bias: torch.Tensor, *, shape: tuple[int, int, int, int]) -> Layer:
    """A 3 x 3 convolution with zeros around the maps, and the rectifier after it.

    Parameters
    ----------
    weight : tensor [shape=(outputs, inputs, 3, 3)]
    bias : tensor [shape=(outputs,)]
    shape : tuple of int, of the maps that a call usually has: clips, inputs, height, width

    Returns
    -------
    callable
        tensor [shape=(clips, height, width, inputs)] -> tensor [shape=(clips, height, width, outputs)]
    """

    weight, bias, ones = _plain(weight), _plain(bias), (1, 1)
    operators = _operators(weight, "_convolution_pointwise")
    reorder: Any = getattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", None)
    if operators is None or reorder is None:
        weight = weight.contiguous(memory_format=torch.channels_last)
        return lambda maps: F.conv2d(maps.permute(0, 3, 1, 2), weight, bias, padding=1).relu_().permute(0, 2, 3, 1)
    arranged = reorder(weight.to_mkldnn(), ones, ones, ones, 1, shape)

    def convolve(maps: torch.Tensor) -> torch.Tensor:
        planes: torch.Tensor = operators._convolution_pointwise(
            maps.permute(0, 3, 1, 2), arranged, bias, ones, ones, ones, 1, "relu", [], ""
        )
        return planes.permute(0, 2, 3, 1).contiguous()

    return convolve


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous()


def _operators(weight: torch.Tensor, *names: str) -> Any:
    """oneDNN's operators for a weight, or None where they are missing."""

    operators = torch.ops.mkldnn
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    return operators if all(hasattr(operators, name) for name in names) else None


def number_type(precision: str, device: str) -> torch.dtype:
    """The type that a precision stands for, ready to be used on a device.

    Parameters
    ----------
    precision : "float32" or "bfloat16"
    device : "cpu", "cuda" or "cuda:N"

    Returns
    -------
    torch.dtype

    Raises
    ------
    UserError
        If the processor has no such arithmetic.
    """

    if precision == "float32":
        return torch.float32
    if device == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        if not supported():
            raise UserError("precision is bfloat16, which this CPU cannot multiply; set precision: float32")
        os.environ.pop("ONEDNN_MAX_CPU_ISA", None)  # read at the first operation: AVX2 has no bfloat16
    return torch.bfloat16
