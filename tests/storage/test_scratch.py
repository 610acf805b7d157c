"""Matrices in files: what is written in one kind of part comes back in another."""

import errno
import tempfile
from pathlib import Path

import numpy as np
import pytest

from earshift.storage import scratch
from earshift.storage.scratch import ScratchMatrix


@pytest.fixture
def folder(tmp_path):
    """The folder in which large matrices lie."""
    return tmp_path / "scratch"


@pytest.mark.parametrize("limit, dtype", [(0, np.int16), (0, np.float64), (2**22, np.float64)])
def test_what_is_written_by_columns_is_read_by_rows(folder, monkeypatch, rng, limit, dtype):
    monkeypatch.setattr(scratch, "_IN_MEMORY", limit)
    whole = (100 * rng.normal(size=(7, 31))).astype(dtype)
    with ScratchMatrix(7, 31, dtype, folder) as matrix:
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
    assert not folder.exists() or not list(folder.iterdir())


def test_a_full_disk_is_named(folder, monkeypatch):
    class Full:
        def seek(self, offset):
            return offset

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", lambda **_: Full())
    with ScratchMatrix(2, 3, float, folder) as matrix, pytest.raises(OSError) as raised:
        matrix.write(0, 0, np.ones((2, 3)))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(folder))


def test_large_matrices_lie_in_the_folder_that_is_named_or_the_systems(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", lambda **options: asked.append(options["dir"]))
    ScratchMatrix(1, 1, float)
    ScratchMatrix(1, 1, float, str(folder))
    assert asked == [Path(tempfile.gettempdir()), folder]
