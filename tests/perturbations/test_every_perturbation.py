"""What every perturbation found by the scan must keep."""

import json

import numpy as np
import pytest

from earshift import plugins as scan
from earshift.audio.loudness import loudness
from earshift.options import check
from earshift.perturbations.base import Perturbation
from earshift.perturbations.level_matched import Levelled
from earshift.pipeline import config as params

PERTURBATIONS = scan.plugins("perturbations")
CONFIGURED = params.read()["perturbations"]


def configured(name):
    assert name in CONFIGURED, f"params.yaml has no section perturbations.{name}"
    return check(PERTURBATIONS[name], CONFIGURED[name], f"perturbations.{name}")


@pytest.fixture(params=sorted(PERTURBATIONS))
def perturbation(request):
    return configured(request.param)


def ends(perturbation):
    return perturbation.values()[0], perturbation.values()[-1]


def test_says_what_its_values_mean(perturbation):
    assert perturbation.unit
    assert perturbation.growth in ("up", "down", "two-sided")
    assert perturbation.packages
    assert isinstance(perturbation, Perturbation) and type(perturbation).__doc__


def test_strength_grows_along_the_grid(perturbation):
    strengths = list(perturbation.strengths().values())
    assert strengths[0] == 0 and strengths[-1] == 1 and strengths == sorted(set(strengths))
    values = [float(v) for v in perturbation.strengths()]
    assert values == sorted(values, reverse=perturbation.growth == "down")


@pytest.mark.parametrize("fidelity", ["corrected", "paper"])
def test_what_is_left_open_is_decided_and_can_be_written_down(perturbation, fidelity):
    decided = perturbation.decided(fidelity)
    options = {key: value for key, value in vars(decided).items() if key != "grid"}
    again = type(decided)(grid=decided.grid, **json.loads(json.dumps(options)))
    assert again == decided and decided.decided(fidelity) == decided
    assert decided.material() == ""


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_keeps_shape_type_and_input(perturbation, rate, channels, rng):
    audio = rng.normal(0, 0.1, (channels, rate // 3)).astype(np.float32)
    before = audio.copy()
    for value in ends(perturbation):
        process = perturbation.processor(value)
        out = process(audio, rate)
        assert out.dtype == np.float32 and np.isfinite(out).all()
        assert out.shape == (channels, round(audio.shape[1] * perturbation.length(value)))
        np.testing.assert_array_equal(audio, before)
        np.testing.assert_array_equal(process(audio, rate), out)
        np.testing.assert_array_equal(perturbation.processor(value)(audio, rate), out)


@pytest.mark.parametrize("channels, samples", [(1, 3), (2, 3), (2, 500), (3, 4000), (6, 4000)])
def test_few_samples_and_many_channels(perturbation, channels, samples, rng):
    audio = rng.normal(0, 0.1, (channels, samples)).astype(np.float32)
    for value in ends(perturbation):
        out = perturbation.processor(value)(audio, 44100)
        assert out.shape == (channels, round(samples * perturbation.length(value))) and np.isfinite(out).all()


def test_silence_stays_silent(perturbation):
    silence = np.zeros((2, 20000), dtype=np.float32)
    for value in perturbation.values():
        assert np.abs(perturbation.processor(value)(silence, 44100)).max() < 1e-6


def test_neutral_value_changes_nothing(perturbation, rng):
    if perturbation.neutral is None:
        return
    audio = rng.normal(0, 0.1, (2, 10000)).astype(np.float32)
    np.testing.assert_allclose(perturbation.processor(perturbation.neutral)(audio, 44100), audio, atol=1e-7)


@pytest.mark.parametrize("name", [name for name, cls in PERTURBATIONS.items() if issubclass(cls, Levelled)])
def test_levelled_to_a_tenth_of_a_unit(name, rng):
    """A clip with loud and soft parts, so that the relative gate matters."""
    rate = 22050
    envelope = np.repeat([0.3, 0.003, 0.1, 0.001, 0.3], rate // 4)
    audio = (np.cumsum(rng.normal(0, 0.1, (2, len(envelope))), axis=1) % 1 - 0.5).astype(np.float32) * envelope
    audio = audio.astype(np.float32)
    perturbation = configured(name)
    for value in ends(perturbation):
        out = perturbation.processor(value)(audio, rate)
        assert loudness(out, rate) == pytest.approx(loudness(audio, rate), abs=0.1)
