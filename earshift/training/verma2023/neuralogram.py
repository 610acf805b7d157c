"""What a convolutional network sees in 100 ms, ten times a second (Verma, 2023, section 3.4).

Conventions
-----------
A chunk is 10 pieces of 1,600 samples, and nothing of one piece reaches another. Of every piece a log mel spectrogram is
taken as YAMNet takes it, the published MobileNet for sound at 16 kHz: periodic Hann window of 25 ms every 10 ms, FFT of
512 samples, magnitudes in 64 mel bands of HTK's scale from 125 to 7,500 Hz, log(mel + 0.001). Frames are centred, with
zeros beyond the ends of the piece; the eleventh, centred on its end, is left out.

The network is MobileNet (Howard et al., 2017): one convolution and 13 pairs of a depthwise and a pointwise one, each
with batch normalisation and ReLU, the mean over time and bands of the last one's 1,024 maps, a linear layer to K
outputs. It is trained on pieces with the labels of their clips, then kept as it is; its 1,024 means of each piece,
side by side, are the Neuralogram.

torch is imported when a network is built.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np

from earshift.audio.mel import hann, mel_filters
from earshift.options import Interval, Options
from earshift.training.verma2023.chunks import CHUNK, SAMPLE_RATE

PIECES = 10  # of a chunk
FRAMES = 10  # of a piece
BANDS = 64
_PIECE = CHUNK // PIECES  # samples
_WINDOW, _HOP, _N_FFT = 400, 160, 512
_LOW, _HIGH = 125.0, 7500.0  # Hz
_OFFSET = 0.001  # inside the logarithm
_BLOCK = 64  # chunks that are transformed together

# Howard et al. (2017), table 1: stride and maps of each pair, maps of the convolution before them
_FIRST = 32
_PAIRS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512),
          (2, 1024), (1, 1024))  # fmt: skip
_FEWEST = 8  # maps, however narrow the network


@dataclass(frozen=True)
class MobileNet(Options):
    """Options. ``width`` multiplies the maps of all layers but the last, which has ``last``."""

    width: Annotated[float, Interval(ge=0.05, le=4)]
    last: Annotated[int, Interval(ge=8, le=8192)]


def log_mel(chunks):
    """Log mel spectrograms of pieces: what the network reads.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]

    Returns
    -------
    float16 [shape=(chunks, 10, 10, 64)], pieces, frames, bands; to 0.004 (values lie between -6.91 and about 5)
    """
    from scipy.fft import rfft

    filters = mel_filters(
        sample_rate=SAMPLE_RATE, n_fft=_N_FFT, bands=BANDS, low=_LOW, high=_HIGH, htk=True, normalise=False
    )
    found = np.empty((len(chunks), PIECES, FRAMES, BANDS), dtype=np.float16)
    for start in range(0, len(chunks), _BLOCK):
        pieces = chunks[start : start + _BLOCK].reshape(-1, PIECES, _PIECE)
        beyond = np.pad(pieces, ((0, 0), (0, 0), (_WINDOW // 2, _WINDOW // 2)))
        frames = np.lib.stride_tricks.sliding_window_view(beyond, _WINDOW, axis=2)[:, :, ::_HOP][:, :, :FRAMES]
        magnitude = np.abs(rfft(frames * hann(_WINDOW), _N_FFT))
        bands = (filters @ magnitude.reshape(-1, _N_FFT // 2 + 1).T).T
        found[start : start + _BLOCK] = np.log(bands + np.float32(_OFFSET)).reshape(-1, PIECES, FRAMES, BANDS)
    return found


def mobilenet(classes, options):
    """The network on pieces.

    Parameters
    ----------
    classes : int
    options : MobileNet

    Returns
    -------
    torch.nn.Module
        log mel pieces (pieces, 10, 64) -> outputs (pieces, classes), without a non-linearity; its ``embedding`` pieces
        -> (pieces, options.last).
    """
    return _class()(classes, options)


def features(network, pieces, *, batch=64):
    """The Neuralogram of chunks; the network is in evaluation mode afterwards.

    Parameters
    ----------
    network : from :func:`mobilenet`, on any device
    pieces : float16 [shape=(chunks, 10, 10, 64)], from :func:`log_mel`
    batch : int, chunks at a time

    Returns
    -------
    float16 [shape=(chunks, 10, last)]
    """
    import torch

    network.eval()
    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for start in range(0, len(pieces), batch):
            some = torch.from_numpy(np.array(pieces[start : start + batch])).to(device)
            vectors = network.embedding(some.flatten(0, 1)).unflatten(0, (-1, PIECES))
            found.append(vectors.clamp(max=np.finfo(np.float16).max).half().cpu().numpy())
    return np.concatenate(found)


@cache
def _class():
    from torch import channels_last, nn

    def convolution(inputs, maps, size, stride, groups=1):
        return [
            nn.Conv2d(inputs, maps, size, stride, size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
        ]

    class Network(nn.Module):
        def __init__(self, classes, options):
            super().__init__()
            inputs = max(_FEWEST, round(options.width * _FIRST))
            layers = [nn.BatchNorm2d(1), *convolution(1, inputs, 3, 2)]
            for place, (stride, maps) in enumerate(_PAIRS):
                maps = max(_FEWEST, round(options.width * maps)) if place + 1 < len(_PAIRS) else options.last
                layers += convolution(inputs, inputs, 3, stride, groups=inputs) + convolution(inputs, maps, 1, 1)
                inputs = maps
            self.maps = nn.Sequential(*layers).to(memory_format=channels_last)
            self.classifier = nn.Linear(inputs, classes)

        def embedding(self, pieces):
            return self.maps(pieces.float().unsqueeze(1)).mean(dim=(2, 3))

        def forward(self, pieces):
            return self.classifier(self.embedding(pieces))

    return Network
