"""The resampler against resampy 0.2.2.

fixtures/openl3_resampled.npz holds, by sample rate, what ``resampy.resample(x, rate, 48000, filter="kaiser_best")``
of resampy 0.2.2 gave for the signals of :func:`signal`.
"""

from pathlib import Path

import numpy as np
import pytest

from earshift.audio.kaiser import resample

REFERENCE = np.load(Path(__file__).with_name("fixtures") / "openl3_resampled.npz")


def signal(rate):
    samples = 500 if rate < 60_000 else 1200
    return np.random.RandomState(rate).randint(-20_000, 20_000, samples) / 32768  # a stream that NumPy has frozen


@pytest.mark.parametrize("rate", sorted(map(int, REFERENCE.files)))
def test_it_is_resampy_before_0_3(rate):
    found = resample(signal(rate), rate, 48000)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, REFERENCE[str(rate)], rtol=0, atol=1e-14)


def test_there_are_rates_whose_filter_is_stretched_inexactly():
    steps = [512 * min(1, 48000 / int(rate)) for rate in REFERENCE.files]
    assert sum(step != int(step) for step in steps) >= 3  # where the original's accident shows


@pytest.mark.parametrize(("rate", "tolerance"), [(44100, 1e-6), (8000, 1e-6), (48001, 1e-3), (96000, 1e-6)])
def test_a_tone_stays_the_same_tone(rate, tolerance):
    found = resample(np.sin(2 * np.pi * 440 / rate * np.arange(rate)), rate, 48000)
    expected = np.sin(2 * np.pi * 440 / 48000 * np.arange(len(found)))
    middle = slice(4800, -4800)
    gain = np.dot(found[middle], expected[middle]) / np.dot(expected[middle], expected[middle])
    assert abs(gain - 1) < 5e-3
    np.testing.assert_allclose(found[middle], gain * expected[middle], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("samples", "rate", "length"),
    [(44100, 44100, 48000), (132300, 44100, 144000), (132299, 44100, 143998), (1, 44100, 1), (1, 8000, 6),
     (3, 96000, 1), (2, 192000, 1), (1, 96000, 1), (7, 48000, 7)],
)  # fmt: skip
def test_length(samples, rate, length):
    assert len(resample(np.ones(samples), rate, 48000)) == length


def test_equal_rates_change_nothing(rng):
    x = rng.standard_normal(100)
    np.testing.assert_array_equal(resample(x, 48000, 48000), x)


def test_other_layouts_and_types_are_taken(rng):
    stereo = rng.integers(-3000, 3000, (300, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        resample(stereo[:, 0], 44100, 48000), resample(stereo[:, 0].astype(np.float64).copy(), 44100, 48000)
    )
