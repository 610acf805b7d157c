"""What every encoder must do: a new file in earshift/encoders is tested here from the moment it exists."""

from pathlib import Path

import numpy as np
import pytest

import earshift.encoders
from earshift.encoders.base import Encoder
from earshift.encoders.contract import BATCH_TOLERANCE
from earshift.encoders.weights.official import Official
from earshift.encoders.weights.wheel import Wheel
from earshift.plugins import find_plugins

REPOSITORY = Path(__file__).parents[2]
NAMES = list(find_plugins(earshift.encoders, Encoder))
DIGITS = {"sha256": 64, "md5": 32, "git-blob": 40}
SHAPES = {  # channels, seconds, sample rate
    "mono": (1, 1.1, 44100),
    "stereo": (2, 1.1, 44100),
    "short": (1, 0.05, 44100),
    "short stereo at a low rate": (2, 0.05, 8000),
    "8 kHz": (1, 1.3, 8000),
    "48 kHz": (2, 1.3, 48000),
    "long": (1, 7.1, 22050),
}


@pytest.fixture(scope="module", params=NAMES)
def encoder(request, encoders_of_params):
    assert request.param in encoders_of_params, f"params.yaml has no section encoders.{request.param}"
    return encoders_of_params[request.param]


@pytest.fixture(scope="module")
def embed(encoder, weights_folder):
    return encoder.load(weights_folder(encoder.name), "cpu")


def noise(channels, seconds, sample_rate, seed=0):
    samples = int(seconds * sample_rate)
    return np.random.default_rng(seed).normal(0, 0.1, (channels, samples)).astype(np.float32)


def vector(encoder, embed, audio, sample_rate):
    return embed(encoder.waveform(audio, sample_rate)[None])[0]


def test_there_are_encoders():
    assert {"mfcc", "musicnn", "yamnet"} <= set(NAMES)


def test_the_class_says_what_the_pipeline_asks(encoder):
    assert encoder.name and encoder.sample_rate > 0 and encoder.window >= 0 and encoder.batch >= 1 and encoder.dim >= 1
    assert type(encoder).__doc__ and hash(encoder) == hash(type(encoder)(**vars(encoder)))
    from earshift.storage.provenance import versions

    assert versions(*encoder.packages)
    published = encoder.weights_source(downloads=Path("downloads"), networks=Path("networks"))
    if published is not None:
        assert published.licence and published.description
    if isinstance(published, Wheel):
        digests = [digest for _, digest in published.files] + [published.wheel_sha256]
        assert all(len(digest) == 64 for digest in digests)
    if isinstance(published, Official):
        assert published.remote.urls and all(url.startswith("https://") for url in published.remote.urls)
        assert all(len(digest) == DIGITS[algorithm] for algorithm, digest in published.remote.hashes)
        assert published.option == f"encoders.{encoder.name}.weights.path"


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_have_dim_and_are_finite(encoder, embed, shape):
    channels, seconds, rate = SHAPES[shape]
    for audio in (noise(channels, seconds, rate), np.zeros((channels, int(seconds * rate)), dtype=np.float32)):
        found = vector(encoder, embed, audio, rate)
        assert found.shape == (encoder.dim,) and found.dtype == np.float32
        assert np.isfinite(found).all()


def test_full_scale_is_finite(encoder, embed):
    square = np.where(np.arange(50000) // 50 % 2, 1, -1).astype(np.float32)[None]
    assert np.isfinite(vector(encoder, embed, square, 44100)).all()


def test_clips_are_told_apart(encoder, embed):
    one, other = (vector(encoder, embed, noise(1, 1.1, 44100, seed), 44100) for seed in (1, 2))
    assert np.abs(one - other).max() > 1e-4 * np.abs(one).max()


def test_stereo_of_equal_channels_is_mono(encoder, embed):
    mono = noise(1, 1.1, 44100)
    np.testing.assert_array_equal(
        vector(encoder, embed, np.repeat(mono, 2, axis=0), 44100), vector(encoder, embed, mono, 44100)
    )


def test_a_clip_does_not_depend_on_its_company(encoder, embed):
    """To the bit where clips are computed one by one; else as far as sums of floats in another order go."""
    waveforms = np.stack([encoder.waveform(noise(1, 1.0, 44100, seed), 44100) for seed in range(3)])
    alone = np.concatenate([embed(waveforms[i : i + 1]) for i in range(3)])
    allowed = 0 if encoder.batch == 1 else BATCH_TOLERANCE * np.abs(alone).max()
    np.testing.assert_allclose(embed(waveforms), alone, rtol=0, atol=allowed)
    np.testing.assert_allclose(embed(waveforms[::-1])[::-1], alone, rtol=0, atol=allowed)


def test_threads_change_no_bit(encoder, embed):
    import torch

    waveforms = encoder.waveform(noise(1, 1.1, 44100), 44100)[None]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(embed(waveforms))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_second_load_gives_the_same_bits(encoder, embed, weights_folder):
    waveforms = encoder.waveform(noise(1, 1.1, 44100), 44100)[None]
    again = encoder.load(weights_folder(encoder.name), "cpu")
    np.testing.assert_array_equal(again(waveforms), embed(waveforms))


def test_the_input_is_left_as_it_was(encoder, embed):
    waveforms = encoder.waveform(noise(1, 1.1, 44100), 44100)[None]
    before = waveforms.copy()
    embed(waveforms)
    np.testing.assert_array_equal(waveforms, before)
