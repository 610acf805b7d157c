"""Directions that a perturbation moves vectors along, to be projected out before classification.

Conventions
-----------
Directions are estimated for one instrument from its training clips only: their original vectors and their trajectories
over the whole grid. The projector I - V'V, with orthonormal rows V, is applied to every training and test set, original
and perturbed (study: desensitize_classif.py, deem.py).

- *none*: nothing.
- *average_displacement*: the line from the mean original to the mean of all perturbed vectors.
- *pca*: the first principal component of all displacements, not normalised. PCA centres them, so what they have in
  common, their mean, is not what is removed.
- *samplewise_cca_svd*: the unit sample-wise CCA directions are stacked and decomposed without centring; the right
  singular vectors are removed while S_i / S_0 >= threshold. Clips that do not move have no direction and are left out.

Where a method finds no direction, or would leave no dimension, the published code stops with an exception or goes on
and stores none. Here the :class:`Removal` says what the problem is.
"""

from dataclasses import dataclass

import numpy as np

from stages.analyse import directions
from stages.analyse.statistics import RESOLUTION

NEAREST = 1e-10  # centroids closer than this count as one, as published


@dataclass(frozen=True)
class Removal:
    """What a method removes.

    basis : float64 [shape=(directions, dim)], orthonormal rows; none of them where nothing is removed
    problem : str, why the method has no outcome; "" where it has one
    """

    basis: np.ndarray
    problem: str = ""


def removal(method, originals, vectors, *, threshold=None):
    """The :class:`Removal` of a method for one instrument.

    Parameters
    ----------
    method : str, one of :data:`METHODS`
    originals : float [shape=(clips, dim)], of the instrument's training clips
    vectors : float [shape=(clips, values, dim)], their trajectories in order of strength
    threshold : float, of samplewise_cca_svd
    """
    if not len(originals):
        return _nothing(originals, "no training clips to estimate directions from")
    return METHODS[method](originals, vectors, **({} if threshold is None else {"threshold": threshold}))


def _none(originals, vectors):
    return _nothing(originals, "")


def _average_displacement(originals, vectors):
    displacement = vectors.mean(axis=(0, 1), dtype=np.float64) - originals.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(displacement)
    if length < NEAREST:
        return _nothing(originals, f"original and perturbed vectors have the same mean, to {NEAREST:g}")
    return Removal(displacement[None] / length)


def _pca(originals, vectors):
    dim = originals.shape[1]
    displacements = (vectors.astype(np.float64) - originals[:, None]).reshape(-1, dim)
    displacements -= displacements.mean(axis=0)
    if np.abs(displacements).max() <= RESOLUTION * max(np.abs(originals).max(), np.abs(vectors).max()):
        return _nothing(originals, "all displacements are the same, so they have no principal component")
    return Removal(_leading(displacements)[None])


def _leading(rows):
    """Right singular vector of the largest singular value, through the smaller Gram matrix."""
    from scipy.linalg import eigh

    wide = rows.shape[0] < rows.shape[1]
    gram = rows @ rows.T if wide else rows.T @ rows
    last = len(gram) - 1
    vector = eigh(gram, subset_by_index=(last, last))[1][:, 0]
    vector = rows.T @ vector if wide else vector
    return vector / np.linalg.norm(vector)


def _samplewise_cca_svd(originals, vectors, *, threshold):
    found = directions.clip_directions(vectors, np.arange(vectors.shape[1]))
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return _nothing(originals, "no clip moves with strength, so there are no directions")
    singular, right = np.linalg.svd(found, full_matrices=False)[1:]
    below = singular / singular[0] < threshold
    count = int(np.argmax(below)) if below.any() else len(singular)
    if count == originals.shape[1]:
        return _nothing(originals, f"no singular value is below {threshold:g} of the first: no dimension would be left")
    return Removal(right[:count])


def _nothing(originals, problem):
    return Removal(np.empty((0, originals.shape[1])), problem)


METHODS = {
    "none": _none,
    "average_displacement": _average_displacement,
    "pca": _pca,
    "samplewise_cca_svd": _samplewise_cca_svd,
}
