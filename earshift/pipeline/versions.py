"""The corpus as it is and under every value of a perturbation, as audio to read.

Effected audio is read where ``perturb`` kept it, else the corpus is perturbed as it is read: the same to the bit. What
was kept is checked before it is read, and made again where it is damaged.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from earshift.errors import UserError
from earshift.perturbations.recipe import Recipe, written
from earshift.pipeline import paths
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.perturb import keep_again
from earshift.storage.clips import corpus_digest
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.packed_audio import AudioReader
from earshift.storage.provenance import fingerprint

ORIGINAL = "original"


@dataclass(frozen=True)
class Version:
    """All clips of the corpus, as they are or at one value.

    value : str, canonical text, or ``ORIGINAL``
    recipe : Recipe to apply while reading, or None
    attributes : what files made from it say about it
    fingerprint : of its audio
    kept : path where ``perturb`` kept its audio, or None
    packed : path of the packed audio to read, None before :func:`with_audio`
    """

    value: str
    recipe: Recipe | None
    attributes: dict
    fingerprint: str
    kept: Path | None = None
    packed: Path | None = None


def audio_versions(params, perturbation, clips):
    """The versions of the corpus under a perturbation, in order of growing strength, or the one that is original.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
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
    for recipe, audio in written(perturbation):
        kept = paths.kept_audio(perturbation, recipe.value, audio)
        found.append(Version(recipe.value, recipe, recipe.attributes(), audio, kept if kept.is_file() else None))
    return found


def with_audio(found, params):
    """`found`, each with whole audio to read; what is missing of the corpus, or damaged, is made again.

    Yields
    ------
    Version, checked when it is asked for, since checking reads all of its audio
    """
    for version in found:
        if version.kept is None:
            yield replace(version, packed=corpus_audio(params))
            continue
        if read_fingerprint(version.kept) != version.fingerprint:
            print(f"{version.kept} is damaged, its checksum does not hold; it is made again")
            keep_again(params, version.recipe, version.fingerprint)
        yield replace(version, packed=version.kept, recipe=None)


def chunks(version, clips, size):
    """The clips of a version in parts of `size`, for :func:`read` to read wherever it runs.

    Yields
    ------
    (start, stop, audio), the audio being where to read it, or the clips themselves where they must pass an effect one
    after another
    """
    bounds = [(start, min(start + size, len(clips))) for start in range(0, len(clips), size)]
    if version.recipe is not None and version.recipe.ordered:
        processor = version.recipe.processor()
        yield from ((*b, _read(version.packed, processor, *b)) for b in bounds)
    else:
        yield from ((*b, (version.packed, version.recipe)) for b in bounds)


def read(start, stop, audio):
    """Audio, float32 [shape=(channels, samples)], and sample rate in Hz of the clips of a chunk; a list of pairs."""
    if isinstance(audio, list):
        return audio
    packed, recipe = audio
    return _read(packed, recipe.processor() if recipe else None, start, stop)


def _read(packed, processor, start, stop):
    """Audio and sample rate of clips start..stop, perturbed by `processor` unless it is None."""
    with AudioReader(packed) as reader:
        audio = (reader[i] for i in range(start, stop))
        return [(processor(a, rate) if processor and a.size else a, rate) for a, rate in audio]
