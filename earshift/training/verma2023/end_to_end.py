"""Learned filters instead of a spectrum (Verma, 2023, section 3.3).

Conventions
-----------
A chunk is 40 patches of 400 samples, each filtered by itself: zeros on both sides of a patch, 99 before and 100 behind,
so that a filter of 200 samples gives as many values as came in. Of the 400 values of a filter the largest is kept.

torch is imported when a front end is built.
"""

from functools import cache

import numpy as np

from earshift.training.verma2023.chunks import SLICE, SLICES

LENGTH = 200  # samples of a filter
_BEFORE = (LENGTH - 1) // 2
_BEHIND = LENGTH - 1 - _BEFORE
_TRANSFORM = 600  # samples, of which an answer of a filter is SLICE + LENGTH - 1 long
_PATCHES = 2  # on a CPU, filtered together while their answers lie in the cache
_MANY_PATCHES = 512  # elsewhere


def features(chunks):
    """The samples themselves, to 0.05 %: float16 keeps quiet and overdriven chunks alike.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]

    Returns
    -------
    float16 [shape=(chunks, 16000)]
    """
    return chunks.astype(np.float16)


def filter_bank(filters):
    """The learned filters, a torch.nn.Module: samples [shape=(chunks, 16000)] -> largest values (chunks, 40, filters).

    Its gradient is that of the maximum: it reaches a filter through the window where it answered most, and no other.
    Nothing flows back to the samples.
    """
    return _classes()(filters)


@cache
def _classes():
    import torch
    from torch import nn
    from torch.nn import functional as F

    class LargestAnswers(torch.autograd.Function):
        """Of every filter in every patch the largest answer.

        torch would keep all answers for the way back, 8 MB a chunk, and send zeros through most of them.
        """

        @staticmethod
        def forward(context, patches, weight):
            # Products of spectra: half the time of products of samples
            some = _PATCHES if patches.device.type == "cpu" else _MANY_PATCHES
            spectra = torch.fft.rfft(weight.flip(1), _TRANSFORM)
            found = []
            for block in patches.split(some):
                answers = torch.fft.irfft(torch.fft.rfft(block, _TRANSFORM)[:, None] * spectra, _TRANSFORM)
                found.append(answers[..., _BEHIND : _BEHIND + SLICE].max(dim=2))
            context.save_for_backward(patches, torch.cat([largest.indices for largest in found]))
            return torch.cat([largest.values for largest in found])

        @staticmethod
        def backward(context, gradient):
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
        def __init__(self, filters):
            super().__init__()
            like = nn.Conv1d(1, filters, LENGTH)
            self.weight, self.bias = nn.Parameter(like.weight.detach()[:, 0].clone()), nn.Parameter(like.bias.detach())

        def forward(self, samples):
            patches = samples.float().reshape(-1, SLICE)
            return (LargestAnswers.apply(patches, self.weight) + self.bias).reshape(len(samples), SLICES, -1)

    return FilterBank
