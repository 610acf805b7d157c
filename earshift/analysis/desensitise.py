"""What a perturbation adds to vectors, estimated and taken out before classification.

Conventions
-----------
A removal is estimated for one instrument from its training clips only: their original vectors and their trajectories
over the whole grid. It is applied to every training and test set, original and perturbed. The removals of deng2025
(Deng et al., ICASSP 2025: desensitize_classif.py, deem.py) are projections I - V'V with orthonormal rows V.

- *none*: nothing.
- *lda*: the normal of the linear discriminant between originals and all perturbed vectors; within-class covariance
  shrunk after Ledoit and Wolf, class by class.
- *average_displacement*: the line from the mean original to the mean of all perturbed vectors.
- *pca*: the first principal component of all displacements, not normalised. PCA centres them, so their mean, which they
  have in common, is not removed.
- *pca_normalised*: the principal component of the displacements whose variance is largest relative to that of the
  component of the same number of all original training vectors. The two bases have only the number in common. Numbers
  below what float32 vectors resolve are left out; the published code divides by their rounding.
- *cca*: the global CCA direction, one for all points.
- *samplewise_cca_svd*: the unit sample-wise CCA directions are stacked and decomposed without centring; the right
  singular vectors are removed while S_i / S_0 >= threshold. Clips that do not move have no direction and are left out.

Not in the study:

- *leace*: least-squares concept erasure (Belrose et al., NeurIPS 2023, theorem 4.3) of the strength: of all affine maps
  after which no linear predictor of strength does better than a constant, the one that changes the perturbed vectors
  least. It is an oblique projection: what is read and what is subtracted lie along different directions. The covariance
  is shrunk, see :func:`_leace`.
- *conditional_displacement*: every value's mean displacement is subtracted from vectors of that value. It has to know
  the value of each clip, so it is an upper limit of what removing a common shift can bring.

Where a method finds nothing to remove, or would leave no dimension, the published code stops with an exception or
stores no result. Here the :class:`Removal` names the problem.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import directions
from earshift.analysis.statistics import RESOLUTION

AUGMENTATION = "augmentation"  # removes nothing: it differs in the training set (earshift.analysis.robustness)
NEAREST = 1e-10  # centroids closer than this count as one, as published
_SQUARED = 1e-9  # energies smaller than this share of the largest have lost their vectors in a Gram matrix
_ALIKE = "original and perturbed vectors have the same mean"

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating]  # float32 as they lie in files, or float64
Place = int | NDArray[np.integer] | None  # of values along the grid: one for all clips, one each; None for originals


@dataclass(frozen=True)
class Method:
    """One thing to remove: its name in the results, its kind among :data:`METHODS`, and its threshold.

    Only samplewise_cca_svd has a threshold.
    """

    name: str
    kind: str
    threshold: float = 0.0


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

    directions: Floats
    readers: Floats | None = None
    centre: Floats | None = None
    shifts: Floats | None = None
    problem: str = ""

    @property
    def key(self) -> tuple[bytes | str | None, ...]:
        """Equal for removals that do the same."""
        parts = (self.directions, self.readers, self.centre, self.shifts)
        return (*(None if part is None else part.tobytes() for part in parts), self.problem)

    def shift(self, place: Place) -> Floats | None:
        """What is subtracted from vectors of the values at `place` [shape=(dim,) or (clips, dim)], or None."""
        return None if place is None or self.shifts is None else self.shifts[place]

    def apply(self, vectors: Vectors, place: Place) -> Floats:
        """Vectors without what is removed.

        Parameters
        ----------
        vectors : float [shape=(..., dim)]
        place : int, int [shape=(...)] or None, of their value along the trajectories; None for originals

        Returns
        -------
        float64 [shape=(..., dim)]
        """
        shift = self.shift(place)
        moved = np.asarray(vectors, dtype=np.float64) if shift is None else vectors - shift
        if not len(self.directions):
            return moved
        read = (moved if self.centre is None else moved - self.centre) @ self._readers.T
        return np.asarray(moved - read @ self.directions)

    def absorb(self, weights: Floats, intercept: float) -> tuple[Floats, float]:
        """A linear decision on vectors without what is removed, as one on untouched vectors of any value.

        Parameters
        ----------
        weights : float64 [shape=(dim,)]
        intercept : float

        Returns
        -------
        float64 [shape=(dim,)], float
            ``(vectors - shift) @ weights + intercept`` equals the decision on the vectors of :meth:`apply`.
        """
        if not len(self.directions):
            return weights, intercept
        back = self._readers.T @ (self.directions @ weights)
        return weights - back, intercept + (0.0 if self.centre is None else float(self.centre @ back))

    @property
    def _readers(self) -> Floats:
        return self.directions if self.readers is None else self.readers


@dataclass(frozen=True)
class TrainingClips:
    """The vectors of one instrument's training clips, from which removals are estimated.

    originals : float [shape=(clips, dim)]
    vectors : float [shape=(clips, values, dim)], their trajectories in order of strength
    reference : float64 [shape=(components,)] or None
        Variances of the principal components of all original training vectors, of all instruments; see
        :func:`reference_variances`. Only pca_normalised needs it.
    """

    originals: Vectors
    vectors: Vectors
    reference: Floats | None = None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.originals.shape[1])

    @property
    def displacements(self) -> Floats:
        """Perturbed minus original [shape=(clips, values, dim)]."""
        return np.asarray(self.vectors.astype(np.float64) - self.originals[:, None])

    @property
    def scale(self) -> float:
        """The largest magnitude; differences below RESOLUTION of it are rounding."""
        return float(max(np.abs(self.originals).max(), np.abs(self.vectors).max()))


class NothingToRemove(Exception):
    """Why a method has no outcome."""


def estimate_removal(clips: TrainingClips, method: Method) -> Removal:
    """What a method removes, or its problem."""
    try:
        if not len(clips.originals):
            raise NothingToRemove("no training clips to estimate directions from")
        return METHODS[method.kind](clips, method.threshold)
    except NothingToRemove as problem:
        return Removal(np.empty((0, clips.dim)), problem=str(problem))


def reference_variances(originals: Vectors) -> Floats:
    """Variances of the principal components of vectors [shape=(clips, dim)], largest first."""
    centred = originals.astype(np.float64) - originals.mean(axis=0, dtype=np.float64)
    return np.asarray(np.linalg.eigvalsh(_small_gram(centred))[::-1] / max(len(centred) - 1, 1))


def _none(clips: TrainingClips, threshold: float) -> Removal:
    return Removal(np.empty((0, clips.dim)))


def _lda(clips: TrainingClips, threshold: float) -> Removal:
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    displacement = _mean_displacement(clips)
    perturbed = clips.vectors.reshape(-1, clips.dim)
    share = 1 / (1 + clips.vectors.shape[1])  # of originals
    within = share * _shrunk_covariance(clips.originals) + (1 - share) * _shrunk_covariance(perturbed)
    try:
        return Removal(_unit(cho_solve(cho_factor(within), displacement))[None])
    except LinAlgError as error:
        raise NothingToRemove("vectors vary in too few directions for a linear discriminant") from error


def _shrunk_covariance(rows: Vectors) -> Floats:
    """Covariance [shape=(dim, dim)], shrunk after Ledoit and Wolf in units of each dimension's standard deviation."""
    from sklearn.covariance import ledoit_wolf
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaled = scaler.fit_transform(rows.astype(np.float64))
    return np.asarray(ledoit_wolf(scaled)[0] * np.outer(scaler.scale_, scaler.scale_))


def _average_displacement(clips: TrainingClips, threshold: float) -> Removal:
    return Removal(_unit(_mean_displacement(clips))[None])


def _mean_displacement(clips: TrainingClips) -> Floats:
    """From the mean original to the mean of all perturbed vectors [shape=(dim,)]."""
    perturbed = clips.vectors.mean(axis=(0, 1), dtype=np.float64)
    displacement: Floats = perturbed - clips.originals.mean(axis=0, dtype=np.float64)
    if np.linalg.norm(displacement) < NEAREST:
        raise NothingToRemove(f"{_ALIKE}, to {NEAREST:g}")
    return displacement


def _pca(clips: TrainingClips, threshold: float) -> Removal:
    return Removal(_component(_centred_displacements(clips), 0)[None])


def _pca_normalised(clips: TrainingClips, threshold: float) -> Removal:
    if clips.reference is None:
        raise ValueError("pca_normalised needs reference variances")
    centred = _centred_displacements(clips)
    variances = np.maximum(np.linalg.eigvalsh(_small_gram(centred))[::-1], 0)
    count = min(len(variances), len(clips.reference))
    reference = clips.reference[:count]
    resolved = reference > RESOLUTION**2 * np.square(clips.scale)
    if not resolved.any():
        raise NothingToRemove("the original training vectors are alike, so there is nothing to normalise by")
    ratios = np.where(resolved, variances[:count] / np.where(resolved, reference, 1), -1)
    return Removal(_component(centred, int(np.argmax(ratios)))[None])


def _centred_displacements(clips: TrainingClips) -> Floats:
    """Displacements less their mean [shape=(clips * values, dim)]."""
    displacements = clips.displacements.reshape(-1, clips.dim)
    displacements -= displacements.mean(axis=0)
    if np.abs(displacements).max() <= RESOLUTION * clips.scale:
        raise NothingToRemove("all displacements are the same, so they have no principal component")
    return displacements


def _small_gram(rows: Floats) -> Floats:
    """The smaller one of the two Gram matrices of rows."""
    return rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows


def _component(rows: Floats, place: int) -> Floats:
    """Right singular vector of centred rows, by the place of its singular value from the largest."""
    from scipy.linalg import eigh, svd

    gram = _small_gram(rows)
    last = len(gram) - 1
    energies, vectors = eigh(gram, subset_by_index=(last - place, last))
    if energies[0] < _SQUARED * energies[-1]:
        return np.asarray(svd(rows, full_matrices=False)[2][place])
    vector = vectors[:, 0] if gram.shape[0] == rows.shape[1] else rows.T @ vectors[:, 0]
    return _unit(vector)


def _cca(clips: TrainingClips, threshold: float) -> Removal:
    count, values, _ = clips.vectors.shape
    strengths = np.broadcast_to(np.arange(values), (1, count, values))
    weights = directions.stacked_weights(clips.vectors, np.arange(count), strengths)[1][0][:, 0]
    if not np.isfinite(weights).all():
        raise NothingToRemove("vectors do not move with strength")
    return Removal(directions.unit(weights)[None])


def _samplewise_cca_svd(clips: TrainingClips, threshold: float) -> Removal:
    found = directions.clip_directions(clips.vectors, np.arange(clips.vectors.shape[1]))
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        raise NothingToRemove("no clip moves with strength, so there are no directions")
    singular, right = np.linalg.svd(found, full_matrices=False)[1:]
    below = singular / singular[0] < threshold
    count = int(np.argmax(below)) if below.any() else len(singular)
    if count == clips.dim:
        raise NothingToRemove(f"no singular value is below {threshold:g} of the first: no dimension would be left")
    return Removal(right[:count])


def _leace(clips: TrainingClips, threshold: float) -> Removal:
    """With c the covariance of vectors and strength, and S that of vectors: x - c c'S^-1 (x - mean) / c'S^-1 c.

    That is the theorem's closed form for a concept of one dimension. S is shrunk after Ledoit and Wolf: with fewer
    points than dimensions it has no inverse, and its pseudo-inverse would read the noise. Whatever S is, strength and
    what is left have no covariance.
    """
    from scipy.linalg import cho_factor, cho_solve
    from sklearn.covariance import ledoit_wolf

    count, values, dim = clips.vectors.shape
    rows = clips.vectors.reshape(-1, dim).astype(np.float64)
    strengths = np.tile(np.arange(values) - (values - 1) / 2, count)
    mean = rows.mean(axis=0)
    covariance = (rows - mean).T @ strengths / len(rows)
    if np.abs(covariance).max() <= RESOLUTION * clips.scale:
        raise NothingToRemove("vectors and strength do not covary")
    reader = cho_solve(cho_factor(ledoit_wolf(rows)[0]), covariance)
    return Removal(covariance[None], readers=reader[None] / (covariance @ reader), centre=mean)


def _conditional_displacement(clips: TrainingClips, threshold: float) -> Removal:
    shifts = clips.displacements.mean(axis=0)
    if np.abs(shifts).max() <= RESOLUTION * clips.scale:
        raise NothingToRemove(f"{_ALIKE} at every value")
    return Removal(np.empty((0, clips.dim)), shifts=shifts)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))


METHODS: dict[str, Callable[[TrainingClips, float], Removal]] = {
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
