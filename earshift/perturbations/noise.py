"""Noise added to a clip at a signal-to-noise ratio.

Conventions
-----------
The ratio is that of the RMS of the clip, over all of its channels and samples, to the RMS of the noise. All channels
get the same noise, so the ratio also holds in the mean of channels that are alike. Which noise a clip gets follows from
its own samples and the option ``seed`` alone: it is the same at every ratio, and whatever comes before it, in whatever
process. The study peak-normalises both signals first and the sum last, and then matches loudness, which makes the
normalisation void: it is left out here.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from earshift.audio.loudness import rms
from earshift.options import Grid, Seed, Text
from earshift.perturbations.babble import babble, loop
from earshift.perturbations.base import Audio, Processor
from earshift.perturbations.level_matched import LevelMatched
from earshift.perturbations.recordings import content_hash, draw_stretch, list_recordings, require_sound

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PinkNoise(LevelMatched):
    """Gaussian noise whose power falls as 1 / f (3 dB an octave) from the lowest frequency that the clip can hold."""

    grid: Annotated[tuple[float, ...], Grid(-60, 120)]
    seed: Seed

    name = "pink_noise"
    unit = "dB SNR"
    growth = "down"
    packages = ("pyloudnorm",)

    def effect(self, value: float) -> Processor:
        def process(audio: Audio, sample_rate: int) -> Audio:
            return add_noise(audio, draw_pink_noise(audio.shape[1], generator(audio, self.seed)), value)

        return process


@dataclass(frozen=True)
class AmbientNoise(LevelMatched):
    """Recorded surroundings, or synthetic babble (:mod:`earshift.perturbations.babble`).

    recordings : str or None, a recording or a folder of them; a clip gets a stretch of one of them; None: babble
    """

    grid: Annotated[tuple[float, ...], Grid(-60, 120)]
    recordings: Text | None
    seed: Seed

    name = "ambient_noise"
    unit = "dB SNR"
    growth = "down"
    packages = ("pyloudnorm", "soundfile", "soxr")
    external_inputs = ("recordings",)

    def external_inputs_hash(self) -> str:
        return "" if self.recordings is None else content_hash(self.recordings)

    def check(self, clips: "pd.DataFrame") -> None:
        if self.recordings is not None:
            require_sound(self.recordings)

    def effect(self, value: float) -> Processor:
        files = None if self.recordings is None else list_recordings(self.recordings)

        def process(audio: Audio, sample_rate: int) -> Audio:
            random, samples = generator(audio, self.seed), audio.shape[1]
            if files is None:
                voices = babble(sample_rate)
                noise = loop(voices, int(random.integers(len(voices))), samples)
            else:
                noise = draw_stretch(files, samples, sample_rate, random)
            return add_noise(audio, noise, value)

        return process


def generator(audio: Audio, seed: int) -> np.random.Generator:
    """Random numbers that belong to a clip's samples and a seed."""
    content = hashlib.sha256(np.ascontiguousarray(audio, dtype=np.float32).tobytes())
    content.update(repr((audio.shape, seed)).encode())
    return np.random.default_rng(int.from_bytes(content.digest()[:16], "little"))


def draw_pink_noise(samples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Noise with power proportional to 1 / f, without a mean.

    Parameters
    ----------
    samples : int
    random : np.random.Generator

    Returns
    -------
    float32 [shape=(samples,)]
    """
    if samples < 2:
        return np.zeros(samples, dtype=np.float32)
    bins = samples // 2 + 1
    spectrum = random.standard_normal(bins) + 1j * random.standard_normal(bins)
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, bins))
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def add_noise(audio: Audio, noise: NDArray[np.float32], ratio: float) -> Audio:
    """Audio with noise at a ratio.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    noise : float32 [shape=(samples,)]
    ratio : float, dB

    Returns
    -------
    float32 of the shape of `audio`; a silent clip stays silent
    """
    level: float = rms(noise)
    if not level:
        return audio
    gain: float = rms(audio) / level * 10 ** (-ratio / 20)
    return np.asarray(audio + noise * np.float32(gain))
