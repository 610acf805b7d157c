"""True and shuffled strengths of a whole corpus, however large, of which little is in memory."""

import numpy as np

from earshift.analysis.statistics import shuffled
from earshift.storage.scratch import Spilled

_ELEMENTS = 2**21  # numbers drawn at a time


class Strengths:
    """Strengths of all clips as ranks, the true ones first, then shuffled ones; use as a context manager.

    Parameters
    ----------
    rng : numpy Generator
    clips, values, permutations : int
    """

    def __init__(self, rng, clips, values, permutations):
        self._fits, self._values = 1 + permutations, values
        self._ranks = Spilled(self._fits, clips * values, np.int16)
        self._ranks.write(0, 0, np.tile(np.arange(values), clips)[None])
        step = max(1, _ELEMENTS // max(1, clips * values))
        for start in range(1, self._fits, step):
            batch = shuffled(rng, min(step, self._fits - start), clips, values)
            self._ranks.write(start, 0, batch.reshape(len(batch), -1))

    def batches(self, size, *, first=0):
        """Slices over fits from `first`, each of `size` at most; 0 is the true strengths."""
        return [slice(start, min(start + size, self._fits)) for start in range(first, self._fits, size)]

    def of(self, fits, clips):
        """Those of a slice of fits and of some clips, in ascending order; see :class:`Part`."""
        return Part(self._ranks, range(self._fits)[fits], clips, self._values)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._ranks.close()


class Part:
    """``part[fits, clips]``, both slices, is int16 [shape=(fits, clips, values)]."""

    def __init__(self, ranks, fits, clips, values):
        self._ranks, self._first, self._clips = ranks, fits.start, clips
        self.shape = (len(fits), len(clips), values)

    def __getitem__(self, key):
        fits, clips = range(self.shape[0])[key[0]], self._clips[key[1]]
        values = self.shape[2]
        rows = slice(self._first + fits.start, self._first + fits.stop)
        first, stop = (clips[0], clips[-1] + 1) if len(clips) else (0, 0)
        found = self._ranks.read(rows, slice(first * values, stop * values))
        return found.reshape(len(fits), stop - first, values)[:, clips - first]
