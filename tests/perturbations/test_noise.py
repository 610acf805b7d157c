"""Noise: its level, its spectrum, whose it is, where it comes from, and what cannot be one."""

import shutil

import numpy as np
import pytest
import soundfile

from earshift.audio.loudness import match_loudness, rms
from earshift.errors import UserError
from earshift.perturbations.babble import babble
from earshift.perturbations.noise import AmbientNoise, PinkNoise, add_noise, draw_pink_noise, generator
from earshift.pipeline.perturb import perturb
from earshift.pipeline.recipes import audio_key, plan_recipes, read_recipes

RATE = 22050
GRID = (-3.0, 30.0)


def pink_noise(seed=0, level=False):
    return PinkNoise(grid=GRID, seed=seed, level=level, mu_law=False)


def ambient_noise(place=None, seed=0):
    recordings = None if place is None else str(place)
    return AmbientNoise(grid=GRID, recordings=recordings, seed=seed, level=False, mu_law=False)


def noise_of(perturbation, audio, value=-3.0, rate=RATE):
    """What was added, by its shape: RMS 1."""
    noise = perturbation.processor(value)(audio, rate).astype(np.float64) - audio
    return noise / rms(noise)


@pytest.fixture
def clip(rng):
    return rng.normal(0, 0.1, (2, RATE)).astype(np.float32)


@pytest.fixture
def recording(tmp_path, rng):
    """A function that writes a recording and gives its path."""

    def write(samples, name="place.wav", rate=RATE):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.asarray(samples).T, rate, subtype="FLOAT")
        return path

    return write


@pytest.mark.parametrize("perturbation", [pink_noise(), ambient_noise()], ids=["pink", "ambient"])
@pytest.mark.parametrize("ratio", [-15.0, 0.0, 30.0])
def test_signal_to_noise_ratio(perturbation, ratio, clip):
    clip[1] *= 0.5
    noise = perturbation.processor(ratio)(clip, RATE).astype(np.float64) - clip
    assert 20 * np.log10(rms(clip) / rms(noise)) == pytest.approx(ratio, abs=1e-3)
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-6)


def test_pink_noise_falls_by_ten_decibels_a_decade(rng):
    power = sum(np.abs(np.fft.rfft(draw_pink_noise(1 << 14, rng))) ** 2 for _ in range(60))
    frequency = np.arange(len(power))
    slope, _ = np.polyfit(np.log10(frequency[1:-1]), 10 * np.log10(power[1:-1]), 1)
    assert slope == pytest.approx(-10, abs=0.3)
    octaves = [power[2**k : 2 ** (k + 1)].sum() for k in range(4, 13)]
    assert max(octaves) / min(octaves) < 1.5, "every octave has the same power"


@pytest.mark.parametrize("samples", [0, 1, 2, 3, 1001])
def test_pink_noise_of_any_length(samples, rng):
    noise = draw_pink_noise(samples, rng)
    assert noise.shape == (samples,) and noise.dtype == np.float32 and np.isfinite(noise).all()


@pytest.mark.parametrize("kind", [pink_noise, lambda seed: ambient_noise(seed=seed)], ids=["pink", "ambient"])
def test_noise_belongs_to_the_clip_and_the_seed(kind, clip, rng):
    first = noise_of(kind(seed=0), clip)
    np.testing.assert_allclose(noise_of(kind(seed=0), clip, value=3.0), first, atol=1e-4)
    other = rng.normal(0, 0.1, clip.shape).astype(np.float32)
    for stranger in (noise_of(kind(seed=1), clip), noise_of(kind(seed=0), other)):
        assert abs(np.mean(stranger * first)) < 0.5


def test_level_matched_it_is_the_studys_mix(clip):
    """Both peak-normalised, scaled to RMS 1 and 10 ** (-SNR / 20), summed, peak-normalised, then match_loudness."""
    noise = draw_pink_noise(clip.shape[1], generator(clip, 0)).astype(np.float64)
    signal = clip.astype(np.float64) / np.abs(clip).max()
    noise /= np.abs(noise).max()
    mix = signal / rms(signal) + noise / rms(noise) * 10 ** (-6 / 20)
    mix /= np.abs(mix).max()
    study = match_loudness(mix.astype(np.float32), clip, RATE)
    np.testing.assert_allclose(pink_noise(level=True).processor(6.0)(clip, RATE), study, atol=2e-5)


def test_silent_noise_or_clip_adds_nothing(clip):
    np.testing.assert_array_equal(add_noise(clip, np.zeros(RATE, dtype=np.float32), 0.0), clip)
    assert not add_noise(np.zeros_like(clip), clip[0], 0.0).any()


# ---------------------------------------------------------------------------------------------------- own recordings


def test_a_longer_recording_is_cropped(recording, clip, rng):
    place = rng.normal(0, 0.1, 3 * RATE)
    noise = noise_of(ambient_noise(recording(place)), clip)[0]
    matches = np.correlate(place / rms(place), noise, "valid") / len(noise)
    assert matches.max() == pytest.approx(1, abs=0.05)
    other = noise_of(ambient_noise(recording(place), seed=1), clip)[0]
    assert np.argmax(np.correlate(place, other, "valid")) != np.argmax(matches)


def test_a_shorter_recording_is_looped(recording, clip, rng):
    place = rng.normal(0, 0.1, 5000)
    noise = noise_of(ambient_noise(recording(place)), clip)[0]
    np.testing.assert_allclose(noise[5000:], noise[:-5000], atol=1e-4)
    turned = [np.roll(place, -start) for start in range(5000)]
    nearest = max(turned, key=lambda t: np.dot(t, noise[:5000]))
    np.testing.assert_allclose(noise[:5000], nearest / rms(place), atol=0.1)


def test_mean_of_channels_at_the_clips_rate(recording, clip):
    time = np.arange(4 * 44100) / 44100
    stereo = np.stack([np.sin(2 * np.pi * 1000 * time), np.zeros_like(time)])
    noise = noise_of(ambient_noise(recording(stereo, rate=44100)), clip)
    assert noise.shape == clip.shape
    spectrum = np.abs(np.fft.rfft(noise[0] * np.hanning(RATE)))
    assert np.argmax(spectrum) == 1000


def test_pauses_are_passed_over(recording, clip, rng):
    place = np.zeros(40 * RATE)
    place[10 * RATE : 30 * RATE] = rng.normal(0, 0.1, 20 * RATE)
    path = recording(place)
    for seed in range(6):
        assert np.isfinite(noise_of(ambient_noise(path, seed), clip)).all()


def test_a_folder_gives_every_clip_one_of_its_recordings(recording, tmp_path, rng):
    for name, frequency in (("a.wav", 500), ("sub/b.flac", 1500)):
        tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(2 * RATE) / RATE)
        (tmp_path / "places" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "places" / name, tone, RATE)
    (tmp_path / "places/notes.txt").write_text("no audio")
    found = set()
    for _ in range(12):
        clip = rng.normal(0, 0.1, (1, RATE)).astype(np.float32)
        found.add(int(np.argmax(np.abs(np.fft.rfft(noise_of(ambient_noise(tmp_path / "places"), clip)[0])))))
    assert found == {500, 1500}


def test_what_cannot_be_noise_is_one_error_before_the_work(recording, tiny_corpus, edited, tmp_path):
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "empty").mkdir()
    silent = recording(np.zeros(RATE), "silent.wav")
    recording(np.zeros((0,)), "nothing.wav")
    for place, message in (
        (silent, "silent.wav is silent; remove it, or give another recording"),
        (tmp_path / "nothing.wav", "nothing.wav is silent"),
        (tmp_path / "text.wav", "text.wav is no audio that can be read"),
        (tmp_path / "absent.wav", "absent.wav', which does not exist"),
        (tmp_path / "empty", "empty', a folder without audio files"),
        ("place.wav", "'place.wav'; give the absolute path"),
    ):
        with pytest.raises(UserError, match=message):
            perturb(edited({"perturbations.ambient_noise.recordings": str(place)}), "ambient_noise")


def test_another_content_is_another_key_and_another_place_is_not(recording, tiny_corpus, edited, rng, tmp_path):
    place = rng.normal(0, 0.1, RATE)
    path = recording(place, "one/place.wav")

    def keys(place):
        params = edited({"perturbations.ambient_noise.recordings": str(place), "compute.workers": 1})
        return [audio_key(recipe, "corpus").sha256 for recipe in plan_recipes(params, "ambient_noise")]

    first = keys(path)
    assert keys(shutil.copy(path, tmp_path / "two.wav")) == first
    recording(place[1:], "one/place.wav")
    assert not set(keys(path)) & set(first)


def test_a_recording_that_moved_is_read_from_its_new_place(recording, tiny_corpus, edited, rng):
    place = rng.normal(0, 0.1, RATE)
    for name in ("one/place.wav", "two/place.wav"):
        path = recording(place, name)
        changes = {"recordings": str(path), "grid": [0, 10]}
        changes = {f"perturbations.ambient_noise.{key}": value for key, value in changes.items()}
        perturb(edited({**changes, "compute.workers": 1}), "ambient_noise")
        assert read_recipes("ambient_noise")[0].perturbation.recordings == str(path)


def test_a_recording_that_changed_since_is_noticed_by_who_applies_the_recipe(recording, tiny_corpus, edited, rng):
    path = recording(rng.normal(0, 0.1, RATE))
    params = edited({
        "perturbations.ambient_noise.recordings": str(path), "perturbations.ambient_noise.grid": [0, 10],
        "compute.workers": 1,
    })  # fmt: skip
    perturb(params, "ambient_noise")
    recipe = read_recipes("ambient_noise")[-1]
    assert recipe.attributes() == plan_recipes(params, "ambient_noise")[1].attributes()
    recipe.processor()
    recording(rng.normal(0, 0.1, RATE + 1))
    with pytest.raises(UserError, match="perturbations.ambient_noise reads have changed .* run `dvc repro`"):
        recipe.processor()


def test_the_old_name_of_the_option_is_an_error_that_states_the_new_one(edited):
    with pytest.raises(UserError, match="ambient_noise.source is now perturbations.ambient_noise.recordings"):
        edited({"perturbations.ambient_noise.source": "/data/pub.wav"})


# --------------------------------------------------------------------------------------------------------- the babble


@pytest.mark.parametrize("rate", [8000, 44100])
def test_babble_has_the_spectrum_of_speech(rate):
    voices = babble(rate)
    assert len(voices) == 16 * rate and rms(voices) == pytest.approx(1, abs=1e-3)
    power, frequency = np.abs(np.fft.rfft(voices)) ** 2, np.fft.rfftfreq(len(voices), 1 / rate)
    inside = power[(frequency > 80) & (frequency < 4000)].sum() / power.sum()
    assert inside > 0.9


def test_babble_loops_and_moves(rng):
    voices = babble(44100).astype(np.float64)
    steps = np.abs(np.diff(voices))
    assert abs(voices[0] - voices[-1]) < np.quantile(steps, 0.999)
    levels = 20 * np.log10([rms(part) for part in np.split(voices, 160)])  # of tenths of a second
    assert abs(levels[0] - levels.mean()) < 2.5 * np.std(levels) and abs(levels[0] - levels[-1]) < 3 * np.std(levels)
    assert 0.5 < np.std(levels) < 5, "many voices: neither one that pauses nor steady noise"
