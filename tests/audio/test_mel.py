"""Windows, filters and spectrograms against scipy and librosa."""

import librosa
import numpy as np
import pytest
from scipy.signal import get_window

from earshift.audio.mel import hann, mel_filters, mel_spectrogram

# ours, librosa's, for each encoder
FILTERS = {
    "musicnn": ({"sample_rate": 16000, "n_fft": 512, "bands": 96}, {"sr": 16000, "n_fft": 512, "n_mels": 96}),
    "mfcc": ({"sample_rate": 22050, "n_fft": 1024, "bands": 128}, {"sr": 22050, "n_fft": 1024, "n_mels": 128}),
    "yamnet": (
        {"sample_rate": 16000, "n_fft": 512, "bands": 64, "low": 125, "high": 7500, "htk": True, "normalise": False},
        {"sr": 16000, "n_fft": 512, "n_mels": 64, "fmin": 125, "fmax": 7500, "htk": True, "norm": None},
    ),
}


@pytest.mark.parametrize("length", [400, 512, 1024])
@pytest.mark.parametrize("symmetric", [False, True])
def test_windows_are_those_of_scipy(length, symmetric):
    expected = get_window("hann", length, fftbins=not symmetric)
    np.testing.assert_allclose(hann(length, symmetric=symmetric), expected, atol=1e-7)


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("encoder", FILTERS)
def test_filters_are_those_of_librosa(encoder):
    ours, theirs = FILTERS[encoder]
    expected = librosa.filters.mel(**theirs)
    np.testing.assert_allclose(mel_filters(**ours).toarray(), expected, atol=1e-7 * expected.max())


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("encoder", FILTERS)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("seconds", [0.2, 3, 40])  # the longest takes more than one block
def test_spectrograms_are_those_of_librosa(rng, encoder, power, seconds):
    ours, theirs = FILTERS[encoder]
    signal = rng.normal(0, 0.1, int(seconds * theirs["sr"])).astype(np.float32)
    expected = librosa.feature.melspectrogram(y=signal, hop_length=256, power=power, center=False, **theirs).T
    n_fft = ours["n_fft"]
    found = mel_spectrogram(signal, window=hann(n_fft), n_fft=n_fft, hop=256, filters=mel_filters(**ours), power=power)
    assert found.shape == expected.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_a_short_window_is_padded_to_the_transform(rng):
    signal = rng.normal(0, 0.1, 4000).astype(np.float32)
    ours, _ = FILTERS["yamnet"]
    found = mel_spectrogram(signal, window=hann(400), n_fft=512, hop=160, filters=mel_filters(**ours), power=1)
    frames = np.stack([signal[start : start + 400] for start in range(0, 4000 - 400 + 1, 160)]).astype(np.float64)
    expected = np.abs(np.fft.rfft(frames * get_window("hann", 400), 512)) @ mel_filters(**ours).toarray().T
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
