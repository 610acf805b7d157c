"""Distances on disk come back, and equal content gives equal bytes."""

import numpy as np

from earshift.storage.distances import Distances, read_distances, write_distances
from earshift.storage.hdf5 import read_fingerprint


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
