"""Matrices that may be larger than memory, for the time of an analysis."""

import tempfile

import numpy as np

from earshift.pipeline import paths

_IN_MEMORY = 2**22  # bytes of a matrix that needs no file


class Spilled:
    """A matrix that is written and read in parts; use as a context manager.

    A large one lies in a file without a name: nothing is left of it, however the process ends.

    Parameters
    ----------
    rows, columns : int
    dtype : of numpy
    """

    def __init__(self, rows, columns, dtype):
        self.shape, self.dtype = (rows, columns), np.dtype(dtype)
        self._file = self._matrix = None
        if rows * columns * self.dtype.itemsize <= _IN_MEMORY:
            self._matrix = np.empty(self.shape, self.dtype)
        else:
            paths.SCRATCH.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=paths.SCRATCH, buffering=0)  # noqa: SIM115

    def write(self, row, column, block):
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
                view = memoryview(numbers).cast("B")
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(paths.SCRATCH)) from error

    def read(self, rows, columns):
        """Some rows and columns [shape=(rows, columns)], both slices without steps."""
        if self._file is None:
            return self._matrix[rows, columns]
        rows, columns = (range(size)[part] for size, part in zip(self.shape, (rows, columns), strict=True))
        found = np.zeros((len(rows), len(columns)), self.dtype)
        for row, numbers in zip(rows, found, strict=True):
            self._file.seek(self._offset(row, columns.start))
            view = memoryview(numbers).cast("B")
            while view and (count := self._file.readinto(view)):
                view = view[count:]
        return found

    def _offset(self, row, column):
        return (row * self.shape[1] + column) * self.dtype.itemsize

    def close(self):
        """Give up what it holds."""
        self._matrix = None
        if self._file is not None:
            self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
