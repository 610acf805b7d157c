"""What every corpus offers.

A corpus is a frozen dataclass in a file of its own: its fields are its options in params.yaml, each with a rule from
:mod:`earshift.pipeline.config`. It lists its recordings cheaply and cuts each into clips when asked.
"""

from dataclasses import dataclass

import numpy as np

from earshift.errors import UserError
from earshift.options import Options

TAG_SEPARATOR = "|"  # between the tags of a clip in clips.csv


@dataclass(frozen=True)
class Clip:
    """One clip as it comes from its source.

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
    audio: np.ndarray | None
    sample_rate: int
    label: str = ""
    genre: str = ""
    split: str = ""
    tags: tuple = ()
    problem: str = ""


class Corpus(Options):
    """A source of clips.

    name : str, as in ``corpus.name``
    licence : str, one line on what may be done with the audio
    shareable : bool, whether its audio may be passed on, by a shared remote or in a report; where it may not, both wait
        for the user's word
    """

    name = None
    licence = None
    shareable = True

    def at_hand(self):
        """Whether the source can be read on this machine without fetching anything."""
        return True

    def recordings(self):
        """Light, picklable descriptions of the recordings, in a fixed order, one per call of :meth:`clips`.

        Those of other people's files are dataclasses with a field ``problem``, why they cannot be used, "" where they
        can: :meth:`clips` gives the clips of one with a problem marked with it, without touching the file.

        Raises
        ------
        UserError
            For whatever makes the corpus unusable as a whole, before anything expensive.
        """
        raise NotImplementedError

    def problems(self, recordings):
        """What is wrong with the source as a whole though it can be used, one phrase each: files that are missing, say.

        Quick, as :meth:`recordings`; what becomes of them, :func:`listed` says. None where a corpus expects nothing.
        """
        return []

    def clips(self, recording):
        """The :class:`Clip` objects cut from one recording, in order. Runs in a worker process."""
        raise NotImplementedError

    def separated(self, recording):
        """The clips of one recording taken apart: what is predominant in each, and what accompanies it.

        Returns
        -------
        list of (float32 [shape=(channels, samples)], float32 [shape=(channels, samples)])
            In the order of :meth:`clips`; the two of a clip add up to its audio. None where the corpus has no stems.
        """
        return None

    def dtype(self, recordings):
        """ "int16" where every clip comes from 16-bit audio, else "float32"."""
        raise NotImplementedError

    def extent(self, recordings):
        """How many clips and how many samples (all channels together) to expect, without decoding anything."""
        raise NotImplementedError

    def identity(self, recordings):
        """JSON-able content that changes exactly when the source audio or labels do (names with hashes, say)."""
        raise NotImplementedError


BASE = Corpus


def listed(corpus, on_bad_clip):
    """The recordings of a corpus, its problems reported together.

    Parameters
    ----------
    corpus : Corpus
    on_bad_clip : "error" or "skip", as ``corpus.on_bad_clip``: whether problems stop the run or are printed

    Raises
    ------
    UserError
        If the corpus is unusable, or has problems and they are to stop the run.
    """
    recordings = corpus.recordings()
    problems = corpus.problems(recordings)
    if problems and on_bad_clip == "error":
        raise UserError(
            f"corpus {corpus.name}: {'; '.join(problems)}. Put that right, or go on with what can be used: "
            "corpus.on_bad_clip: skip"
        )
    for problem in problems:
        print(f"corpus: {problem}")
    return recordings
