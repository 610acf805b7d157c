"""Matrices that may be larger than memory, for the time of an analysis.

Conventions
-----------
A small matrix is an array. A large one lies in a file without a name: the system removes it, however the process ends.
"""

import io
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from earshift.protocols import StrPath
from earshift.storage.files import write_all

_IN_MEMORY = 2**22  # bytes of a matrix that needs no file


class ScratchMatrix:
    """A matrix that is written and read in parts; use as a context manager.

    Parameters
    ----------
    rows, columns : int
    dtype : of numpy
    folder : where the file of a large one lies; None: the system's folder of temporary files
    """

    def __init__(self, rows: int, columns: int, dtype: DTypeLike, folder: StrPath | None = None) -> None:
        self.shape, self.dtype = (rows, columns), np.dtype(dtype)
        self._folder = Path(tempfile.gettempdir() if folder is None else folder)
        self._file: io.FileIO | None = None
        self._matrix: NDArray[Any] = np.empty((0, 0), self.dtype)
        if rows * columns * self.dtype.itemsize <= _IN_MEMORY:
            self._matrix = np.empty(self.shape, self.dtype)
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115

    def write(self, row: int, column: int, block: ArrayLike) -> None:
        """Put a block [shape=(n, m)] where its first row and column are these.

        Raises
        ------
        OSError
            When the disk is full or cannot be written, with the folder as its ``filename``.
        """
        block = np.ascontiguousarray(block, self.dtype)
        if self._file is None:
            self._matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
            return
        try:
            for each, numbers in enumerate(block, start=row):
                self._file.seek(self._offset(each, column))
                write_all(self._file, numbers)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._folder)) from error

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Some rows and columns [shape=(rows, columns)], both slices without steps."""
        if self._file is None:
            return self._matrix[rows, columns]
        row_range, column_range = range(self.shape[0])[rows], range(self.shape[1])[columns]
        found = np.zeros((len(row_range), len(column_range)), self.dtype)
        for row, numbers in zip(row_range, found, strict=True):
            self._file.seek(self._offset(row, column_range.start))
            view = memoryview(numbers).cast("B")
            while view and (count := self._file.readinto(view)):
                view = view[count:]
        return found

    def _offset(self, row: int, column: int) -> int:
        return (row * self.shape[1] + column) * self.dtype.itemsize

    def close(self) -> None:
        """Give up what it holds."""
        self._matrix = np.empty((0, 0), self.dtype)
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
