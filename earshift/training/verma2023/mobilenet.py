"""The Neuralogram's own network: MobileNet on log mel pieces (Howard et al., 2017).

One convolution and 13 pairs of a depthwise and a pointwise one, each with batch normalisation and ReLU, the mean over
time and bands of the last one's 1,024 maps, a linear layer to K outputs.

Imports torch: import this module inside functions.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earshift.training.verma2023 import options
from earshift.training.verma2023.neuralogram import PIECES

# Howard et al. (2017), table 1: stride and maps of each pair, maps of the convolution before them
_FIRST = 32
_PAIRS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512),
          (2, 1024), (1, 1024))  # fmt: skip
_FEWEST = 8  # maps, however narrow the network


class MobileNet(nn.Module):
    """Log mel pieces [shape=(pieces, 10, 64)] -> outputs [shape=(pieces, classes)], without a non-linearity."""

    def __init__(self, classes: int, wanted: options.MobileNet) -> None:
        super().__init__()
        inputs = max(_FEWEST, round(wanted.width * _FIRST))
        layers = [nn.BatchNorm2d(1), *_convolution(1, inputs, 3, 2)]
        for place, (stride, published) in enumerate(_PAIRS):
            maps = max(_FEWEST, round(wanted.width * published)) if place + 1 < len(_PAIRS) else wanted.last
            layers += _convolution(inputs, inputs, 3, stride, groups=inputs) + _convolution(inputs, maps, 1, 1)
            inputs = maps
        self.maps = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classifier = nn.Linear(inputs, classes)

    def embedding(self, pieces: Tensor) -> Tensor:
        """Means of the last maps, [shape=(pieces, last)]."""
        maps: Tensor = self.maps(pieces.float().unsqueeze(1))
        return maps.mean(dim=(2, 3))

    def forward(self, pieces: Tensor) -> Tensor:
        outputs: Tensor = self.classifier(self.embedding(pieces))
        return outputs


def _convolution(inputs: int, maps: int, size: int, stride: int, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, maps, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(maps),
        nn.ReLU(),
    ]


def compute_neuralogram(network: MobileNet, pieces: NDArray[Any], *, batch: int = 64) -> NDArray[np.float16]:
    """The Neuralogram of chunks; the network is in evaluation mode afterwards.

    Parameters
    ----------
    network : on any device
    pieces : float16 [shape=(chunks, 10, 10, 64)], from :func:`earshift.training.verma2023.neuralogram.log_mel`
    batch : int, chunks at a time

    Returns
    -------
    float16 [shape=(chunks, 10, last)]
    """
    network.eval()
    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for start in range(0, len(pieces), batch):
            some = torch.from_numpy(np.array(pieces[start : start + batch])).to(device)
            vectors = network.embedding(some.flatten(0, 1)).unflatten(0, (-1, PIECES))
            found.append(vectors.clamp(max=np.finfo(np.float16).max).half().cpu().numpy())
    return np.concatenate(found)
