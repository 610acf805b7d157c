"""What networks are trained and tested on: a corpus, mixed to one channel at their rate and packed once.

Conventions
-----------
A packed file holds for each clip the mixture, and below it the predominant part where the task needs stems. Samples are
16 bit. *Parts* are "train", "valid" and "test": the corpus' test clips are never trained on; what it holds back itself
for validation, else a share of its training recordings, is what training stops by, the same in every trial; of the rest
each trial draws its share. Recordings are never divided.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from earshift.corpora.base import TAG_SEPARATOR, Corpus, Recordings
from earshift.corpora.split import TEST, TRAIN, VALID
from earshift.errors import UserError
from earshift.protocols import Advance, Map, ignore, serial
from earshift.storage.packed_audio import AudioReader, AudioWriter
from earshift.training.excerpt import mono
from earshift.training.options import TrainingOptions

_CHUNK = 16  # clips per task
_FULL_SCALE = 32768


@dataclass(frozen=True)
class TrainingData:
    """Clips and their audio.

    clips : table with the rows of clips.csv that are valid and in a split; ``row`` is their place in the file
    audio : path of the packed audio, [shape=(1 or 2, samples)] per clip: mixture, predominant part
    part : str [shape=(clips,)], "train", "valid", "test", or "" for what this trial did not draw
    digest : str, of all that the audio and the table say
    """

    clips: pd.DataFrame
    audio: Path
    part: NDArray[np.str_]
    digest: str

    def places(self, part: str) -> NDArray[np.int64]:
        """Which clips belong to a part, by their place in the table."""
        return np.flatnonzero(self.part == part)

    def counts(self) -> dict[str, int]:
        """How many clips every part has."""
        return {part: len(self.places(part)) for part in (TRAIN, VALID, TEST)}

    def rows(self, places: NDArray[np.int64]) -> list[int]:
        """Places in the packed file."""
        return [int(row) for row in self.clips["row"].to_numpy()[places]]

    def groups(self, places: NDArray[np.int64]) -> NDArray[np.str_]:
        """The recordings of some clips."""
        return self.clips["group"].to_numpy(dtype=str)[places]

    def tag_table(self, vocabulary: Iterable[str]) -> NDArray[np.bool_]:
        """Which tags hold, bool [shape=(clips, tags)]."""
        vocabulary = list(vocabulary)
        found = [set(tags.split(TAG_SEPARATOR)) for tags in self.clips["tags"]]
        return np.array([[tag in tags for tag in vocabulary] for tags in found], dtype=bool).reshape(len(found), -1)


def select_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """The clips that can be trained or tested on, with their place in the file as ``row``."""
    usable = clips["valid"].to_numpy(dtype=bool) & clips["split"].isin([TRAIN, VALID, TEST]).to_numpy()
    return clips[usable].assign(row=np.flatnonzero(usable)).reset_index(drop=True)


def assign_parts(clips: pd.DataFrame, options: TrainingOptions, *, trial: int) -> NDArray[np.str_]:
    """The part of every clip.

    The validation recordings are a systematic sample of the training recordings sorted by label, so that every label
    that has enough of them is on both sides.

    Parameters
    ----------
    clips : table with group, label and split ("train", "valid" or "test")
    options : its seed, validation and draw
    trial : int, which draw of the training recordings

    Returns
    -------
    str [shape=(clips,)]

    Raises
    ------
    UserError
        If a part would be empty.
    """
    part = clips["split"].where(clips["split"].isin([TEST, VALID]), "").to_numpy(dtype=object)
    own = clips[clips["split"] == TRAIN]
    label = dict(zip(own["group"], own["label"], strict=True))
    rng = np.random.default_rng([options.seed, 0])
    shuffled = sorted(label)
    rng.shuffle(shuffled)
    ordered = sorted(shuffled, key=label.__getitem__)  # stable: at random within a label
    share = 0 if (part == VALID).any() else options.validation
    count = np.arange(len(ordered) + 1) * share
    held = {group for place, group in enumerate(ordered) if int(count[place + 1]) > int(count[place])}
    rest = [group for group in sorted(label) if group not in held]
    drawn = max(round(options.draw * len(rest)), 1) if rest else 0
    taken = set(np.random.default_rng([options.seed, 1, trial]).permutation(rest)[:drawn].tolist())
    groups = clips["group"].to_numpy(dtype=str)
    part[np.isin(groups, sorted(held)) & (part == "")] = VALID
    part[np.isin(groups, sorted(taken)) & (part == "")] = TRAIN
    for name, what in ((TRAIN, "training"), (VALID, "validation"), (TEST, "test")):
        if not (part == name).any():
            raise UserError(
                f"no {what} clips: the corpus has {len(label)} training recordings and "
                f"{int((clips['split'] == TEST).sum())} test clips; a share of {options.validation:g} is held "
                "back for validation. Take a larger corpus"
            )
    return part.astype(str)


# ------------------------------------------------------------------------------------------------------------- packing


def pack_mixtures(
    path: Path, audio: Path, clips: int, rate: int, *, map: Map = serial, advance: Advance = ignore
) -> None:
    """Pack all clips of a packed file mixed to one channel at another rate.

    Parameters
    ----------
    path : where to write
    audio : packed audio, read clip by clip
    clips : int, how many it has
    rate : int, Hz
    """
    starts = range(0, clips, _CHUNK)
    _write(
        path, map(partial(_mix, audio, rate), [range(i, min(i + _CHUNK, clips)) for i in starts]), rate, clips, advance
    )


def pack_stems(
    path: Path,
    corpus: Corpus,
    recordings: Recordings,
    clips: int,
    rate: int,
    *,
    map: Map = serial,
    advance: Advance = ignore,
) -> None:
    """Pack the mixture and the predominant part of all clips of a corpus, as :func:`pack_mixtures`.

    Raises
    ------
    UserError
        If the corpus has no stems, or not as many clips as its table.
    """
    _write(path, map(partial(_separate, corpus, rate), recordings), rate, clips, advance, corpus.name)


def _write(
    path: Path, blocks: Iterable[list[NDArray[np.int16]]], rate: int, clips: int, advance: Advance, corpus: str = ""
) -> None:
    written = 0
    with AudioWriter(path, dtype="int16") as writer:
        for waveforms in blocks:
            for waveform in waveforms:
                writer.append(waveform, rate)
            written += len(waveforms)
            advance(len(waveforms))
        if written != clips:
            raise UserError(
                f"corpus {corpus} gives {written} clips with stems for the {clips} of its table; run `dvc repro corpus`"
            )


def _mix(audio: Path, wanted: int, places: range) -> list[NDArray[np.int16]]:
    with AudioReader(audio) as reader:
        return [_to_int16(mono(*reader[i], wanted)[None]) for i in places]


def _separate(corpus: Corpus, wanted: int, recording: Any) -> list[NDArray[np.int16]]:
    stems = corpus.separate(recording)
    if stems is None:
        raise UserError(
            f"corpus {corpus.name} has no stems, which separation needs; name one that has in "
            "training.separation.corpus: general_midi, musdb18"
        )
    owner: Any = recording if getattr(recording, "sample_rate", None) else corpus
    rate: int = owner.sample_rate
    pairs = ((mono(lead + rest, rate, wanted), mono(lead, rate, wanted)) for lead, rest in stems)
    return [_to_int16(np.stack(pair)) for pair in pairs]


def _to_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(audio * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
