"""The recipes and severities of one perturbation's grid, and its audio where that is kept.

Writes data/perturbed/PERTURBATION/: VALUE.json (the recipe with its severity) per value of the grid,
and severity.csv over all values. With ``perturb.keep_audio`` the packed audio goes into paths.AUDIO, beside the
pipeline, for all encoders to read. Each value is an artifact of its own (:mod:`earshift.pipeline.artifacts`).
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earshift.perturbations.processing import to_int16
from earshift.perturbations.recipe import Batch, Recipe, batches
from earshift.perturbations.severity import Severity, severity, summarise
from earshift.pipeline import paths
from earshift.pipeline.artifacts import Artifact, make_key, making, open_output
from earshift.pipeline.compute import mapper
from earshift.pipeline.config import Config
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.progress import Progress
from earshift.pipeline.recipes import audio_key, audio_modules, plan_recipes, write_document
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import read_json, remove_leftovers, require_space, write_table
from earshift.storage.hdf5 import remove_damaged
from earshift.storage.packed_audio import AudioReader, AudioWriter

if TYPE_CHECKING:
    import pandas as pd

Part: TypeAlias = tuple[list[tuple[NDArray[Any], int]], list[Severity]]  # audio to keep, severities of measured clips


def perturb(params: Config, name: str) -> None:
    """Bring data/perturbed/NAME up to date with params.yaml and the corpus."""
    clips = read_clips(paths.CLIPS)
    digest = corpus_digest(clips)
    recipes = plan_recipes(params, name)
    recipes[0].perturbation.check(clips)
    folder = paths.perturbed(name)
    keep_audio = params.keeps_audio(name)
    planned = {_artifact(params, recipe, digest): recipe for recipe in recipes}
    output = open_output(folder, list(planned), files=[paths.severity(name)])
    stale = output.missing()
    audio_keys = {r.value: audio_key(r, digest).sha256 for r in recipes} if keep_audio else {}
    missing = {artifact: recipe for artifact, recipe in planned.items() if artifact in stale
               or (keep_audio and not _is_kept(recipe, audio_keys[recipe.value]))}  # fmt: skip
    with Progress(f"perturb {name}", len(recipes) * len(clips), (len(recipes) - len(missing)) * len(clips)) as progress:
        if missing:
            audio = corpus_audio(params)
            if keep_audio:
                _require_space(audio, list(missing.values()))
            chunks = _chunks(clips, params)
            parts = _make_parts(list(missing.values()), audio, clips, chunks, params, keep_audio)
            for artifact, recipe in missing.items():
                severities = _collect(recipe, audio_keys.get(recipe.value, ""), parts, chunks, progress)
                document = {**recipe.attributes(), "severity": summarise(severities)}
                with making(artifact) as root:
                    write_document(root / artifact.places[0], document)
                output.take(artifact)
    _write_severity(folder, recipes)
    print(
        f"perturb {name}: computed {len(missing)} of {len(recipes)} values"
        + (f" ({', '.join(r.value for r in missing.values())}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(recipes) - len(missing)}"
    )


def _artifact(params: Config, recipe: Recipe, digest: str) -> Artifact:
    key = make_key(
        "perturb",
        contents={"audio": audio_key(recipe, digest).basis},
        options=[recipe.attributes(), params.perturb.severity_clips],
        code=["stages.perturb", *audio_modules(recipe)],
    )
    return Artifact(recipe.value, key, (paths.perturbed(recipe.perturbation.name) / f"{recipe.value}.json",))


def keep_again(params: Config, recipe: Recipe, fingerprint: str) -> None:
    """Pack the audio of one value again, where it was kept and is damaged.

    Parameters
    ----------
    params : Config
    recipe : Recipe
    fingerprint : str, of its audio
    """
    clips = read_clips(paths.CLIPS)
    chunks = _chunks(clips, params)
    parts = _make_parts([recipe], corpus_audio(params), clips, chunks, params, True)
    with Progress(f"perturb {recipe.perturbation.name}", len(clips)) as progress:
        _collect(recipe, fingerprint, parts, chunks, progress)


def _is_kept(recipe: Recipe, fingerprint: str) -> bool:
    kept = paths.kept_audio(recipe.perturbation.name, recipe.value, fingerprint)
    remove_damaged([kept])
    return kept.is_file()  # its name is its fingerprint


def _require_space(audio: Path, recipes: Sequence[Recipe]) -> None:
    """Make sure that the audio of `recipes` fits on the disk."""
    folder = paths.kept_audio(recipes[0].perturbation.name, "", "").parent
    remove_leftovers(folder, shared=True)
    with AudioReader(audio) as reader:
        longer = sum(recipe.perturbation.length(float(recipe.value)) for recipe in recipes)
        size = round(reader.size * np.dtype(recipes[0].dtype).itemsize * longer)
    require_space(folder, size, fix="free some space, shorten the grid, or set perturb.keep_audio: false")


def _chunks(clips: "pd.DataFrame", params: Config) -> list[range]:
    size = params.compute.chunk
    return [range(start, min(start + size, len(clips))) for start in range(0, len(clips), size)]


def _make_parts(
    recipes: Sequence[Recipe], audio: Path, clips: "pd.DataFrame", chunks: Sequence[range], params: Config, keep: bool
) -> Iterator[Part]:
    """Perturbed clips and their severities, chunk by chunk, for all recipes in order."""
    measured = _spread(np.flatnonzero(clips.valid), params.perturb.severity_clips)
    rows = [chunk if keep else [row for row in chunk if row in measured] for chunk in chunks]
    items = (batch for recipe in recipes for batch in batches(audio, recipe, rows))
    make = partial(_make_part, originals=audio, measured=measured, keep=keep)
    return iter(mapper(params.compute, threads=True)(make, items))


def _spread(indices: NDArray[np.intp], count: int) -> frozenset[int]:
    """At most `count` of `indices`, evenly spread."""
    count = min(count, len(indices))
    return frozenset(int(indices[i * len(indices) // count]) for i in range(count))


def _make_part(batch: Batch, *, originals: Path, measured: frozenset[int], keep: bool) -> Part:
    """Audio of a batch as it is kept (nothing where it is not), and the severities of its measured clips."""
    clips = batch.read()
    with AudioReader(originals) as reader:
        severities = [
            severity(reader[row][0], audio, rate)
            for row, (audio, rate) in zip(batch.rows, clips, strict=True)
            if row in measured
        ]
    if not keep:
        return [], severities
    as_int16 = batch.recipe is not None and batch.recipe.dtype == "int16"
    return [(to_int16(audio) if as_int16 else audio, rate) for audio, rate in clips], severities


def _collect(
    recipe: Recipe, fingerprint: str, parts: Iterator[Part], chunks: Sequence[range], progress: Progress
) -> list[Severity]:
    """Severities of the clips of one value; their audio is packed on the way, where it has a fingerprint."""
    severities: list[Severity] = []
    with contextlib.ExitStack() as stack:
        writer = None
        if fingerprint:
            path = paths.kept_audio(recipe.perturbation.name, recipe.value, fingerprint)
            attributes = {**recipe.attributes(), "fingerprint": fingerprint}
            writer = stack.enter_context(AudioWriter(path, dtype=recipe.dtype, attributes=attributes))
        for chunk, (audio, measured) in zip(chunks, parts, strict=False):
            if writer:
                for clip, rate in audio:
                    writer.append(clip, rate)
            severities += measured
            progress.advance(len(chunk))
    return severities


def _write_severity(folder: Path, recipes: Sequence[Recipe]) -> None:
    import pandas as pd

    perturbation = recipes[0].perturbation
    strengths, neutral = perturbation.strengths(), perturbation.neutral
    rows = [
        {
            "value": recipe.value,
            "unit": perturbation.unit,
            "strength": strengths[recipe.value],
            "distance_from_neutral": None if neutral is None else abs(float(recipe.value) - neutral),
            **read_json(folder / f"{recipe.value}.json")["severity"],
        }
        for recipe in recipes
    ]
    write_table(folder / paths.severity(perturbation.name).name, pd.DataFrame(rows))
