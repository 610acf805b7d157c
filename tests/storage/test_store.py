"""Packed files: what goes in comes out, equal content gives equal bytes, and half a file never appears."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earshift.errors import UserError
from earshift.storage import hdf5
from earshift.storage.distances import Distances, read_distances, write_distances
from earshift.storage.files import read_json, replacing, require_space, rounded, write_json
from earshift.storage.hdf5 import is_whole, read_fingerprint
from earshift.storage.packed_audio import AudioReader, AudioWriter
from earshift.storage.vectors import Embeddings, read_embeddings, write_embeddings

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


def test_equal_content_gives_equal_bytes(tmp_path, rng):
    clips = [(rng.normal(size=(2, 1000)).astype(np.float32), 44100)]
    embeddings = Embeddings(rng.normal(size=(3, 4)), ["a", "b", "c"], np.array([1, 1, 0]), {"b": 1, "a": "x"})
    for name in "12":
        pack(tmp_path / f"audio{name}", clips, attributes={"fingerprint": "f", "n": 1})
        write_embeddings(tmp_path / f"embeddings{name}", embeddings)
    for kind in ("audio", "embeddings"):
        assert (tmp_path / f"{kind}1").read_bytes() == (tmp_path / f"{kind}2").read_bytes()


def test_embeddings_come_back(tmp_path, rng):
    features = rng.normal(size=(3, 5)).astype(np.float32)
    features[1] = np.nan
    given = Embeddings(features, ["ä", "b", "c"], np.array([True, False, True]), {"dim": 5, "fingerprint": "f"})
    write_embeddings(tmp_path / "e.h5", given)
    read = read_embeddings(tmp_path / "e.h5")
    np.testing.assert_array_equal(read.features, features)
    assert read.features.dtype == np.float32 and read.valid.dtype == bool
    assert (read.clip, list(read.valid), read.attributes) == (given.clip, list(given.valid), given.attributes)
    assert read_fingerprint(tmp_path / "e.h5") == "f"


def test_embeddings_are_read_when_asked_for(tmp_path, rng):
    features = rng.normal(size=(50, 7)).astype(np.float32)
    path, names, valid = tmp_path / "e.h5", [str(i) for i in range(50)], np.ones(50, dtype=bool)
    write_embeddings(path, Embeddings(features, names, valid))
    rows = read_embeddings(path, lazily=True).features
    assert (rows.shape, rows.dtype, len(rows)) == ((50, 7), np.float32, 50)
    write_embeddings(path, Embeddings(features + 1, names, valid))  # what was opened stays what it was
    for which in (slice(3, 9), slice(None), [4, 4, 40, 2], np.arange(50) % 2 == 0, slice(0, 0)):
        np.testing.assert_array_equal(rows[which], features[which])
    rows[:][:] = 0
    np.testing.assert_array_equal(rows[:], features)


def test_no_embeddings_are_read_when_asked_for(tmp_path):
    write_embeddings(tmp_path / "e.h5", Embeddings(np.empty((0, 7)), [], np.empty(0, dtype=bool)))
    rows = read_embeddings(tmp_path / "e.h5", lazily=True).features
    assert rows.shape == (0, 7) and rows[:].shape == (0, 7)


def test_embeddings_that_cannot_be_read_in_part_are_damaged(tmp_path):
    with hdf5._hdf5(tmp_path / "e.h5") as (file, _):
        file.create_dataset("features", data=np.ones((4, 3), np.float32), chunks=(2, 3))
        file.create_dataset("clip", data=[b"a", b"b", b"c", b"d"], dtype=h5py.string_dtype())
        file.create_dataset("valid", data=np.ones(4, dtype=bool))
    assert read_embeddings(tmp_path / "e.h5").features.sum() == 12
    with pytest.raises(UserError, match="e.h5 is damaged or cannot be read .* not in one piece"):
        read_embeddings(tmp_path / "e.h5", lazily=True)


def test_distances_come_back(tmp_path, rng):
    matrices = {"simple": rng.normal(size=(3, 3)).astype(np.float32), "dtw": np.full((3, 3), np.nan, np.float32)}
    given = Distances(matrices, ["ä", "b", "c"], np.array([True, False, True]), {"mfcc": 5, "fingerprint": "f"})
    write_distances(tmp_path / "d.h5", given)
    write_distances(tmp_path / "again.h5", given)
    read = read_distances(tmp_path / "d.h5")
    assert set(read.matrices) == {"dtw", "simple"} and np.isnan(read.matrices["dtw"]).all()
    assert read.matrices["simple"].dtype == np.float32 and (read.matrices["simple"] == matrices["simple"]).all()
    assert read.clip == given.clip and (read.valid == given.valid).all() and read.attributes == given.attributes
    assert read_fingerprint(tmp_path / "d.h5") == "f"
    assert (tmp_path / "d.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_no_fingerprint_without_a_whole_file(tmp_path):
    assert read_fingerprint(tmp_path / "none.h5") is None
    (tmp_path / "half.h5").write_bytes(b"\x89HDF\r\n\x1a\nhalf")
    assert read_fingerprint(tmp_path / "half.h5") is None


def damaged(path, step):
    """The same file with a byte changed, every so many bytes, and cut short; whole again at the end."""
    whole = path.read_bytes()
    for place in range(0, len(whole), step):
        content = bytearray(whole)
        content[place] ^= 1 + place % 255
        path.write_bytes(content)
        yield f"byte {place} of {len(whole)}"
        path.write_bytes(whole[:place])
        yield f"cut to {place} of {len(whole)}"
    path.write_bytes(whole)


@pytest.mark.parametrize("kind", ["embeddings", "distances"])
def test_whatever_changes_is_noticed(tmp_path, rng, kind):
    path, clips = tmp_path / "a.h5", [f"clip {i}" for i in range(20)]
    matrix, valid = rng.normal(size=(20, 20)).astype(np.float32), np.arange(20) > 2
    if kind == "embeddings":
        write_embeddings(path, Embeddings(matrix, clips, valid, {"fingerprint": "f", "dim": 20}))
    else:
        write_distances(path, Distances({"dtw": matrix}, clips, valid, {"fingerprint": "f"}))
    read = {"embeddings": read_embeddings, "distances": read_distances}[kind]
    before = read(path)
    for what in damaged(path, 31):
        assert not is_whole(path) and read_fingerprint(path) is None, what
        with pytest.raises(UserError, match=r"a.h5 is damaged, its checksum does not .* delete it and run `dvc repro`"):
            read(path)
    assert is_whole(path) and read(path).clip == before.clip


def test_whatever_changes_in_audio_is_noticed_and_no_other_sample_read(tmp_path, rng):
    """A stage checks the whole file; and what changes after that is an error, or does not change what is read."""
    path, clips = tmp_path / "a.h5", [(rng.normal(size=(2, 3000)).astype(np.float32), 8000)] * 3
    pack(path, clips, attributes={"fingerprint": "f", "licence": "x" * 100})
    for what in damaged(path, 1201):
        assert not is_whole(path) and read_fingerprint(path) is None, what
        try:
            with AudioReader(path) as reader:
                read = list(reader[i] for i in range(len(reader)))
        except UserError as error:
            assert f"{path} is damaged" in str(error)
        else:
            assert all((a == b).all() and rate == r for (a, r), (b, rate) in zip(clips, read, strict=True)), what
    assert is_whole(path)


def test_what_is_not_there_or_something_else_is_not_whole(tmp_path):
    assert not is_whole(tmp_path / "none.h5")
    for content in (b"", b"earshift sha256 ", bytes(512), bytes(5000)):
        (tmp_path / "other.h5").write_bytes(content)
        assert not is_whole(tmp_path / "other.h5")
        with pytest.raises(UserError, match="other.h5 is damaged"):
            read_embeddings(tmp_path / "other.h5")
    with pytest.raises(UserError, match="none.h5 is missing; `dvc repro` computes it"):
        read_embeddings(tmp_path / "none.h5")


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


@pytest.mark.parametrize(
    "number, words",
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
@pytest.mark.parametrize("as_hdf5", [True, False])
def test_write_failures_are_explained(tmp_path, number, words, as_hdf5):
    message = f"Can't write data (file write failed: errno = {number}, error message = 'x')"
    error = OSError(message) if as_hdf5 else OSError(number, os.strerror(number))
    with (
        pytest.raises(UserError, match=f"cannot write .*a.h5: .*{words}.*finished files stay"),
        replacing(tmp_path / "a.h5"),
    ):
        raise error
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX resource limits")
@pytest.mark.parametrize("kind", ["audio", "embeddings", "json"])
def test_a_file_that_cannot_grow_is_one_message(tmp_path, kind):
    """The kernel really refuses the bytes: a process with a file size limit writes more than that."""
    body = {
        "audio": "with AudioWriter('out') as w: w.append(np.ones((2, 400000), np.float32), 8000)",
        "embeddings": "write_embeddings('out', Embeddings(np.ones((500, 900)), ['a'] * 500, np.ones(500)))",
        "json": "write_json('out', list(range(200000)))",
    }[kind]
    script = f"""
        import resource, signal, numpy as np
        from stages import store
        from earshift.errors import command
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        @command
        def main():
            {body}
        main()
    """
    root = str(Path(__file__).parents[2])
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": root}, timeout=60)  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert run.stderr.startswith("earshift: cannot write out: the file would exceed") and run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_space_is_asked_for_before(tmp_path):
    require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(UserError, match="GiB left; free some space"):
        require_space(tmp_path, 1 << 60)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounding_keeps_six_digits_and_drops_what_json_lacks(value):
    found = rounded({"a": [np.float64(value)]})["a"][0]
    if not np.isfinite(value):
        assert found is None
    else:
        assert found == float(f"{value:.6g}")


def test_json_is_whole_or_absent(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1 / 3, "n": np.int64(3), "t": [True, None, "é"]})
    assert read_json(tmp_path / "a.json") == {"x": 0.333333, "n": 3, "t": [True, None, "é"]}
    assert read_json(tmp_path / "none.json") is None
