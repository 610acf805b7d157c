"""Packed audio: what goes in comes out, and equal content gives equal bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earshift.errors import UserError
from earshift.storage.hdf5 import is_whole, read_fingerprint
from earshift.storage.packed_audio import AudioReader, AudioWriter

CLIPS = st.lists(
    st.tuples(
        arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(0, 50)), elements=st.floats(-4, 4, width=32)),
        st.sampled_from([8000, 44100]),
    ),
    max_size=6,
)


def pack(path, clips, **options):
    with AudioWriter(path, **options) as writer:
        for audio, rate in clips:
            writer.append(audio, rate)


@settings(max_examples=30, deadline=None)
@given(clips=CLIPS)
def test_audio_comes_back(tmp_path_factory, clips):
    path = tmp_path_factory.mktemp("store") / "audio.h5"
    pack(path, clips)
    with AudioReader(path) as reader:
        assert len(reader) == len(clips)
        for (audio, rate), (read, read_rate) in zip(clips, (reader[i] for i in range(len(reader))), strict=True):
            assert read_rate == rate and read.dtype == np.float32
            np.testing.assert_array_equal(read, audio)


def test_sixteen_bit_audio_is_exact(tmp_path):
    integers = np.arange(-32768, 32768, dtype=np.int16).reshape(2, -1)
    pack(tmp_path / "a.h5", [(integers, 44100)], dtype="int16")
    with AudioReader(tmp_path / "a.h5") as reader:
        np.testing.assert_array_equal(reader[0][0], integers / np.float64(32768))


def test_equal_audio_gives_equal_bytes(tmp_path, rng):
    clips = [(rng.normal(size=(2, 1000)).astype(np.float32), 44100)]
    for name in "12":
        pack(tmp_path / name, clips, attributes={"fingerprint": "f", "n": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_whatever_changes_in_audio_is_noticed_and_no_other_sample_read(tmp_path, rng, damaged):
    """A stage checks the whole file; and what changes after that is an error, or does not change what is read."""
    path, clips = tmp_path / "a.h5", [(rng.normal(size=(2, 3000)).astype(np.float32), 8000)] * 3
    pack(path, clips, attributes={"fingerprint": "f", "licence": "x" * 100})
    for what in damaged(path, 1201):
        assert not is_whole(path) and read_fingerprint(path) is None, what
        try:
            with AudioReader(path) as reader:
                read = list(reader)
        except UserError as error:
            assert f"{path} is damaged" in str(error)
        else:
            assert all((a == b).all() and rate == r for (a, r), (b, rate) in zip(clips, read, strict=True)), what
    assert is_whole(path)


def test_failure_leaves_the_old_file_and_no_other(tmp_path):
    pack(tmp_path / "a.h5", [])
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(RuntimeError), AudioWriter(tmp_path / "a.h5") as writer:
        writer.append(np.zeros((1, 10), np.float32), 8000)
        raise RuntimeError
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_wrong_type_is_refused(tmp_path):
    with pytest.raises(ValueError, match="float32"), AudioWriter(tmp_path / "a.h5") as writer:
        writer.append(np.zeros((1, 10), np.int16), 8000)


def test_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match="dvc repro.*dvc pull"):
        AudioReader(tmp_path / "a.h5")
