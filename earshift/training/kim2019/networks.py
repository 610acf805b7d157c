"""The networks of kim2019: a VGG-like encoder or MFCC statistics below, a task's head above.

Conventions
-----------
Kim, Urbano, Liem and Hanjalic (2019), 2.3 and Table 1; where text and authors' code disagree, the code
(github.com/eldrin/music-nn-models) is followed as far as it is clear, and each accident is an option. Input is a
waveform of 44,100 samples at 22,050 Hz. Its spectrogram has 513 bins and 173 frames: 1024 samples under a symmetric
Hann window every 256, centred with mirrored edges. Decibels re 1 of its power are floored at 1e-10 and at 80 dB below
the loudest point of the clip (the study: of the batch, so that a vector depends on the batch), then standardised
bin by bin with means and deviations of the training clips, which are stored in the network.

Imports torch: import this module inside functions.
"""

import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from earshift.training.excerpt import SAMPLE_RATE

N_FFT, HOP = 1024, 256
BINS, FRAMES = 513, 173
BLOCKS = (1, 2, 4, 8, 16, 16, 16)  # channels of the blocks, times those of the first
LAST = (4, 1)  # frequency and time after the last block
COEFFICIENTS = 24  # of MFCC, the first left out
MFCC_DIM = 6 * COEFFICIENTS
_FLOOR, _RANGE = 1e-10, 80.0
_MEL = 128


def plane_sizes() -> list[tuple[int, int]]:
    """Frequency and time before each block, and after the last."""
    return [(BINS >> depth, FRAMES >> depth) for depth in range(len(BLOCKS) + 1)]


class Spectrogram(nn.Module):
    """Magnitudes, and standardised decibels, of waveforms."""

    window: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT, periodic=False), persistent=False)
        self.register_buffer("mean", torch.zeros(BINS, 1))
        self.register_buffer("deviation", torch.ones(BINS, 1))

    def magnitude(self, waveforms: Tensor) -> Tensor:
        """float32 [shape=(clips, 513, 173)] of waveforms [shape=(clips, 44100)]."""
        return torch.stft(
            waveforms, N_FFT, HOP, window=self.window, center=True, pad_mode="reflect", return_complex=True
        ).abs()

    def standardised(self, magnitude: Tensor) -> Tensor:
        """Decibels of magnitudes, standardised, float32 [shape=(clips, 513, 173)]."""
        return (decibels(magnitude.square()) - self.mean) / self.deviation


def decibels(power: Tensor) -> Tensor:
    """Decibels re 1 of power [shape=(clips, bands, frames)], at most 80 below the loudest of the clip."""
    found = 10 * torch.log10(power.clamp(min=_FLOOR))
    return torch.maximum(found, found.amax(dim=(1, 2), keepdim=True) - _RANGE)


def standardise(spectrogram: Spectrogram, waveforms: Tensor) -> None:
    """Set means and deviations of a :class:`Spectrogram` from training clips, float32 [shape=(clips, 44100)]."""
    count = 0
    total = squares = torch.zeros(BINS, dtype=torch.float64, device=waveforms.device)
    with torch.inference_mode():
        for batch in waveforms.split(32):
            frames = decibels(spectrogram.magnitude(batch).square()).double()
            count += frames.shape[0] * frames.shape[2]
            total = total + frames.sum(dim=(0, 2))
            squares = squares + frames.square().sum(dim=(0, 2))
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=1e-6).sqrt()
        spectrogram.mean.copy_(mean[:, None])
        spectrogram.deviation.copy_(deviation[:, None])


def _dense(width: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU(), nn.Dropout(dropout))


class VggEncoder(nn.Module):
    """Seven blocks of convolution, batch normalisation, ReLU and pooling; the mean over the plane; a dense block.

    ``forward`` gives the vector [shape=(clips, 16 * channels)] (the study measures behind the dense block), the pooled
    planes of every block, and the places that pooling kept.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        widths = [1, *(channels * times for times in BLOCKS)]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect", bias=False), nn.BatchNorm2d(b), nn.ReLU()
            )
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.dim = widths[-1]
        self.dense = _dense(self.dim, self.dim, dropout)

    def forward(self, standardised: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        plane = standardised[:, None]
        pooled, kept = [], []
        for block in self.blocks:
            plane, places = F.max_pool2d(block(plane), 2, return_indices=True)
            pooled.append(plane)
            kept.append(places)
        return self.dense(plane.mean(dim=(2, 3))), pooled, kept


class MfccEncoder(nn.Module):
    """Mean and deviation of 24 MFCCs, their differences and the differences of those: nothing in it is trained.

    The same numbers as the encoder ``mfcc`` on the same 44,100 samples. A head's input is normalised there.
    """

    dim = MFCC_DIM
    mel: Tensor
    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel", torch.from_numpy(_mel_filters()), persistent=False)
        self.register_buffer("dct", torch.from_numpy(_dct()), persistent=False)

    def forward(self, magnitude: Tensor) -> Tensor:
        with torch.autocast("cuda", enabled=False):  # decibels take more digits than bfloat16 has
            power = torch.einsum("mf,cft->cmt", self.mel, magnitude.square())
            series = torch.einsum("kb,cbt->ckt", self.dct, decibels(power))
            statistics = []
            for _ in range(3):
                statistics += [series.mean(dim=2), series.std(dim=2)]
                series = series.diff(dim=2)
            return torch.cat(statistics, dim=1)


@functools.cache
def _mel_filters() -> NDArray[np.float32]:
    from librosa.filters import mel

    filters: NDArray[np.float32] = mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=_MEL).astype(np.float32)
    return filters


@functools.cache
def _dct() -> NDArray[np.float32]:
    from scipy.fft import dct

    matrix: NDArray[np.float64] = dct(np.eye(_MEL), type=2, norm="ortho", axis=0)
    return matrix[1 : COEFFICIENTS + 1].astype(np.float32)


Grow = Literal["repeat", "places", "bilinear"]


class Decoder(nn.Module):
    """From a vector back to a plane of 513 x 173: the encoder's blocks in mirrored order.

    Parameters
    ----------
    width : int, length of the vector
    channels : int, of the encoder's first block
    dropout : float
    grow : "repeat" (each point fills its window), "places" (where the encoder's pooling found it, as in the authors'
        code: position then goes round the vector), or "bilinear" (above MFCC, which have no pooling)
    skips : bool, whether the encoder's pooled planes are added (source separation)
    """

    def __init__(self, width: int, channels: int, dropout: float, *, grow: Grow, skips: bool) -> None:
        super().__init__()
        widths = [*(channels * times for times in reversed(BLOCKS)), 1]
        self.grow, self.skips = grow, skips
        self.dense = _dense(width, width, dropout)
        self.plane = nn.Linear(width, widths[0] * LAST[0] * LAST[1])
        self.blocks = nn.ModuleList()
        for a, b in zip(widths, widths[1:], strict=False):
            layers: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect")]
            if b > 1:
                layers += [nn.BatchNorm2d(b), nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers))

    def forward(self, vector: Tensor, pooled: Sequence[Tensor] = (), kept: Sequence[Tensor] = ()) -> Tensor:
        plane: Tensor = self.plane(self.dense(vector)).view(len(vector), -1, *LAST)
        for depth, (block, size) in enumerate(zip(self.blocks, reversed(plane_sizes()[:-1]), strict=True)):
            if self.skips:
                plane = plane + pooled[-1 - depth]
            if self.grow == "places":
                plane = F.max_unpool2d(plane, kept[-1 - depth], (2, 2), output_size=size)
            elif self.grow == "repeat":
                plane = F.interpolate(plane, size=size, mode="nearest")
            else:
                plane = F.interpolate(plane, size=size, mode="bilinear", align_corners=False)
            plane = block(plane)
        return plane[:, 0]


class Network(nn.Module):
    """Spectrogram, encoder and head of one task.

    Parameters
    ----------
    encoder : "vgg" or "mfcc"
    outputs : int, classes or tags; 0 for a plane
    channels, dropout : of the VGG-like encoder's first block (or of the decoder above MFCC), of dense blocks
    grow, skips : as for :class:`Decoder`
    """

    def __init__(
        self,
        encoder: Literal["vgg", "mfcc"],
        *,
        outputs: int,
        channels: int,
        dropout: float,
        grow: Grow,
        skips: bool,
    ) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        self.is_vgg = encoder == "vgg"
        self.encoder: VggEncoder | MfccEncoder = VggEncoder(channels, dropout) if self.is_vgg else MfccEncoder()
        width = self.encoder.dim
        if outputs:
            own: list[nn.Module] = [] if self.is_vgg else [nn.BatchNorm1d(width), nn.Dropout(dropout)]
            self.head: nn.Module = nn.Sequential(*own, nn.Linear(width, outputs))
        else:
            self.entrance = nn.Identity() if self.is_vgg else nn.Sequential(
                nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout))  # fmt: skip
            grow = grow if self.is_vgg else "bilinear"
            self.head = Decoder(width, channels, dropout, grow=grow, skips=skips and self.is_vgg)

    def vector(self, waveforms: Tensor) -> Tensor:
        """The embedding, float32 [shape=(clips, dim)]."""
        return self._encode(self.spectrogram.magnitude(waveforms))[0]

    def _encode(self, magnitude: Tensor) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
        if self.is_vgg:
            encoded: tuple[Tensor, list[Tensor], list[Tensor]] = self.encoder(self.spectrogram.standardised(magnitude))
            return encoded
        return self.encoder(magnitude), (), ()

    def classes(self, waveforms: Tensor) -> Tensor:
        """Logits, float32 [shape=(clips, outputs)]."""
        logits: Tensor = self.head(self.vector(waveforms))
        return logits

    def plane(self, magnitude: Tensor) -> Tensor:
        """What the decoder makes of a spectrogram [shape=(clips, 513, 173)], of the same shape."""
        vector, pooled, kept = self._encode(magnitude)
        plane: Tensor = self.head(self.entrance(vector), pooled, kept)
        return plane
