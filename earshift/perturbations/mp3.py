"""Audio as MP3, for a page to play.

Conventions
-----------
Audio is float32, shape (channels, samples), full scale at 1; what lies beyond is cut. The bit rate is constant, 128
kb/s at 44.1 kHz and less at lower rates. Equal samples give equal bytes.
"""

import io

import numpy as np

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, all that MP3 knows
_COMPRESSION = 0.65  # of libsndfile's scale from 0 to 1


def encoded(audio, sample_rate):
    """MP3 of a clip.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
        Of more than two channels the mean is taken.
    sample_rate : int, Hz
        A rate that MP3 does not know is resampled to the next one that it knows, or its highest.

    Returns
    -------
    bytes
    """
    import soundfile

    if len(audio) > 2:
        audio = audio.mean(axis=0, keepdims=True)
    if sample_rate not in RATES:
        import soxr

        known = next((rate for rate in RATES if rate > sample_rate), RATES[-1])
        audio, sample_rate = soxr.resample(audio.T, sample_rate, known).T, known
    target = io.BytesIO()
    soundfile.write(
        target, np.clip(audio.T, -1, 1), sample_rate, format="MP3", bitrate_mode="CONSTANT",
        compression_level=_COMPRESSION,
    )  # fmt: skip
    return target.getvalue()
