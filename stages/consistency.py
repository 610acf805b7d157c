"""Stage ``consistency``: whether clips stay nearest to their own original, in the audio and between vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import consistency
from earshift.analysis.consistency import AUDIO
from earshift.analysis.data import ORIGINAL
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.artifacts import file_hashes
from earshift.pipeline.pairs import Pair, pair_stage, vector_hashes
from earshift.storage.clips import read_clips
from earshift.storage.distances import read_distances


def analyse(pair: Pair) -> None:
    """Write metrics and plot data of every encoder under every perturbation."""
    kind = pair.params.perturbations[pair.perturbation]
    t = pair.trajectories()
    result, curves = consistency.analyse(
        t,
        audio_distances(pair.perturbation, t.clip),
        pair.params.consistency,
        neutral=kind.neutral if kind.growth == "two-sided" else None,
    )
    pair.write(consistency.ConsistencyResult, result, curves=curves)


def audio_distances(perturbation: str, clips: NDArray[np.str_]) -> Callable[[str], dict[str, NDArray[np.float32]]]:
    """A function from the text of a value, or "original", to the distances in the audio of the given clips.

    Raises
    ------
    UserError
        From the function: if a file is missing, or was made from another corpus.
    """
    known = read_clips(paths.CLIPS)["clip"].tolist()
    place = {clip: i for i, clip in enumerate(known)}
    wanted = np.array([place[clip] for clip in clips])

    def read(value: str) -> dict[str, NDArray[np.float32]]:
        path = paths.original_distances() if value == ORIGINAL else paths.distances(perturbation, value)
        found = read_distances(path)
        if found.clip != known:
            raise UserError(
                f"{path} holds {len(found.clip)} clips that are not the {len(known)} of {paths.CLIPS} in their order; "
                "run `dvc repro`"
            )
        return {name: matrix[np.ix_(wanted, wanted)] for name, matrix in found.matrices.items() if name in AUDIO}

    return read


def hashes(pair: Pair) -> dict[str, Any]:
    """Hashes of the vectors and of the distances in the audio."""
    distances = sorted(paths.distances(pair.perturbation, "").parent.glob("*.h5"))
    return vector_hashes(pair.encoder, pair.perturbation) | file_hashes([paths.original_distances(), *distances])


def options(pair: Pair) -> Any:
    """Options, and of the perturbation whether its grid has two sides."""
    kind = pair.params.perturbations[pair.perturbation]
    return [pair.params.consistency, pair.params.classes, kind.neutral, kind.growth]


main = pair_stage("consistency", analyse, options=options, contents=hashes)

if __name__ == "__main__":
    main()
