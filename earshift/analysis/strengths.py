"""True and shuffled strengths of a whole corpus, however large, of which little is in memory."""

import numpy as np
from numpy.typing import NDArray

from earshift.analysis.statistics import shuffle_strengths
from earshift.protocols import StrPath
from earshift.storage.scratch import ScratchMatrix

_ELEMENTS = 2**21  # numbers drawn at a time


class Strengths:
    """Strengths of all clips as ranks, the true ones first, then shuffled ones; use as a context manager.

    Parameters
    ----------
    rng : numpy Generator
    clips, values, permutations : int
    scratch : folder where they lie if they are many; None: the system's folder for temporary files
    """

    def __init__(
        self,
        rng: np.random.Generator,
        clips: int,
        values: int,
        permutations: int,
        scratch: StrPath | None = None,
    ) -> None:
        self._fits, self._values = 1 + permutations, values
        self._ranks = ScratchMatrix(self._fits, clips * values, np.int16, scratch)
        self._ranks.write(0, 0, np.tile(np.arange(values), clips)[None])
        step = max(1, _ELEMENTS // max(1, clips * values))
        for start in range(1, self._fits, step):
            batch = shuffle_strengths(rng, min(step, self._fits - start), clips, values)
            self._ranks.write(start, 0, batch.reshape(len(batch), -1))

    def batches(self, size: int, *, first: int = 0) -> list[slice]:
        """Slices over fits from `first`, each of `size` at most; 0 is the true strengths."""
        return [slice(start, min(start + size, self._fits)) for start in range(first, self._fits, size)]

    def of(self, fits: slice, clips: NDArray[np.intp]) -> "Part":
        """Those of a slice of fits and of some clips, in ascending order; see :class:`Part`."""
        return Part(self._ranks, range(self._fits)[fits], clips, self._values)

    def __enter__(self) -> "Strengths":
        return self

    def __exit__(self, *exception: object) -> None:
        self._ranks.close()


class Part:
    """``part[fits, clips]``, both slices, is int16 [shape=(fits, clips, values)]."""

    def __init__(self, ranks: ScratchMatrix, fits: range, clips: NDArray[np.intp], values: int) -> None:
        self._ranks, self._first, self._clips = ranks, fits.start, clips
        self.shape = (len(fits), len(clips), values)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.int16]:
        fits, clips = range(self.shape[0])[key[0]], self._clips[key[1]]
        values = self.shape[2]
        rows = slice(self._first + fits.start, self._first + fits.stop)
        first, stop = (int(clips[0]), int(clips[-1]) + 1) if len(clips) else (0, 0)
        found = self._ranks.read(rows, slice(first * values, stop * values))
        return found.reshape(len(fits), stop - first, values)[:, clips - first]
