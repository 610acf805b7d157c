"""VGG-like encoders that are trained here, one per task of kim2019 (Kim, Urbano, Liem and Hanjalic, 2019).

Conventions
-----------
A clip is mixed to one channel at 22,050 Hz; of what results the middle 44,100 samples are encoded, a shorter clip gets
zeros at its end. So a clip made faster shows more of itself and one made slower less, as in the study. The networks are
those of :mod:`earshift.training.kim2019.networks`; the vector is taken behind the dense block, in ``eval`` mode.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import open_tensors, reproducible_inference
from earshift.encoders.weights.networks import TrainedNetwork
from earshift.options import Interval
from earshift.training.excerpt import SAMPLE_RATE, SAMPLES, centre
from earshift.training.kim2019.options import AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION

_CHUNK = 8  # clips at a time: the first planes are large


@dataclass(frozen=True)
class Vgg(Encoder):
    """A VGG-like encoder, 16 numbers per channel of its first block.

    channels : int, of the first block; 16 in the study
    trial : int, which draw of the training recordings and which initial weights
    """

    channels: Annotated[int, Interval(ge=1, le=64)]
    trial: Annotated[int, Interval(ge=0, le=10_000)]

    sample_rate = SAMPLE_RATE
    batch = 8
    packages = ("numpy", "soxr", "torch")
    training = "kim2019"
    network = "vgg"

    @property
    def dim(self) -> int:
        return 16 * self.channels

    def weights_source(self, *, downloads: Path, networks: Path) -> TrainedNetwork:
        """See :meth:`Encoder.weights_source`."""
        return TrainedNetwork(networks, self.tasks[0])

    def waveform(self, audio: Floats, sample_rate: int) -> Floats:
        """The middle two seconds, see :meth:`Encoder.waveform`."""
        return centre(super().waveform(audio, sample_rate), SAMPLES)

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        import torch

        from earshift.training.kim2019.networks import Spectrogram, VggEncoder

        tensors = open_tensors(folder)
        spectrogram, encoder = Spectrogram(), VggEncoder(self.channels, 0.0)
        for module, prefix in ((spectrogram, "spectrogram."), (encoder, "encoder.")):
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            module.load_state_dict(own)
            module.to(device).eval()

        def vectors(waveforms: Floats) -> Floats:
            with reproducible_inference():
                found = []
                for start in range(0, len(waveforms), _CHUNK):
                    some = torch.from_numpy(np.ascontiguousarray(waveforms[start : start + _CHUNK])).to(device)
                    standardised = spectrogram.standardised(spectrogram.magnitude(some))
                    found.append(encoder(standardised)[0].cpu().numpy())
                return np.concatenate(found)

        return vectors


@dataclass(frozen=True)
class VggAutoencoder(Vgg):
    """Trained to reconstruct its input."""

    name = "vgg_autoencoder"
    tasks = (AUTOENCODER,)


@dataclass(frozen=True)
class VggAutotagging(Vgg):
    """Trained to predict tags."""

    name = "vgg_autotagging"
    tasks = (AUTOTAGGING,)


@dataclass(frozen=True)
class VggInstruments(Vgg):
    """Trained to predict the predominant instrument."""

    name = "vgg_instruments"
    tasks = (INSTRUMENTS,)


@dataclass(frozen=True)
class VggSeparation(Vgg):
    """Trained to separate the predominant part from its accompaniment."""

    name = "vgg_separation"
    tasks = (SEPARATION,)
