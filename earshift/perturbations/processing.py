"""A perturbation together with the accidents of the processing in deng2025, each behind its switch.

The published loop read 16-bit files with pedalboard, applied the effect, wrote 16-bit files with pedalboard, and let
the encoder read those (papers: Deng et al. 2025, 2A.2). Its accidents:

- ``reverb_tail``: one effect object served all files without a reset, so each clip begins with the tail of the last;
- ``wav_round_trip``: pedalboard reads n as n / 32767 and writes through 32-bit integers of which it keeps the upper
  half, so that rounding is towards minus infinity: even an effect that changes nothing lowers every negative sample by
  one step. Encoders read n as n / 32768;
- ``clip``: samples above full scale are cut.

``fidelity: paper`` switches all three on, ``corrected`` all off; params.yaml can set each alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshift.perturbations.base import Audio, Perturbation, Processor

_READ = np.float32(1 / 32767)
_INT16 = np.float32(32768)


@dataclass(frozen=True)
class Switches:
    """Which accidents are on; none of them under ``fidelity: corrected``."""

    reverb_tail: bool = False
    wav_round_trip: bool = False
    clip: bool = False


def build_processor(perturbation: Perturbation, value: float, switches: Switches) -> Processor:
    """The function that turns a clip into its perturbed version.

    Returns
    -------
    callable
        (audio float32 [shape=(channels, samples)], sample_rate) -> float32, as the perturbation's processor gives it.
        With ``reverb_tail`` it must be given the clips of a corpus one after another, in order.
    """
    effect = perturbation.processor(value, carry_state=switches.reverb_tail)

    def process(audio: Audio, sample_rate: int) -> Audio:
        if switches.wav_round_trip:
            audio = pedalboard_read(to_int16(audio))
        audio = effect(audio, sample_rate)
        if switches.clip:
            audio = np.clip(audio, np.float32(-1), np.float32(1))
        return pedalboard_write(audio) / _INT16 if switches.wav_round_trip else audio

    return process


def to_int16(audio: Audio) -> NDArray[np.int16]:
    """Audio as the integers of a 16-bit file: exact for clips that came from one, rounded and cut for others."""
    integers: NDArray[np.int16] = np.clip(np.rint(audio * _INT16), -32768, 32767).astype(np.int16)
    return integers


def pedalboard_read(integers: NDArray[np.int16]) -> Audio:
    """What pedalboard's AudioFile makes of 16-bit integers: float32, 32767 at 1."""
    return integers.astype(np.float32) * _READ


def pedalboard_write(audio: Audio) -> Audio:
    """The integers that pedalboard's AudioFile writes to a 16-bit file, as float32.

    It scales full scale to 2**31 - 1, rounds, saturates and drops the lower 16 bits; dividing by 2**16 first and taking
    the floor is the same. A file cuts samples above full scale whether the ``clip`` switch is on or not.
    """
    words = np.clip(audio, np.float32(-1), np.float32(1)).astype(np.float64)
    words *= (2**31 - 1) / 2**16
    words += 0.5 / 2**16
    return np.floor(words, out=words).astype(np.float32)
