"""A file of the user's in a folder of audio, whole and in pieces, and as a recording of noise."""

from pathlib import Path

import numpy as np

from earshift.corpora import folder
from earshift.errors import UserError
from earshift.perturbations import recordings

WORDS = (b"RIFF", b"RIFX", b"WAVE", b"fmt ", b"data", b"LIST", b"fLaC", b"OggS", b"vorbis", b"OpusHead", b"ID3",
         b"\xff\xfb", b"Xing", b"FORM", b"AIFF", b"COMM", b"SSND", b".snd", b"caff", b"\x01vorbis", b"JUNK", b"RF64",
         b"ds64")  # fmt: skip


def target(data):
    root = Path("audio")
    root.mkdir(exist_ok=True)
    path = root / "a.wav"
    path.write_bytes(data)
    folder._header_of.cache_clear()
    for seconds in (None, 0.05):
        corpus = folder.Folder(path="audio", labels=None, clip_seconds=seconds)
        found = corpus.recordings()
        corpus.dtype(found)
        corpus.extent(found)
        for recording in found[:3]:
            for clip in corpus.clips(recording):
                assert clip.problem or clip.audio.dtype in (np.int16, np.float32)
    noise = str(path.absolute())
    try:
        recordings.require_sound(noise)
    except UserError:
        return
    recordings.draw_stretch(recordings.list_recordings(noise), 1000, 16000, np.random.default_rng(0))
