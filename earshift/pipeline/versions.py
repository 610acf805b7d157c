"""The corpus as it is and under every value of a perturbation, as audio to read.

Effected audio is read where ``perturb`` kept it, else the corpus is perturbed as it is read: the same to the bit. Kept
audio is checked before it is read, and made again where it is damaged.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch, Recipe, batches
from earshift.pipeline import paths
from earshift.pipeline.artifacts import Key, make_key
from earshift.pipeline.config import Config
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.perturb import keep_again
from earshift.pipeline.recipes import audio_key, audio_modules, read_recipes
from earshift.storage.clips import corpus_digest
from earshift.storage.hdf5 import read_fingerprint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Version:
    """All clips of the corpus, as they are or at one value.

    value : str, canonical text, or ``ORIGINAL``
    recipe : Recipe to apply while reading, or None
    attributes : what files made from it state about it
    key : what determines its audio
    modules : names of the modules that perturb it
    kept : path where ``perturb`` kept its audio, or None
    packed : path of the packed audio to read, None before :func:`with_audio`
    """

    value: str
    recipe: Recipe | None
    attributes: dict[str, str]
    key: Key
    modules: list[str]
    kept: Path | None = None
    packed: Path | None = None


def audio_versions(params: Config, perturbation: str, clips: "pd.DataFrame") -> list[Version]:
    """The versions of the corpus under a perturbation, in order of growing strength, or the one that is original.

    Parameters
    ----------
    params : Config
    perturbation : str, or ``ORIGINAL``
    clips : table as :func:`earshift.storage.clips.read_clips` returns

    Returns
    -------
    list of Version

    Raises
    ------
    UserError
        On a perturbation that is not configured, or whose recipes are missing.
    """
    if perturbation == ORIGINAL:
        attributes = {"perturbation": ORIGINAL, "value": ORIGINAL, "fidelity": params.fidelity}
        key = make_key("audio", contents={"clips": corpus_digest(clips)}, options=attributes, code=[])
        return [Version(ORIGINAL, None, attributes, key, [])]
    if perturbation not in params.perturbations:
        configured = ", ".join(params.perturbations)
        raise UserError(f"unknown perturbation {perturbation!r}; params.yaml configures {configured}")
    found, digest = [], corpus_digest(clips)
    for recipe in read_recipes(perturbation):
        key = audio_key(recipe, digest)
        kept = paths.kept_audio(perturbation, recipe.value, key.sha256)
        whole = kept if kept.is_file() else None
        found.append(Version(recipe.value, recipe, recipe.attributes(), key, audio_modules(recipe), whole))
    return found


def with_audio(found: Iterable[Version], params: Config) -> Iterator[Version]:
    """These versions, each with whole audio to read; what is missing of the corpus, or damaged, is made again.

    Yields
    ------
    Version, checked when it is asked for, since checking reads all of its audio
    """
    for version in found:
        if version.kept is None:
            yield replace(version, packed=corpus_audio(params))
            continue
        if version.recipe and read_fingerprint(version.kept) != version.key.sha256:
            print(f"{version.kept} is damaged, its checksum does not hold; it is made again")
            keep_again(params, version.recipe, version.key.sha256)
        yield replace(version, packed=version.kept, recipe=None)


def version_batches(version: Version, rows: Sequence[int], size: int) -> Iterator[Batch]:
    """These rows of a version in batches of `size`, to be read wherever they are encoded."""
    if version.packed is None:
        raise ValueError(f"version {version.value} has no audio; take it from with_audio")
    return batches(version.packed, version.recipe, (rows[start : start + size] for start in range(0, len(rows), size)))
