"""Severity against closed forms."""

import numpy as np
import pytest

from earshift.perturbations.severity import SNR_LIMITS, severity, summarise

RATE = 44100


@pytest.fixture
def noise(rng):
    return rng.normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-20.0, -6.0, 3.0])
def test_gain(noise, decibels):
    factor = 10 ** (decibels / 20)
    row = severity(noise, (noise * factor).astype(np.float32), RATE)
    assert row["snr_db"] == pytest.approx(-20 * np.log10(abs(factor - 1)), abs=1e-3)
    assert row["loudness_lu"] == pytest.approx(decibels, abs=1e-3)
    assert row["lsd_db"] == pytest.approx(abs(decibels), abs=0.01)


def test_added_noise(noise, rng):
    other = rng.normal(0, 0.1, noise.shape).astype(np.float32)
    other *= np.sqrt(np.sum(noise**2) / np.sum(other**2) / 10)
    assert severity(noise, noise + other, RATE)["snr_db"] == pytest.approx(10, abs=1e-3)


def test_nothing_changed(noise):
    assert severity(noise, noise, RATE) == {"snr_db": SNR_LIMITS[1], "loudness_lu": 0.0, "lsd_db": 0.0}


def test_short_clip_has_no_loudness(noise):
    row = severity(noise[:, :1000], noise[:, :1000] / 2, RATE)
    assert np.isnan(row["loudness_lu"]) and row["snr_db"] == pytest.approx(6.02, abs=0.01)
    assert summarise([row])["loudness_lu"] is None


def test_median_over_clips():
    rows = [{"snr_db": s, "loudness_lu": np.nan if s > 2 else s, "lsd_db": 0.0} for s in (1.0, 2.0, 9.0)]
    assert summarise(rows) == {"snr_db": 2.0, "loudness_lu": 1.5, "lsd_db": 0.0, "clips": 3}


def test_another_length_has_no_snr_and_is_compared_place_by_place():
    """A tone that jumps halfway, played twice as fast, has the same spectra at the same places."""
    tones = [np.sin(2 * np.pi * 20 * k * np.arange(1 << 16) / 2048) for k in (1, 3)]
    fast = [np.sin(2 * np.pi * 20 * k * np.arange(1 << 15) / 2048) for k in (1, 3)]
    slow, quick = (np.concatenate(parts)[None].astype(np.float32) for parts in (tones, fast))
    row = severity(slow, quick, RATE)
    assert np.isnan(row["snr_db"]) and row["loudness_lu"] == pytest.approx(0, abs=0.1)
    assert row["lsd_db"] < 1 < severity(slow, quick[:, ::-1], RATE)["lsd_db"]
    assert severity(slow, quick / 10, RATE)["lsd_db"] == pytest.approx(2.0, abs=2.0)
    assert summarise([row])["snr_db"] is None


def test_what_is_left_by_rounding_is_nothing():
    assert summarise([{"snr_db": 30.0, "loudness_lu": -3e-8, "lsd_db": 1.23456789}])["loudness_lu"] == 0


@pytest.mark.parametrize("length", [0, 1, 500, 3000])
def test_very_short_results_are_measured(noise, length):
    assert np.isfinite(severity(noise, noise[:, :length], RATE)["lsd_db"])
    assert np.isfinite(severity(noise[:, :length], noise, RATE)["lsd_db"])
