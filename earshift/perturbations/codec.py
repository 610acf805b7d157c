"""MP3 and back, at a constant bit rate (LAME and mpg123, as libsndfile ships them).

Conventions
-----------
What comes back has the original's length and no delay: the encoder's and the decoder's are cut off. MP3 knows nine
sample rates; a clip at another one is resampled to the next higher for coding, or the highest, and back. Which bit
rates are legal depends on the sample rate, through the version of MPEG that it belongs to.
"""

import io
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from earshift.errors import UserError
from earshift.options import Grid
from earshift.perturbations.level_matched import Levelled
from earshift.perturbations.mp3 import RATES

_DELAY = 1105  # samples: 576 of LAME, 529 of any decoder; what a file too small for LAME's tag does not say

_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kb/s
_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG25 = (8, 16, 24, 32, 40, 48, 56, 64)  # as LAME has it


@dataclass(frozen=True)
class Mp3(Levelled):
    """MPEG layer III at a constant bit rate, all channels together; clips of more than two: each channel by itself.

    illegal_rates : str, what happens at bit rates that a clip's sample rate does not have: error, or nearest
    """

    grid: Annotated[tuple[float, ...], Grid(8, 320)]
    illegal_rates: Literal["error", "nearest"] | None

    name = "mp3"
    unit = "kb/s"
    growth = "down"
    packages = ("pyloudnorm", "soundfile", "soxr")
    costly = True

    def decided(self, fidelity):
        decided = super().decided(fidelity)
        if self.illegal_rates is not None:
            return decided
        return replace(decided, illegal_rates="nearest" if fidelity == "paper" else "error")

    def check(self, clips):
        for sample_rate in sorted(set(clips.sample_rate[clips.valid])):
            illegal = [value for value in self.values() if value not in legal_rates(sample_rate)]
            if not illegal:
                continue
            version, legal = _version(coding_rate(sample_rate)), ", ".join(map(str, legal_rates(sample_rate)))
            words = f"{version} layer III does not have at {sample_rate} Hz"
            if self.illegal_rates != "nearest":
                raise UserError(
                    f"perturbations.mp3.grid holds {_listed(illegal)} kb/s, which {words}; legal there: {legal}; "
                    "take those, or set perturbations.mp3.illegal_rates: nearest"
                )
            taken = ", ".join(f"{value:g} as {nearest_rate(value, sample_rate)}" for value in illegal)
            print(f"perturb mp3: coded at the nearest legal bit rate where {words}: {taken} kb/s")

    def effect(self, value):
        def process(audio, sample_rate):
            return coded(audio, sample_rate, nearest_rate(value, sample_rate))

        return process


def _listed(values):
    return ", ".join(f"{value:g}" for value in values)


def coding_rate(sample_rate):
    """The sample rate at which MP3 holds a clip of this one."""
    return next((rate for rate in RATES if rate >= sample_rate), RATES[-1])


def _version(sample_rate):
    return "MPEG-1" if sample_rate >= 32000 else "MPEG-2" if sample_rate >= 16000 else "MPEG-2.5"


def legal_rates(sample_rate):
    """Bit rates in kb/s that MP3 has for clips at this sample rate, ascending."""
    return {"MPEG-1": _MPEG1, "MPEG-2": _MPEG2, "MPEG-2.5": _MPEG25}[_version(coding_rate(sample_rate))]


def nearest_rate(bit_rate, sample_rate):
    """The legal bit rate nearest to `bit_rate`, the lower one of two."""
    return min(legal_rates(sample_rate), key=lambda legal: (abs(legal - bit_rate), legal))


def coded(audio, sample_rate, bit_rate):
    """Audio that went through MP3.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    sample_rate : int, Hz
    bit_rate : int, kb/s, one of :func:`legal_rates`

    Returns
    -------
    float32 of the same shape
    """
    if len(audio) > 2:
        return np.concatenate([coded(channel[None], sample_rate, bit_rate) for channel in audio])
    rate = coding_rate(sample_rate)
    there = _resampled(audio, sample_rate, rate)
    back = _decoded(encoded(there, rate, bit_rate), there.shape[1])
    return _cut(_resampled(back, rate, sample_rate), audio.shape[1])


def encoded(audio, sample_rate, bit_rate):
    """The bytes of an MP3 file.

    Parameters
    ----------
    audio : float32 [shape=(1 or 2, samples)]
    sample_rate : int, Hz, one that MP3 knows
    bit_rate : int, kb/s, one of :func:`legal_rates`
    """
    import soundfile

    lowest, *_, highest = legal_rates(sample_rate)
    level = (highest - bit_rate) / (highest - lowest)  # libsndfile's scale from 0 to, not including, 1
    file = io.BytesIO()
    soundfile.write(
        file, audio.T, sample_rate, format="MP3", bitrate_mode="CONSTANT", compression_level=min(level, 0.9999)
    )
    return file.getvalue()


def _decoded(content, samples):
    import soundfile

    audio, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    audio = np.ascontiguousarray(audio.T)
    # with LAME's tag the decoder cuts delay and padding by itself; the frames of the lowest bit rates cannot hold it
    return audio if audio.shape[1] == samples else _cut(audio[:, _DELAY:], samples)


def _cut(audio, samples):
    """Audio of exactly `samples` samples, zeros at its end where there are fewer."""
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _resampled(audio, rate, wanted):
    if rate == wanted:
        return audio
    import soxr

    return np.ascontiguousarray(soxr.resample(audio.T, rate, wanted).T, dtype=np.float32)
