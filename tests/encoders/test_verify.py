"""The questions that are put to an encoder find what is wrong with it, and vectors that drifted are noticed."""

import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch

from earshift.encoders import contract
from earshift.encoders.base import Encoder
from earshift.errors import UserError
from earshift.options import Interval
from earshift.pipeline import paths, verify

REPOSITORY = Path(__file__).parents[2]
HERE = ("mfcc", "musicnn", "yamnet")  # whose weights come with packages


@dataclass(frozen=True)
class Good(Encoder):
    """Level in equal slices."""

    slices: Annotated[int, Interval(ge=1, le=100)]

    sample_rate = 8000
    window = 0.1
    packages = ("numpy",)

    @property
    def dim(self):
        return self.slices

    def load(self, folder, device):
        def network(waveforms):
            pieces = np.array_split(waveforms, self.slices, axis=1)
            return np.stack([np.sqrt((p**2).mean(axis=1)) for p in pieces], axis=1)

        return network


def broken(**changes):
    """An encoder like Good with other attributes, or another network made from the good one."""
    return type("Broken", (Good,), changes)(8)


def with_network(make):
    """An encoder whose network is ``make(the good network)``."""
    return broken(load=lambda self, folder, device: make(Good.load(self, folder, device)))


class Counting:
    """A network that remembers how often it was called."""

    def __init__(self, network):
        self.network, self.calls = network, 0

    def __call__(self, waveforms):
        self.calls += 1
        return self.network(waveforms) + np.float32(self.calls)


def in_place(network):
    def run(waveforms):
        waveforms -= waveforms.mean(axis=1, keepdims=True)
        return network(waveforms)

    return run


def needs_a_second(network):
    def run(waveforms):
        if waveforms.shape[1] < 8000:
            raise RuntimeError("kernel size can't be greater than actual input size")
        return network(waveforms)

    return run


def over_the_batch(network):
    return lambda waveforms: network(waveforms) - network(waveforms).mean(axis=0, keepdims=True) + np.float32(1)


def untrained(network):
    bias = np.float32(np.random.default_rng().random())
    return lambda waveforms: network(waveforms) + bias


BROKEN = {
    "a tensor": (with_network(lambda net: lambda w: torch.from_numpy(net(w))), r"torch.Tensor; end with .cpu\(\)"),
    "frames": (with_network(lambda net: lambda w: net(w)[:, None]), r"shape \(1, 1, 8\).*average over time"),
    "another dim": (broken(dim=9), r"shape \(1, 8\) for one clip, expected \(1, 9\)"),
    "double precision": (with_network(lambda net: lambda w: net(w).astype(float)), r"float64; end with .astype"),
    "NaN for silence": (with_network(lambda net: lambda w: np.log(net(w))), "for silence; add a floor"),
    "a network that needs a second": (with_network(needs_a_second), "clip of 0.5 s .*set window"),
    "state from call to call": (with_network(Counting), "another vector for the same clip; call .eval"),
    "random weights": (
        with_network(untrained),
        r"after load\(\) is called again",
    ),
    "normalised over the batch": (with_network(over_the_batch), "depend on the batch"),
    "input changed in place": (with_network(in_place), "changes its input in place"),
    "deaf": (with_network(lambda net: lambda w: np.ones((len(w), 8), np.float32)), "is the audio used at all"),
    "an exception": (with_network(lambda net: lambda w: net(w[0])), "Vectors of one clip: Broken raises IndexError"),
    "no function": (broken(load=lambda self, folder, device: None), "load returns a NoneType; it must return"),
    "load that fails": (broken(load=lambda self, folder, device: 1 / 0), "raises ZeroDivisionError"),
    "no sample rate": (broken(sample_rate=None), "sample_rate is None; set it"),
    "dim 0": (broken(dim=0), "dim is 0; set it"),
    "batch 0": (broken(batch=0), "batch is 0; set it"),
    "an unknown package": (broken(packages=("nosuchpackage",)), "nosuchpackage"),
    "waveform of two channels": (broken(waveform=lambda self, audio, rate: audio), r"waveform gives float32 \(2, "),
    "a class that cannot travel": (broken(), "cannot be sent to worker processes"),
}


def found_in(encoder, tmp_path):
    return list(contract.problems(encoder, tmp_path))


def test_a_good_encoder_has_no_problems(tmp_path):
    assert found_in(Good(8), tmp_path) == []


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_found_and_its_remedy_named(kind, tmp_path, monkeypatch):
    encoder, expected = BROKEN[kind]
    if kind != "a class that cannot travel":  # classes made in this test cannot be pickled, and that is not the point
        monkeypatch.setattr(contract, "_BEFORE_LOADING", contract._BEFORE_LOADING[:2])
    with np.errstate(divide="ignore"):
        found = found_in(encoder, tmp_path)
    assert any(re.search(expected, problem) for problem in found), found
    assert all("\n" not in problem for problem in found)


def test_clips_are_the_same_everywhere():
    clips = contract.clips()
    audio, rate = clips["noise"]
    # Lehmer's generator with multiplier 48271 and seed 440: 440 * 48271 = 21239240
    np.testing.assert_allclose(audio[0, 0], 0.1 * (21239240 / 2**30 - 1), rtol=1e-6)
    assert {rate for _, rate in clips.values()} == {44100, 16000}
    assert all(audio.dtype == np.float32 and np.abs(audio).max() < 1 for audio, _ in clips.values())


@pytest.mark.parametrize("name", HERE)
def test_vectors_are_as_recorded(name, encoders_of_params, weights_folder):
    folder = weights_folder(name)
    assert found_in(encoders_of_params[name], folder) == []
    lines, whole = verify.compare(name, encoders_of_params[name], folder, REPOSITORY / paths.GOLDEN)
    assert whole and "as recorded" in lines[-1], lines


def test_drift_is_said_clip_by_clip_with_versions(tmp_path, monkeypatch):
    golden = tmp_path / "golden"
    encoder = Good(4)
    vectors, _ = verify.encode_clips(encoder, tmp_path)
    moved = vectors.copy()
    moved[1] *= 1.01
    verify.write_golden("good", verify.inputs_of(encoder, tmp_path), moved, {"numpy": "1.0"}, golden)
    lines, whole = verify.compare("good", encoder, tmp_path, golden)
    assert not whole
    assert lines[1].startswith("good: DRIFTED, largest difference 9.9e-03")
    assert [line.rpartition(" ")[2] for line in lines[2:6]] == ["0.0e+00", "9.9e-03", "0.0e+00", "0.0e+00"]
    assert f"numpy 1.0 -> {np.__version__}" in lines[6]


def test_golden_vectors_belong_to_options_and_weights(tmp_path):
    golden = tmp_path / "golden"
    vectors, _ = verify.encode_clips(Good(4), tmp_path)
    verify.write_golden("good", verify.inputs_of(Good(4), tmp_path), vectors, {}, golden)
    lines, whole = verify.compare("good", Good(5), tmp_path, golden)
    assert whole and "no golden vectors for these options and weights" in lines[1]
    assert verify.read_golden("good", {"options": {"slices": 4}, "weights": None}, golden) is not None
    assert verify.read_golden("good", {"options": {"slices": 4}, "weights": "0" * 64}, golden) is None


@pytest.fixture
def command(workspace, monkeypatch, capsys):
    """Verify in a workspace that has the golden vectors; returns whether all is well, and the output."""
    shutil.copytree(REPOSITORY / paths.GOLDEN, workspace / paths.GOLDEN)
    monkeypatch.syspath_prepend(str(workspace))

    def run(word, **options):
        return verify.verify(word, **options), capsys.readouterr().out

    return run


def test_an_encoder_of_params_yaml(command):
    whole, out = command("mfcc")
    assert whole
    assert "mfcc: keeps what the pipeline relies on" in out and "mfcc: as recorded" in out and np.__version__ in out


def test_a_class_of_ones_own(command, workspace):
    (workspace / "ownencoder.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from earshift.encoders.base import Encoder

        class Mine(Encoder):
            sample_rate, window, dim = 8000, 0.1, 2

            def load(self, folder, device):
                return lambda waveforms: np.stack([waveforms.mean(1), np.log(waveforms.std(1))], axis=1)
        """)
    )
    with np.errstate(divide="ignore"):
        whole, out = command("ownencoder:Mine")
    assert not whole
    assert out.startswith("Mine: PROBLEM: Mine gives NaN or infinity for silence; add a floor")


def test_recording_and_verifying(command, edited):
    edited({"encoders.musicnn.layer": "penultimate"})
    assert "no golden vectors" in command("musicnn")[1]
    whole, out = command("musicnn", record=True)
    assert whole and "written" in out and "musicnn: as recorded, largest difference 0.0e+00" in out
    assert "as recorded" in command("musicnn")[1]


def test_unknown_encoders_are_named(command):
    with pytest.raises(UserError, match="no encoder 'musicn' in params.yaml; there are mfcc"):
        command("musicn")
    with pytest.raises(UserError, match="cannot import"):
        command("nowhere:Mine")


def test_a_class_with_options_says_where_they_go():
    with pytest.raises(UserError, match="put it into params.yaml as encoders.NAME"):
        verify._encoder(f"{__name__}:Good")
