"""Which frequencies stand out, and nothing else: a mask of spectral peaks (Verma, 2023, section 3.1).

Conventions
-----------
The constant-Q transform is ``librosa.cqt`` of every chunk at 16 kHz: 80 bins, 12 per octave, from 40 Hz to 3,836 Hz,
hop of 400 samples, sparsity 0.01, centred, zeros outside of the chunk. librosa builds its filters anew for every call;
here they are built once, brought into the time domain, sparsified as they are, and applied as products of matrices, one
for each octave. Octaves are resampled as in librosa, so magnitudes agree with it to 1e-5 of a chunk's loudest bin.

Decibels are those of ``librosa.amplitude_to_db``: re 1, floored at an amplitude of 1e-5 and at 80 dB below the loudest
bin of the chunk. Centring gives 41 frames; the last, centred on the end of the chunk, is left out.

Time comes first: (chunks, frames, bins). Every chunk is computed by itself, whatever is computed beside it.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from earshift.training.verma2023.chunks import SAMPLE_RATE, SLICE, SLICES

BINS = 80
_PER_OCTAVE = 12
_LOWEST = 40.0  # Hz
_SPARSITY = 0.01  # share of a filter's magnitude that is dropped
_FLOOR = 1e-5  # of the amplitude
_RANGE = 80.0  # dB below the loudest bin of the chunk
_REACH = 2  # bins on either side of a peak that are lower
_BLOCK = 64  # chunks that are transformed together, so that memory does not grow with them


def features(chunks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a bin of a slice is a peak that stands out of the second.

    A peak is larger than the two bins on either side, or than those of them that exist. It stands out where it is no
    less than the median over all bins and slices of the chunk. Both compare levels of one chunk, so the mask is the
    same for every base of the logarithm, every reference and, down to the floor, every gain. At the floor, as in
    silence, bins are equal and there are no peaks.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]

    Returns
    -------
    bool [shape=(chunks, 40, 80)]
    """
    mask = np.empty((len(chunks), SLICES, BINS), dtype=bool)
    for start in range(0, len(chunks), _BLOCK):
        mask[start : start + _BLOCK] = peaks(levels(chunks[start : start + _BLOCK]))
    return mask


def peaks(levels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Peaks within slices that are no less than the median of their chunk.

    Parameters
    ----------
    levels : float [shape=(chunks, slices, bins)]

    Returns
    -------
    bool [shape=(chunks, slices, bins)]
    """
    bins = levels.shape[2]
    padded = np.pad(levels, ((0, 0), (0, 0), (_REACH, _REACH)), constant_values=-np.inf)
    mask: NDArray[np.bool_] = levels >= np.median(levels, axis=(1, 2), keepdims=True)
    for shift in range(2 * _REACH + 1):
        if shift != _REACH:
            mask &= levels > padded[..., shift : shift + bins]
    return mask


def levels(chunks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Constant-Q levels of the 40 slices, dB, float64 [shape=(chunks, 40, 80)]."""
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(magnitudes(chunks), _FLOOR))
    decibels = np.maximum(decibels, decibels.max(axis=(1, 2), keepdims=True) - _RANGE)
    return decibels[:, :SLICES]


def magnitudes(chunks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Constant-Q magnitudes of chunks.

    Parameters
    ----------
    chunks : float32 [shape=(chunks, 16000)]

    Returns
    -------
    float64 [shape=(chunks, 41, 80)]
    """
    import soxr

    found = np.empty((len(chunks), SLICES + 1, BINS))
    signal, hop, end = np.ascontiguousarray(chunks.T), SLICE, BINS
    for kernel, halved in _octaves():
        bins, length = kernel.shape[1] // 2, kernel.shape[0]
        padded = np.pad(signal.T, ((0, 0), (length // 2, length // 2))).astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
        response = np.ascontiguousarray(frames) @ kernel
        found[..., end - bins : end] = np.hypot(response[..., :bins], response[..., bins:])
        end -= bins
        if halved:
            hop //= 2
            # half the rate at the same energy, as librosa resamples from one octave to the next
            signal = soxr.resample(signal, 2, 1, quality="HQ") * np.float32(np.sqrt(2))
    return found


@lru_cache(maxsize=1)
def _octaves() -> list[tuple[NDArray[np.float64], bool]]:
    """For every octave, highest first: its filters, and whether the signal is halved behind it.

    Filters are float64 [shape=(samples, 2 * bins)], real parts before imaginary ones.
    """
    frequencies = _LOWEST * 2 ** (np.arange(BINS) / _PER_OCTAVE)
    step = 2 ** (2 / _PER_OCTAVE)
    periods = (step + 1) / (step - 1)  # of its frequency that a filter is long
    octaves, rate, hop = [], float(SAMPLE_RATE), SLICE
    for high in range(BINS, 0, -_PER_OCTAVE):
        own = frequencies[max(high - _PER_OCTAVE, 0) : high]
        lengths = periods * rate / own
        size = 2 ** int(np.ceil(np.log2(lengths.max())))
        # single precision up to the sparsification, so that the same values fall to it as in librosa
        wavelets = [_wavelet(frequency / rate, length, size) for frequency, length in zip(own, lengths, strict=True)]
        basis = (np.stack(wavelets).astype(np.complex64) * (lengths / size)[:, None]).astype(np.complex64)
        spectra = _sparsify(np.fft.fft(basis, axis=1)[:, : size // 2 + 1].astype(np.complex64))
        spectra = spectra.astype(np.complex128) * np.sqrt(SAMPLE_RATE / rate)
        spectra /= np.sqrt(periods * SAMPLE_RATE / own)[:, None]
        turns = np.outer(np.arange(size // 2 + 1), np.arange(size)) % size / size
        kernel = (spectra @ np.exp(-2j * np.pi * turns)).T
        halved = hop % 2 == 0
        octaves.append((np.ascontiguousarray(np.hstack([kernel.real, kernel.imag])), halved))
        if halved:
            rate, hop = rate / 2, hop // 2
    return octaves


def _wavelet(frequency: float, length: float, size: int) -> NDArray[np.complex128]:
    """A complex tone of `frequency` cycles per sample under a periodic Hann window of unit sum, in the middle of `size`
    samples."""
    times = np.arange(-length // 2, length // 2)
    tone = np.exp(2j * np.pi * frequency * times) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(times)) / len(times)))
    before = (size - len(times)) // 2
    return np.pad(tone / np.abs(tone).sum(), (before, size - len(times) - before))


def _sparsify(spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Spectra without their smallest values, which together hold a share of the magnitude."""
    magnitude = np.abs(spectra)
    ordered = np.sort(magnitude, axis=1)
    held = np.cumsum(ordered / magnitude.sum(axis=1, keepdims=True), axis=1)
    first = np.argmin(held < _SPARSITY, axis=1)
    return np.where(magnitude >= np.take_along_axis(ordered, first[:, None], axis=1), spectra, 0)
