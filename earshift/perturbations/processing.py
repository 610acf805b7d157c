"""A perturbation together with the accidents of the published chain, each behind its switch.

The published loop read 16-bit files with pedalboard, applied the effect, wrote 16-bit files with pedalboard, and let
the encoder read those (papers: Deng et al. 2025, 2A.2). Its accidents:

- ``reverb_tail``: one effect object served all files without a reset, so each clip begins with the tail of the last;
- ``wav_round_trip``: pedalboard reads n as n / 32767 and writes through 32-bit integers of which it keeps the upper
  half, so that rounding is towards minus infinity: even an effect that changes nothing lowers every negative sample by
  one step. Encoders read n as n / 32768;
- ``clip``: samples beyond full scale are cut.

``fidelity: paper`` switches all three on, ``corrected`` all off; params.yaml can set each alone.
"""

import numpy as np

_READ = np.float32(1 / 32767)
_INT16 = np.float32(32768)


def chain(perturbation, value, *, reverb_tail, wav_round_trip, clip):
    """The function that turns a clip into its perturbed self.

    Parameters
    ----------
    perturbation : earshift.perturbations.base.Perturbation
    value : float
    reverb_tail, wav_round_trip, clip : bool, the switches above

    Returns
    -------
    callable
        (audio float32 [shape=(channels, samples)], sample_rate) -> float32, as the perturbation's processor gives it.
        With ``reverb_tail`` it must be given the clips of a corpus one after another, in order.
    """
    effect = perturbation.processor(value, carry_state=reverb_tail)

    def process(audio, sample_rate):
        if wav_round_trip:
            audio = pedalboard_read(to_int16(audio))
        audio = effect(audio, sample_rate)
        if clip:
            audio = np.clip(audio, np.float32(-1), np.float32(1))
        if wav_round_trip:
            audio = pedalboard_write(audio) / _INT16
        return audio

    return process


def to_int16(audio):
    """Audio as the integers of a 16-bit file: exact for clips that came from one, rounded and cut for others."""
    return np.clip(np.rint(audio * _INT16), -32768, 32767).astype(np.int16)


def pedalboard_read(integers):
    """What pedalboard's AudioFile makes of 16-bit integers: float32, 32767 at 1."""
    return integers.astype(np.float32) * _READ


def pedalboard_write(audio):
    """The integers that pedalboard's AudioFile writes to a 16-bit file, as float32.

    It scales full scale to 2**31 - 1, rounds, saturates and drops the lower 16 bits; dividing by 2**16 first and taking
    the floor is the same. A file cuts what lies beyond full scale whether the ``clip`` switch is on or not.
    """
    words = np.clip(audio, np.float32(-1), np.float32(1)).astype(np.float64)
    words *= (2**31 - 1) / 2**16
    words += 0.5 / 2**16
    return np.floor(words, out=words).astype(np.float32)
