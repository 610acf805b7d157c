"""8-bit storage, and how kim2019's perturbations follow fidelity and the processing of deng2025."""

import numpy as np
import pytest

from earshift.perturbations.level_matched import mu_law_round_trip
from earshift.perturbations.processing import Switches
from earshift.perturbations.time_and_pitch import Pitch
from earshift.pipeline import config as params
from earshift.pipeline import preset
from earshift.pipeline.recipes import plan_recipes

RATE = 22050


@pytest.mark.parametrize("level, ratio", [(0.3, 37.9), (0.01, 35.5)])
def test_mu_law_has_the_signal_to_noise_ratio_of_eight_bits(rng, level, ratio):
    audio = rng.normal(0, level, 200_000).astype(np.float32)
    audio = audio[np.abs(audio) < 1]
    noise = mu_law_round_trip(audio) - audio
    assert 10 * np.log10(np.mean(audio**2) / np.mean(noise**2)) == pytest.approx(ratio, abs=0.1)


def test_mu_law_has_256_steps_and_cuts():
    coded = mu_law_round_trip(np.linspace(-1.5, 1.5, 100_001, dtype=np.float32))
    assert len(np.unique(coded)) == 256 and coded.min() == -1 and coded.max() == 1
    np.testing.assert_array_equal(mu_law_round_trip(coded), coded)


def test_stored_in_eight_bits_after_matching_loudness(rng):
    audio = rng.normal(0, 0.1, (1, RATE)).astype(np.float32)
    out = Pitch(grid=(-1.0, 2.0), level=True, mu_law=True).processor(2.0)(audio, RATE)
    np.testing.assert_array_equal(mu_law_round_trip(out), out)
    untouched = Pitch(grid=(-1.0, 2.0), level=True, mu_law=True).processor(0.0)(audio, RATE)
    np.testing.assert_array_equal(untouched, mu_law_round_trip(audio))


def test_level_can_be_switched_off(rng):
    audio = np.diff(rng.normal(0, 0.1, (1, RATE)), prepend=0).astype(np.float32)
    matched, plain = (
        Pitch(grid=(-1.0, 12.0), level=level, mu_law=False).processor(12.0)(audio, RATE) for level in (1, 0)
    )
    factor = np.sum(matched * plain) / np.sum(plain**2)
    np.testing.assert_allclose(matched, plain * factor, atol=1e-6)
    assert abs(factor - 1) > 0.01


@pytest.mark.parametrize("fidelity, expected", [("paper", True), ("corrected", False)])
def test_null_follows_fidelity(edited, fidelity, expected):
    (recipe, *_) = plan_recipes(edited({"fidelity": fidelity}), "mp3")
    assert recipe.perturbation.mu_law is expected
    assert recipe.perturbation.illegal_rates == ("nearest" if expected else "error")
    by_hand = edited({"fidelity": fidelity, "perturbations.mp3.mu_law": not expected})
    assert plan_recipes(by_hand, "mp3")[0].perturbation.mu_law is not expected


def test_the_processing_of_deng2025_is_its_own(edited):
    paper = edited({"fidelity": "paper"})
    assert plan_recipes(paper, "gain")[0].switches == Switches(True, True, True)
    assert plan_recipes(paper, "pitch")[0].switches == Switches(False, False, False)
    by_hand = edited({"fidelity": "paper", "perturb.clip": True})
    assert plan_recipes(by_hand, "pitch")[0].switches == Switches(clip=True)


def test_the_preset_holds_the_studys_grids(workspace):
    preset.lay_over("kim2019-grids")
    found = params.load().perturbations
    sizes = {name: len(found[name].grid) for name in ("pitch", "tempo", "pink_noise", "ambient_noise", "mp3")}
    assert sizes == {"pitch": 20, "tempo": 20, "pink_noise": 19, "ambient_noise": 19, "mp3": 16}
    assert found["pink_noise"].grid == found["ambient_noise"].grid
    assert found["pitch"].values() == tuple(-value for value in reversed(found["pitch"].values()))
    assert 1 not in found["tempo"].grid and found["mp3"].illegal_rates == "nearest"
