"""Pitch and tempo, each without the other: Rubber Band's finer engine, as pedalboard ships it.

Channels of a stereo clip are stretched together, so that their image stays; of more than two each by itself. Formants
move with the pitch, as they do in kim2019. The engine uses one window instead of several, which halves its time and
leaves pitch and level of steady tones as exact. Its older engine, the only one that there was in the study's time, is
up to a third of a semitone off on steady tones here, so it is not offered.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from earshift.errors import UserError
from earshift.options import Grid
from earshift.perturbations.base import Audio, Processor
from earshift.perturbations.level_matched import LevelMatched

_LEAST = 8192  # samples: Rubber Band makes nothing of less than its window


@dataclass(frozen=True)
class Pitch(LevelMatched):
    """Pitch shift; the length stays."""

    grid: Annotated[tuple[float, ...], Grid(-24, 24)]

    name = "pitch"
    unit = "semitones"
    neutral = 0.0
    growth = "two-sided"
    packages = ("pedalboard", "pyloudnorm")
    original_value = 0.0
    costly = True
    moves_music = True

    def effect(self, value: float) -> Processor:
        return lambda audio, sample_rate: stretch(audio, sample_rate, semitones=value)


@dataclass(frozen=True)
class Tempo(LevelMatched):
    """Speed without pitch: at rate r a clip is 1 / r as long."""

    grid: Annotated[tuple[float, ...], Grid(0.1, 10)]

    name = "tempo"
    unit = "x"
    neutral = 1.0
    growth = "two-sided"
    packages = ("pedalboard", "pyloudnorm")
    original_value = 1.0
    costly = True
    moves_music = True

    def length(self, value: float) -> float:
        return 1 / value

    def effect(self, value: float) -> Processor:
        return lambda audio, sample_rate: stretch(audio, sample_rate, rate=value)


def stretch(audio: Audio, sample_rate: int, *, rate: float = 1.0, semitones: float = 0.0) -> Audio:
    """Audio played `rate` times as fast and `semitones` higher.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    sample_rate : int, Hz
    rate : float, above 0
    semitones : float

    Returns
    -------
    float32 [shape=(channels, round(samples / rate))]

    Raises
    ------
    UserError
        If nothing is left of the clip.
    """
    from pedalboard import time_stretch

    channels, samples = audio.shape
    wanted = round(samples / rate)
    if not wanted:
        raise UserError(f"tempo {rate:g} leaves nothing of a clip of {samples} samples; take a lower rate")
    if channels > 2:
        alone = [stretch(channel[None], sample_rate, rate=rate, semitones=semitones) for channel in audio]
        return np.concatenate(alone)
    least = max(samples, _LEAST)
    padded = np.pad(audio, ((0, 0), (0, least - samples)))
    made: Audio = time_stretch(
        padded, float(sample_rate), stretch_factor=rate, pitch_shift_in_semitones=semitones, high_quality=True,
        use_long_fft_window=False, preserve_formants=False,
    )[:, :wanted]  # fmt: skip
    return np.pad(made, ((0, 0), (0, wanted - made.shape[1])))
