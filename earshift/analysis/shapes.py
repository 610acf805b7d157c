"""The shape of paths in the full space (conventions: :mod:`earshift.analysis.trajectories`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import directions
from earshift.analysis.data import Trajectories, Vectors
from earshift.analysis.statistics import RESOLUTION, Floats, present_mean, spearman

_ROUNDING = 16 * RESOLUTION  # the encoders here differ by up to 4 where gain should change nothing, then by 64 and more


@dataclass(frozen=True)
class Shapes:
    """Paths of clips, NaN where undefined.

    distance_from_original : float64 [shape=(clips, values)]
    step_length, step_share : float64 [shape=(clips, values - 1)]
    turning_angles : float64 [shape=(clips, values - 2)], degrees
    path_length, displacement, straightness : float64 [shape=(clips,)]
    turning_angle : float64 [shape=(clips,)], degrees, the mean of the defined ones
    moves : bool [shape=(clips,)]
    """

    distance_from_original: Floats
    step_length: Floats
    step_share: Floats
    turning_angles: Floats
    path_length: Floats
    displacement: Floats
    straightness: Floats
    turning_angle: Floats
    moves: NDArray[np.bool_]


def measure_shapes(vectors: Vectors, originals: Vectors) -> Shapes:
    """The shape of every clip's path.

    Parameters
    ----------
    vectors : float [shape=(clips, values, dim)], in order of growing strength
    originals : float [shape=(clips, dim)]
    """
    count, values, dim = vectors.shape
    distance, length = np.empty((count, values)), np.empty((count, values - 1))
    angles, displacement = np.empty((count, values - 2)), np.empty(count)
    for part in directions.blocks(count, values * dim):
        points, start = vectors[part].astype(np.float64), originals[part].astype(np.float64)[:, None]
        scale = np.maximum(np.abs(points).max(axis=(1, 2)), np.abs(start).max(axis=(1, 2)))[:, None]
        steps = np.diff(points, axis=1)
        distance[part] = _lengths(points - start, scale)
        length[part] = _lengths(steps, scale)
        displacement[part] = _lengths(points[:, -1:] - points[:, :1], scale)[:, 0]
        angles[part] = _angles(steps, length[part])
    path = length.sum(axis=1)
    moves = path > 0
    known = np.where(moves, path, np.nan)
    return Shapes(
        distance_from_original=distance,
        step_length=length,
        step_share=length / known[:, None],
        turning_angles=angles,
        path_length=path,
        displacement=displacement,
        straightness=np.minimum(displacement / known, 1),  # rounding may put a straight line above
        turning_angle=present_mean(angles.T),
        moves=moves,
    )


def _lengths(differences: Floats, scale: Floats) -> Floats:
    """Lengths [shape=(clips, n)] of differences [shape=(clips, n, dim)], 0 where they are rounding."""
    lengths = np.sqrt(np.einsum("cnd,cnd->cn", differences, differences))
    return np.where(np.abs(differences).max(axis=2) > _ROUNDING * scale, lengths, 0)


def _angles(steps: Floats, lengths: Floats) -> Floats:
    """Degrees between successive steps [shape=(clips, steps - 1)], NaN beside a step of length 0.

    Kahan's form, exact near 0 and 180 degrees, where an arc cosine would lose half of the digits.
    """
    still = lengths == 0
    unit = steps / np.where(still, 1, lengths)[..., None]
    apart, along = (np.linalg.norm(pair, axis=2) for pair in (unit[:, 1:] - unit[:, :-1], unit[:, 1:] + unit[:, :-1]))
    return np.where(still[:, 1:] | still[:, :-1], np.nan, np.degrees(2 * np.arctan2(apart, along)))


def spread(originals: Vectors, clips: NDArray[np.intp]) -> float:
    """Root mean square distance between two of the clips; NaN with fewer than two."""
    if len(clips) < 2:
        return float("nan")
    parts = [clips[part] for part in directions.blocks(len(clips), originals.shape[1])]
    mean = sum(originals[part].sum(axis=0, dtype=np.float64) for part in parts) / len(clips)
    squares = sum(np.square(originals[part] - mean).sum() for part in parts)
    return float(np.sqrt(2 * squares / (len(clips) - 1)))


def monotonicity(t: Trajectories, name: str, moves: NDArray[np.bool_], ridge: float) -> Floats:
    """Order of the test clips of an instrument along its global direction, published and ridged.

    Parameters
    ----------
    t : Trajectories
    name : str
    moves : bool [shape=(clips,)]
    ridge : float, relative to the largest squared singular value

    Returns
    -------
    float64 [shape=(2, test clips)]
        Spearman's correlation; NaN for clips that do not move, and for an instrument without a direction.
    """
    values, train, test = len(t.values), t.indices("train", name), t.indices("test", name)
    ranks = np.broadcast_to(np.arange(values, dtype=np.float64), (1, len(train), values))
    mean, weights = directions.stacked_weights(t.vectors, train, ranks, ridges=(0.0, ridge))
    projected = directions.projections(t.vectors, test, mean, np.hstack(weights))
    return np.where(moves[test], spearman(projected, np.arange(values)), np.nan)
