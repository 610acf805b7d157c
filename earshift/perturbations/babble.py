"""Synthetic babble: many voices talking at once in a room, none of which says a word.

It replaces a recording of a busy place where none is available. Sixteen voices at random distances, each a pulse train
whose pitch wanders, are cut into syllables and pauses of random length; a syllable is a hiss and the formants of two
random vowels. The reverberation of a room follows. Like the recording that kim2019 used (a pub), it has a spectrum of
speech with slow, uneven movement; unlike it, it has no glasses, laughter and music.
"""

import functools
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_SECONDS, _RATE, _VOICES = 16, 32000, 16
_FRAME, _HOP = 1024, 512
_ROOM = 0.7  # s, until reverberation has fallen by 60 dB
_SEED = 20190524

# Hz of the first three formants of eight vowels of a man (Peterson and Barney, 1952, rounded)
_VOWELS = np.array([
    (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410),
    (730, 1090, 2440), (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240),
])  # fmt: skip
_WIDTHS = np.array([70.0, 110.0, 180.0])  # Hz
_FREQUENCY = np.fft.rfftfreq(_FRAME, 1 / _RATE)
_WINDOW = np.sqrt(np.hanning(_FRAME + 1)[:-1])  # twice, it sums to 1 over frames that overlap by half


@functools.lru_cache(maxsize=4)
def babble(sample_rate: int) -> NDArray[np.float32]:
    """Sixteen seconds of babble that can be looped without a seam.

    Parameters
    ----------
    sample_rate : int, Hz

    Returns
    -------
    float32 [shape=(samples,)], RMS 1, not to be written to
    """
    import soxr

    bed = _bed()
    edge = _RATE // 4  # so that resampling finds the loop's other side at either end
    padded = soxr.resample(np.concatenate([bed[-edge:], bed, bed[:edge]]), _RATE, sample_rate)
    made: NDArray[np.float32] = padded[edge * sample_rate // _RATE :][: _SECONDS * sample_rate].astype(np.float32)
    made /= np.sqrt(np.mean(np.square(made)))
    made.setflags(write=False)
    return made


def loop(audio: NDArray[np.float32], start: int, samples: int) -> NDArray[np.float32]:
    """`samples` samples from `start` of audio [shape=(samples,)] that continues at its beginning when it ends."""
    if not len(audio):
        return np.zeros(samples, dtype=np.float32)
    return np.take(audio, np.arange(start, start + samples), mode="wrap")


@functools.lru_cache(maxsize=1)
def _bed() -> Floats:
    random = np.random.default_rng(_SEED)
    length = _SECONDS * _RATE
    voices = np.zeros(length)
    for _ in range(_VOICES):
        voices += np.roll(_voice(random, length), int(random.integers(length)))  # so that they do not begin as one
    tail = np.zeros(length)
    decay = np.arange(int(_ROOM * _RATE))
    tail[: len(decay)] = random.standard_normal(len(decay)) * 10 ** (-3 * decay / len(decay))
    tail *= 1 / np.sqrt(np.sum(tail**2))
    tail[0] += 1  # as much from the voices themselves as from the walls
    return np.fft.irfft(np.fft.rfft(voices) * np.fft.rfft(tail), length)


def _voice(random: np.random.Generator, length: int) -> Floats:
    """One voice, its last frame overlapping its first."""
    frames = length // _HOP
    level, hiss, pitch, formant = _syllables(random, frames)
    pulses = 2 * (np.cumsum(np.repeat(pitch, _HOP) / _RATE) % 1) - 1  # falls by 6 dB an octave
    spectra = _spectra(pulses) * level[:, None] * _vowel(formant)
    spectra += _spectra(random.standard_normal(length)) * hiss[:, None] * _consonant()
    pieces = np.fft.irfft(spectra, _FRAME) * _WINDOW
    halves = pieces[:, :_HOP] + np.roll(pieces[:, _HOP:], 1, axis=0)
    return halves.ravel() * 10 ** (random.uniform(-9, 0) / 20)


def _spectra(audio: Floats) -> NDArray[np.complex128]:
    """Spectra of frames that overlap by half, the last one running into the first."""
    starts = np.arange(len(audio) // _HOP) * _HOP
    return np.fft.rfft(audio[(starts[:, None] + np.arange(_FRAME)) % len(audio)] * _WINDOW)


def _syllables(random: np.random.Generator, frames: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Levels of vowel and consonant, pitch in Hz and formants in Hz [shape=(frames, 3)] of a voice, frame by frame."""
    level, hiss, pitch, formant = np.zeros(frames), np.zeros(frames), np.zeros(frames), np.zeros((frames, 3))
    usual, size = np.exp(random.uniform(np.log(95), np.log(230))), random.uniform(0.95, 1.2)
    start = 0
    while start < frames:
        stop = min(start + int(random.integers(7, 20)), frames)  # 0.11 to 0.3 s
        place = np.linspace(0, 1, stop - start, endpoint=False) + 0.5 / (stop - start)
        speaks = random.random() > 0.2
        level[start:stop] = speaks * random.uniform(0.4, 1) * np.sin(np.pi * place) ** 0.7
        begin = slice(start, start + max((stop - start) // 4, 1))
        hiss[begin] = speaks * random.uniform(0, 0.12)
        pitch[start:stop] = usual * np.exp(random.normal(0, 0.12) - 0.15 * place)
        ends = _VOWELS[random.integers(len(_VOWELS), size=2)] * size
        formant[start:stop] = ends[0] + (ends[1] - ends[0]) * place[:, None]
        start = stop
    return level, hiss, pitch, formant


def _vowel(formant: Floats) -> Floats:
    """Magnitude response of the vocal tract [shape=(frames, bins)]: a resonance at each formant, side by side."""
    response = np.full((len(formant), len(_FREQUENCY)), 0.1)  # what lies between resonances is softer, not gone
    for centre, width in zip(formant.T[..., None], _WIDTHS, strict=True):
        response += width * _FREQUENCY / np.hypot(_FREQUENCY**2 - centre**2, width * _FREQUENCY)
    return response


def _consonant() -> Floats:
    """Magnitude response of a hiss [shape=(bins,)]: loudest about 5 kHz."""
    return _FREQUENCY**2 / (_FREQUENCY**2 + 3500.0**2) / (1 + (_FREQUENCY / 7000) ** 2)
