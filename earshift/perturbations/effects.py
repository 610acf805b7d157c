"""The four effects of deng2025: gain, low-pass, reverb and bitcrush (pedalboard and scipy).

Grids and formulas: Deng et al., ICASSP 2025, and their code. Pedalboard options beside the graded one keep their
defaults (reverb: damping 0.5, wet 0.33, dry 0.4, width 1.0).
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from earshift.options import Grid
from earshift.perturbations.base import Audio, Perturbation, Processor


def _board(plugin: Any, carry_state: bool) -> Processor:
    """A processor around one pedalboard plugin."""
    from pedalboard import Pedalboard

    board = Pedalboard([plugin])

    def process(audio: Audio, sample_rate: int) -> Audio:
        audio = np.ascontiguousarray(audio, dtype=np.float32)
        if len(audio) > 2:  # pedalboard's effects are mono or stereo
            return np.concatenate([board.process(channel[None], sample_rate, reset=True) for channel in audio])
        return np.asarray(board.process(audio, sample_rate, reset=not carry_state))

    return process


@dataclass(frozen=True)
class Gain(Perturbation):
    """Level in dB; samples above full scale are kept (the ``clip`` switch cuts them)."""

    grid: Annotated[tuple[float, ...], Grid(-120, 60)]

    name = "gain"
    unit = "dB"
    neutral = 0.0
    growth = "two-sided"
    packages = ("pedalboard",)
    original_value = 0.0
    moves_music = True

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        import pedalboard

        return _board(pedalboard.Gain(value), carry_state)


@dataclass(frozen=True)
class Bitcrush(Perturbation):
    """round(x * 2**bits) / 2**bits: 2**bits steps per unit of amplitude, the sign kept."""

    grid: Annotated[tuple[float, ...], Grid(1, 24, whole=True)]

    name = "bitcrush"
    unit = "bits"
    growth = "down"
    packages = ("pedalboard",)
    original_value = 16.0

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        import pedalboard

        return _board(pedalboard.Bitcrush(int(value)), carry_state)


@dataclass(frozen=True)
class Reverb(Perturbation):
    """Freeverb by room size. The dry path is 0.8 at any room size, so even the smallest room changes the clip."""

    grid: Annotated[tuple[float, ...], Grid(0, 1)]

    name = "reverb"
    unit = "room size"
    stateful = True
    packages = ("pedalboard",)
    original_value = 0.0

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        import pedalboard

        return _board(pedalboard.Reverb(room_size=value), carry_state)


@dataclass(frozen=True)
class Lowpass(Perturbation):
    """Chebyshev II, 80 dB: pass band to f / 1.1 (3 dB), stop band from f * 1.1; causal, so its delay stays.

    A clip whose Nyquist frequency lies below the stop band's edge has nothing to remove and is left as it is.
    """

    grid: Annotated[tuple[float, ...], Grid(20, 100_000)]

    name = "lowpass"
    unit = "Hz"
    growth = "down"
    packages = ("scipy",)
    original_value = 22500.0

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        from scipy.signal import sosfilt

        def process(audio: Audio, sample_rate: int) -> Audio:
            if value * 1.1 >= sample_rate / 2:
                return np.asarray(audio, dtype=np.float32)
            return np.asarray(sosfilt(lowpass_sections(value, sample_rate), audio), dtype=np.float32)

        return process


@functools.lru_cache
def lowpass_sections(frequency: float, sample_rate: int) -> NDArray[np.float64]:
    """Second-order sections of the study's low-pass.

    Parameters
    ----------
    frequency, sample_rate : float, Hz; ``frequency * 1.1`` must lie below the Nyquist frequency

    Returns
    -------
    np.ndarray [shape=(sections, 6)]
    """
    from scipy.signal import cheb2ord, cheby2

    order, natural = cheb2ord(frequency / 1.1, frequency * 1.1, 3, 80, fs=sample_rate)
    sections: NDArray[np.float64] = cheby2(order, 80, natural, "lowpass", output="sos", fs=sample_rate)
    return sections
