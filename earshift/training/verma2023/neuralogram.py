"""What a convolutional network sees in 100 ms, ten times a second (Verma, 2023, section 3.4).

Conventions
-----------
A chunk is 10 pieces of 1,600 samples, and nothing of one piece reaches another. Of every piece a log mel spectrogram is
taken as YAMNet takes it, the published MobileNet for sound at 16 kHz: periodic Hann window of 25 ms every 10 ms, FFT of
512 samples, magnitudes in 64 mel bands of HTK's scale from 125 to 7,500 Hz, log(mel + 0.001). Frames are centred, with
zeros outside of the piece; the eleventh, centred on its end, is left out.

The network (:mod:`earshift.training.verma2023.mobilenet`) is trained on pieces with the labels of their clips, then
kept as it is; its means of each piece, side by side, are the Neuralogram.
"""

import numpy as np
from numpy.typing import NDArray

from earshift.audio.mel import hann, mel_filters
from earshift.training.verma2023.chunks import CHUNK, SAMPLE_RATE

PIECES = 10  # of a chunk
FRAMES = 10  # of a piece
BANDS = 64
_PIECE = CHUNK // PIECES  # samples
_WINDOW, _HOP, _N_FFT = 400, 160, 512
_LOW, _HIGH = 125.0, 7500.0  # Hz
_OFFSET = 0.001  # inside the logarithm
_BLOCK = 64  # chunks that are transformed together


def log_mel(chunks: NDArray[np.float32]) -> NDArray[np.float16]:
    """Log mel spectrograms of pieces: what the network reads.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]

    Returns
    -------
    float16 [shape=(chunks, 10, 10, 64)], pieces, frames, bands; to 0.004 (values lie between -6.91 and about 5)
    """
    from scipy.fft import rfft

    filters = mel_filters(
        sample_rate=SAMPLE_RATE, n_fft=_N_FFT, bands=BANDS, low=_LOW, high=_HIGH, htk=True, normalise=False
    )
    found = np.empty((len(chunks), PIECES, FRAMES, BANDS), dtype=np.float16)
    for start in range(0, len(chunks), _BLOCK):
        pieces = chunks[start : start + _BLOCK].reshape(-1, PIECES, _PIECE)
        padded = np.pad(pieces, ((0, 0), (0, 0), (_WINDOW // 2, _WINDOW // 2)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=2)[:, :, ::_HOP][:, :, :FRAMES]
        magnitude = np.abs(rfft(frames * hann(_WINDOW), _N_FFT))
        bands = (filters @ magnitude.reshape(-1, _N_FFT // 2 + 1).T).T
        found[start : start + _BLOCK] = np.log(bands + np.float32(_OFFSET)).reshape(-1, PIECES, FRAMES, BANDS)
    return found
