"""What every perturbation found by the scan must keep."""

import dataclasses
import json

import numpy as np
import pytest

import earshift.perturbations
from earshift.audio.loudness import loudness
from earshift.options import check
from earshift.perturbations.base import Perturbation
from earshift.perturbations.level_matched import LevelMatched
from earshift.perturbations.severity import log_spectral_distance
from earshift.pipeline import config as params
from earshift.plugins import find_plugins

PERTURBATIONS = find_plugins(earshift.perturbations, Perturbation)
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
    assert isinstance(perturbation, Perturbation)
    written = type(perturbation).__doc__
    assert not written.startswith(f"{type(perturbation).__name__}("), "a docstring, not what dataclass makes up"
    options = {field.name for field in dataclasses.fields(perturbation)}
    assert "grid" in options and set(perturbation.external_inputs) <= options


def test_strengths_are_ranks_from_weakest_to_strongest(perturbation):
    count = len(perturbation.grid)
    assert list(perturbation.strengths().values()) == [rank / (count - 1) for rank in range(count)]
    assert sorted(map(float, perturbation.strengths())) == sorted(perturbation.grid)


def test_the_strongest_value_changes_a_clip_most(perturbation, rng):
    """In the direction that ``growth`` states; of a two-sided grid both ends more than the value nearest to neutral."""
    audio = np.cumsum(rng.normal(0, 0.01, (2, 44100)), axis=1)
    audio = (audio - audio.mean(axis=1, keepdims=True)).clip(-0.5, 0.5).astype(np.float32)
    values = perturbation.values()
    distances = [log_spectral_distance(audio, perturbation.processor(value)(audio, 44100)) for value in values]
    if perturbation.growth == "two-sided":
        nearest = min(range(len(values)), key=lambda i: abs(np.subtract(values[i], perturbation.neutral)))
        assert min(distances[0], distances[-1]) >= distances[nearest]
        assert max(distances[0], distances[-1]) > distances[nearest]
    else:
        assert distances[-1] > distances[0]
    changed = [distance for value, distance in zip(values, distances, strict=True) if value != perturbation.neutral]
    assert min(changed) > 0, "only the neutral value changes nothing"


@pytest.mark.parametrize("fidelity", ["corrected", "paper"])
def test_what_is_left_open_is_decided_and_can_be_written_down(perturbation, fidelity):
    decided = perturbation.with_fidelity(fidelity)
    options = {key: value for key, value in vars(decided).items() if key != "grid"}
    again = type(decided)(grid=decided.grid, **json.loads(json.dumps(options)))
    assert again == decided and decided.with_fidelity(fidelity) == decided
    assert None not in [value for key, value in options.items() if key not in perturbation.external_inputs]
    assert decided.external_inputs_hash() == ""


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


@pytest.mark.parametrize("name", [name for name, cls in PERTURBATIONS.items() if cls.neutral is not None])
def test_neutral_value_changes_nothing(name, rng):
    perturbation = configured(name)
    audio = rng.normal(0, 0.1, (2, 10000)).astype(np.float32)
    np.testing.assert_allclose(perturbation.processor(perturbation.neutral)(audio, 44100), audio, atol=1e-7)


@pytest.mark.parametrize("name", [name for name, cls in PERTURBATIONS.items() if issubclass(cls, LevelMatched)])
def test_loudness_is_matched_to_a_tenth_of_a_unit(name, rng):
    """A clip with loud and soft parts, so that the relative gate matters."""
    rate = 22050
    envelope = np.repeat([0.3, 0.003, 0.1, 0.001, 0.3], rate // 4)
    audio = (np.cumsum(rng.normal(0, 0.1, (2, len(envelope))), axis=1) % 1 - 0.5).astype(np.float32) * envelope
    audio = audio.astype(np.float32)
    perturbation = configured(name)
    for value in ends(perturbation):
        out = perturbation.processor(value)(audio, rate)
        assert loudness(out, rate) == pytest.approx(loudness(audio, rate), abs=0.1)
