"""Where the packed audio of a corpus lies."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from earshift.pipeline import paths
from earshift.storage.clips import corpus_digest, read_clips

if TYPE_CHECKING:
    import pandas as pd


def corpus_audio_path(clips: "pd.DataFrame | None" = None) -> Path:
    """Where the packed audio of a corpus lies, named by its content.

    Parameters
    ----------
    clips : table as :func:`read_clips` returns; by default that of data/corpus
    """
    return paths.corpus_audio(corpus_digest(read_clips(paths.CLIPS) if clips is None else clips))


def keep_corpus_audio(part: Path, clips: "pd.DataFrame") -> None:
    """Give packed audio, written to `part`, the name under which :func:`corpus_audio_path` finds it."""
    place = corpus_audio_path(clips)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, place)
