"""Some clips of a corpus at one value of a perturbation: their kept audio, or perturbed as they are read."""

from earshift.pipeline import paths
from earshift.pipeline.compute import ordered_map
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.packed_audio import AudioReader


def perturbed(function, rows, recipe, fingerprint, *, packed, own, compute):
    """What a function makes of clips at one value.

    Parameters
    ----------
    function : callable at module level, (audio float32 [shape=(channels, samples)], sample rate in Hz) -> anything
    rows : list of int, places of the clips in their packed file
    recipe : earshift.perturbations.recipe.Recipe
    fingerprint : str, of what the recipe makes of the pipeline's corpus
    packed : callable, gives the path of the clips' packed audio
    own : bool, whether they are the pipeline's clips, whose audio under the recipe may have been kept
    compute : earshift.pipeline.config.Compute

    Yields
    ------
    anything, clip by clip in the order of `rows`
    """
    kept = paths.kept_audio(recipe.perturbation.name, recipe.value, fingerprint)
    if own and read_fingerprint(kept) == fingerprint:
        yield from ordered_map(_made, ((function, kept, None, row) for row in rows), compute, threads=True)
    elif recipe.ordered:
        yield from _in_order(function, packed(), recipe, rows)
    else:
        audio = packed()
        yield from ordered_map(_made, ((function, audio, recipe, row) for row in rows), compute, threads=True)


def _made(function, packed, recipe, row):
    with AudioReader(packed) as reader:
        audio, rate = reader[row]
    return function(recipe.processor()(audio, rate) if recipe else audio, rate)


def _in_order(function, packed, recipe, rows):
    """Of clips all of which must pass the effect one after another; `rows` ascend."""
    processor, wanted = recipe.processor(), set(rows)
    with AudioReader(packed) as reader:
        for row, (audio, rate) in enumerate(reader):
            made = processor(audio, rate) if audio.size else audio
            if row in wanted:
                yield function(made, rate)
