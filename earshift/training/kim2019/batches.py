"""The clips of a task of kim2019, and batches of them.

Imports torch: import this module inside functions.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from earshift.corpora.base import TAG_SEPARATOR
from earshift.corpora.split import TRAIN
from earshift.errors import UserError
from earshift.storage.packed_audio import AudioReader
from earshift.training.data import TrainingData
from earshift.training.excerpt import SAMPLES, centre, crop
from earshift.training.kim2019.options import AUTOTAGGING, INSTRUMENTS
from earshift.training.kim2019.tasks import TASKS, Batch

_STANDARDS = 512  # training clips, at most, that the standardisation is taken from


class TaskClips:
    """The clips of a task, and batches of them.

    Parameters
    ----------
    data : TrainingData
    task : str
    outputs : list of str
        Tags or labels in the order of a network's outputs, see :func:`choose_outputs`.
    size : int, clips of a batch
    device : "cpu", "cuda" or "cuda:N"
    """

    def __init__(self, data: TrainingData, task: str, outputs: list[str], *, size: int, device: str) -> None:
        self.data, self.task, self.outputs, self.device = data, TASKS[task], outputs, device
        self._size = size
        places = {label: place for place, label in enumerate(outputs)}
        self._labels = np.array([places.get(label, -1) for label in data.clips["label"]], dtype=np.int64)
        self._tags = data.tag_table(outputs).astype(np.float32)

    def standards(self) -> NDArray[np.int64]:
        """Places of the training clips that the standardisation is taken from, evenly spread."""
        places = self.data.places(TRAIN)
        count = min(len(places), _STANDARDS)
        return places[np.arange(count) * len(places) // count]

    def audio(self, places: NDArray[np.int64], rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        """Excerpts of 44,100 samples: from the middle, or from anywhere where `rng` is given.

        Returns
        -------
        float32 [shape=(clips, 1 or 2, 44100)]: the mixture, and the predominant part
        """
        with AudioReader(self.data.audio) as reader:
            whole = (reader[row][0] for row in self.data.rows(places))
            return np.stack([centre(a, SAMPLES) if rng is None else crop(a, SAMPLES, rng) for a in whole])

    def of_part(self, part: str, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Batches of an epoch: random excerpts in random order of "train", the middle of all clips of other parts."""
        places = self.data.places(part)
        if part == TRAIN and rng is not None:
            return self.of_places(rng.permutation(places), rng)
        return self.of_places(places)

    def of_places(self, places: NDArray[np.int64], rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Batches of clips in the order given, of about equal size: none of a single clip, which has no statistics."""
        count = -(-len(places) // self._size)
        for few in np.array_split(places, count):
            yield self.batch(few, self.audio(few, rng))

    def of_audio(self, places: NDArray[np.int64], audio: NDArray[np.float32]) -> Iterator[Batch]:
        """Batches of clips whose excerpts are given, [shape=(clips, 1 or 2, 44100)]."""
        for i in range(0, len(places), self._size):
            yield self.batch(places[i : i + self._size], audio[i : i + self._size])

    def batch(self, places: NDArray[np.int64], audio: NDArray[np.float32]) -> Batch:
        """A batch as :mod:`earshift.training.kim2019.tasks` takes it.

        Parameters
        ----------
        places : int [shape=(clips,)]
        audio : float32 [shape=(clips, 1 or 2, 44100)]
        """
        arrays = {"mixture": audio[:, 0], "label": self._labels[places], "tags": self._tags[places]}
        if self.task.stems:
            arrays["target"] = audio[:, 1]
        return {name: torch.from_numpy(np.ascontiguousarray(a)).to(self.device) for name, a in arrays.items()}


def choose_outputs(task: str, data: TrainingData, *, tags: int) -> list[str]:
    """Labels or tags that a network of this task tells apart, of the training clips; none where it has no such outputs.

    Parameters
    ----------
    task : str
    data : TrainingData
    tags : int, how many of the commonest that hold for some clips and not for others

    Raises
    ------
    UserError
        If there are fewer than two.
    """
    clips = data.clips.iloc[data.places(TRAIN)]
    if task == INSTRUMENTS:
        found = sorted(set(clips["label"]) - {""})
        problem = "instruments need clips of at least two labels, the training clips have {}; name a corpus with labels"
    elif task == AUTOTAGGING:
        found = _common_tags(clips, tags)
        problem = ("autotagging needs at least two tags that hold for some clips and not for others, the training "
                   "clips have {}; name a corpus with tags")  # fmt: skip
    else:
        return []
    if len(found) < 2:
        raise UserError(f"{problem.format(len(found))} in training.{task}.corpus")
    return found


def _common_tags(clips: pd.DataFrame, most: int) -> list[str]:
    counts = Counter(tag for tags in clips["tags"] for tag in tags.split(TAG_SEPARATOR) if tag)
    telling = [tag for tag, count in counts.items() if count < len(clips)]
    return sorted(sorted(telling, key=lambda tag: (-counts[tag], tag))[:most])
