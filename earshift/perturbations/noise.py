"""Noise added to a clip at a signal-to-noise ratio.

Conventions
-----------
The ratio is that of the RMS of the clip, over all of its channels and samples, to the RMS of the noise. All channels
get the same noise, so the ratio also holds in the mean of channels that are alike. Which noise a clip gets follows from
its own samples and the option ``seed`` alone: it is the same at every ratio, and whatever comes before it, in whatever
process. The study peak-normalises both signals first and the sum last, which levelling undoes; so does leaving it out.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from earshift.audio.loudness import rms
from earshift.options import Grid, Seed, Text
from earshift.perturbations.babble import crowd, looped
from earshift.perturbations.level_matched import Levelled
from earshift.perturbations.recordings import content_hash, listed, require_sound, stretch


@dataclass(frozen=True)
class PinkNoise(Levelled):
    """Gaussian noise whose power falls as 1 / f (3 dB an octave) from the lowest frequency that the clip can hold."""

    grid: Annotated[tuple[float, ...], Grid(-60, 120)]
    seed: Seed

    name = "pink_noise"
    unit = "dB SNR"
    growth = "down"
    packages = ("pyloudnorm",)

    def effect(self, value):
        def process(audio, sample_rate):
            return added(audio, pink(audio.shape[1], generator(audio, self.seed)), value)

        return process


@dataclass(frozen=True)
class AmbientNoise(Levelled):
    """Recorded surroundings, or a synthetic crowd (:mod:`earshift.perturbations.babble`).

    source : str or None, a recording or a folder of them; a clip gets a stretch of one of them; None: the crowd
    """

    grid: Annotated[tuple[float, ...], Grid(-60, 120)]
    source: Text | None
    seed: Seed

    name = "ambient_noise"
    unit = "dB SNR"
    growth = "down"
    packages = ("pyloudnorm", "soundfile", "soxr")
    places = ("source",)

    def material(self):
        return "" if self.source is None else content_hash(self.source)

    def check(self, clips):
        if self.source is not None:
            require_sound(self.source)

    def effect(self, value):
        files = None if self.source is None else listed(self.source)

        def process(audio, sample_rate):
            random, samples = generator(audio, self.seed), audio.shape[1]
            if files is None:
                bed = crowd(sample_rate)
                noise = looped(bed, int(random.integers(len(bed))), samples)
            else:
                noise = stretch(files, samples, sample_rate, random)
            return added(audio, noise, value)

        return process


def generator(audio, seed):
    """Random numbers that belong to a clip's samples and a seed."""
    content = hashlib.sha256(np.ascontiguousarray(audio, dtype=np.float32).tobytes())
    content.update(repr((audio.shape, seed)).encode())
    return np.random.default_rng(int.from_bytes(content.digest()[:16], "little"))


def pink(samples, random):
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


def added(audio, noise, ratio):
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
    level = rms(noise)
    if not level:
        return audio
    return audio + noise * np.float32(rms(audio) / level * 10 ** (-ratio / 20))
