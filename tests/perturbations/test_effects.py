"""Effects against closed forms, over sample rates and channels."""

import numpy as np
import pytest
from scipy.signal import sosfreqz

from earshift.perturbations.effects import Bitcrush, Gain, Lowpass, Reverb, lowpass_sections

RATES = (8000, 16000, 22050, 44100, 48000)
CHANNELS = (1, 2, 4)


@pytest.fixture(params=RATES, ids=str)
def rate(request):
    return request.param


@pytest.fixture(params=CHANNELS, ids=lambda n: f"{n}ch")
def audio(request, rate, rng):
    return rng.normal(0, 0.2, (request.param, rate // 2)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-40.0, -1.0, 0.0, 5.0])
def test_gain_multiplies(audio, rate, decibels):
    out = Gain(grid=()).processor(decibels)(audio, rate)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, audio * 10 ** (decibels / 20), rtol=1e-6, atol=0)


@pytest.mark.parametrize("bits", [4, 8, 15])
def test_bitcrush_rounds_to_steps(audio, rate, bits):
    out = Bitcrush(grid=()).processor(float(bits))(audio, rate)
    np.testing.assert_array_equal(out, np.around(audio * 2**bits) / np.float32(2**bits))


def test_reverb_is_linear_repeatable_and_never_does_nothing(audio, rate):
    process = Reverb(grid=()).processor(0.7)
    out = process(audio, rate)
    assert out.shape == audio.shape
    np.testing.assert_array_equal(out, process(audio, rate))
    np.testing.assert_allclose(process(audio * 0.5, rate), out * 0.5, atol=1e-6)
    assert np.abs(Reverb(grid=()).processor(0.01)(audio, rate) - audio).max() > 0.01


def test_reverb_direct_path(rate):
    """The dry path of a unit impulse is 0.8, the figure measured on pedalboard's defaults."""
    impulse = np.zeros((2, rate), dtype=np.float32)
    impulse[:, rate // 2] = 1
    assert Reverb(grid=()).processor(0.5)(impulse, rate)[0, rate // 2] == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    "frequency, order",
    [(1600, 16), (4243.933, 16), (6911.827, 15), (8820.740, 14), (11256.857, 13), (18333.333, 6)],
)
def test_lowpass_has_the_published_order_and_edges(frequency, order):
    sections = lowpass_sections(frequency, 44100)
    assert len(sections) == (order + 1) // 2
    edges = np.array([frequency / 1.1, frequency * 1.1])
    decibels = 20 * np.log10(np.abs(sosfreqz(sections, edges, fs=44100)[1]))
    assert decibels[0] == pytest.approx(-3, abs=0.05)
    assert decibels[1] <= -80 + 0.05


def test_lowpass_attenuates_tones(rate):
    time = np.arange(rate) / rate
    low, high = (np.sin(2 * np.pi * f * time)[None].astype(np.float32) for f in (300, 3500))
    process = Lowpass(grid=()).processor(1600.0)
    settled = slice(rate // 2, None)
    assert np.std(process(low, rate)[0, settled]) == pytest.approx(np.std(low[0, settled]), rel=0.01)
    assert np.std(process(high, rate)[0, settled]) < 1.1e-4 * np.std(high[0, settled])


def test_lowpass_above_nyquist_changes_nothing(rng):
    audio = rng.normal(size=(1, 4000)).astype(np.float32)
    np.testing.assert_array_equal(Lowpass(grid=()).processor(7900.0)(audio, 16000), audio)


def test_one_channel_does_not_change_the_other(audio, rate):
    """Channel by channel, except reverb, which is stereo by nature."""
    for perturbation, value in ((Gain, -3.0), (Bitcrush, 6.0), (Lowpass, 1600.0)):
        process = perturbation(grid=()).processor(value)
        together = process(audio, rate)
        alone = np.concatenate([process(channel[None], rate) for channel in audio])
        np.testing.assert_array_equal(together, alone)
