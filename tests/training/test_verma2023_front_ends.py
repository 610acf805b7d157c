"""Front ends against librosa and against their definitions, on tones, chords, noise and clips that were filled up."""

import librosa
import numpy as np
import pytest

from earshift.training.verma2023 import features, neuralogram, pitch, timbre
from earshift.training.verma2023.chunks import CHUNK, SAMPLE_RATE

TIMES = np.arange(CHUNK) / SAMPLE_RATE


def tone(*hertz):
    return sum(0.2 * np.sin(2 * np.pi * h * TIMES) for h in hertz)


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(440)
    noise = rng.normal(0, 0.1, CHUNK)
    filled = np.append(noise[:4800], np.zeros(CHUNK - 4800))
    quiet = 1e-4 * tone(500) + 1e-6 * noise
    found = [tone(440), tone(41), tone(3900), tone(220, 277.2, 329.6), noise, filled, quiet, tone(330) + noise]
    return np.stack(found).astype(np.float32)


@pytest.fixture(scope="module")
def cqt(sounds):
    """librosa's, of every sound by itself: (sounds, 41, 80)."""
    return np.stack([
        np.abs(librosa.cqt(sound, sr=16000, hop_length=400, fmin=40, n_bins=80, bins_per_octave=12, sparsity=0.01)).T
        for sound in sounds
    ])  # fmt: skip


def test_the_constant_q_transform_is_librosas(sounds, cqt):
    found = pitch.magnitudes(sounds)
    assert found.shape == cqt.shape
    assert (np.abs(found - cqt).max(axis=(1, 2)) / cqt.max(axis=(1, 2))).max() < 1e-5


def test_levels_are_librosas_decibels(sounds, cqt):
    for found, magnitudes in zip(pitch.levels(sounds), cqt, strict=True):
        expected = librosa.amplitude_to_db(magnitudes)[:40]
        loud = expected > expected.max() - 60  # below, single precision shows in a logarithm
        np.testing.assert_allclose(found[loud], expected[loud], atol=0.02)


def peaks_by_definition(levels):
    slices, bins = levels.shape
    ordered = sorted(levels.ravel().tolist())
    median = (ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]) / 2
    mask = np.zeros((slices, bins), dtype=bool)
    for s in range(slices):
        for b in range(bins):
            others = [levels[s, b + d] for d in (-2, -1, 1, 2) if 0 <= b + d < bins]
            mask[s, b] = levels[s, b] > max(others) and levels[s, b] >= median
    return mask


def test_peaks_are_those_of_the_definition(sounds, cqt):
    own = pitch.features(sounds)
    assert own.shape == (len(sounds), 40, 80) and own.dtype == bool
    for mask, levels, magnitudes in zip(own, pitch.levels(sounds), cqt, strict=True):
        np.testing.assert_array_equal(mask, peaks_by_definition(levels))
        theirs = peaks_by_definition(librosa.amplitude_to_db(magnitudes)[:40].astype(np.float64))
        assert (mask != theirs).sum() <= 1  # of 3,200, where two bins are as good as equal


def test_edges_count_and_plateaus_do_not():
    levels = np.zeros((1, 1, 80))
    levels[0, 0, [0, 10, 11, 20, 22, 30, 79]] = [3, 2, 2, 4, 5, 6, 7]
    assert np.flatnonzero(pitch.peaks(levels)[0, 0]).tolist() == [0, 22, 30, 79]


def test_a_tone_is_one_row_and_silence_none():
    mask = pitch.features(np.stack([tone(40 * 2 ** (42 / 12)), np.zeros(CHUNK)]).astype(np.float32))
    assert mask[0, :, 42].all()
    assert not mask[0, :, [40, 41, 43, 44]].any()
    assert not mask[1].any()


def test_the_mask_does_not_know_the_gain(sounds):
    loud = sounds[3:5]  # those that stay above the floor
    np.testing.assert_array_equal(pitch.features(loud), pitch.features(loud / 8))


@pytest.mark.parametrize("stream", ["pitch", "timbre", "end_to_end"])
def test_a_chunk_has_the_same_features_whatever_is_computed_beside_it(stream, sounds, options):
    together = features.compute_features(stream, sounds, options)
    alone = np.concatenate([features.compute_features(stream, sound[None], options) for sound in sounds])
    np.testing.assert_array_equal(together, alone)
    assert (str(together.dtype), together.shape[1:]) == features.shape_of(stream, options)


@pytest.mark.parametrize("n_fft, bands", [(2048, 128), (512, 40)])
def test_mfccs_are_librosas(sounds, n_fft, bands):
    found = timbre.features(sounds, n_fft=n_fft, bands=bands)
    assert found.shape == (len(sounds), 40, 12)
    for own, sound in zip(found, sounds, strict=True):
        theirs = librosa.feature.mfcc(y=sound, sr=16000, n_mfcc=13, hop_length=400, n_fft=n_fft, n_mels=bands)
        exact = timbre.coefficients(sound, n_fft=n_fft, bands=bands)
        np.testing.assert_allclose(exact, theirs[1:].T, atol=1e-3)
        np.testing.assert_allclose(own, theirs[1:, :40].T, rtol=5e-4, atol=1e-3)  # float16


def test_samples_are_kept_to_what_float16_holds(sounds, options):
    kept = features.compute_features("end_to_end", 2 * sounds, options)
    np.testing.assert_allclose(kept, 2 * sounds, rtol=5e-4, atol=1e-7)


def test_filters_respond_as_a_convolution_by_hand(rng):
    import torch

    from earshift.training.verma2023.end_to_end import FilterBank

    bank = FilterBank(5)
    sound = rng.normal(0, 0.3, (2, CHUNK)).astype(np.float32)
    weight, bias = bank.weight.detach().numpy(), bank.bias.detach().numpy()
    expected = np.empty((2, 40, 5))
    for chunk in range(2):
        for patch in range(40):
            padded = np.pad(sound[chunk, 400 * patch : 400 * patch + 400], (99, 100))
            for number in range(5):
                responses = np.correlate(padded, weight[number], mode="valid")
                assert len(responses) == 400
                expected[chunk, patch, number] = responses.max() + bias[number]
    found = bank(torch.from_numpy(sound))
    np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_filters_learn_as_torch_would_have_them(rng):
    import torch
    from torch.nn import functional as F

    from earshift.training.verma2023.end_to_end import FilterBank

    bank = FilterBank(7)
    sound = torch.from_numpy(rng.normal(0, 0.3, (3, CHUNK)).astype(np.float32))
    towards = torch.from_numpy(rng.normal(size=(3, 40, 7)).astype(np.float32))
    (bank(sound) * towards).sum().backward()
    weight, bias = (p.detach().clone().requires_grad_() for p in (bank.weight, bank.bias))
    responses = F.conv1d(F.pad(sound.reshape(-1, 1, 400), (99, 100)), weight[:, None], bias)
    (responses.max(dim=2).values.reshape(3, 40, 7) * towards).sum().backward()
    np.testing.assert_allclose(bank.weight.grad, weight.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(bank.bias.grad, bias.grad, rtol=1e-4, atol=1e-4)


def test_log_mel_pieces_are_librosas_of_every_piece_by_itself(sounds):
    found = neuralogram.log_mel(sounds)
    assert found.shape == (len(sounds), 10, 10, 64) and found.dtype == np.float16
    for sound, pieces in zip(sounds[3:6], found[3:6], strict=True):
        for place in (0, 7):
            theirs = librosa.feature.melspectrogram(
                y=sound[1600 * place : 1600 * place + 1600], sr=16000, n_fft=512, win_length=400, hop_length=160,
                n_mels=64, fmin=125, fmax=7500, htk=True, norm=None, power=1, pad_mode="constant", center=True,
            )  # fmt: skip
            np.testing.assert_allclose(pieces[place], np.log(theirs[:, :10].T + 0.001), atol=0.006)
