"""What every corpus offers.

A corpus is a frozen dataclass in a file of its own: its fields are its options in params.yaml, with their bounds in
their types (:mod:`earshift.options`). It lists its recordings cheaply and cuts each into clips when asked. From a
notebook::

    from earshift.corpora.folder import Folder

    corpus = Folder(path="/my/audio", labels=None, clip_seconds=3.0)
    clips = [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.options import Options
from earshift.protocols import StrPath

TAG_SEPARATOR = "|"  # between the tags of a clip in clips.csv
DOWNLOADS = Path("downloads")  # where archives are fetched to, unless a caller names another folder

Audio: TypeAlias = NDArray[np.int16] | NDArray[np.float32]  # shape (channels, samples), full scale at 32768 or 1
Recordings: TypeAlias = Sequence[Any]  # every corpus describes a recording by a dataclass of its own
Stems: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]  # predominant part, accompaniment


@dataclass(frozen=True)
class Clip:
    """One clip.

    clip : str, unique in the corpus
    group : str, the recording it was cut from; a group never straddles a split
    audio : int16 or float32 [shape=(channels, samples)], or None where it could not be read
    sample_rate : int, Hz
    label, genre, split : str, "" where unknown; a given split ("train", "valid" or "test") is kept
    tags : tuple of str, all that is true of the clip at once, where the corpus knows it; none holds the character |
    problem : str, why the clip cannot be used; "" where it can
    """

    clip: str
    group: str
    audio: Audio | None
    sample_rate: int
    label: str = ""
    genre: str = ""
    split: str = ""
    tags: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Corpus(Options):
    """A collection of recordings that are cut into clips.

    name : str, as in ``corpus.name``
    licence : str, one line on what may be done with the audio
    shareable : bool, whether its audio may be passed on, by a shared remote or in a report; where it may not, both need
        the user's consent
    """

    name: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    shareable: ClassVar[bool] = True

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        """Whether the corpus can be read on this machine without fetching anything."""
        return True

    def recordings(self, downloads: StrPath = DOWNLOADS) -> Recordings:
        """Light, picklable descriptions of the recordings, in a fixed order, one per call of :meth:`clips`.

        Those of other people's files are dataclasses with a field ``problem``, why they cannot be used, "" where they
        can: :meth:`clips` gives the clips of one with a problem marked with it, without touching the file.

        Parameters
        ----------
        downloads : path-like, folder of archives; missing ones are fetched into it

        Raises
        ------
        UserError
            For whatever makes the corpus unusable as a whole, before anything expensive.
        """
        raise NotImplementedError

    def problems(self, recordings: Recordings) -> list[str]:
        """Faults of the corpus as a whole that leave it usable, one phrase each: files that are missing, say.

        Quick, as :meth:`recordings`; :func:`list_recordings` reports them. None where a corpus expects nothing.
        """
        return []

    def clips(self, recording: Any) -> list[Clip]:
        """The clips cut from one recording, in order. Runs in a worker process."""
        raise NotImplementedError

    def separate(self, recording: Any) -> list[Stems] | None:
        """The clips of one recording taken apart: the predominant part of each, and its accompaniment.

        Returns
        -------
        list of (float32 [shape=(channels, samples)], float32 [shape=(channels, samples)])
            In the order of :meth:`clips`; the two of a clip add up to its audio. None where the corpus has no stems.
        """
        return None

    def dtype(self, recordings: Recordings) -> str:
        """ "int16" where every clip comes from 16-bit audio, else "float32"."""
        raise NotImplementedError

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        """How many clips and how many samples (all channels together) to expect, without decoding anything."""
        raise NotImplementedError

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        """JSON-able content that changes exactly when the audio or the labels do (names with hashes, say)."""
        raise NotImplementedError


def list_recordings(corpus: Corpus, on_bad_clip: str, downloads: StrPath = DOWNLOADS) -> Recordings:
    """The recordings of a corpus, its problems reported together.

    Parameters
    ----------
    corpus : Corpus
    on_bad_clip : "error" or "skip", as ``corpus.on_bad_clip``: whether problems stop the run or are printed
    downloads : path-like, as for :meth:`Corpus.recordings`

    Raises
    ------
    UserError
        If the corpus is unusable, or has problems and they are to stop the run.
    """
    recordings = corpus.recordings(downloads)
    problems = corpus.problems(recordings)
    if problems and on_bad_clip == "error":
        raise UserError(
            f"corpus {corpus.name}: {'; '.join(problems)}. Mend that, or go on with the clips that can be used: "
            "corpus.on_bad_clip: skip"
        )
    for problem in problems:
        print(f"corpus: {problem}")
    return recordings
