"""What the methods section says of the corpus, and which references belong to a run."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earshift.corpora.base import TAG_SEPARATOR
from earshift.report.page.content import PRIVATE, Content
from earshift.storage.clips import corpus_digest

if TYPE_CHECKING:
    import pandas as pd

_ALWAYS = {"deng2025", "effective_rank", "umap", "kim2019", "simple", "tsne", "loudness"}


@dataclass(frozen=True)
class Corpus:
    """The clips of a run; counts are of usable clips, seconds of their lengths.

    labels : dict {label: number of clips}, empty where no clip has one
    tags : int, different tags
    training_tags : list of (tag, number of training clips), the commonest first
    unusable : int, clips that take no part
    options : dict, of the corpus, without those that say where files lie
    licence : str, "" where it is not stated
    """

    name: str
    digest: str
    licence: str
    options: dict[str, Any]
    clips: int
    recordings: int
    unusable: int
    seconds: float
    shortest: float
    longest: float
    sample_rates: list[int]
    channels: list[int]
    splits: dict[str, int]
    labels: dict[str, int]
    tags: int
    training_tags: list[tuple[str, int]]


def describe_corpus(g: Content) -> Corpus:
    """The facts about the corpus of a run."""
    name, used = g.study.corpus, g.clips[g.clips["valid"]]
    labels = Counter(used["label"])
    tags = Counter(_tags(used["tags"][used["split"] == "train"]))
    licence = g.results.folders.corpus / "LICENCE.txt"
    options = g.study.parameters["corpus"].get(name) or {}
    return Corpus(
        name=name,
        digest=corpus_digest(g.clips),
        licence=" ".join(licence.read_text(encoding="utf-8").split()) if licence.exists() else "",
        options={key: value for key, value in options.items() if key not in PRIVATE and value is not None},
        clips=len(used),
        recordings=used["group"].nunique(),
        unusable=len(g.clips) - len(used),
        seconds=used["seconds"].sum(),
        shortest=used["seconds"].min(),
        longest=used["seconds"].max(),
        sample_rates=sorted(set(used["sample_rate"])),
        channels=sorted(set(used["channels"])),
        splits=dict(sorted(Counter(used["split"]).items())),
        labels=dict(sorted(labels.items())) if set(labels) - {""} else {},
        tags=len(set(_tags(used["tags"]))),
        training_tags=sorted(tags.items(), key=lambda of: (-of[1], of[0])),
    )


def _tags(texts: "pd.Series") -> list[str]:
    return [tag for text in texts for tag in text.split(TAG_SEPARATOR) if tag]


def references(g: Content) -> set[str]:
    """Keys of templates/methods.html.j2 whose references belong to a run: its analyses, encoders, methods, corpus."""
    used = _ALWAYS | {encoder for encoder in g.encoders if g.is_built_in(encoder)}
    if any(encoder.startswith("diverse_") for encoder in g.encoders):
        used.add("verma2023")
    if g.has_classifiers:
        used |= {"holm", *g.methods}
    if g.study.corpus in ("irmas", "general_midi"):  # the latter takes the form of the former
        used.add("irmas")
    return used
