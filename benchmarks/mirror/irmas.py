"""Audio in the layout of the IRMAS training set: its folders, the forms of its names, its format; synthetic audio.

A clip is a few harmonics, by instrument, in noise: 3 s less one sample (as in the set), stereo, 44.1 kHz, 16 bit.
"""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np

FOLDER = "IRMAS-TrainingData"
CODES = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")
GENRES = ("cla", "pop_roc", "jaz_blu", "cou_fol")
LATIN = ("gac", "voi")  # instruments that also have a clip of lat_sou
FRAMES, RATE = 132_299, 44_100

_TOGETHER = (2, 1, 3)  # excerpts of one recording, in turn
_FORMS = (  # of names, in turn; all forms occur in the set
    "[{code}][{genre}]{number:04d}__{piece}",
    "{order:03d}__[{code}][nod][{genre}]{number:04d}__{piece}",
    "{order:03d}__[{code}][dru][{genre}]{number:04d}__{piece}",
    "{order:03d}__[{code}][---][{genre}]{number:04d}__{piece}",
)


def names(pieces):
    """Paths of all files below the folder of the set: `pieces` clips of every instrument, and two of latin soul.

    pieces : int, or dict of code to int
    """
    found, number = [], 0
    for code in CODES:
        left = several = pieces[code] if isinstance(pieces, dict) else pieces
        for turn in range(several):
            together = min(_TOGETHER[turn % len(_TOGETHER)], left)
            if together == 0:
                break
            left -= together
            number += 1
            for piece in range(1, together + 1):
                found.append(_path(code, GENRES[turn % len(GENRES)], number, piece))
    for code in LATIN:
        number += 1
        found.append(f"{code}/{number:03d}__[{code}][dru][lat_sou]{number:04d}__1.wav")
    return found


def _path(code, genre, number, piece):
    form = _FORMS[number % len(_FORMS)]
    return f"{code}/{form.format(code=code, genre=genre, order=number % 265 + 1, number=number, piece=piece)}.wav"


def write(folder, *, pieces=3, seed=0):
    """Write FOLDER below `folder`, with a README.txt, and return its path."""
    root = Path(folder) / FOLDER
    for name in names(pieces):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(sound(name, seed)))
    (root / "README.txt").write_text("Not the data set: made by a test.\n")
    return root


def write_zip(path, *, pieces=3, seed=0):
    """Write the set as an archive and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_dated(f"{FOLDER}/README.txt"), "Not the data set: made by a test.\n")
        for name in names(pieces):
            archive.writestr(_dated(f"{FOLDER}/{name}"), wav(sound(name, seed)))
    return path


def _dated(name):
    """An archive entry with a fixed date, so that equal content gives equal bytes."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def sound(name, seed=0):
    """The clip of a path, int16 [shape=(samples, 2)]; the same for the same name and seed."""
    rng = np.random.default_rng([seed, *name.encode()])
    instrument = CODES.index(name[:3])
    pitch = 110 * 2 ** ((instrument + rng.uniform(-2, 2)) / 6)
    time = np.arange(FRAMES) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * k * time) / k ** (0.3 + 0.2 * instrument) for k in range(1, 6))
    stereo = tone[:, None] * [0.6, 0.4] + rng.normal(0, 0.2, (FRAMES, 2))
    return np.rint(9000 * stereo / np.abs(stereo).max()).astype(np.int16)


def wav(audio, *, rate=RATE, bytes_per_sample=2):
    """A WAV file, as bytes, of int16 audio of shape (samples, channels)."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(audio.shape[1])
        writer.setsampwidth(bytes_per_sample)
        writer.setframerate(rate)
        writer.writeframes(audio.astype("<i2").tobytes())
    return file.getvalue()
