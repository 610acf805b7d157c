"""Matrices in files: what is written in one kind of part comes back in another."""

import errno

import numpy as np
import pytest

from earshift.pipeline import paths
from earshift.storage import scratch as spilled
from earshift.storage.scratch import Spilled


@pytest.mark.parametrize("limit, dtype", [(0, np.int16), (0, np.float64), (2**22, np.float64)])
def test_what_is_written_by_columns_is_read_by_rows(workspace, monkeypatch, rng, limit, dtype):
    monkeypatch.setattr(spilled, "_IN_MEMORY", limit)
    whole = (100 * rng.normal(size=(7, 31))).astype(dtype)
    with Spilled(7, 31, dtype) as matrix:
        assert (matrix.shape, matrix.dtype) == ((7, 31), dtype)
        for column in (20, 0, 10):
            matrix.write(0, column, whole[:, column : column + (10 if column < 20 else 11)])
        for rows, columns in [(slice(2, 5), slice(0, 31)), (slice(0, 7), slice(9, 21)), (slice(6, 99), slice(3, 3))]:
            found = matrix.read(rows, columns)
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, whole[rows, columns])
        matrix.write(3, 4, np.zeros((2, 5), dtype))
        assert not matrix.read(slice(3, 5), slice(4, 9)).any()
        np.testing.assert_array_equal(matrix.read(slice(5, 7), slice(0, 31)), whole[5:])
    assert not paths.SCRATCH.exists() or not list(paths.SCRATCH.iterdir())


def test_a_full_disk_is_named(workspace, monkeypatch):
    class Full:
        def seek(self, offset):
            return offset

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(spilled, "_IN_MEMORY", 0)
    monkeypatch.setattr(spilled.tempfile, "TemporaryFile", lambda **_: Full())
    with Spilled(2, 3, float) as matrix, pytest.raises(OSError) as raised:
        matrix.write(0, 0, np.ones((2, 3)))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(paths.SCRATCH))
