"""Chunks of a second: how many, what fills them, whose labels they have."""

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.training.excerpt import mono
from earshift.training.verma2023.chunks import CHUNK, SAMPLE_RATE, chunk_count, clips_of_chunks, cut_chunks


@pytest.mark.parametrize(
    "seconds, count", [(0.3, 1), (0.999, 1), (1.0, 1), (1.499, 1), (1.5, 2), (2.0, 2), (15.2, 15), (30.0, 30)]
)
def test_a_rest_of_half_a_second_is_kept_and_a_shorter_one_dropped(seconds, count, rng):
    signal = rng.normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    for filling in ("zeros", "repeat"):
        cut = cut_chunks(signal, filling=filling)
        assert cut.shape == (count, CHUNK) == (chunk_count(len(signal)), CHUNK)
        kept = min(len(signal), count * CHUNK)
        np.testing.assert_array_equal(cut.ravel()[:kept], signal[:kept])


def test_short_pieces_are_filled_up_at_their_end_or_repeated(rng):
    signal = rng.normal(0, 0.1, 24000).astype(np.float32)
    last = signal[CHUNK:]
    np.testing.assert_array_equal(cut_chunks(signal, filling="zeros")[1], np.append(last, np.zeros(8000)))
    np.testing.assert_array_equal(cut_chunks(signal, filling="repeat")[1], np.append(last, last))
    third = signal[:4800]
    assert not cut_chunks(third, filling="zeros")[0, 4800:].any()
    np.testing.assert_array_equal(cut_chunks(third, filling="repeat")[0, 14400:], third[:1600])


def test_a_chunk_has_the_labels_of_its_clip():
    lengths = [round(seconds * SAMPLE_RATE) for seconds in (0.3, 1.0, 1.5, 30)]
    targets = np.eye(4, dtype=bool)
    inherited = targets[clips_of_chunks(lengths)]
    assert inherited.shape == (1 + 1 + 2 + 30, 4)
    assert inherited.argmax(axis=1).tolist() == [0, 1, 2, 2] + [3] * 30


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_every_rate_and_every_number_of_channels_becomes_mono_at_16_khz(rate):
    times = np.arange(rate // 2 * 3) / rate
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    signal = mono(np.stack([tone, 3 * tone]), rate, SAMPLE_RATE)
    assert signal.dtype == np.float32 and len(signal) == 24000
    expected = 2 * np.sin(2 * np.pi * 440 * np.arange(24000) / SAMPLE_RATE)
    np.testing.assert_allclose(signal[1000:-1000], expected[1000:-1000], atol=2e-3)


def test_a_clip_without_samples_is_refused():
    with pytest.raises(UserError, match="without samples.*on_bad_clip"):
        cut_chunks(mono(np.zeros((2, 0), np.float32), 44100, SAMPLE_RATE), filling="zeros")
