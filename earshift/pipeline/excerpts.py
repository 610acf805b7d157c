"""A few clips to listen to, under one perturbation.

Conventions
-----------
``report.clips`` valid clips, the same ones under every perturbation, spread over the labels and, within a label, over
the corpus; test clips where a label has enough, as no direction was fitted on these. Of each the first 6 s: the
original, then the weakest value of the grid, the middle one and the strongest. A value that changes nothing is passed
over.

Writes data/excerpts/PERTURBATION.json with clip, value and MP3 (Base64) of every excerpt: for listening only, in a
tenth of the space. Where the corpus may not be passed on, or ``report.players`` is false, there are none, and
``silent`` gives the reason.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from earshift.perturbations.base import ORIGINAL, Audio
from earshift.perturbations.mp3 import encode_playable
from earshift.perturbations.recipe import Recipe, batches
from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.recipes import read_recipes
from earshift.storage.clips import read_clips
from earshift.storage.files import write_json

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 6.0  # of a clip, at most


def write_excerpts(params: Config, name: str, path: Path) -> None:
    """Write the excerpts of one perturbation.

    Parameters
    ----------
    params : Config
    name : str, a perturbation
    path : where to

    Raises
    ------
    UserError
        If the perturbation has no recipes yet, or audio is needed that cannot be had.
    """
    clips, silent = read_clips(paths.CLIPS), _silent(params)
    rows = [] if silent else draw_clips(clips, params.report.clips)
    recipes = draw_recipes(read_recipes(name))
    excerpts: dict[int, list[dict[str, str]]] = {row: [] for row in rows}
    if rows:
        packed = corpus_audio(params)
        for recipe in (None, *recipes):
            (batch,) = batches(packed, recipe, [rows])
            for row, clip in zip(rows, batch.read(), strict=True):
                excerpts[row].append(_excerpt(recipe.value if recipe else ORIGINAL, *clip))
    write_json(path, {
        "perturbation": name,
        "unit": recipes[0].perturbation.unit,
        "silent": silent,
        "clips": [{"clip": clips["clip"][row], "excerpts": excerpts[row]} for row in rows],
    })  # fmt: skip


def draw_clips(clips: "pd.DataFrame", count: int) -> list[int]:
    """Rows of clips.csv to listen to, at most `count`, in the order of the labels.

    Parameters
    ----------
    clips : table as :func:`earshift.storage.clips.read_clips` returns
    count : int, 1 or more

    Returns
    -------
    list of int
    """
    valid = clips[clips.valid]
    labels = sorted(set(valid.label))
    wanted = [labels[i * len(labels) // count] for i in range(count)] if labels else []
    rows: list[int] = []
    for label in dict.fromkeys(wanted):
        of_label = valid[valid.label == label]
        unseen = of_label[of_label.split == "test"]
        number = min(wanted.count(label), len(of_label))
        drawn = (unseen if len(unseen) >= number else of_label).index
        rows += [int(drawn[i * len(drawn) // number]) for i in range(number)]
    return rows


def draw_recipes(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The weakest, the middle and the strongest of a grid, in this order; values that change nothing do not count."""
    different = [r for r in recipes if r.perturbation.neutral is None or float(r.value) != r.perturbation.neutral]
    places = sorted({0, len(different) // 2, len(different) - 1})
    return [different[place] for place in places]


def _silent(params: Config) -> str:
    """Why there is nothing to hear, or ""."""
    if params.report.players is False:
        return "report.players is false"
    if params.report.players is None and not params.corpus.chosen.shareable:
        return "the licence of the corpus forbids passing its audio on"
    return ""


def _excerpt(value: str, audio: Audio, sample_rate: int) -> dict[str, str]:
    start = audio[:, : round(SECONDS * sample_rate)]
    return {"value": value, "mp3": base64.b64encode(encode_playable(start, sample_rate)).decode("ascii")}
