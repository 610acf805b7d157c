"""VGG-like encoders that are trained here, one per task of the third study (Kim, Urbano, Liem and Hanjalic, 2019).

Conventions
-----------
A clip is mixed to one channel at 22,050 Hz; of what results the middle 44,100 samples are encoded, a shorter clip gets
zeros at its end. So a clip made faster shows more of itself and one made slower less, as in the study. The networks are
those of :mod:`earshift.training.kim2019.networks`; the vector is taken behind the dense block, in ``eval`` mode.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from earshift.encoders.base import Encoder
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.networks import Trained
from earshift.encoders.weights.record import open_weights
from earshift.options import Interval
from earshift.training.excerpt import SAMPLE_RATE, SAMPLES, centre
from earshift.training.kim2019.tasks import AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION

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
    trainer = "earshift.training.kim2019.training"
    lessons = ("training",)
    network = "vgg"
    code = ("earshift.training.kim2019.networks", "earshift.training.excerpt")

    @property
    def dim(self):
        return 16 * self.channels

    def origin(self, name):
        """See :meth:`Encoder.origin`."""
        return Trained(name, self.tasks[0])

    def waveform(self, audio, sample_rate):
        """The middle two seconds, see :meth:`Encoder.waveform`."""
        return centre(super().waveform(audio, sample_rate), SAMPLES)

    def load(self, folder, device):
        """See :meth:`Encoder.load`."""
        import torch

        from earshift.training.kim2019.networks import Spectrogram, VggEncoder

        arrays = {name: torch.from_numpy(array) for name, array in open_weights(folder).items()}
        spectrogram, encoder = Spectrogram(), VggEncoder(self.channels, 0.0)
        for module, prefix in ((spectrogram, "spectrogram."), (encoder, "encoder.")):
            own = {name.removeprefix(prefix): t for name, t in arrays.items() if name.startswith(prefix)}
            module.load_state_dict(own)
            module.to(device).eval()

        def vectors(waveforms):
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
    """Trained to tell which tags hold."""

    name = "vgg_autotagging"
    tasks = (AUTOTAGGING,)


@dataclass(frozen=True)
class VggInstruments(Vgg):
    """Trained to tell the predominant instrument."""

    name = "vgg_instruments"
    tasks = (INSTRUMENTS,)


@dataclass(frozen=True)
class VggSeparation(Vgg):
    """Trained to separate the predominant part from its accompaniment."""

    name = "vgg_separation"
    tasks = (SEPARATION,)
