"""The training corpus in chunks.

Conventions
-----------
Chunks stand in the order of the clips. Their features are written into one array a stream, which may be mapped from a
file, so that a corpus may be larger than memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.corpora.base import TAG_SEPARATOR
from earshift.corpora.split import TRAIN
from earshift.errors import UserError
from earshift.protocols import Map, serial
from earshift.storage.packed_audio import AudioReader
from earshift.training.data import TrainingData
from earshift.training.verma2023.chunks import clips_of_chunks, cut_chunks
from earshift.training.verma2023.features import compute_features
from earshift.training.verma2023.options import Diverse

_CLIPS = 8  # per task


@dataclass(frozen=True)
class ChunkedCorpus:
    """The training corpus in chunks.

    data : TrainingData, at 16 kHz
    tags : list of str, the classes: those of the training clips
    targets : bool [shape=(clips, tags)]
    clip : int [shape=(chunks,)], the clip of each chunk
    """

    data: TrainingData
    tags: list[str]
    targets: NDArray[np.bool_]
    clip: NDArray[np.int64]

    def places(self, part: str) -> NDArray[np.int64]:
        """The chunks of a part, "train", "valid" or "test"."""
        return np.flatnonzero(self.data.part[self.clip] == part)

    def clips(self, part: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The clips of a part, and for each of its chunks which of these clips it belongs to."""
        clips = self.data.places(part)
        return clips, np.searchsorted(clips, self.clip[self.places(part)])


def cut_corpus(data: TrainingData) -> ChunkedCorpus:
    """A corpus in chunks.

    Raises
    ------
    UserError
        If its training clips have fewer than two tags.
    """
    own = data.clips["tags"].to_numpy(dtype=str)[data.part == TRAIN]
    found = sorted({tag for tags in own for tag in tags.split(TAG_SEPARATOR) if tag})
    if len(found) < 2:
        raise UserError(
            f"diverse streams need a corpus with tags, the training clips have {len(found)}; name one in "
            "diverse.corpus or corpus.name: soundscapes, fsd50k, general_midi"
        )
    with AudioReader(data.audio) as reader:
        lengths = [reader.samples(int(row)) for row in data.clips["row"]]
    return ChunkedCorpus(data, found, data.tag_table(found), clips_of_chunks(lengths))


def iterate_features(stream: str, data: TrainingData, options: Diverse, *, map: Map = serial) -> Iterator[NDArray[Any]]:
    """What a stream reads of all chunks, the Neuralogram apart, some clips at a time in their order."""
    rows = [int(row) for row in data.clips["row"]]
    parts = [rows[i : i + _CLIPS] for i in range(0, len(rows), _CLIPS)]
    yield from map(partial(_features_of_clips, stream, data.audio, options), parts)


def _features_of_clips(stream: str, audio: Path, options: Diverse, rows: list[int]) -> NDArray[Any]:
    with AudioReader(audio) as reader:
        chunks = np.concatenate([cut_chunks(reader[row][0][0], filling=options.filling) for row in rows])
    return compute_features(stream, chunks, options.networks)
