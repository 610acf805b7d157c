"""Whether audio can be used at all: what every corpus that reads files asks before it hands out a clip.

Limits are on what a file may make of this machine: a few bytes can stand for years of silence, or for a rate at which
every later resampling multiplies them.
"""

import numpy as np

from earshift.corpora.base import Audio

LONGEST = 10_800  # s of a clip
LARGEST = 1 << 29  # samples of a clip, all channels together: 2 GiB as float32, 101 minutes of stereo at 44.1 kHz
RATES = (1000, 1_000_000)  # Hz
SILENCE = -90.0  # dB of full scale: the dither of a 16-bit file without content stays below


def limit_problem(frames: int, channels: int, sample_rate: int) -> str:
    """Which limit a clip exceeds by its header, or "" for none.

    Parameters
    ----------
    frames : int, samples per channel
    channels : int
    sample_rate : int, Hz
    """
    if not RATES[0] <= sample_rate <= RATES[1]:
        return f"a sample rate of {sample_rate} Hz; {RATES[0]} to {RATES[1]} can be used"
    if frames > LONGEST * sample_rate:
        return f"it lasts {frames / sample_rate:.0f} s, and a clip {LONGEST} at most; cut it into pieces (clip_seconds)"
    if frames * channels > LARGEST:
        return f"it has {frames * channels} samples, and a clip {LARGEST} at most; cut it into pieces (clip_seconds)"
    return ""


def audio_problem(audio: Audio) -> str:
    """Why a clip cannot be used, or "" where it can.

    Parameters
    ----------
    audio : int16 or float32 [shape=(channels, samples)], full scale at 32768 or 1

    Returns
    -------
    str
        For no samples at all, samples that are not finite, and peaks below -90 dB of full scale.
    """
    if audio.size == 0:
        return "empty"
    if audio.dtype == np.int16:
        peak = max(int(audio.max()), -int(audio.min())) / 32768
    else:
        broken = audio.size - np.count_nonzero(np.isfinite(audio))
        if broken:
            return f"{broken} of {audio.size} samples are NaN or infinite"
        peak = float(np.abs(audio).max())
    return f"silent: no sample above {SILENCE:g} dB of full scale" if peak < 10 ** (SILENCE / 20) else ""
