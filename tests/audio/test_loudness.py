"""Levelling: to the loudness of BS.1770 where it is defined, to the RMS where it is not, and never cut."""

import numpy as np
import pyloudnorm
import pytest

from earshift.audio.loudness import loudness, match_loudness, rms

RATE = 44100


def measured(audio):
    return pyloudnorm.Meter(RATE).integrated_loudness(audio.T.astype(np.float64))


@pytest.fixture
def music(rng):
    """Two seconds that get softer, below the relative gate at the end."""
    fall = 10 ** (-np.linspace(0, 30, 2 * RATE) / 20)
    return (rng.normal(0, 0.1, (2, 2 * RATE)) * fall).astype(np.float32)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 20.0])
def test_as_loud_as_the_original(music, rng, factor):
    other = np.diff(rng.normal(0, factor, (2, 3 * RATE + 1))).astype(np.float32)  # brighter, and longer
    out = match_loudness(other, music, RATE)
    assert measured(out) == pytest.approx(measured(music), abs=0.02)
    np.testing.assert_allclose(out / other, (out / other)[0, 0], rtol=1e-5)


def test_a_standard_tone():
    """BS.1770: a 997 Hz sine at full scale in one channel reads -3.01 LKFS, give or take a tenth."""
    tone = np.sin(2 * np.pi * 997 * np.arange(RATE) / RATE).astype(np.float32)[None]
    assert loudness(tone, RATE) == pytest.approx(-3.01, abs=0.1)


def test_beyond_full_scale_is_kept(music):
    peaky = np.zeros_like(music)
    peaky[:, ::2000] = 0.5
    out = match_loudness(peaky, music, RATE)
    assert np.abs(out).max() > 1.0 and measured(out) == pytest.approx(measured(music), abs=0.02)


@pytest.mark.parametrize("seconds", [(0.3, 0.3), (0.5, 0.3), (0.3, 0.5)])
def test_short_clips_by_rms(rng, seconds):
    original, other = (rng.normal(0, s, (1, int(s * RATE))).astype(np.float32) for s in seconds)
    assert np.isnan(loudness(original, RATE)) or np.isnan(loudness(other, RATE))
    assert rms(match_loudness(other, original, RATE)) == pytest.approx(rms(original), rel=1e-5)


def test_clips_below_the_gate_by_rms(music):
    quiet = music * np.float32(1e-4)
    assert np.isnan(loudness(quiet, RATE))
    assert rms(match_loudness(music, quiet, RATE)) == pytest.approx(rms(quiet), rel=1e-4)
    assert rms(match_loudness(quiet, music, RATE)) == pytest.approx(rms(music), rel=1e-4)


def test_clips_about_the_gate_are_finite_and_near(rng):
    """Blocks that pass -70 LUFS make loudness jump: near there the nearest thing that exists is taken."""
    fall = 10 ** (-np.linspace(0, 12, RATE) / 20)
    for level in np.linspace(3e-4, 2e-3, 7):
        original = (rng.normal(0, level, (1, RATE)) * fall).astype(np.float32)
        out = match_loudness(np.flip(original, axis=1) * np.float32(7), original, RATE)
        assert rms(out) == pytest.approx(rms(original), rel=0.2)


def test_six_channels_by_rms(rng):
    original, other = rng.normal(0, 0.1, (2, 6, RATE)).astype(np.float32)
    assert rms(match_loudness(other * 3, original, RATE)) == pytest.approx(rms(original), rel=1e-5)


def test_silence(music):
    silence = np.zeros_like(music)
    np.testing.assert_array_equal(match_loudness(silence, music, RATE), silence)
    np.testing.assert_array_equal(match_loudness(music, silence, RATE), silence)
    assert match_loudness(silence[:, :0], music, RATE).shape == (2, 0)
