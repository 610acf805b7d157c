"""Sealed files: whatever changes in one is noticed."""

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.storage.distances import Distances, read_distances, write_distances
from earshift.storage.hdf5 import is_whole, read_fingerprint
from earshift.storage.vectors import Embeddings, read_embeddings, write_embeddings


def test_no_fingerprint_without_a_whole_file(tmp_path):
    assert read_fingerprint(tmp_path / "none.h5") is None
    (tmp_path / "half.h5").write_bytes(b"\x89HDF\r\n\x1a\nhalf")
    assert read_fingerprint(tmp_path / "half.h5") is None


@pytest.mark.parametrize("kind", ["embeddings", "distances"])
def test_whatever_changes_is_noticed(tmp_path, rng, kind, damaged):
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


def test_what_is_not_there_or_something_else_is_not_whole(tmp_path):
    assert not is_whole(tmp_path / "none.h5")
    for content in (b"", b"earshift sha256 ", bytes(512), bytes(5000)):
        (tmp_path / "other.h5").write_bytes(content)
        assert not is_whole(tmp_path / "other.h5")
        with pytest.raises(UserError, match="other.h5 is damaged"):
            read_embeddings(tmp_path / "other.h5")
    with pytest.raises(UserError, match="none.h5 is missing; `dvc repro` computes it"):
        read_embeddings(tmp_path / "none.h5")
