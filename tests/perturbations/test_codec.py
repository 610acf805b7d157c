"""MP3: the bit rate that was asked for, no delay, the original's length, and which rates are legal."""

import numpy as np
import pandas as pd
import pytest

from earshift.errors import UserError
from earshift.perturbations.codec import Mp3, encode_mp3, legal_rates, nearest_rate, round_trip
from earshift.perturbations.mp3 import RATES

_BITRATES = {
    3: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    0: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}  # ISO/IEC 11172-3 and 13818-3, by the version bits of a frame header
_SAMPLE_RATES = {3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000]}


def frames(content):
    """(kb/s, Hz) of the frames of an MP3 file, all different ones."""
    found, place = set(), 0
    while place + 4 <= len(content):
        assert content[place] == 0xFF and content[place + 1] >> 5 == 7, "no frame where the last one ends"
        version, padding = content[place + 1] >> 3 & 3, content[place + 2] >> 1 & 1
        bit_rate = _BITRATES[version][content[place + 2] >> 4]
        sample_rate = _SAMPLE_RATES[version][content[place + 2] >> 2 & 3]
        found.add((bit_rate, sample_rate))
        place += (144 if version == 3 else 72) * bit_rate * 1000 // sample_rate + padding
    return found


def wandering(rng, channels, samples):
    """Noise with most of its power low, as music has."""
    audio = np.cumsum(rng.normal(0, 1, (channels, samples)), axis=1)
    audio -= np.linspace(audio[:, 0], audio[:, -1], samples, axis=1)
    return (audio / np.abs(audio).max() / 1.5).astype(np.float32)


def lag(a, b):
    """Samples by which `a` comes later than `b`, from the peak of their cross-correlation."""
    size = 2 * a.shape[1]
    correlation = np.fft.irfft((np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))).sum(axis=0), size)
    peak = int(np.argmax(correlation))
    return peak if peak < a.shape[1] else peak - size


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", RATES)
def test_every_legal_rate_is_taken_aligned_and_as_long(sample_rate, channels, rng):
    audio = wandering(rng, channels, sample_rate // 2 + 7)
    for bit_rate in legal_rates(sample_rate):
        assert frames(encode_mp3(audio, sample_rate, bit_rate)) == {(bit_rate, sample_rate)}
        out = round_trip(audio, sample_rate, bit_rate)
        assert out.shape == audio.shape and out.dtype == np.float32
        if bit_rate >= 16 * channels:  # at less LAME keeps so little that a peak says nothing
            assert lag(out, audio) == 0


def test_more_bits_are_nearer(rng):
    audio = wandering(rng, 2, 44100)
    away = [np.mean((round_trip(audio, 44100, bit_rate) - audio) ** 2) for bit_rate in (64, 192, 224, 320)]
    assert away == sorted(away, reverse=True)
    assert 10 * np.log10(np.mean(audio**2) / away[-1]) > 30


@pytest.mark.parametrize("sample_rate", [6000, 37800, 96000])
def test_sample_rates_that_mp3_does_not_support(sample_rate, rng):
    audio = wandering(rng, 2, sample_rate // 2)
    out = round_trip(audio, sample_rate, legal_rates(sample_rate)[-1])
    assert out.shape == audio.shape and lag(out, audio) == 0


def test_samples_above_full_scale_are_kept(rng):
    audio = 3 * wandering(rng, 1, 44100)
    assert np.abs(round_trip(audio, 44100, 320)).max() == pytest.approx(np.abs(audio).max(), rel=0.05)


def test_three_channels_are_coded_one_by_one(rng):
    audio = wandering(rng, 3, 10000)
    np.testing.assert_array_equal(round_trip(audio, 44100, 64)[2:], round_trip(audio[2:], 44100, 64))


def test_nearest():
    assert nearest_rate(8, 44100) == 32 and nearest_rate(320, 22050) == 160 and nearest_rate(144, 44100) == 128
    assert nearest_rate(96, 8000) == 64 and nearest_rate(64, 48000) == 64


def table(*rates, valid=True):
    return pd.DataFrame({"sample_rate": rates, "valid": valid})


def mp3(grid, illegal_rates):
    return Mp3(grid=tuple(map(float, grid)), illegal_rates=illegal_rates, level=True, mu_law=False)


def test_illegal_rates_are_an_error_that_lists_the_legal_ones(capsys):
    with pytest.raises(UserError) as error:
        mp3([320, 8, 192], "error").check(table(44100, 22050))
    assert "holds 320, 192 kb/s, which MPEG-2 layer III does not have at 22050 Hz" in str(error.value)
    assert "legal there: 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160;" in str(error.value)
    with pytest.raises(UserError, match="holds 8 kb/s, which MPEG-1 layer III does not have at 44100 Hz"):
        mp3([320, 8], "error").check(table(44100))
    with pytest.raises(UserError, match="MPEG-2.5 layer III does not have at 8000 Hz; legal there: 8, .*, 64;"):
        mp3([64, 96], "error").check(table(8000))
    mp3([320, 32], "error").check(table(44100, 48000, 96000))
    mp3([320, 32], "error").check(table(8000, valid=False))
    assert capsys.readouterr().out == ""


def test_the_nearest_rate_is_said(capsys):
    mp3([320, 64, 8], "nearest").check(table(44100, 22050))
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].endswith("MPEG-2 layer III does not have at 22050 Hz: 320 as 160 kb/s")
    assert said[1].endswith("MPEG-1 layer III does not have at 44100 Hz: 8 as 32 kb/s")
