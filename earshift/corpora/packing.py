"""A corpus as packed audio and the table of its clips.

Conventions
-----------
Audio is packed in the order of the table. A clip that cannot be used is packed as no samples at all, so that rows and
audio line up.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from earshift.audio.reading import reason
from earshift.corpora.base import TAG_SEPARATOR, Audio, Clip, Corpus, Recordings
from earshift.corpora.split import Split, assign_splits
from earshift.errors import UserError
from earshift.protocols import Advance, Map, StrPath, ignore, serial

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]  # of clips.csv


@dataclass(frozen=True)
class Cut:
    """One recording to be cut into clips, wherever a map runs.

    corpus : Corpus
    recording : one of its recordings
    dtype : "int16" or "float32", in which its audio is packed
    """

    corpus: Corpus
    recording: Any
    dtype: str

    def with_problem(self, problem: str) -> Self:
        """The same recording, marked as one that cannot be used.

        Raises
        ------
        UserError
            If it is no file of other people, but made here: then the fault lies with this machine.
        """
        if not hasattr(self.recording, "problem"):
            raise UserError(f"corpus {self.corpus.name}: {self.recording} cannot be made: {problem}")
        return replace(self, recording=replace(self.recording, problem=problem))

    def clips(self) -> list[Clip]:
        """The clips of the recording, marked with the problem where reading it raises anything."""
        try:
            return self.corpus.clips(self.recording)
        except UserError:
            raise
        except Exception as error:  # libraries that decode raise what they like
            if not hasattr(self.recording, "problem"):
                raise
            return self.with_problem(f"cannot be read: {type(error).__name__}, {reason(error)}").clips()


def cut(item: Cut) -> list[tuple[Row, Audio]]:
    """The row without its split, and the audio as it is packed, of every clip of a recording."""
    cut_clips = []
    for clip in item.clips():
        nothing = np.zeros((1, 0), dtype=item.dtype)
        audio = nothing if clip.problem or clip.audio is None else _as_dtype(clip.audio, item.dtype)
        row = {
            "clip": clip.clip,
            "group": clip.group,
            "label": clip.label,
            "genre": clip.genre,
            "split": clip.split,
            "tags": TAG_SEPARATOR.join(sorted(set(clip.tags))),
            "seconds": 0.0 if clip.problem else audio.shape[1] / clip.sample_rate,
            "channels": audio.shape[0],
            "sample_rate": clip.sample_rate,
            "valid": not clip.problem,
            "problem": clip.problem,
            "sha256": hashlib.sha256(audio.tobytes()).hexdigest(),
        }
        cut_clips.append((row, audio))
    return cut_clips


def pack_corpus(
    corpus: Corpus,
    recordings: Recordings,
    path: StrPath,
    *,
    split: Split,
    on_bad_clip: str,
    map: Map = serial,  # noqa: A002, the name that every function here gives it
    advance: Advance = ignore,
) -> "pd.DataFrame":
    """Pack the audio of every clip of a corpus into one file.

    Parameters
    ----------
    corpus : Corpus
    recordings : as its method of this name returns them
    path : path-like, of the packed audio (:class:`earshift.storage.packed_audio.AudioReader` reads it)
    split : Split
    on_bad_clip : "error" or "skip", what happens where a clip cannot be used
    map : Map, over recordings; items are :class:`Cut`
    advance : Advance, called with the number of clips that were packed

    Returns
    -------
    pandas.DataFrame
        One row per clip, the columns of clips.csv.

    Raises
    ------
    UserError
        If a clip cannot be used and `on_bad_clip` is error, or none can be used; there is no file then.
    """
    import pandas as pd

    from earshift.storage.packed_audio import AudioWriter

    rows: list[Row] = []
    dtype = corpus.dtype(recordings)
    attributes = {"corpus": corpus.name, "licence": corpus.licence}
    with AudioWriter(path, dtype=dtype, attributes=attributes) as writer:
        for clips in map(cut, (Cut(corpus, recording, dtype) for recording in recordings)):
            for row, audio in clips:
                writer.append(audio, row["sample_rate"])
                rows.append(row)
            advance(len(clips))
        _check_usable(rows, on_bad_clip)  # in here, so that no audio is left when it raises
        table = pd.DataFrame(rows)
        table["split"] = assign_splits(table, split)
    return table


def _as_dtype(audio: Audio, dtype: str) -> Audio:
    """int16 audio as float32 with full scale at 1 where the corpus is stored so; anything else as it is."""
    if audio.dtype == np.int16 and dtype == "float32":
        return audio.astype(np.float32) / np.float32(32768)
    return audio


def _check_usable(rows: Sequence[Row], on_bad_clip: str) -> None:
    bad = [f"{row['clip']} ({row['problem']})" for row in rows if not row["valid"]]
    if not bad:
        return
    few = "; ".join(bad[:5]) + ("; ..." if len(bad) > 5 else "")
    if len(bad) == len(rows):
        raise UserError(f"none of the {len(rows)} clips can be used: {few}; mend them, or choose another corpus")
    if on_bad_clip == "error":
        raise UserError(
            f"{len(bad)} of {len(rows)} clips cannot be used: {few}. Mend or remove them, or go on without them: "
            f"corpus.on_bad_clip: skip"
        )
    print(f"corpus: {len(bad)} of {len(rows)} clips cannot be used and are marked invalid: {'; '.join(bad)}")
