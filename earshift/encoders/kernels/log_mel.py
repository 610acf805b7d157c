"""The log-mel spectrogram of torchlibrosa, which PANNs and MS-CLAP begin with, without torchlibrosa.

Conventions
-----------
torchlibrosa keeps a spectrogram's tables as weights of the network: a Fourier transform under a periodic Hann window as
two stacks of 1,024 samples long kernels (half of what Cnn14 computes on a short clip), and the mel filters. They come
with the checkpoint. The filters are used as they are. The kernels are dropped where they hold what they should, which
is then done by a fast Fourier transform; kernels that differ are used as they are. Importing torchlibrosa would import
librosa, a second or two per process.

- :func:`stand_ins`: for the modules of torchlibrosa that a network imports: the tables by their names, nothing computed
- :func:`without_kernels`: arrays without the kernels that a fast Fourier transform replaces
- :class:`LogMel`: waveforms to frames
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import empty, nn
from torch.nn import functional as F

_KERNELS = ("stft.conv_real.weight", "stft.conv_imag.weight")
_SAME = 1e-6  # by which a table may differ from the computed one: both are float32 of numbers up to 1
_FLOOR = 1e-10  # inside the logarithm
_BLOCK = 128  # frames that are transformed together, so that they stay in the cache


def stand_ins() -> dict[str, object]:
    """What :func:`earshift.encoders.weights.package_modules.load_module` takes in place of torchlibrosa's modules."""

    class Spectrogram(nn.Module):
        def __init__(
            self, n_fft: int, hop_length: int, win_length: int, window: str, center: bool, pad_mode: str,
            freeze_parameters: bool,
        ) -> None:  # fmt: skip
            super().__init__()
            assert (win_length, window, center, pad_mode) == (n_fft, "hann", True, "reflect")
            self.hop, self.stft = hop_length, nn.Module()
            for part in ("conv_real", "conv_imag"):
                kernels = nn.Module()
                kernels.weight = nn.Parameter(empty(n_fft // 2 + 1, 1, n_fft, device="meta"), requires_grad=False)
                setattr(self.stft, part, kernels)

    class LogmelFilterBank(nn.Module):
        def __init__(
            self, sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float, ref: float, amin: float,
            top_db: float | None, freeze_parameters: bool,
        ) -> None:  # fmt: skip
            super().__init__()
            assert (ref, amin, top_db) == (1.0, _FLOOR, None)
            self.melW = nn.Parameter(empty(n_fft // 2 + 1, n_mels), requires_grad=False)

    class SpecAugmentation(nn.Module):  # masks stripes in training, nothing afterwards
        def __init__(self, **_: object) -> None:
            super().__init__()

    return {
        "torchlibrosa.stft": SimpleNamespace(Spectrogram=Spectrogram, LogmelFilterBank=LogmelFilterBank),
        "torchlibrosa.augmentation": SimpleNamespace(SpecAugmentation=SpecAugmentation),
    }


def without_kernels(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Arrays of a checkpoint without the kernels below `prefix`, if these are a Fourier transform under a Hann window.

    Parameters
    ----------
    arrays : dict of str to np.ndarray
    prefix : str, up to the spectrogram: "spectrogram_extractor."

    Returns
    -------
    dict of str to np.ndarray
    """
    names = [prefix + name for name in _KERNELS]
    bins, _, n_fft = arrays[names[0]].shape
    turns = np.outer(np.arange(bins), np.arange(n_fft)) % n_fft / n_fft
    expected = _hann(n_fft) * np.exp(-2j * np.pi * turns)
    found = arrays[names[0]][:, 0] + 1j * arrays[names[1]][:, 0]
    if np.abs(found - expected).max() > _SAME:
        return arrays
    return {name: array for name, array in arrays.items() if name not in names}


def _hann(length: int) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


class LogMel:
    """Waveforms to mel bands in dB, each band scaled and shifted as in the network's first batch normalisation.

    Parameters
    ----------
    spectrogram, filters : modules of a network that was built with :func:`stand_ins`; kernels may be left unset (meta)
    normalisation : torch.nn.BatchNorm2d over mel bands
    device : torch.device
    """

    def __init__(self, spectrogram: Any, filters: Any, normalisation: Any, device: torch.device) -> None:

        self._n_fft, self._hop = spectrogram.stft.conv_real.weight.shape[-1], spectrogram.hop
        self._window = torch.from_numpy(_hann(self._n_fft)).to(device)
        mel = filters.melW.detach()
        used = mel.any(dim=1).nonzero()[:, 0]
        self._low, self._high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        self._mel = mel[self._low : self._high].contiguous().to(device)
        kernels = [getattr(spectrogram.stft, part).weight for part in ("conv_real", "conv_imag")]
        self._kernels = None
        if not any(kernel.is_meta for kernel in kernels):
            self._kernels = [kernel.detach()[self._low : self._high, 0].T.contiguous().to(device) for kernel in kernels]
        scale = normalisation.weight.double() / torch.sqrt(normalisation.running_var.double() + normalisation.eps)
        shift = normalisation.bias.double() - normalisation.running_mean.double() * scale
        self._scale, self._shift = (10 * scale).detach().float().to(device), shift.detach().float().to(device)

    def __call__(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Frames of waveforms.

        Parameters
        ----------
        waveforms : float32 tensor [shape=(clips, samples)], more than half a frame of samples

        Returns
        -------
        float32 tensor [shape=(clips, 1 + samples // hop, bands)]
        """

        half = self._n_fft // 2
        frames = F.pad(waveforms, (half, half), mode="reflect").unfold(-1, self._n_fft, self._hop)
        power = torch.cat([self._power(some) for some in torch.split(frames, _BLOCK, dim=1)], dim=1)
        return torch.log10((power @ self._mel).clamp_(min=_FLOOR)).mul_(self._scale).add_(self._shift)

    def _power(self, frames: torch.Tensor) -> torch.Tensor:

        if self._kernels is not None:
            real, imaginary = (torch.matmul(frames, kernels).square() for kernels in self._kernels)
            return real + imaginary
        # in float64, or the weak bands beside a strong tone would be rounding errors
        spectrum = torch.fft.rfft(frames * self._window)[..., self._low : self._high]
        power: torch.Tensor = spectrum.real.square().add_(spectrum.imag.square()).float()
        return power
