"""What a perturbation adds to vectors, estimated and taken out before classification.

Conventions
-----------
A removal is estimated for one instrument from its training clips only: their original vectors and their trajectories
over the whole grid. It is applied to every training and test set, original and perturbed. Those of the first study
(Deng et al., ICASSP 2025: desensitize_classif.py, deem.py) are projections I - V'V with orthonormal rows V.

- *none*: nothing.
- *lda*: the normal of the linear discriminant between originals and all perturbed vectors; within-class covariance
  shrunk after Ledoit and Wolf, class by class.
- *average_displacement*: the line from the mean original to the mean of all perturbed vectors.
- *pca*: the first principal component of all displacements, not normalised. PCA centres them, so what they have in
  common, their mean, is not what is removed.
- *pca_normalised*: the principal component of the displacements whose variance is largest next to that of the
  component of the same number of all original training vectors. The two bases have nothing but the number in common.
  Numbers beyond what float32 vectors resolve are left out; the published code divides by their rounding.
- *cca*: the global CCA direction, one for all points.
- *samplewise_cca_svd*: the unit sample-wise CCA directions are stacked and decomposed without centring; the right
  singular vectors are removed while S_i / S_0 >= threshold. Clips that do not move have no direction and are left out.

Beyond the study:

- *leace*: least-squares concept erasure (Belrose et al., NeurIPS 2023, theorem 4.3) of the strength: of all affine maps
  after which no linear predictor of strength does better than a constant, the one that changes the perturbed vectors
  least. It is an oblique projection: what is read and what is subtracted lie along different directions. The covariance
  is shrunk, see :func:`_leace`.
- *conditional_displacement*: every value's mean displacement is subtracted from vectors of that value. It has to know
  the value of each clip, so it says what removing a common shift could bring at most.

Where a method finds nothing to remove, or would leave no dimension, the published code stops with an exception or goes
on and stores none. Here the :class:`Removal` says what the problem is.
"""

from dataclasses import dataclass

import numpy as np

from earshift.analysis import directions
from earshift.analysis.statistics import RESOLUTION

AUGMENTATION = "augmentation"  # removes nothing: what differs is the training set (earshift.analysis.robustness)
NEAREST = 1e-10  # centroids closer than this count as one, as published
_SQUARED = 1e-9  # energies smaller than this share of the largest have lost their vectors in a Gram matrix
_ALIKE = "original and perturbed vectors have the same mean"


@dataclass(frozen=True)
class Removal:
    """What a method removes: x -> x - (x - centre) readers' directions, less the shift of the value of x.

    directions : float64 [shape=(directions, dim)], along which something is taken away; no rows where nothing is
    readers : float64 [shape=(directions, dim)] or None
        How much: products of vectors with these rows. None: the directions themselves, which are orthonormal then.
    centre : float64 [shape=(dim,)] or None for 0
    shifts : float64 [shape=(values, dim)] or None, in the order of the trajectories
    problem : str, why the method has no outcome; "" where it has one
    """

    directions: np.ndarray
    readers: np.ndarray | None = None
    centre: np.ndarray | None = None
    shifts: np.ndarray | None = None
    problem: str = ""

    @property
    def key(self):
        """Equal for removals that do the same."""
        parts = (self.directions, self.readers, self.centre, self.shifts)
        return (*(None if part is None else part.tobytes() for part in parts), self.problem)

    def shift(self, place):
        """What is subtracted from vectors of the value at `place` [shape=(dim,)], or None."""
        return None if place is None or self.shifts is None else self.shifts[place]

    def applied(self, vectors, place):
        """Vectors without what is removed.

        Parameters
        ----------
        vectors : float [shape=(..., dim)]
        place : int, int [shape=(...)] or None, of their value along the trajectories; None for originals

        Returns
        -------
        float64 [shape=(..., dim)]
        """
        vectors, shift = np.asarray(vectors, dtype=np.float64), self.shift(place)
        vectors = vectors if shift is None else vectors - shift
        if not len(self.directions):
            return vectors
        readers = self.directions if self.readers is None else self.readers
        seen = vectors if self.centre is None else vectors - self.centre
        return vectors - (seen @ readers.T) @ self.directions

    def absorbed(self, weights, intercept):
        """A linear decision on vectors without what is removed, as one on untouched vectors of any value.

        Parameters
        ----------
        weights : float64 [shape=(dim,)]
        intercept : float

        Returns
        -------
        float64 [shape=(dim,)], float
            ``(vectors - shift) @ weights + intercept`` is what the decision gave on :meth:`applied`.
        """
        if not len(self.directions):
            return weights, intercept
        readers = self.directions if self.readers is None else self.readers
        back = readers.T @ (self.directions @ weights)
        return weights - back, intercept + (0.0 if self.centre is None else float(self.centre @ back))


@dataclass(frozen=True)
class Material:
    """What removals are estimated from.

    originals : float [shape=(clips, dim)], of one instrument's training clips
    vectors : float [shape=(clips, values, dim)], their trajectories in order of strength
    reference : float64 [shape=(components,)] or None
        Variances of the principal components of all original training vectors, of all instruments; see
        :func:`reference_variances`. Only pca_normalised looks at it.
    threshold : float or None, of samplewise_cca_svd
    """

    originals: np.ndarray
    vectors: np.ndarray
    reference: np.ndarray | None = None
    threshold: float | None = None

    @property
    def dim(self):
        """Length of a vector."""
        return self.originals.shape[1]

    @property
    def displacements(self):
        """Perturbed minus original, of all clips at all values [shape=(clips * values, dim)]."""
        return (self.vectors.astype(np.float64) - self.originals[:, None]).reshape(-1, self.dim)

    @property
    def scale(self):
        """The largest magnitude; differences below RESOLUTION of it are rounding."""
        return max(np.abs(self.originals).max(), np.abs(self.vectors).max())

    @property
    def means(self):
        """Mean original and mean perturbed vector."""
        return self.originals.mean(axis=0, dtype=np.float64), self.vectors.mean(axis=(0, 1), dtype=np.float64)


def removal(method, material):
    """The :class:`Removal` of a method, one of :data:`METHODS`, from :class:`Material`."""
    if not len(material.originals):
        return _nothing(material, "no training clips to estimate directions from")
    return METHODS[method](material)


def reference_variances(originals):
    """Variances of the principal components of vectors [shape=(clips, dim)], largest first."""
    centred = originals.astype(np.float64) - originals.mean(axis=0, dtype=np.float64)
    return np.linalg.eigvalsh(_small_gram(centred))[::-1] / max(len(centred) - 1, 1)


def _none(material):
    return _nothing(material, "")


def _lda(material):
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    first, second = material.means
    if np.linalg.norm(second - first) < NEAREST:
        return _nothing(material, f"{_ALIKE}, to {NEAREST:g}")
    perturbed = material.vectors.reshape(-1, material.dim)
    share = 1 / (1 + material.vectors.shape[1])  # of originals
    within = share * _shrunk_covariance(material.originals) + (1 - share) * _shrunk_covariance(perturbed)
    try:
        normal = cho_solve(cho_factor(within), second - first)
    except LinAlgError:
        return _nothing(material, "vectors vary in too few directions for a linear discriminant")
    return Removal(_unit(normal)[None])


def _shrunk_covariance(rows):
    """Covariance [shape=(dim, dim)], shrunk after Ledoit and Wolf in units of each dimension's standard deviation."""
    from sklearn.covariance import ledoit_wolf
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaled = scaler.fit_transform(rows.astype(np.float64))
    return ledoit_wolf(scaled)[0] * np.outer(scaler.scale_, scaler.scale_)


def _average_displacement(material):
    first, second = material.means
    displacement = second - first
    if np.linalg.norm(displacement) < NEAREST:
        return _nothing(material, f"{_ALIKE}, to {NEAREST:g}")
    return Removal(_unit(displacement)[None])


def _pca(material):
    centred = _centred_displacements(material)
    if centred is None:
        return _nothing(material, "all displacements are the same, so they have no principal component")
    return Removal(_component(centred, 0)[None])


def _pca_normalised(material):
    centred = _centred_displacements(material)
    if centred is None:
        return _nothing(material, "all displacements are the same, so they have no principal component")
    variances = np.maximum(np.linalg.eigvalsh(_small_gram(centred))[::-1], 0)
    count = min(len(variances), len(material.reference))
    reference = material.reference[:count]
    resolved = reference > RESOLUTION**2 * np.square(material.scale)
    if not resolved.any():
        return _nothing(material, "the original training vectors are alike, so there is nothing to normalise by")
    ratios = np.where(resolved, variances[:count] / np.where(resolved, reference, 1), -1)
    return Removal(_component(centred, int(np.argmax(ratios)))[None])


def _centred_displacements(material):
    """Displacements less their mean, or None where those are rounding."""
    displacements = material.displacements
    displacements -= displacements.mean(axis=0)
    return None if np.abs(displacements).max() <= RESOLUTION * material.scale else displacements


def _small_gram(rows):
    """The smaller one of the two Gram matrices of rows."""
    return rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows


def _component(rows, place):
    """Right singular vector of centred rows, by the place of its singular value from the largest."""
    from scipy.linalg import eigh, svd

    gram = _small_gram(rows)
    last = len(gram) - 1
    energies, vectors = eigh(gram, subset_by_index=(last - place, last))
    if energies[0] < _SQUARED * energies[-1]:
        return svd(rows, full_matrices=False)[2][place]
    vector = vectors[:, 0] if gram.shape[0] == rows.shape[1] else rows.T @ vectors[:, 0]
    return _unit(vector)


def _cca(material):
    count, values, _ = material.vectors.shape
    strengths = np.broadcast_to(np.arange(values), (1, count, values))
    weights = directions.stacked_weights(material.vectors, np.arange(count), strengths)[1][0][:, 0]
    if not np.isfinite(weights).all():
        return _nothing(material, "vectors do not move with strength")
    return Removal(directions.unit(weights)[None])


def _samplewise_cca_svd(material):
    found = directions.clip_directions(material.vectors, np.arange(material.vectors.shape[1]))
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return _nothing(material, "no clip moves with strength, so there are no directions")
    singular, right = np.linalg.svd(found, full_matrices=False)[1:]
    below = singular / singular[0] < material.threshold
    count = int(np.argmax(below)) if below.any() else len(singular)
    if count == material.dim:
        threshold = f"{material.threshold:g}"
        return _nothing(material, f"no singular value is below {threshold} of the first: no dimension would be left")
    return Removal(right[:count])


def _leace(material):
    """With c the covariance of vectors and strength, and S that of vectors: x - c c'S^-1 (x - mean) / c'S^-1 c.

    That is the theorem's closed form for a concept of one dimension. S is shrunk after Ledoit and Wolf: with fewer
    points than dimensions it has no inverse, and its pseudo-inverse would read the noise. Whatever S is, strength and
    what is left have no covariance.
    """
    from scipy.linalg import cho_factor, cho_solve
    from sklearn.covariance import ledoit_wolf

    count, values, dim = material.vectors.shape
    rows = material.vectors.reshape(-1, dim).astype(np.float64)
    strengths = np.tile(np.arange(values) - (values - 1) / 2, count)
    mean = rows.mean(axis=0)
    covariance = (rows - mean).T @ strengths / len(rows)
    if np.abs(covariance).max() <= RESOLUTION * material.scale:
        return _nothing(material, "vectors and strength do not covary")
    reader = cho_solve(cho_factor(ledoit_wolf(rows)[0]), covariance)
    return Removal(covariance[None], readers=reader[None] / (covariance @ reader), centre=mean)


def _conditional_displacement(material):
    shifts = (material.vectors.astype(np.float64) - material.originals[:, None]).mean(axis=0)
    if np.abs(shifts).max() <= RESOLUTION * material.scale:
        return _nothing(material, f"{_ALIKE} at every value")
    return Removal(np.empty((0, material.dim)), shifts=shifts)


def _unit(vector):
    return vector / np.linalg.norm(vector)


def _nothing(material, problem):
    return Removal(np.empty((0, material.dim)), problem=problem)


METHODS = {
    "none": _none,
    "lda": _lda,
    "average_displacement": _average_displacement,
    "pca": _pca,
    "pca_normalised": _pca_normalised,
    "cca": _cca,
    "samplewise_cca_svd": _samplewise_cca_svd,
    "leace": _leace,
    "conditional_displacement": _conditional_displacement,
    AUGMENTATION: _none,
}
NAMES = tuple(METHODS)
