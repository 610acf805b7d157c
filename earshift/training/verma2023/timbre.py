"""The timbre of a sound without its level: 12 MFCCs every 25 ms (Verma, 2023, section 3.2).

Conventions
-----------
``librosa.feature.mfcc`` of every chunk at 16 kHz, hop of 400 samples, its first coefficient, the level, left out:
periodic Hann window, centred, zeros outside of the chunk; power in Slaney mel bands of unit area; decibels re 1,
floored at 1e-10 and at 80 dB below the loudest band of the chunk; orthonormal DCT-II. Centring gives 41 frames; the
last, centred on the end of the chunk, is left out. Time comes first: (chunks, frames, coefficients).
"""

import numpy as np
from numpy.typing import NDArray

from earshift.audio.mel import hann, mel_filters, mel_spectrogram
from earshift.training.verma2023.chunks import SAMPLE_RATE, SLICE, SLICES

COEFFICIENTS = 12
_FLOOR = 1e-10  # of the power
_RANGE = 80.0  # dB below the loudest band of the chunk


def features(chunks: NDArray[np.float32], *, n_fft: int, bands: int) -> NDArray[np.float16]:
    """MFCCs 2 to 13 of every slice.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]
    n_fft : int, samples of a frame
    bands : int, of the mel scale

    Returns
    -------
    float16 [shape=(chunks, 40, 12)], to 0.05 % of what :func:`coefficients` says
    """
    found = np.empty((len(chunks), SLICES, COEFFICIENTS), dtype=np.float16)
    for place, chunk in enumerate(chunks):
        found[place] = coefficients(chunk, n_fft=n_fft, bands=bands)[:SLICES]
    return found


def coefficients(chunk: NDArray[np.float32], *, n_fft: int, bands: int) -> NDArray[np.float32]:
    """MFCCs 2 to 13 of all frames of a chunk [shape=(16000,)], float32 [shape=(41, 12)]."""
    from scipy.fft import dct

    power = mel_spectrogram(
        np.pad(chunk, n_fft // 2),
        window=hann(n_fft),
        n_fft=n_fft,
        hop=SLICE,
        filters=mel_filters(sample_rate=SAMPLE_RATE, n_fft=n_fft, bands=bands),
        power=2,
    )
    decibels = 10 * np.log10(np.maximum(power, np.float32(_FLOOR)))
    decibels = np.maximum(decibels, decibels.max() - np.float32(_RANGE))
    cepstra: NDArray[np.float32] = dct(decibels, type=2, norm="ortho")
    return cepstra[:, 1 : COEFFICIENTS + 1]
