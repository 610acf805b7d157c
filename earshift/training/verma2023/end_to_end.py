"""Learned filters instead of a spectrum (Verma, 2023, section 3.3).

Conventions
-----------
A chunk is 40 patches of 400 samples, each filtered by itself: zeros on both sides of a patch, 99 before and 100 behind,
so that a filter of 200 samples gives as many values as came in. Of the 400 values of a filter the largest is kept.

Imports torch: import this module inside functions.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earshift.training.verma2023.chunks import SLICE, SLICES

LENGTH = 200  # samples of a filter
_BEFORE = (LENGTH - 1) // 2
_BEHIND = LENGTH - 1 - _BEFORE
_TRANSFORM = 600  # samples, of which a response of a filter is SLICE + LENGTH - 1 long
_PATCHES = 2  # on a CPU, filtered together while their responses lie in the cache
_MANY_PATCHES = 512  # elsewhere


class LargestResponses(torch.autograd.Function):
    """Of every filter in every patch the largest response.

    torch would keep all responses for the way back, 8 MB a chunk, and send zeros through most of them.
    """

    @staticmethod
    def forward(context: Any, patches: Tensor, weight: Tensor) -> Tensor:
        """Largest responses [shape=(patches, filters)] of patches [shape=(patches, 400)]."""
        # Products of spectra: half the time of products of samples
        some = _PATCHES if patches.device.type == "cpu" else _MANY_PATCHES
        spectra = torch.fft.rfft(weight.flip(1), _TRANSFORM)
        found = []
        for block in patches.split(some):
            responses = torch.fft.irfft(torch.fft.rfft(block, _TRANSFORM)[:, None] * spectra, _TRANSFORM)
            found.append(responses[..., _BEHIND : _BEHIND + SLICE].max(dim=2))
        context.save_for_backward(patches, torch.cat([largest.indices for largest in found]))
        return torch.cat([largest.values for largest in found])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor]:
        """The gradient of the filters; nothing flows back to the samples."""
        patches, places = context.saved_tensors
        windows = F.pad(patches, (_BEFORE, _BEHIND)).unfold(1, LENGTH, 1)  # (patches, places, LENGTH)
        total = gradient.new_zeros(places.shape[1], LENGTH)
        for start in range(0, len(places), _MANY_PATCHES):
            place = places[start : start + _MANY_PATCHES]
            row = torch.arange(start, start + len(place), device=place.device)
            chosen = windows[row[:, None], place]  # (patches, filters, LENGTH)
            total += torch.einsum("pf,pfk->fk", gradient[start : start + _MANY_PATCHES], chosen)
        return None, total


class FilterBank(nn.Module):
    """The learned filters: samples [shape=(chunks, 16000)] -> largest values [shape=(chunks, 40, filters)].

    Its gradient is that of the maximum: it reaches a filter through the window where its response was the largest, and
    no other. Nothing flows back to the samples.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        like = nn.Conv1d(1, filters, LENGTH)
        assert like.bias is not None
        self.weight, self.bias = nn.Parameter(like.weight.detach()[:, 0].clone()), nn.Parameter(like.bias.detach())

    def forward(self, samples: Tensor) -> Tensor:
        patches = samples.float().reshape(-1, SLICE)
        largest: Tensor = LargestResponses.apply(patches, self.weight)  # type: ignore[no-untyped-call]
        return (largest + self.bias).reshape(len(samples), SLICES, -1)
