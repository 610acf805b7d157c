"""Networks against the study's sizes, and against the same numbers from librosa and from the encoder ``mfcc``."""

import numpy as np
import pytest
import torch

from earshift.encoders.mfcc import Mfcc
from earshift.training.excerpt import SAMPLES
from earshift.training.kim2019 import networks
from earshift.training.loop import count_parameters

torch.set_num_threads(1)


def network(**options):
    defaults = {"outputs": 0, "channels": 1, "dropout": 0.5, "grow": "repeat", "skips": False}
    torch.manual_seed(0)
    return networks.Network(options.pop("encoder", "vgg"), **defaults | options)


@pytest.fixture(scope="module")
def noise():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, SAMPLES)).astype(np.float32))


def test_planes_have_the_sizes_of_the_study():
    assert networks.plane_sizes() == [(513, 173), (256, 86), (128, 43), (64, 21), (32, 10), (16, 5), (8, 2), (4, 1)]


def test_the_study_s_encoder_has_its_number_of_parameters():
    encoder = networks.VggEncoder(16, 0.5)
    assert encoder.dim == 256
    assert count_parameters(encoder.blocks) == 1_573_488  # 1.573 M
    assert count_parameters(encoder.dense) == 66_304  # 0.066 M


def test_the_spectrogram_is_librosa_s(noise):
    import librosa

    found = networks.Spectrogram().magnitude(noise)
    assert found.shape == (2, 513, 173)
    window = np.hanning(1024)  # symmetric
    expected = np.abs(librosa.stft(noise[0].numpy(), n_fft=1024, hop_length=256, window=window, pad_mode="reflect"))
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)
    expected = librosa.power_to_db(expected**2, ref=1.0, amin=1e-10, top_db=80)
    np.testing.assert_allclose(networks.decibels(found.square())[0].numpy(), expected, atol=1e-2)


def test_training_clips_are_standard_after_standardisation(noise):
    spectrogram = networks.Spectrogram()
    networks.standardise(spectrogram, noise)
    found = spectrogram.standardised(spectrogram.magnitude(noise))
    np.testing.assert_allclose(found.mean(dim=(0, 2)).numpy(), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(dim=(0, 2), correction=0).numpy(), 1, atol=1e-3)


def test_mfcc_are_those_of_the_encoder(noise):
    found = network(encoder="mfcc", outputs=3).eval().vector(noise).detach().numpy()
    expected = Mfcc(heads=None).load(None, "cpu")(noise.numpy())
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("encoder, grow, skips", [
    ("vgg", "repeat", False), ("vgg", "places", False), ("vgg", "repeat", True), ("mfcc", "repeat", True),
])  # fmt: skip
def test_a_decoder_gives_a_plane_back_that_can_be_learned(noise, encoder, grow, skips):
    made = network(encoder=encoder, grow=grow, skips=skips)
    magnitude = made.spectrogram.magnitude(noise)
    plane = made.plane(magnitude)
    assert plane.shape == magnitude.shape
    plane.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in made.parameters())


def test_classes_and_vectors(noise):
    made = network(outputs=5).eval()
    with torch.inference_mode():
        assert made.classes(noise).shape == (2, 5)
        vectors = made.vector(noise)
        assert vectors.shape == (2, 16) and (vectors >= 0).all()
        torch.testing.assert_close(made.vector(noise[1:]), vectors[1:], atol=1e-5, rtol=1e-4)
