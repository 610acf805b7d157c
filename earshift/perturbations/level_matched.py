"""What the perturbations of kim2019 share: matched loudness and 8-bit storage.

Kim, Urbano, Liem and Hanjalic (Frontiers in Applied Mathematics and Statistics, 2019) give every transformed clip the
loudness of its original, and keep all audio as 8-bit mu-law. Both are options of each perturbation here. The pipeline
embeds originals as they are, so 8-bit storage affects perturbed clips only: once before and once after the effect.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from earshift.audio.loudness import match_loudness
from earshift.perturbations.base import Audio, Perturbation, Processor

_MU = 255.0


@dataclass(frozen=True)
class LevelMatched(Perturbation):
    """A perturbation whose result is as loud as the original (docs/transformations.md).

    level : bool
    mu_law : bool or None, whether audio passes 8-bit mu-law before and after, as in the authors' code
    """

    level: bool
    mu_law: bool | None

    published_processing: ClassVar[bool] = False

    def with_fidelity(self, fidelity: str) -> Self:
        return replace(self, mu_law=fidelity == "paper") if self.mu_law is None else self

    def effect(self, value: float) -> Processor:
        """The transformation alone: a function (audio, sample_rate) -> audio, float32."""
        raise NotImplementedError

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        effect = None if value == self.neutral else self.effect(value)

        def process(audio: Audio, sample_rate: int) -> Audio:
            audio = np.ascontiguousarray(audio, dtype=np.float32)
            original = mu_law_round_trip(audio) if self.mu_law else audio
            perturbed = original if effect is None else effect(original, sample_rate)
            if self.level and effect is not None:
                perturbed = match_loudness(perturbed, original, sample_rate)
            return mu_law_round_trip(perturbed) if self.mu_law else perturbed

        return process


def mu_law_round_trip(audio: Audio) -> Audio:
    """Audio after 8-bit mu-law storage: 256 steps, finer near 0; samples above full scale are cut.

    Parameters
    ----------
    audio : float32

    Returns
    -------
    float32 of the same shape
    """
    clipped = np.clip(audio, np.float32(-1), np.float32(1)).astype(np.float64)
    squeezed = np.copysign(np.log1p(_MU * np.abs(clipped)) / np.log1p(_MU), clipped)
    code = np.floor((squeezed + 1) / 2 * _MU + 0.5)
    squeezed = code / _MU * 2 - 1
    decoded = np.copysign(np.expm1(np.abs(squeezed) * np.log1p(_MU)) / _MU, squeezed)
    return np.asarray(decoded, dtype=np.float32)
