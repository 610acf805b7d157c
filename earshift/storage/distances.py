"""Distances on disk: one number per pair of clips and measure, in one HDF5 file per value of a perturbation.

Conventions
-----------
Matrices are float32 [shape=(clips, clips)]: row i is the perturbed clip i, column j the original clip j, both in the
order of clips.csv; NaN where one of the two is not valid or too short.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.protocols import StrPath
from earshift.storage import hdf5

_NOT_MATRICES = ("clip", "valid")


@dataclass(frozen=True)
class Distances:
    """One number per pair of clips and measure.

    matrices : dict of str to float32 [shape=(clips, clips)], by measure (``dtw``, ``simple``)
    clip : list of str
    valid : bool [shape=(clips,)]
    attributes : dict (perturbation, value, unit, packages, ...)
    """

    matrices: Mapping[str, NDArray[np.float32]]
    clip: list[str]
    valid: NDArray[np.bool_]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def write_distances(path: StrPath, distances: Distances) -> None:
    """Write :class:`Distances` to `path`, whole or not at all."""
    with hdf5.create(path) as (file, _):
        for measure, matrix in sorted(distances.matrices.items()):
            file.create_dataset(measure, data=np.asarray(matrix, dtype=np.float32))
        hdf5.write_clip_columns(file, distances.clip, distances.valid)
        file.attrs.update(dict(sorted(distances.attributes.items())))


def read_distances(path: StrPath) -> Distances:
    """:class:`Distances` from `path`.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    with hdf5.open_whole(path) as file:
        clip, valid = hdf5.clip_columns(file)
        measures = [name for name in file if name not in _NOT_MATRICES]
        matrices = {measure: hdf5.matrix(file, measure, len(clip), np.asarray) for measure in measures}
        return Distances(matrices, clip, valid, hdf5.attributes(file))
