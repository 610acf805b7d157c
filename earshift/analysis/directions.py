"""CCA directions in closed form: where vectors move as strength grows.

Conventions
-----------
With one component and one target, CCA is least squares: the direction is the normalised minimum-norm solution
pinv(Xc) (y - mean y), with singular values below 1e6 eps times the largest dropped, and it points so that its entry of
largest magnitude is positive. This is what ``sklearn.cross_decomposition.CCA(n_components=1, scale=False)`` returns
after its single iteration (study: 3.2_extract_samplewise_cca_dirs.py, deem.cca_proj). Rows are samples. Strengths may
be in any affine unit.

Weights are the solution before it is normalised: projections on them are in units of strength and rise with it on the
data they were fitted to. A row set that does not move with strength has no direction, and its weights are NaN.

- :func:`clip_directions`: one unit direction per clip
- :func:`clip_predictions`: per clip, from the strengths of some points to projections of others
- :func:`stacked_weights`, :func:`projections`: one fit over many clips
- :func:`unit`: weights to directions

How it is fast: where rows are fewer than dimensions the solution is Xc' (Xc Xc')^-1 (y - mean y), and the small Gram
matrices of many clips are solved together. Forming them squares the condition number. Clips whose condition number is
small are done in float32, which is what their vectors come in; the others in float64, where need be with corrections
against the data until these vanish; those whose corrections do not (and any whose singular values may have to be
dropped) by an exact SVD. Directions are within an angle of 3e-5 of the exact ones: 1 - cosine is below 1e-9.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshift.analysis.data import Vectors
from earshift.analysis.statistics import NEGLIGIBLE, Floats
from earshift.protocols import Map, serial

_ELEMENTS = 2**19  # numbers per block of clips: 4 MB, near the processor's caches
# Bounds on the estimated square of the condition number
_WELL_CONDITIONED = 300.0  # float32 will do
_ACCURATE = 1e9  # float64 will do as it is
_CORRECTABLE = 1e13  # float64 with corrections; above, singular values may be rounding, which must be dropped
_CORRECTIONS = 3
_SMALL = 1e-5  # a correction of this relative size leaves an error of about its square


class StrengthsOfClips(Protocol):
    """Strengths [shape=(fits, clips, values)] of which ``strengths[:, part]`` is read: an array, or a view of files."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: tuple[slice, slice], /) -> NDArray[np.number]: ...


def unit(weights: Floats) -> Floats:
    """Weights [shape=(..., dim)] at length 1, pointing so that the entry of largest magnitude is positive."""
    lengths: Floats = np.sqrt(np.einsum("...d,...d->...", weights, weights))[..., None]
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=-1)[..., None], axis=-1)
    scale: Floats = np.sign(largest) / lengths
    return weights * scale


def blocks(count: int, width: int, *, elements: int | None = None) -> list[slice]:
    """Slices over `count` items of `width` numbers each, together `elements` at most, by default a few megabytes."""
    step = max(1, (elements or _ELEMENTS) // width)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


# ------------------------------------------------------------------------------------------------------------ per clip


def clip_directions(
    vectors: Vectors, strengths: ArrayLike, *, clips: NDArray[np.intp] | None = None, map: Map = serial
) -> Floats:
    """The sample-wise CCA direction of every clip.

    Parameters
    ----------
    vectors : float [shape=(all clips, values, dim)]
    strengths : [shape=(values,)] or, for several fits of the same vectors, [shape=(fits, clips, values)]
    clips : int [shape=(clips,)], those that are fitted; None: all
    map : over blocks of clips; in this process, by threads if at all, because results are written in place

    Returns
    -------
    float64 [shape=(clips, dim)] or [shape=(fits, clips, dim)]
        Unit directions; NaN for a clip whose vectors do not move with strength.
    """
    _, values, dim = vectors.shape
    count = len(vectors) if clips is None else len(clips)
    wanted = np.asarray(strengths, dtype=np.float64)
    fits = len(wanted) if wanted.ndim == 3 else 1
    targets = np.moveaxis(np.broadcast_to(wanted, (fits, count, values)), 0, 2)
    targets = targets - targets.mean(axis=1, keepdims=True)
    directions = np.empty((fits, count, dim))

    def fit(part: slice, rough: bool) -> bool:
        own = vectors[part if clips is None else clips[part]]
        weights, kept = _least_norm(own, targets[part], rough=rough)
        directions[:, part] = unit(np.moveaxis(weights, 2, 0))
        return kept

    # The first block decides for all whether to try float32, so that the others may come in any order
    rough = vectors.dtype == np.float32
    parts = blocks(count, values * max(dim, fits))
    if parts:
        rough = fit(parts[0], rough) and rough
    list(map(lambda part: fit(part, rough), parts[1:]))
    return directions[0] if wanted.ndim == 1 else directions


def clip_predictions(fitted: NDArray[np.floating], scored: NDArray[np.floating]) -> Floats:
    """Per clip, the matrix from centred strengths of the fitted points to projections of the scored points.

    With it any number of strengths, shuffled ones too, cost one small product each.

    Parameters
    ----------
    fitted : float [shape=(clips, n, dim)]
    scored : float [shape=(clips, m, dim)]

    Returns
    -------
    float64 [shape=(clips, m, n)]
        Projections are relative to the mean of the fitted points, in units of strength; NaN where those do not move.
    """
    count, n, dim = fitted.shape
    each = np.eye(n) - 1 / n
    predictions = np.empty((count, scored.shape[1], n))
    for part in blocks(count, max(n, scored.shape[1]) * dim):
        weights, _ = _least_norm(fitted[part], np.broadcast_to(each, (len(fitted[part]), n, n)))
        mean = fitted[part].mean(axis=1, keepdims=True, dtype=np.float64)
        predictions[part] = (scored[part] - mean) @ weights
    return predictions


# --------------------------------------------------------------------------------------------------------- over clips


def stacked_weights(
    vectors: Vectors, clips: NDArray[np.intp], strengths: StrengthsOfClips, *, ridges: Sequence[float] = (0.0,)
) -> tuple[Floats, list[Floats]]:
    """Weights of one fit over all points of many clips, not centred by clip: the study's global direction.

    Memory stays at a few blocks of clips and one triangle of (dim + fits)^2 numbers. Where points are more than
    dimensions, the singular values are those of a QR factorisation taken block by block; its error is that of the SVD.

    Parameters
    ----------
    vectors : float [shape=(all clips, values, dim)]
    clips : int [shape=(clips,)], those that are fitted
    strengths : [shape=(fits, clips, values)], an array or a view of files
    ridges : sequence of float
        Ridge penalties relative to the square of the largest singular value; 0 is the study's own direction.

    Returns
    -------
    mean : float64 [shape=(dim,)], of the fitted points
    weights : list of float64 [shape=(dim, fits)], one per ridge; NaN where the points do not move with strength
    """
    _, values, dim = vectors.shape
    points = len(clips) * values
    fits = strengths.shape[0]
    mean, centre = np.zeros(dim), np.zeros(fits)
    for part in blocks(len(clips), values * max(dim, fits)):
        mean += vectors[clips[part]].sum(axis=(0, 1), dtype=np.float64)
        centre += strengths[:, part].sum(axis=(1, 2), dtype=np.float64)
    mean, centre = mean / points, centre / points

    def rows(part: slice) -> Floats:
        return _points(vectors, clips[part]) - mean

    def targets(part: slice) -> Floats:
        return strengths[:, part].reshape(fits, -1).T.astype(np.float64) - centre

    if points <= dim:
        factor, explained = rows(slice(None)), targets(slice(None))
        lengths = np.linalg.norm(explained, axis=0)
    else:
        triangle = np.empty((0, dim + fits))
        step = max(1, 4 * (dim + fits) // values)  # enough rows that folding the triangle in is cheap
        for start in range(0, len(clips), step):
            part = slice(start, min(start + step, len(clips)))
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, np.hstack([rows(part), targets(part)])]), mode="r"))
        factor, explained = triangle[:dim, :dim], triangle[:dim, dim:]
        lengths = np.linalg.norm(triangle[:, dim:], axis=0)
    left, singular, right = np.linalg.svd(factor, full_matrices=False)
    kept = singular > NEGLIGIBLE * singular[:1]
    explained = left[:, kept].T @ explained
    still = np.linalg.norm(explained, axis=0) <= NEGLIGIBLE * lengths
    solutions = []
    for ridge in ridges:
        shrunk = singular[kept] / (singular[kept] ** 2 + ridge * singular[0] ** 2)
        weights = right[kept].T @ (shrunk[:, None] * explained)
        weights[:, still] = np.nan
        solutions.append(weights)
    return mean, solutions


def projections(vectors: Vectors, clips: NDArray[np.intp], mean: Floats, weights: Floats) -> Floats:
    """Projections of all points of `clips` on weights.

    Returns
    -------
    float64 [shape=(fits, clips, values)]
    """
    _, values, dim = vectors.shape
    projected = np.empty((weights.shape[1], len(clips), values))
    for part in blocks(len(clips), values * dim):
        rows = _points(vectors, clips[part]) - mean
        projected[:, part] = (rows @ weights).T.reshape(weights.shape[1], -1, values)
    return projected


def _points(vectors: Vectors, clips: NDArray[np.intp]) -> Floats:
    """The points of some clips, one after another [shape=(clips x values, dim)]."""
    points: Floats = vectors[clips].reshape(-1, vectors.shape[2]).astype(np.float64)
    return points


# ---------------------------------------------------------------------------------------------------------- the solver


def _least_norm(vectors: NDArray[np.floating], targets: Floats, *, rough: bool = False) -> tuple[Floats, bool]:
    """Minimum-norm least-squares weights of a stack of problems.

    Parameters
    ----------
    vectors : float [shape=(stack, n, dim)]
    targets : float64 [shape=(stack, n, fits)], centred
    rough : bool
        Whether to try float32 first.

    Returns
    -------
    weights : float64 [shape=(stack, dim, fits)], NaN where nothing moves with the target
    rough : bool, whether float32 served most problems
    """
    stack, n, dim = vectors.shape
    weights = np.empty((stack, dim, targets.shape[2]))
    left = np.arange(stack)
    if rough and n - 1 <= dim:
        weights[:], good = _in_float32(vectors, targets)
        left = left[~good]
        rough = 2 * len(left) <= stack
        if not len(left):
            return weights, rough
    rows = (vectors if len(left) == stack else vectors[left]).astype(np.float64)
    rows -= np.full((1, n), 1 / n) @ rows
    if n - 1 <= dim:
        weights[left], good = _by_gram(rows, targets[left])
        rows, left = rows[~good], left[~good]
    if len(left):
        weights[left] = _by_svd(rows, targets[left])
    return weights, rough


def _in_float32(vectors: NDArray[np.floating], targets: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Weights through Gram matrices in float32, and which of them are good: those of well-conditioned problems."""
    stack, n, dim = vectors.shape
    size = 4 * (n // 4 + 1)  # the matrix product is fastest on multiples of its tiles
    rows = np.empty((stack, size + 1, dim), dtype=np.float32)
    rows[:, 0] = rows[:, n + 1 :] = 0
    centred = rows[:, 1 : n + 1]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers outside float32's range are not good
        np.subtract(vectors, np.full((1, n), 1 / n, dtype=np.float32) @ vectors, out=centred)
        gram = (rows[:, :-1] @ np.swapaxes(rows[:, 1:], 1, 2))[:, 1 : n + 1, :n].astype(np.float64)
        coefficients, condition = _solve(gram, targets)
        weights = np.swapaxes(centred, 1, 2) @ coefficients.astype(np.float32)
    return weights, condition < _WELL_CONDITIONED


def _by_gram(rows: Floats, targets: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Weights through Gram matrices of centred rows, and which of them are good."""
    gram = _gram(rows)
    coefficients, condition = _solve(gram, targets)
    weights = np.swapaxes(rows, 1, 2) @ coefficients
    good = condition < _ACCURATE
    doubtful = np.flatnonzero(~good & (condition < _CORRECTABLE))
    if len(doubtful):
        weights[doubtful], good[doubtful] = _correct(
            gram[doubtful], rows[doubtful], targets[doubtful], weights[doubtful]
        )
    return weights, good


def _correct(gram: Floats, rows: Floats, targets: Floats, weights: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Weights corrected against the data, and which of the corrections converge."""
    for _ in range(_CORRECTIONS):
        change = np.swapaxes(rows, 1, 2) @ _solve(gram, targets - rows @ weights)[0]
        weights = weights + change
        good = np.asarray((_squares(change) < _SMALL**2 * _squares(weights)).all(axis=1))
        if good.all():
            break
    return weights, good


def _solve(gram: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Coefficients of centred rows, and an estimate of the squared condition number; infinite where singular."""
    stack, n, fits = targets.shape
    energy = np.einsum("snn->s", gram)[:, None, None]
    # The constant vector has no energy in centred rows. Adding the energy of the others changes no solution.
    gram = gram + energy / (n * (n - 1))
    gram[energy[:, 0, 0] == 0] = np.eye(n)  # one clip that does not move must not make the whole stack singular
    probe = np.broadcast_to(np.where(np.arange(n) * 7 % 11 < 5, 1.0, -1.0)[:, None], (stack, n, 1))
    try:
        solved = np.linalg.solve(gram, np.concatenate([targets, probe], axis=2))
    except np.linalg.LinAlgError:  # one of the stack is singular
        return np.zeros(targets.shape), np.full(stack, np.inf)
    inverse = np.linalg.norm(solved[..., -1], axis=1)  # about the norm of the inverse, since the probe's is sqrt(n)
    condition = np.linalg.norm(gram, axis=(1, 2)) * inverse
    condition[energy[:, 0, 0] == 0] = np.inf
    return solved[..., :fits], condition


def _squares(columns: Floats) -> Floats:
    """Squared lengths of the columns [shape=(stack, fits)] of a stack of matrices [shape=(stack, dim, fits)]."""
    return np.asarray(np.einsum("sdk,sdk->sk", columns, columns))


def _gram(rows: Floats) -> Floats:
    """rows @ rows' of a stack. By blocks, of two slices each: numpy's own way with a symmetric product takes twice."""
    n = rows.shape[1]
    half = n // 2 + 1
    gram = np.empty((len(rows), n, n))
    gram[:, :, :half] = rows @ np.swapaxes(rows[:, :half], 1, 2)
    gram[:, :half, half:] = np.swapaxes(gram[:, half:, :half], 1, 2)
    gram[:, half:, half:] = (rows[:, half - 1 :] @ np.swapaxes(rows[:, half:], 1, 2))[:, 1:]
    return gram


def _by_svd(rows: Floats, targets: Floats) -> Floats:
    """Weights through the singular values of centred rows, the negligible ones dropped; NaN where nothing moves."""
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    kept = singular > NEGLIGIBLE * singular[:, :1]
    explained = np.swapaxes(left, 1, 2) @ targets * kept[..., None]
    weights = np.swapaxes(right, 1, 2) @ (explained / np.where(kept, singular, 1)[..., None])
    silent = np.linalg.norm(explained, axis=1) <= NEGLIGIBLE * np.linalg.norm(targets, axis=1)
    return np.where(silent[:, None], np.nan, weights)
