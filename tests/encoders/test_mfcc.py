"""MFCC statistics against librosa, and what must hold by their definition."""

import librosa
import numpy as np
import pytest
from scipy.signal import get_window

from earshift.encoders.mfcc import Mfcc


def vector(waveform):
    return Mfcc(heads=None).load(None, "cpu")(np.asarray(waveform, dtype=np.float32)[None])[0]


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("samples", [1024, 1100, 22050, 66150])
def test_statistics_are_those_of_librosas_coefficients(rng, samples):
    waveform = (rng.normal(0, 0.05, samples) + 0.3 * np.sin(0.1 * np.arange(samples))).astype(np.float32)
    window = get_window("hann", 1024, fftbins=False)
    spectrum = librosa.stft(waveform, n_fft=1024, hop_length=256, window=window, pad_mode="reflect")
    mel = librosa.feature.melspectrogram(S=np.abs(spectrum) ** 2, sr=22050, n_mels=128)
    frames = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80), n_mfcc=25)[1:].T
    expected = []
    for series in (frames, frames[1:] - frames[:-1], frames[2:] - 2 * frames[1:-1] + frames[:-2]):
        expected += [series.mean(axis=0), series.std(axis=0, ddof=1)]
    expected = np.concatenate(expected)
    assert expected.shape == (144,)
    np.testing.assert_allclose(vector(waveform), expected, atol=1e-5 * np.abs(expected).max())


def test_level_changes_nothing_above_the_floor(rng):
    waveform = rng.normal(0, 0.1, 22050)
    np.testing.assert_allclose(vector(waveform / 4), vector(waveform), atol=2e-4)


def test_silence_is_zero():
    np.testing.assert_allclose(vector(np.zeros(22050)), 0, atol=1e-4)
