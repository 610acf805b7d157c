"""Pitch and tempo against tones and clicks: frequency, length, place."""

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.perturbations.time_and_pitch import Tempo, stretch

RATE = 44100


def tone(frequency, seconds=1.5):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)[None]


def frequency_of(audio):
    middle = audio[0, RATE // 8 : -RATE // 8]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    return np.argmax(spectrum) * RATE / (1 << 20)


@pytest.mark.parametrize("semitones", [-12, -0.25, 0.25, 12])
def test_pitch_by_semitones(semitones):
    audio = tone(440)
    out = stretch(audio, RATE, semitones=semitones)
    assert out.shape == audio.shape
    assert 1200 * np.log2(frequency_of(out) / 440) == pytest.approx(100 * semitones, abs=2)


@pytest.mark.parametrize("rate", [0.3, 0.98, 1.02, 1.5])
def test_tempo_keeps_pitch_and_divides_length(rate):
    audio = tone(440)
    out = stretch(audio, RATE, rate=rate)
    assert out.shape == (1, round(audio.shape[1] / rate))
    assert 1200 * np.log2(frequency_of(out) / 440) == pytest.approx(0, abs=2)
    assert np.std(out) == pytest.approx(np.std(audio), rel=0.03)


@pytest.mark.parametrize("options", [{"semitones": 0.25}, {"semitones": -12}, {"rate": 0.5}, {"rate": 1.5}])
def test_what_happens_stays_at_its_place(options, rng):
    """A burst of noise half a second in is there afterwards, give or take 15 ms of the new time."""
    audio = np.zeros((1, RATE), dtype=np.float32)
    audio[0, RATE // 2 : RATE // 2 + 2000] = rng.normal(0, 0.3, 2000)
    power = stretch(audio, RATE, **options)[0] ** 2
    place = np.sum(np.arange(len(power)) * power) / np.sum(power)
    assert place / RATE == pytest.approx((0.5 + 1000 / RATE) / options.get("rate", 1), abs=0.015)


def test_stereo_keeps_its_image():
    audio = np.concatenate([tone(440), 0.1 * tone(440)])
    out = stretch(audio, RATE, rate=0.8)
    np.testing.assert_allclose(out[1], 0.1 * out[0], atol=1e-3)


@pytest.mark.parametrize("samples", [3, 100, 3000])
def test_less_than_a_window(samples, rng):
    audio = rng.normal(0, 0.1, (2, samples)).astype(np.float32)
    for rate in (0.3, 1.5):
        assert stretch(audio, RATE, rate=rate).shape == (2, round(samples / rate))


def test_nothing_left_is_an_error():
    tempo = Tempo(grid=(0.5, 10.0), level=True, mu_law=False)
    with pytest.raises(UserError, match="tempo 10 leaves nothing of a clip of 4 samples; take a lower rate"):
        tempo.processor(10.0)(np.ones((1, 4), dtype=np.float32), RATE)
