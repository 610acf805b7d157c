"""The header of a WAV file, read without its audio."""

import contextlib
import io

from earshift.audio.reading import wav_header

WORDS = (b"RIFF", b"WAVE", b"fmt ", b"data", b"LIST", b"JUNK", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x10\0\0\0\x01\0")


def target(data):
    with contextlib.suppress(ValueError):
        header = wav_header(io.BytesIO(data), len(data))
        assert 0 <= header.frames <= min(len(data), header.promised)
