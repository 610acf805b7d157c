"""MP3 and back, at a constant bit rate (LAME and mpg123, as libsndfile ships them).

Conventions
-----------
The result has the original's length and no delay: those of the encoder and of the decoder are cut off. MP3 supports
nine sample rates; a clip at another one is resampled to the next higher for coding, or the highest, and back. Which bit
rates are legal depends on the sample rate, through the version of MPEG that it belongs to.
"""

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np

from earshift.errors import UserError
from earshift.options import Grid
from earshift.perturbations.base import Audio, Processor
from earshift.perturbations.level_matched import LevelMatched
from earshift.perturbations.mp3 import coding_rate, encode

if TYPE_CHECKING:
    import pandas as pd

_DELAY = 1105  # samples: 576 of LAME, 529 of any decoder; a file too small for LAME's tag does not state it

_BIT_RATES = {  # kb/s
    "MPEG-1": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "MPEG-2": (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    "MPEG-2.5": (8, 16, 24, 32, 40, 48, 56, 64),  # as LAME has it
}


@dataclass(frozen=True)
class Mp3(LevelMatched):
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

    def with_fidelity(self, fidelity: str) -> Self:
        decided = super().with_fidelity(fidelity)
        if self.illegal_rates is not None:
            return decided
        return replace(decided, illegal_rates="nearest" if fidelity == "paper" else "error")

    def check(self, clips: "pd.DataFrame") -> None:
        for sample_rate in sorted(set(clips.sample_rate[clips.valid])):
            legal = legal_rates(sample_rate)
            illegal = [value for value in self.values() if value not in legal]
            if not illegal:
                continue
            words = f"{_version(sample_rate)} layer III does not have at {sample_rate} Hz"
            if self.illegal_rates != "nearest":
                raise UserError(
                    f"perturbations.mp3.grid holds {', '.join(f'{value:g}' for value in illegal)} kb/s, which {words}; "
                    f"legal there: {', '.join(map(str, legal))}; take those, or set perturbations.mp3.illegal_rates: "
                    "nearest"
                )
            taken = ", ".join(f"{value:g} as {nearest_rate(value, sample_rate)}" for value in illegal)
            print(f"perturb mp3: coded at the nearest legal bit rate where {words}: {taken} kb/s")

    def effect(self, value: float) -> Processor:
        return lambda audio, sample_rate: round_trip(audio, sample_rate, nearest_rate(value, sample_rate))


def _version(sample_rate: int) -> str:
    rate = coding_rate(sample_rate)
    return "MPEG-1" if rate >= 32000 else "MPEG-2" if rate >= 16000 else "MPEG-2.5"


def legal_rates(sample_rate: int) -> tuple[int, ...]:
    """Bit rates in kb/s that MP3 has for clips at this sample rate, ascending."""
    return _BIT_RATES[_version(sample_rate)]


def nearest_rate(bit_rate: float, sample_rate: int) -> int:
    """The legal bit rate nearest to `bit_rate`, the lower one of two."""
    return min(legal_rates(sample_rate), key=lambda legal: (abs(legal - bit_rate), legal))


def round_trip(audio: Audio, sample_rate: int, bit_rate: int) -> Audio:
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
        return np.concatenate([round_trip(channel[None], sample_rate, bit_rate) for channel in audio])
    rate = coding_rate(sample_rate)
    coded = _resample(audio, sample_rate, rate)
    decoded = _decode(encode_mp3(coded, rate, bit_rate), coded.shape[1])
    return _fit(_resample(decoded, rate, sample_rate), audio.shape[1])


def encode_mp3(audio: Audio, sample_rate: int, bit_rate: int) -> bytes:
    """The bytes of an MP3 file.

    Parameters
    ----------
    audio : float32 [shape=(1 or 2, samples)]
    sample_rate : int, Hz, one that MP3 supports
    bit_rate : int, kb/s, one of :func:`legal_rates`
    """
    lowest, *_, highest = legal_rates(sample_rate)
    return encode(audio, sample_rate, min((highest - bit_rate) / (highest - lowest), 0.9999))


def _decode(content: bytes, samples: int) -> Audio:
    import soundfile

    interleaved, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    audio = np.ascontiguousarray(interleaved.T)
    # with LAME's tag the decoder cuts delay and padding by itself; the frames of the lowest bit rates cannot hold it
    return audio if audio.shape[1] == samples else _fit(audio[:, _DELAY:], samples)


def _fit(audio: Audio, samples: int) -> Audio:
    """Audio of exactly `samples` samples, zeros at its end where there are fewer."""
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _resample(audio: Audio, rate: int, wanted: int) -> Audio:
    if rate == wanted:
        return audio
    import soxr

    return np.ascontiguousarray(soxr.resample(audio.T, rate, wanted).T, dtype=np.float32)
