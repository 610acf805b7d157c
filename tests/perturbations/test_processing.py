"""``paper`` fidelity, sample for sample, against files written and read by pedalboard, and each switch alone."""

import numpy as np
import pytest
import soundfile
from pedalboard import Bitcrush, Gain, Pedalboard, Reverb
from pedalboard.io import AudioFile
from scipy.signal import cheb2ord, cheby2, sosfilt

from earshift.perturbations import effects
from earshift.perturbations.processing import Switches, build_processor, pedalboard_read, pedalboard_write

RATE = 44100
PAPER = Switches(reverb_tail=True, wav_round_trip=True, clip=True)


@pytest.fixture
def files(tmp_path, rng):
    """Three stereo 16-bit files, the second one silent so that a tail shows."""
    paths = []
    for i, level in enumerate((9000, 0, 12000)):
        path = tmp_path / f"{i}.wav"
        integers = np.clip(rng.normal(0, level, (int(1.7 * RATE), 2)), -32768, 32767).astype(np.int16)
        soundfile.write(path, integers, RATE, subtype="PCM_16")
        paths.append(path)
    return paths


def published(files, board, folder):
    """One-second blocks through one board that is never reset, from file to file."""
    results = []
    for path in files:
        written = folder / f"out-{path.name}"
        with AudioFile(str(path)) as source, AudioFile(str(written), "w", source.samplerate, 2) as target:
            while source.tell() < source.frames:
                target.write(board(source.read(source.samplerate), source.samplerate, reset=False))
        results.append(soundfile.read(written, dtype="float32")[0].T)
    return results


@pytest.mark.parametrize(
    "perturbation, plugin, value",
    [
        (effects.Gain, Gain, 5.0),
        (effects.Gain, Gain, -40.0),
        (effects.Bitcrush, Bitcrush, 4),
        (effects.Bitcrush, Bitcrush, 15),
        (effects.Reverb, lambda size: Reverb(room_size=size), 0.01),
        (effects.Reverb, lambda size: Reverb(room_size=size), 1.0),
    ],
)
def test_paper_fidelity_equals_pedalboard_files(files, tmp_path, perturbation, plugin, value):
    process = build_processor(perturbation(grid=()), value, PAPER)
    for path, expected in zip(files, published(files, Pedalboard([plugin(value)]), tmp_path), strict=True):
        audio = soundfile.read(path, dtype="float32")[0].T
        np.testing.assert_array_equal(process(audio, RATE), expected)


@pytest.mark.parametrize("frequency", [1600.0, 18333.333])
def test_paper_fidelity_equals_scipy_through_pedalboard_files(files, tmp_path, frequency):
    order, natural = cheb2ord(frequency / 1.1, frequency * 1.1, 3, 80, fs=44100)
    sections = cheby2(order, 80, natural, "lowpass", output="sos", fs=44100)
    process = build_processor(effects.Lowpass(grid=()), frequency, PAPER)
    for path in files:
        written = tmp_path / f"out-{path.name}"
        with AudioFile(str(path)) as source, AudioFile(str(written), "w", RATE, 2) as target:
            target.write(sosfilt(sections, source.read(source.frames)))
        audio = soundfile.read(path, dtype="float32")[0].T
        np.testing.assert_array_equal(process(audio, RATE), soundfile.read(written, dtype="float32")[0].T)


def test_round_trip_lowers_every_negative_sample_by_one():
    integers = np.arange(-32767, 32768).astype(np.int16)
    expected = np.where(integers < 0, integers.astype(int) - 1, integers)
    np.testing.assert_array_equal(pedalboard_write(pedalboard_read(integers)), expected)


def test_written_integers_are_pedalboards(tmp_path, rng):
    """Every 16-bit step and its neighbours in float32, up to and above full scale, and a million random samples."""
    steps = np.arange(-32768, 32769, dtype=np.float32) / np.float32(32768)
    audio = np.concatenate([
        steps, np.nextafter(steps, np.float32(2)), np.nextafter(steps, np.float32(-2)),
        np.float32([0.5, -0.5, 1.5, -1.5, 1, -1, 0.99999994, -0.99999994]),
        rng.uniform(-1.2, 1.2, 500_000).astype(np.float32), rng.normal(0, 1e-4, 500_000).astype(np.float32),
    ])  # fmt: skip
    path = str(tmp_path / "x.wav")
    with AudioFile(path, "w", RATE, 1) as file:
        file.write(audio[None])
    np.testing.assert_array_equal(pedalboard_write(audio), soundfile.read(path, dtype="int16")[0])


def test_tail_runs_into_the_next_clip_only_with_its_switch(rng):
    loud = rng.normal(0, 0.3, (2, RATE)).astype(np.float32)
    silent = np.zeros_like(loud)
    for tail in (True, False):
        process = build_processor(effects.Reverb(grid=()), 1.0, Switches(reverb_tail=tail))
        process(loud, RATE)
        assert (np.abs(process(silent, RATE)).max() > 0.01) == tail


def test_clip_cuts_only_with_its_switch():
    audio = np.full((1, 100), 0.9, dtype=np.float32)
    gain = effects.Gain(grid=())
    assert build_processor(gain, 5.0, Switches(clip=True))(audio, RATE).max() == 1.0
    assert build_processor(gain, 5.0, Switches())(audio, RATE).max() == pytest.approx(0.9 * 10 ** (5 / 20))


def test_corrected_fidelity_is_the_bare_effect(rng):
    audio = rng.normal(0, 0.2, (2, RATE)).astype(np.float32)
    process = build_processor(effects.Reverb(grid=()), 0.5, Switches())
    expected = Pedalboard([Reverb(room_size=0.5)])(audio, RATE)
    np.testing.assert_array_equal(process(audio, RATE), expected)
    np.testing.assert_array_equal(process(audio, RATE), expected)
