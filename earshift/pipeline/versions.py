"""The corpus as it is and under every value of a perturbation, as audio to read.

Effected audio is read where ``perturb`` kept it, else the corpus is perturbed as it is read: the same to the bit. Kept
audio is checked before it is read, and made again where it is damaged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch, Recipe, batches
from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.perturb import keep_again
from earshift.pipeline.recipes import read_recipes
from earshift.storage.clips import corpus_digest
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.provenance import fingerprint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Version:
    """All clips of the corpus, as they are or at one value.

    value : str, canonical text, or ``ORIGINAL``
    recipe : Recipe to apply while reading, or None
    attributes : what files made from it state about it
    fingerprint : of its audio
    kept : path where ``perturb`` kept its audio, or None
    packed : path of the packed audio to read, None before :func:`with_audio`
    """

    value: str
    recipe: Recipe | None
    attributes: dict[str, str]
    fingerprint: str
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
        audio = fingerprint(corpus=corpus_digest(clips), fidelity=params.fidelity)
        return [Version(ORIGINAL, None, attributes, audio)]
    if perturbation not in params.perturbations:
        configured = ", ".join(params.perturbations)
        raise UserError(f"unknown perturbation {perturbation!r}; params.yaml configures {configured}")
    found = []
    for recipe, audio in read_recipes(perturbation):
        kept = paths.kept_audio(perturbation, recipe.value, audio)
        found.append(Version(recipe.value, recipe, recipe.attributes(), audio, kept if kept.is_file() else None))
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
        if version.recipe and read_fingerprint(version.kept) != version.fingerprint:
            print(f"{version.kept} is damaged, its checksum does not hold; it is made again")
            keep_again(params, version.recipe, version.fingerprint)
        yield replace(version, packed=version.kept, recipe=None)


def version_batches(version: Version, clips: "pd.DataFrame", size: int) -> Iterator[Batch]:
    """The clips of a version in batches of `size` rows, to be read wherever they are encoded."""
    if version.packed is None:
        raise ValueError(f"version {version.value} has no audio; take it from with_audio")
    rows = (range(start, min(start + size, len(clips))) for start in range(0, len(clips), size))
    return batches(version.packed, version.recipe, rows)
