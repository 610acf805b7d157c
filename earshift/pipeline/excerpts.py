"""Stage ``excerpts``: ``python -m stages.excerpts PERTURBATION``, a few clips to listen to.

Conventions
-----------
``report.clips`` valid clips, the same ones under every perturbation, spread over the labels and, within a label, over
the corpus; test clips where a label has enough, as no direction was fitted on these. Of each the first 6 s: the
original, then the weakest value of the grid, the middle one and the strongest. A value that changes nothing is passed
over.

Writes data/excerpts/PERTURBATION.json with clip, value and MP3 (Base64) of every excerpt: for ears alone, in a tenth of
the space. Where the corpus may not be passed on, or ``report.players`` is false, there are none, and ``silent`` says
why.
"""

import argparse
import base64

from earshift.errors import UserError
from earshift.perturbations.mp3 import encoded
from earshift.perturbations.recipe import written
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.storage.clips import read_clips
from earshift.storage.files import write_json
from earshift.storage.packed_audio import AudioReader

SECONDS = 6.0  # of a clip, at most
ORIGINAL = "original"


def write_excerpts(params, name):
    """Write the excerpts of one perturbation.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    name : str, a perturbation

    Raises
    ------
    UserError
        If the perturbation has no recipes yet, or audio is needed that cannot be had.
    """
    clips, silent = read_clips(paths.CLIPS), _silent(params)
    rows = [] if silent else drawn_clips(clips, params.report.clips)
    recipes = drawn_recipes([recipe for recipe, _ in written(name)])
    excerpts = {row: [] for row in rows}
    if rows:
        with AudioReader(corpus_audio(params)) as reader:
            for row in rows:
                excerpts[row].append(_excerpt(ORIGINAL, *reader[row]))
            for recipe in recipes:
                for row, heard in _perturbed(reader, recipe, rows):
                    excerpts[row].append(_excerpt(recipe.value, *heard))
    write_json(paths.excerpts(name), {
        "perturbation": name,
        "unit": recipes[0].perturbation.unit,
        "silent": silent,
        "clips": [{"clip": clips["clip"][row], "excerpts": excerpts[row]} for row in rows],
    })  # fmt: skip


def drawn_clips(clips, count):
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
    rows = []
    for label in dict.fromkeys(wanted):
        of_label = valid[valid.label == label]
        unseen = of_label[of_label.split == "test"]
        number = min(wanted.count(label), len(of_label))
        source = (unseen if len(unseen) >= number else of_label).index
        rows += [int(source[i * len(source) // number]) for i in range(number)]
    return rows


def drawn_recipes(recipes):
    """The weakest, the middle and the strongest of a grid, in this order; values that change nothing do not count."""
    different = [r for r in recipes if r.perturbation.neutral is None or float(r.value) != r.perturbation.neutral]
    places = sorted({0, len(different) // 2, len(different) - 1})
    return [different[place] for place in places]


def _silent(params):
    """Why there is nothing to hear, or ""."""
    if params.report.players is False:
        return "report.players is false"
    if params.report.players is None and not params.corpus.source.shareable:
        return "the licence of the corpus forbids passing its audio on"
    return ""


def _perturbed(reader, recipe, rows):
    """(row, (audio, sample rate)) of the clips in `rows`; those before pass as well where each leaves something."""
    processor = recipe.processor()
    for row in range(max(rows) + 1) if recipe.ordered else rows:
        audio, sample_rate = reader[row]
        perturbed = processor(audio, sample_rate) if audio.size else audio
        if row in rows:
            yield row, (perturbed, sample_rate)


def _excerpt(value, audio, sample_rate):
    start = audio[:, : round(SECONDS * sample_rate)]
    return {"value": value, "mp3": base64.b64encode(encoded(start, sample_rate)).decode("ascii")}


@command
def main(arguments=None):
    """Write the excerpts of the perturbation that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m stages.excerpts", description=__doc__.partition("\n")[0])
    parser.add_argument("perturbation")
    name, params = parser.parse_args(arguments).perturbation, load()
    if name not in params.perturbations:
        raise UserError(f"unknown perturbation {name!r}; params.yaml configures {', '.join(params.perturbations)}")
    write_excerpts(params, name)
    print(f"excerpts {name}: {paths.excerpts(name)}")


if __name__ == "__main__":
    main()
