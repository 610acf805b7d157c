"""What every perturbation found by the scan must keep."""

import numpy as np
import pytest

from stages import params, scan
from stages.perturb.base import Perturbation

PERTURBATIONS = scan.plugins("perturb")
CONFIGURED = params.read()["perturbations"]


@pytest.fixture(params=sorted(PERTURBATIONS))
def perturbation(request):
    name = request.param
    assert name in CONFIGURED, f"params.yaml has no section perturbations.{name}"
    return params.build(PERTURBATIONS[name], CONFIGURED[name], f"perturbations.{name}")


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


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_keeps_shape_type_and_input(perturbation, rate, channels, rng):
    audio = rng.normal(0, 0.1, (channels, rate // 3)).astype(np.float32)
    before = audio.copy()
    for value in (perturbation.values()[0], perturbation.values()[-1]):
        process = perturbation.processor(value)
        out = process(audio, rate)
        assert out.shape == audio.shape and out.dtype == np.float32 and np.isfinite(out).all()
        np.testing.assert_array_equal(audio, before)
        np.testing.assert_array_equal(process(audio, rate), out)


def test_silence_stays_silent(perturbation):
    silence = np.zeros((2, 20000), dtype=np.float32)
    for value in perturbation.values():
        assert np.abs(perturbation.processor(value)(silence, 44100)).max() < 1e-6


def test_neutral_value_changes_nothing(perturbation, rng):
    if perturbation.neutral is None:
        return
    audio = rng.normal(0, 0.1, (2, 10000)).astype(np.float32)
    np.testing.assert_allclose(perturbation.processor(perturbation.neutral)(audio, 44100), audio, atol=1e-7)
