"""Whether audio can be used at all: what every corpus that reads files asks before it hands out a clip."""

import numpy as np

SILENCE = -90.0  # dB of full scale: the dither of a 16-bit file without content stays below


def unusable(audio):
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
