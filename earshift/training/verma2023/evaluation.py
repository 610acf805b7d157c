"""Trained streams on audio: embeddings of chunks, scores of tags, and how they do on test clips.

Imports torch: import this module inside functions.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from earshift.corpora.split import TEST
from earshift.perturbations.recipe import Batch, Recipe
from earshift.protocols import Map, serial
from earshift.storage.packed_audio import AudioReader
from earshift.training import loop
from earshift.training.arrays import Arrays, below
from earshift.training.excerpt import mono
from earshift.training.records import Score
from earshift.training.verma2023.chunks import SAMPLE_RATE, cut_chunks
from earshift.training.verma2023.combination import Linear
from earshift.training.verma2023.corpus import ChunkedCorpus
from earshift.training.verma2023.losses import scores_of
from earshift.training.verma2023.options import Diverse
from earshift.training.verma2023.scores import score_chunks
from earshift.training.verma2023.streams import embed_chunks, open_streams

LINEAR = "linear."  # before the names of the linear model's arrays

# Chunks, float32 [shape=(chunks, 16000)], -> numbers [shape=(chunks, ...)]
OfChunks = Callable[[NDArray[np.float32]], NDArray[np.floating]]


class Evaluator:
    """Scores trained streams on the test clips by mean average precision over tags.

    See :class:`earshift.training.evaluation.Evaluator`.

    Parameters
    ----------
    corpus : ChunkedCorpus
    scorer : from :func:`build_scorer`
    options : Diverse
    map : where clips are perturbed
    """

    def __init__(self, corpus: ChunkedCorpus, scorer: OfChunks, options: Diverse, map: Map = serial) -> None:
        self._corpus, self._scorer, self._options, self._map = corpus, scorer, options, map
        self._clips = corpus.data.places(TEST)

    def score(self) -> Score:
        """See :class:`earshift.training.evaluation.Evaluator`."""
        with AudioReader(self._corpus.data.audio) as reader:
            return self._score(reader[row][0][0] for row in self._corpus.data.rows(self._clips))

    def score_perturbed(self, recipe: Recipe, clips: Iterable[Batch]) -> Score:
        """See :class:`earshift.training.evaluation.Evaluator`."""
        return self._score(signal for signals in self._map(_at_16_khz, clips) for signal in signals)

    def _score(self, signals: Iterable[NDArray[np.float32]]) -> Score:
        chunks = [cut_chunks(signal, filling=self._options.filling) for signal in signals]
        clip = np.repeat(np.arange(len(chunks)), [len(of_clip) for of_clip in chunks])
        found = score_chunks(
            self._scorer(np.concatenate(chunks)), clip, self._corpus.targets[self._clips],
            self._corpus.data.groups(self._clips), self._options,
        )  # fmt: skip
        number, low, high = (np.nan if n is None else n for n in (found["map"], found["map_low"], found["map_high"]))
        return Score(number, low, high, len(self._clips))


def _at_16_khz(batch: Batch) -> list[NDArray[np.float32]]:
    return [mono(audio, rate, SAMPLE_RATE) for audio, rate in batch.read()]


def build_scorer(arrays: Arrays, names: Sequence[str], classes: int, options: Diverse) -> OfChunks:
    """A function from chunks to scores [shape=(chunks, classes)].

    Parameters
    ----------
    arrays : of a model file
    names : streams, one or all
    classes : int
    options : Diverse
    """
    opened = open_streams(arrays, names, classes, options.networks)
    if len(names) > 1:
        linear = Linear(**below(arrays, LINEAR))
        return lambda chunks: linear.scores(embed_chunks(opened, chunks).astype(np.float64))
    head = opened[0].network.head

    def score(chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        with loop.limit_threads(options.threads), torch.inference_mode():
            outputs = head(torch.from_numpy(embed_chunks(opened, chunks)))
            return scores_of(outputs, options.loss).numpy()

    return score
