"""How the networks of kim2019 do on test clips, as these are and perturbed.

Conventions
-----------
Scores are those of :mod:`earshift.training.kim2019.tasks`, per clip, on the middle 44,100 samples of what a
perturbation leaves; the reported number is their mean, its interval is from resampled recordings. Separation is judged
against the predominant part as it is, except where a perturbation moves the music itself (``moves_music``: pitch,
tempo, gain): there the part is perturbed likewise (as in the study, whose references follow pitch and tempo and stay
clean under noise and MP3). Mixture and part pass the perturbation as two channels of one signal, for stretched apart
their phases would differ, and no mask, however good, would score above some -1 dB. In the study they were stretched
apart (``references_apart``).

Imports torch: import this module inside functions.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from earshift.corpora.split import TEST
from earshift.perturbations.recipe import Batch, Recipe, batches
from earshift.protocols import Map, serial
from earshift.training import loop
from earshift.training.excerpt import middle
from earshift.training.kim2019.batches import TaskClips
from earshift.training.kim2019.networks import Network
from earshift.training.kim2019.options import Training
from earshift.training.kim2019.tasks import Switches
from earshift.training.records import Score


class Evaluator:
    """Scores a network on the test clips of its task, see :class:`earshift.training.evaluation.Evaluator`.

    Parameters
    ----------
    clips : TaskClips
    network : in ``eval`` mode, on the device of `clips`
    options : Training
    switches : the published accidents
    map : where clips with stems are perturbed
    """

    def __init__(
        self, clips: TaskClips, network: Network, options: Training, switches: Switches, map: Map = serial
    ) -> None:
        self._clips, self._network, self._options, self._switches, self._map = clips, network, options, switches, map
        self._places = clips.data.places(TEST)

    def score(self) -> Score:
        """See :class:`earshift.training.evaluation.Evaluator`."""
        return self._score(self._clips.audio(self._places))

    def score_perturbed(self, recipe: Recipe, clips: Iterable[Batch]) -> Score:
        """See :class:`earshift.training.evaluation.Evaluator`."""
        return self._score(self.perturb(recipe, clips))

    def _score(self, audio: NDArray[np.float32]) -> Score:
        task, data = self._clips.task, self._clips.data
        with loop.limit_threads(self._options.threads):
            scores = [
                task.scores(self._network, batch, self._switches) for batch in self._clips.of_audio(self._places, audio)
            ]
        return mean_score(np.concatenate(scores), data.groups(self._places), self._options)

    def perturb(self, recipe: Recipe, clips: Iterable[Batch]) -> NDArray[np.float32]:
        """Excerpts of the test clips at one value, float32 [shape=(clips, 1 or 2, 44100)]."""
        if not self._clips.task.stems:
            return self._excerpts(_mixtures, clips)
        if not recipe.perturbation.moves_music:
            return np.concatenate([self._excerpts(_mixtures, clips), self._excerpts(_parts, self._stems())], axis=1)
        if self._switches["references_apart"]:
            parts = self._excerpts(partial(_perturbed_parts, recipe), self._stems())
            return np.concatenate([self._excerpts(_mixtures, clips), parts], axis=1)
        return self._excerpts(_channels, self._stems(recipe))

    def _excerpts(
        self, function: Callable[[Batch], NDArray[np.float32]], clips: Iterable[Batch]
    ) -> NDArray[np.float32]:
        return np.concatenate(list(self._map(function, clips)))

    def _stems(self, recipe: Recipe | None = None) -> Iterator[Batch]:
        """Mixture and predominant part of the test clips as two channels of one signal."""
        return batches(self._clips.data.audio, recipe, [[row] for row in self._clips.data.rows(self._places)])


# Excerpts of a batch, float32 [shape=(clips, 1 or 2, 44100)]


def _mixtures(batch: Batch) -> NDArray[np.float32]:
    return np.stack([middle(audio, rate)[None] for audio, rate in batch.read()])


def _parts(batch: Batch) -> NDArray[np.float32]:
    return np.stack([middle(audio[1:2], rate)[None] for audio, rate in batch.read()])


def _perturbed_parts(recipe: Recipe, batch: Batch) -> NDArray[np.float32]:
    processor = recipe.processor()
    return np.stack([middle(processor(audio[1:2], rate), rate)[None] for audio, rate in batch.read()])


def _channels(batch: Batch) -> NDArray[np.float32]:
    return np.stack([[middle(channel[None], rate) for channel in audio] for audio, rate in batch.read()])


def mean_score(scores: NDArray[np.float64], groups: NDArray[np.str_], options: Training) -> Score:
    """The mean of scores and its interval from recordings that are resampled with replacement.

    Clips without a score (NaN) are left out; the interval is NaN for less than two recordings.

    Parameters
    ----------
    scores : float64 [shape=(clips,)]
    groups : str [shape=(clips,)], their recordings
    options : its seed, bootstrap and confidence
    """
    known = np.isfinite(scores)
    if not known.any():
        return Score(float("nan"), float("nan"), float("nan"), 0)
    names, member = np.unique(groups[known], return_inverse=True)
    low = high = float("nan")
    if len(names) > 1:
        rng = np.random.default_rng(options.seed)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=options.bootstrap)
        sums = drawn @ np.bincount(member, weights=scores[known])
        tail = (1 - options.confidence) / 2
        low, high = np.quantile(sums / (drawn @ np.bincount(member)), (tail, 1 - tail)).tolist()
    return Score(float(scores[known].mean()), low, high, int(known.sum()))
