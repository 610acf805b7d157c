"""Stage ``perturb``: ``python -m stages.perturb PERTURBATION``.

Writes data/perturbed/PERTURBATION/: VALUE.json (the recipe with its fingerprint and severity) per value of the grid,
and severity.csv over all values. With ``perturb.keep_audio`` the packed audio goes into paths.AUDIO, beside the
pipeline, for all encoders to read. A value whose fingerprint still holds is kept; one that left the grid is removed; a
killed run goes on at the first value that is not whole, and one that is damaged is made again.
"""

import argparse

import numpy as np

from earshift.errors import UserError
from earshift.perturbations.processing import to_int16
from earshift.perturbations.recipe import planned, read_document, write_document
from earshift.perturbations.severity import severity, summarised
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.config import load
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.progress import Progress
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import read_json, remove_leftovers, require_space, sole_writer, write_table
from earshift.storage.hdf5 import remove_damaged
from earshift.storage.packed_audio import AudioReader, AudioWriter


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("perturbation")
    name = parser.parse_args().perturbation
    params = load()
    if name not in params.perturbations:
        raise UserError(f"unknown perturbation {name!r}; params.yaml configures {', '.join(params.perturbations)}")
    with sole_writer(paths.perturbed(name), paths.LOCKS):
        perturb(params, name)


def perturb(params, name):
    """Bring data/perturbed/NAME up to date with params.yaml and the corpus."""
    clips = read_clips(paths.CLIPS)
    digest = corpus_digest(clips)
    recipes = planned(params, name)
    recipes[0].perturbation.check(clips)
    folder = paths.perturbed(name)
    keep_audio = params.keeps_audio(name)
    _tidy(folder, recipes)

    missing = [r for r in recipes if not _whole(folder, r, r.fingerprint(digest), keep_audio)]
    audio = corpus_audio(params) if missing else None
    if keep_audio and missing:
        _prepare_audio(audio, missing)
    label = f"perturb {name}"
    with Progress(label, len(recipes) * len(clips), (len(recipes) - len(missing)) * len(clips)) as progress:
        parts = _parts(missing, audio, clips, params, keep_audio)
        for recipe in missing:
            _write_value(folder, recipe, recipe.fingerprint(digest), parts, len(clips), keep_audio, progress)
    _write_severity(folder, recipes)
    print(
        f"{label}: computed {len(missing)} of {len(recipes)} values"
        + (f" ({', '.join(r.value for r in missing)}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(recipes) - len(missing)}"
    )


def _tidy(folder, recipes):
    """Remove what a killed run left and what left the grid."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    wanted = {f"{r.value}.json" for r in recipes} | {"severity.csv"}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def _whole(folder, recipe, fingerprint, keep_audio):
    path = folder / f"{recipe.value}.json"
    document = read_document(path)
    if document is None and path.is_file():
        print(f"{path} is damaged, its checksum does not hold; it is made again")
    if not document or not document.items() >= {**recipe.attributes(), "fingerprint": fingerprint}.items():
        return False
    if not keep_audio:
        return True
    remove_damaged([_kept(recipe, fingerprint)])
    return _kept(recipe, fingerprint).is_file()  # its name says what it is


def _kept(recipe, fingerprint):
    return paths.kept_audio(recipe.perturbation.name, recipe.value, fingerprint)


def _prepare_audio(audio, recipes):
    """Make sure that the audio of `recipes` fits on the disk."""
    folder = _kept(recipes[0], "").parent
    remove_leftovers(folder, shared=True)
    with AudioReader(audio) as reader:
        longer = sum(recipe.perturbation.length(float(recipe.value)) for recipe in recipes)
        size = round(reader.size * np.dtype(recipes[0].dtype).itemsize * longer)
    require_space(folder, size, fix="free some space, shorten the grid, or set perturb.keep_audio: false")


def _parts(recipes, audio, clips, params, keep_audio):
    """Perturbed clips and their severities, chunk by chunk, for all recipes in order."""
    measured = _spread(np.flatnonzero(clips.valid), params.perturb.severity_clips)
    wanted = None if keep_audio else measured
    chunk = params.compute.chunk
    bounds = [(start, min(start + chunk, len(clips))) for start in range(0, len(clips), chunk)]
    if recipes and recipes[0].ordered:
        for recipe in recipes:
            processor = recipe.processor()
            yield from (_deform(audio, recipe, processor, *b, None, measured, keep_audio) for b in bounds)
    else:
        tasks = ((audio, recipe, *b, wanted, measured, keep_audio) for recipe in recipes for b in bounds)
        yield from ordered_map(_deform_fresh, tasks, params.compute, threads=True)


def _spread(indices, count):
    """At most `count` of `indices`, evenly spread."""
    if len(indices) <= count:
        return frozenset(int(i) for i in indices)
    return frozenset(int(indices[i * len(indices) // count]) for i in range(count))


def _deform_fresh(audio, recipe, *arguments):
    return _deform(audio, recipe, recipe.processor(), *arguments)


def _deform(originals, recipe, processor, start, stop, wanted, measured, keep_audio):
    """Perturbed audio (where kept) and severities (where measured) of clips start..stop; of `wanted` ones only."""
    audio, severities = [], []
    with AudioReader(originals) as reader:
        for index in range(start, stop):
            if wanted is not None and index not in wanted:
                continue
            original, sample_rate = reader[index]
            perturbed = processor(original, sample_rate) if original.size else original
            if keep_audio:
                audio.append((to_int16(perturbed) if recipe.dtype == "int16" else perturbed, sample_rate))
            if index in measured:
                severities.append(severity(original, perturbed, sample_rate))
    return stop - start, audio, severities


def keep_again(params, recipe, fingerprint):
    """Pack the audio of one value again, where it was kept and is damaged.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    recipe : Recipe
    fingerprint : str, of its audio
    """
    clips = read_clips(paths.CLIPS)
    parts = _parts([recipe], corpus_audio(params), clips, params, True)
    with Progress(f"perturb {recipe.perturbation.name}", len(clips)) as progress:
        _gathered(recipe, fingerprint, parts, len(clips), True, progress)


def _write_value(folder, recipe, fingerprint, parts, clips, keep_audio, progress):
    severities = _gathered(recipe, fingerprint, parts, clips, keep_audio, progress)
    document = {**recipe.attributes(), "fingerprint": fingerprint, "severity": summarised(severities)}
    write_document(folder / f"{recipe.value}.json", document)


def _gathered(recipe, fingerprint, parts, clips, keep_audio, progress):
    """Severities of the clips of one value; their audio is packed on the way, where it is kept."""
    severities = []

    def gather(write):
        left = clips
        while left:
            count, audio, measured = next(parts)
            for clip, sample_rate in audio:
                write(clip, sample_rate)
            severities.extend(measured)
            progress.advance(count)
            left -= count

    if keep_audio:
        attributes = {**recipe.attributes(), "fingerprint": fingerprint}
        with AudioWriter(_kept(recipe, fingerprint), dtype=recipe.dtype, attributes=attributes) as writer:
            gather(writer.append)
    else:
        gather(None)
    return severities


def _write_severity(folder, recipes):
    import pandas as pd

    perturbation = recipes[0].perturbation
    strengths = perturbation.strengths()
    rows = []
    for recipe in recipes:
        neutral = perturbation.neutral
        rows.append(
            {
                "value": recipe.value,
                "unit": perturbation.unit,
                "strength": strengths[recipe.value],
                "distance_from_neutral": None if neutral is None else abs(float(recipe.value) - neutral),
                **read_json(folder / f"{recipe.value}.json")["severity"],
            }
        )
    write_table(folder / paths.severity(perturbation.name).name, pd.DataFrame(rows))


if __name__ == "__main__":
    main()
