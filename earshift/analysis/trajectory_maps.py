"""Maps of a few trajectories by UMAP and PCA (conventions: :mod:`earshift.analysis.trajectories`)."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import directions
from earshift.analysis.data import Trajectories
from earshift.analysis.statistics import Floats
from earshift.errors import UserError

COMPONENTS = 3  # of PCA whose share of the variance is given; two of them are drawn

_FEWEST = 4  # points of a UMAP in two dimensions: it begins with three eigenvectors, which must be fewer than points


@dataclass(frozen=True)
class Maps:
    """Maps of one instrument, NaN where there are none.

    clips : int [shape=(clips,)], positions
    umap, pca : float64 [shape=(clips, 1 + values, 2)], coordinates, the original first
    explained : float64 [shape=(COMPONENTS,)], shares of the variance in the principal components
    problem : str, why there is no UMAP, or ""
    """

    clips: NDArray[np.intp]
    umap: Floats
    pca: Floats
    explained: Floats
    problem: str


def draw_clips(t: Trajectories, name: str, clips: int, seed: int) -> NDArray[np.intp]:
    """Positions of the training clips of one instrument that its maps show, in the order of clips.csv.

    The draw depends only on the seed, the instrument and its clips, so encoders and perturbations show the same ones,
    and a larger number of clips adds to those of a smaller one.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    return np.sort(rng.permutation(t.indices("train", name))[:clips])


def draw_maps(t: Trajectories, name: str, moves: NDArray[np.bool_], *, clips: int, neighbours: int, seed: int) -> Maps:
    """The maps of one instrument.

    Parameters
    ----------
    t : Trajectories
    name : str
    moves : bool [shape=(all clips,)]
    clips : int, how many are shown
    neighbours, seed : int, of UMAP
    """
    shown = draw_clips(t, name, clips, seed)
    points, originals = t.vectors[shown].reshape(-1, t.dim), t.originals[shown]
    places = {kind: np.full((len(shown), 1 + len(t.values), 2), np.nan) for kind in ("umap", "pca")}
    explained, problem = np.full(COMPONENTS, np.nan), ""
    needed = max(neighbours + 1, _FEWEST)
    if not moves[shown].any():
        problem = "vectors do not move"
    elif len(points) < needed:
        problem = f"{len(points)} points, it takes {needed}"
    else:
        placed, problem = _umap(points, originals, neighbours, seed)
        if placed is not None:
            _put(places["umap"], *placed)
    if moves[shown].any():
        effected, unperturbed, explained = principal_components(points, originals)
        _put(places["pca"], effected, unperturbed)
    return Maps(shown, places["umap"], places["pca"], explained, problem)


def _put(places: Floats, effected: NDArray[np.floating], originals: NDArray[np.floating]) -> None:
    places[:, 0], places[:, 1:] = originals, effected.reshape(len(places), -1, 2)


def principal_components(points: NDArray[np.floating], others: NDArray[np.floating]) -> tuple[Floats, Floats, Floats]:
    """PCA of points, and others placed on it.

    Components point so that their entry of largest magnitude is positive.

    Parameters
    ----------
    points : float [shape=(n, dim)], not all alike
    others : float [shape=(m, dim)]

    Returns
    -------
    float64 [shape=(n, 2)], float64 [shape=(m, 2)]
        Scores on the first two components; 0 on a second that does not exist.
    float64 [shape=(COMPONENTS,)]
        Shares of the variance of `points`.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    _, singular, right = np.linalg.svd(points - mean, full_matrices=False)
    shares = np.zeros(COMPONENTS)
    shares[: len(singular)] = (singular**2 / (singular**2).sum())[:COMPONENTS]
    axes = np.zeros((2, points.shape[1]))
    axes[: len(right)] = directions.unit(right[:2])
    return (points - mean) @ axes.T, (others - mean) @ axes.T, shares


def _umap(
    points: NDArray[np.floating], originals: NDArray[np.floating], neighbours: int, seed: int
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]] | None, str]:
    """Coordinates of points and originals, or None; and why there are none, or ""."""
    from scipy.sparse.linalg import ArpackError

    fitting = _umap_class()(n_neighbors=neighbours, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        # Clips far apart, or without effect, are not connected for UMAP (docs/trajectories.md)
        warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
        warnings.filterwarnings("ignore", "A large number of your vertices were disconnected", UserWarning)
        try:
            with _repeatable_eigenvectors():
                placed = fitting.fit(points).embedding_, fitting.transform(originals)
        except (ValueError, TypeError, ArpackError, np.linalg.LinAlgError) as error:
            return None, f"UMAP fails with {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if not all(np.isfinite(coordinates).all() for coordinates in placed):
        return None, "UMAP finds no finite coordinates"
    return placed, ""


@contextmanager
def _repeatable_eigenvectors() -> Iterator[None]:
    """Within it, what UMAP takes from ARPACK does not depend on what the process has computed before.

    UMAP begins at eigenvectors of the graph of neighbours. Where ARPACK's start vector lies in an invariant subspace,
    as it can in symmetric graphs, ARPACK goes on from random numbers, and continues their sequence from one call to
    the next.
    """
    from scipy.sparse import linalg
    from sklearn.manifold import _spectral_embedding

    places = (linalg, _spectral_embedding)  # where umap.spectral looks it up, for a component and for their centres
    before = [place.eigsh for place in places]
    try:
        for place in places:
            place.eigsh = eigenvectors
        yield
    finally:
        for place, function in zip(places, before, strict=True):
            place.eigsh = function


def eigenvectors(matrix: Any, k: int, *, sigma: float | None = None, **options: Any) -> tuple[Floats, Floats]:
    """The k eigenvalues of a symmetric matrix that are nearest to sigma (or 0), in ascending order, and their vectors.

    They are ARPACK's, as :func:`scipy.sparse.linalg.eigsh` gives them, unless ARPACK drew random numbers; then LAPACK's
    of the dense matrix. `options` are those of eigsh, with which="SM" where there is no sigma.

    Parameters
    ----------
    matrix : float64 or sparse [shape=(n, n)]
    k : int, less than n
    sigma : float, optional

    Returns
    -------
    float64 [shape=(k,)]
    float64 [shape=(n, k)]
    """
    import scipy.linalg
    from scipy.sparse import issparse
    from scipy.sparse.linalg._eigen.arpack import arpack

    # Fortran's counters of the last call. Releases from 1.17 on have no such counter, and draw from a new generator.
    timing = getattr(getattr(arpack, "_arpack", None), "timing", None)
    if timing is not None:
        found: tuple[Floats, Floats] = arpack.eigsh(matrix, k, sigma=sigma, **options)
        if timing.nrstrt == 0:
            return found
    values, vectors = scipy.linalg.eigh(matrix.toarray() if issparse(matrix) else matrix)
    nearest = np.sort(np.argsort(np.abs(values - (sigma or 0)), kind="stable")[:k])
    return values[nearest], directions.unit(vectors[:, nearest].T).T


def _umap_class() -> Any:
    """umap.UMAP, its compiled functions kept on disk: it compiles for ten seconds on first use, and keeps little."""
    try:
        from umap import layouts, umap_, utils
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        raise UserError(
            "numba finds no folder for compiled code that it may write; set NUMBA_CACHE_DIR to one"
        ) from error
    for function in (
        utils.fast_knn_indices,
        utils.submatrix,
        umap_.smooth_knn_dist,
        umap_.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
    ):
        function.enable_caching()
    return umap_.UMAP
