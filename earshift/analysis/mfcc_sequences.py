"""A clip as a sequence of MFCCs, from which distances between sounds are computed (Kim et al., 2019).

Conventions
-----------
librosa's defaults at 22,050 Hz, mono: frames of 2,048 samples every 512 under a periodic Hann window, centred, zeros
outside the clip; power in 128 Slaney mel bands of unit area; decibels re 1, floored at 1e-10 and at 80 dB below the
loudest band of the clip; orthonormal DCT-II. The first coefficient, the level, is left out.
"""

import numpy as np
from numpy.typing import NDArray

from earshift.audio.mel import hann, mel_filters, mel_spectrogram

SAMPLE_RATE = 22050
HOP = 512
PACKAGES = ("numpy", "scipy", "soxr")  # whose versions determine the numbers
_N_FFT, _BANDS = 2048, 128
_FLOOR = 1e-10  # of the power
_RANGE = 80.0  # dB below the loudest band of the clip


def mfcc_sequence(audio: NDArray[np.float32], sample_rate: int, coefficients: int) -> NDArray[np.float32]:
    """MFCCs of every frame of a clip, the first coefficient left out.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)], at least one sample
    sample_rate : int, Hz; other rates than 22,050 are resampled (soxr HQ)
    coefficients : int, including the one that is left out

    Returns
    -------
    float32 [shape=(1 + samples at 22,050 Hz // 512, coefficients - 1)]
    """
    import soxr
    from scipy.fft import dct

    mono = audio.mean(axis=0, dtype=np.float32)
    if sample_rate != SAMPLE_RATE:
        mono = soxr.resample(mono, sample_rate, SAMPLE_RATE, quality="HQ")
    power = mel_spectrogram(
        np.pad(mono, _N_FFT // 2),
        window=hann(_N_FFT),
        n_fft=_N_FFT,
        hop=HOP,
        filters=mel_filters(sample_rate=SAMPLE_RATE, n_fft=_N_FFT, bands=_BANDS),
        power=2,
    )
    decibels = 10 * np.log10(np.maximum(power, np.float32(_FLOOR)))
    decibels = np.maximum(decibels, decibels.max() - np.float32(_RANGE))
    cepstrum: NDArray[np.float32] = dct(decibels, type=2, norm="ortho")[:, 1:coefficients]
    return cepstrum.astype(np.float32)
