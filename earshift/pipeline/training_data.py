"""Corpora that networks are trained on: packed once beside the pipeline; their test clips under a recipe.

Conventions
-----------
Training data are a corpus like any other, the pipeline's own or another one of params.yaml. Its packed copy lies in
paths.TRAINING, named by its content, whatever the trial.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from earshift.corpora.base import list_recordings
from earshift.perturbations.recipe import Batch, Recipe, batches
from earshift.pipeline import paths
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.code import code_sha256
from earshift.pipeline.compute import mapper
from earshift.pipeline.config import Config, CorpusConfig
from earshift.pipeline.corpus import pack
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.progress import Progress
from earshift.pipeline.recipes import audio_key
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import remove_leftovers, require_space, write_table
from earshift.storage.hdf5 import read_fingerprint
from earshift.storage.provenance import fingerprint
from earshift.training.data import TrainingData, assign_parts, pack_mixtures, pack_stems, select_clips
from earshift.training.options import TrainingOptions


@dataclass(frozen=True)
class TrainingCorpus:
    """A corpus that networks are trained on.

    config : Config
    name : str or None, the corpus; None for the pipeline's own
    """

    config: Config
    name: str | None

    @property
    def is_own(self) -> bool:
        """Whether it is the pipeline's, of which clips.csv says what it is, and perturbed audio may be kept."""
        return self.name in (None, self.config.corpus.name)

    @cached_property
    def corpus(self) -> CorpusConfig:
        """The section ``corpus`` as it would be for this corpus."""
        own, name = self.config.corpus, self.name
        return own if name in (None, own.name) else dataclasses.replace(own, name=name, chosen=own.configured[name])

    def describe(self) -> dict[str, Any]:
        """What determines the clips of a corpus that is not the pipeline's own.

        Raises
        ------
        UserError
            If the corpus cannot be used.
        """
        corpus = self.corpus.chosen
        recordings = list_recordings(corpus, self.corpus.on_bad_clip, paths.DOWNLOADS)
        return {
            "corpus": self.corpus.name,
            "options": asdict(corpus),
            "split": asdict(self.corpus.split),
            "content": corpus.content_hashes(recordings),
        }

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The rows of its clips.csv; the audio of another corpus is packed where it is not yet."""
        if self.is_own:
            return read_clips(paths.CLIPS)
        path = paths.training_clips(fingerprint(**self.describe()))
        if not path.is_file() or not corpus_audio_path(read_clips(path)).is_file():
            table, _ = pack(dataclasses.replace(self.config, corpus=self.corpus))
            write_table(path, table)
        return read_clips(path)

    def audio(self) -> Path:
        """The packed clips at their own rate and with all channels."""
        return corpus_audio(self.config) if self.is_own else corpus_audio_path(self.clips)

    def prepare(self, options: TrainingOptions, *, trial: int, rate: int, stems: bool = False) -> TrainingData:
        """The clips, packed for training where they are not yet.

        Parameters
        ----------
        options : their seed, validation and draw
        trial : int, which draw of the training recordings
        rate : int, Hz
        stems : bool, whether the predominant part is needed

        Raises
        ------
        UserError
            If the corpus cannot be used, has no stems where they are needed, or too few recordings.
        """
        stems_from = code_sha256(type(self.corpus.chosen).__module__) if stems else None
        digest = make_key(
            "training audio",
            contents={"clips": corpus_digest(self.clips)},
            options={"rate": rate, "stems": stems_from},
            code=["earshift.training.data"],
        ).sha256
        path = paths.training_audio(digest)
        if not path.is_file():
            self._pack(path, rate, stems)
        table = select_clips(self.clips)
        part = assign_parts(table, options, trial=trial)
        rows = table[["clip", "group", "label", "tags"]].astype(str).to_numpy().tolist()
        return TrainingData(table, path, part, fingerprint(audio=digest, rows=rows, part=part.tolist()))

    def _pack(self, path: Path, rate: int, stems: bool) -> None:
        remove_leftovers(path.parent, shared=True)
        seconds = float(self.clips.loc[self.clips["valid"], "seconds"].sum())
        require_space(path.parent, round(seconds * rate * 2 * (2 if stems else 1)))
        count, map = len(self.clips), mapper(self.config.compute)
        with Progress("training audio", count) as progress:
            if stems:
                recordings = self.corpus.chosen.recordings(paths.DOWNLOADS)
                pack_stems(path, self.corpus.chosen, recordings, count, rate, map=map, advance=progress.advance)
                return
            audio = corpus_audio_path(self.clips)
            audio = audio if audio.is_file() else self.audio()
            pack_mixtures(path, audio, count, rate, map=map, advance=progress.advance)

    def perturb(self, rows: list[int], recipe: Recipe) -> Iterator[Batch]:
        """Some clips under a recipe, one in a batch: their kept audio, or to be perturbed as they are read.

        Parameters
        ----------
        rows : ascending, of clips.csv
        recipe : Recipe
        """
        single = [[row] for row in rows]
        if self.is_own:
            digest = audio_key(recipe, corpus_digest(self.clips)).sha256
            kept = paths.kept_audio(recipe.perturbation.name, recipe.value, digest)
            if read_fingerprint(kept) == digest:
                return batches(kept, None, single)
        return batches(self.audio(), recipe, single)
