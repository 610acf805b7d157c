"""What the perturbations of the third study share: levelling and 8-bit storage.

Kim, Urbano, Liem and Hanjalic (Frontiers in Applied Mathematics and Statistics, 2019) level every transformed clip to
its original's loudness, and keep all audio as 8-bit mu-law. Both are options of each perturbation here. The pipeline
embeds originals as they are, so 8-bit storage touches perturbed clips only: once before and once after.
"""

from dataclasses import dataclass, replace

import numpy as np

from earshift.audio.loudness import levelled
from earshift.perturbations.base import Perturbation

_MU = 255.0


@dataclass(frozen=True)
class Levelled(Perturbation):
    """A perturbation whose result is as loud as the original (docs/transformations.md).

    level : bool
    mu_law : bool or None, whether audio passes 8-bit mu-law before and after, as in the authors' code
    """

    level: bool
    mu_law: bool | None

    published_chain = False

    def decided(self, fidelity):
        return replace(self, mu_law=fidelity == "paper") if self.mu_law is None else self

    def effect(self, value):
        """The transformation alone: a function (audio, sample_rate) -> audio, float32."""
        raise NotImplementedError

    def processor(self, value, *, carry_state=False):
        effect = None if value == self.neutral else self.effect(value)

        def process(audio, sample_rate):
            audio = np.ascontiguousarray(audio, dtype=np.float32)
            original = mu_law_coded(audio) if self.mu_law else audio
            perturbed = original if effect is None else effect(original, sample_rate)
            if self.level and effect is not None:
                perturbed = levelled(perturbed, original, sample_rate)
            return mu_law_coded(perturbed) if self.mu_law else perturbed

        return process


def mu_law_coded(audio):
    """Audio after 8-bit mu-law storage: 256 steps, finer near 0; what lies beyond full scale is cut.

    Parameters
    ----------
    audio : float32

    Returns
    -------
    float32 of the same shape
    """
    audio = np.clip(audio, np.float32(-1), np.float32(1)).astype(np.float64)
    squeezed = np.copysign(np.log1p(_MU * np.abs(audio)) / np.log1p(_MU), audio)
    code = np.floor((squeezed + 1) / 2 * _MU + 0.5)
    squeezed = code / _MU * 2 - 1
    return np.copysign(np.expm1(np.abs(squeezed) * np.log1p(_MU)) / _MU, squeezed).astype(np.float32)
