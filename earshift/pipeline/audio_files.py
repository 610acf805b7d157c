"""Where the packed audio of a corpus lies."""

import os

from earshift.pipeline import paths
from earshift.storage.clips import corpus_digest, read_clips


def corpus_audio_path(clips=None):
    """Where the packed audio of a corpus lies, named by its content.

    Parameters
    ----------
    clips : pandas table as :func:`read_clips` returns; by default that
    """
    return paths.corpus_audio(corpus_digest(read_clips(paths.CLIPS) if clips is None else clips))


def keep_corpus_audio(part, clips):
    """Give packed audio, written to `part`, the name under which :func:`corpus_audio_path` finds it."""
    place = corpus_audio_path(clips)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, place)
