"""The corpus as it is and under every value of a perturbation, as audio to read.

Effected audio is read where ``perturb`` kept it, else the corpus is perturbed as it is read: the same to the bit.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from stages import paths, store
from stages.corpus.audio import corpus_audio
from stages.errors import UserError
from stages.perturb.recipe import Recipe, written
from stages.provenance import fingerprint

ORIGINAL = "original"


@dataclass(frozen=True)
class Version:
    """All clips of the corpus, as they are or at one value.

    value : str, canonical text, or ``ORIGINAL``
    packed : path of the packed audio to read, None for the corpus' own
    recipe : Recipe to apply while reading, or None
    attributes : what files made from it say about it
    fingerprint : of its audio
    """

    value: str
    packed: Path | None
    recipe: Recipe | None
    attributes: dict
    fingerprint: str


def audio_versions(params, perturbation, clips):
    """The versions of the corpus under a perturbation, in order of growing strength, or the one that is original.

    Parameters
    ----------
    params : stages.params.Params
    perturbation : str, or ``ORIGINAL``
    clips : table as :func:`stages.store.read_clips` returns

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
        audio = fingerprint(corpus=store.corpus_digest(clips), fidelity=params.fidelity)
        return [Version(ORIGINAL, None, None, attributes, audio)]
    if perturbation not in params.perturbations:
        configured = ", ".join(params.perturbations)
        raise UserError(f"unknown perturbation {perturbation!r}; params.yaml configures {configured}")
    found = []
    for recipe, audio in written(perturbation):
        kept = paths.kept_audio(perturbation, recipe.value, audio)
        whole = store.read_fingerprint(kept) == audio
        packed, applied = (kept, None) if whole else (None, recipe)
        found.append(Version(recipe.value, packed, applied, recipe.attributes(), audio))
    return found


def with_audio(found, params):
    """`found`, all of which name the audio to read; that of the corpus is packed again where it is missing."""
    if all(version.packed for version in found):
        return found
    audio = corpus_audio(params)
    return [version if version.packed else replace(version, packed=audio) for version in found]


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
    with store.AudioReader(packed) as reader:
        audio = (reader[i] for i in range(start, stop))
        return [(processor(a, rate) if processor and a.size else a, rate) for a, rate in audio]
