"""Embeddings on disk come back, whole or row by row."""

import h5py
import numpy as np
import pytest

from earshift.errors import UserError
from earshift.storage import hdf5
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.vectors import Embeddings, read_embeddings, write_embeddings


def test_equal_embeddings_give_equal_bytes(tmp_path, rng):
    embeddings = Embeddings(rng.normal(size=(3, 4)), ["a", "b", "c"], np.array([1, 1, 0]), {"b": 1, "a": "x"})
    for name in "12":
        write_embeddings(tmp_path / name, embeddings)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


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
    with hdf5.create(tmp_path / "e.h5") as (file, _):
        file.create_dataset("features", data=np.ones((4, 3), np.float32), chunks=(2, 3))
        file.create_dataset("clip", data=[b"a", b"b", b"c", b"d"], dtype=h5py.string_dtype())
        file.create_dataset("valid", data=np.ones(4, dtype=bool))
    assert read_embeddings(tmp_path / "e.h5").features.sum() == 12
    with pytest.raises(UserError, match="e.h5 is damaged or cannot be read .* not in one piece"):
        read_embeddings(tmp_path / "e.h5", lazily=True)
