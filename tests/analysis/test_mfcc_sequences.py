"""The sequences against librosa's MFCCs."""

import librosa
import numpy as np
import pytest

from earshift.analysis.mfcc_sequences import mfcc_sequence


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
@pytest.mark.parametrize("samples", [1, 511, 30000, 66150])
def test_equals_librosa(rng, samples):
    audio = (rng.normal(0, 0.1, samples) * np.linspace(0, 1, samples) ** 4).astype(np.float32)
    expected = librosa.feature.mfcc(y=audio, sr=22050, n_mfcc=25)[1:].T
    found = mfcc_sequence(audio[None], 22050, 25)
    assert found.dtype == np.float32 and found.shape == (1 + samples // 512, 24)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_channels_are_averaged_and_resampled(rng):
    mono = librosa.resample(rng.normal(0, 0.1, 22050).astype(np.float32), orig_sr=22050, target_sr=44100)
    side = rng.normal(0, 0.1, len(mono)).astype(np.float32)
    expected = librosa.feature.mfcc(y=librosa.resample(mono, orig_sr=44100, target_sr=22050), sr=22050, n_mfcc=13)[1:]
    np.testing.assert_allclose(mfcc_sequence(np.stack([mono + side, mono - side]), 44100, 13), expected.T, atol=0.01)


def test_silence_is_finite():
    assert np.isfinite(mfcc_sequence(np.zeros((1, 5000), dtype=np.float32), 22050, 25)).all()
