"""Distances: one number per pair of clips and measure."""

from dataclasses import dataclass, field

import h5py
import numpy as np

from earshift.storage.hdf5 import _attributes, _checked, _clips_of, _hdf5, _matrix


@dataclass(frozen=True)
class Distances:
    """One number per pair of clips and measure, both sides in clips.csv order.

    matrices : dict of str to float32 [shape=(clips, clips)]
        By measure (``dtw``, ``simple``): from the perturbed clip of the row to the original clip of the column, NaN
        where one is not valid or too short.
    clip : list of str
    valid : bool [shape=(clips,)]
    attributes : dict (perturbation, value, unit, fingerprint, ...)
    """

    matrices: dict
    clip: list
    valid: np.ndarray
    attributes: dict = field(default_factory=dict)


_NOT_MATRICES = ("clip", "valid")


def write_distances(path, distances):
    """Write :class:`Distances` to `path`, whole or not at all."""
    with _hdf5(path) as (file, _):
        for measure, matrix in sorted(distances.matrices.items()):
            file.create_dataset(measure, data=np.asarray(matrix, dtype=np.float32))
        file.create_dataset("clip", data=np.array(distances.clip, dtype=h5py.string_dtype()))
        file.create_dataset("valid", data=np.asarray(distances.valid, dtype=bool))
        file.attrs.update(dict(sorted(distances.attributes.items())))


def read_distances(path):
    """:class:`Distances` from `path`."""
    with _checked(path) as file:
        clip, valid = _clips_of(file)
        matrices = {measure: _matrix(file, measure, len(clip)) for measure in file if measure not in _NOT_MATRICES}
        return Distances(matrices, clip, valid, _attributes(file))
