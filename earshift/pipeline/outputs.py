"""All outputs of the pipeline that hold artifacts: what lies in them is in the store as well."""

import contextlib
import shutil
from pathlib import Path

from earshift.encoders.weights.record import ARRAYS
from earshift.errors import UserError
from earshift.pipeline import artifacts, paths
from earshift.pipeline.artifacts import INDEX
from earshift.pipeline.config import Run
from earshift.storage.clips import read_clips


def folders() -> list[Path]:
    """Every folder here that has an index of artifacts."""
    places = (paths.CORPUS, paths.PERTURBED, paths.EMBEDDINGS, paths.DISTANCES, paths.EXCERPTS, paths.METRICS,
              paths.PLOTS)  # fmt: skip
    return sorted(path.parent for place in places for depth in ("", "*/") for path in place.glob(f"{depth}{INDEX}"))


def keep_all() -> None:
    """Put every artifact that lies in an output into the store, whoever has computed it.

    DVC removes outputs when it checks others out, and before it runs a stage.
    """
    store = artifacts.store()
    store.remove_leftovers()
    adopted = sum(artifacts.adopt(folder, store) for folder in folders())
    if adopted and paths.CLIPS.is_file():
        from earshift.pipeline.clip_rows import ClipRows  # imports pandas, and mostly nothing was pulled

        with contextlib.suppress(UserError):  # clips.csv is damaged, and is about to be made again
            ClipRows(read_clips(paths.CLIPS))  # of which clips the rows of pulled vectors are
    trained = [path.parent for path in paths.MODELS.glob("*/*.npz") if path.name != ARRAYS]
    if trained:
        from earshift.pipeline.networks import keep_networks  # imports pandas, and most encoders are not trained here

        for folder in sorted(set(trained)):
            keep_networks(folder)


def remove_what_left(run: Run) -> None:
    """Remove folders of encoders and perturbations that are not in the run; the store has what they held.

    Stages depend on the folders that these lie in as a whole.
    """
    for place, names in ((paths.MODELS, run.encoders), (paths.EMBEDDINGS, run.encoders),
                         (paths.PERTURBED, run.perturbations)):  # fmt: skip
        for folder in place.glob("*/"):
            if folder.name not in names:
                shutil.rmtree(folder)
                print(f"{folder} is not part of the run; its files are in {paths.STORE}")
