"""Audio in the layout of FSD50K: its folders, tables and format; labels of its vocabulary, synthetic audio.

A clip is a tone or a band of noise per label, mixed: mono, 44.1 kHz, 16 bit, 0.3 s and longer.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from benchmarks.mirror.irmas import wav

GROUND_TRUTH, DEV, EVAL = "FSD50K.ground_truth", "FSD50K.dev_audio", "FSD50K.eval_audio"
RATE = 44_100
SECONDS = (0.3, 1.0, 0.62, 1.5, 2.2)  # of clips, in turn
# Leaves of the ontology with their ancestors; their order sets their tones
LABELS = {
    "Electric_guitar": ("Guitar", "Plucked_string_instrument", "Musical_instrument", "Music"),
    "Hi-hat": ("Cymbal", "Percussion", "Musical_instrument", "Music"),
    "Bark": ("Dog", "Domestic_animals_and_pets", "Animal"),
    "Rain": ("Water",),
    "Speech": ("Human_voice",),
    "Crushing": (),
}
_DATE = (0, 33)  # of archive entries: 1980-01-01


def tables(clips, evaluation):
    """{file name: {column: cell}} of dev.csv and eval.csv; every fourth clip of dev.csv is for validation."""
    leaves = list(LABELS)
    rows = {"dev.csv": {}, "eval.csv": {}}
    for number in range(clips + evaluation):
        chosen = [leaves[number % len(leaves)]]
        if number % 3 == 1:
            chosen.append(leaves[(number + 2) % len(leaves)])
        labels = list(dict.fromkeys(label for leaf in chosen for label in (leaf, *LABELS[leaf])))
        row = {"labels": ",".join(labels), "mids": ",".join(f"/m/{label.lower()}" for label in labels)}
        if number < clips:
            rows["dev.csv"][str(1000 + 7 * number)] = row | {"split": "val" if number % 4 == 3 else "train"}
        else:
            rows["eval.csv"][str(1000 + 7 * number)] = row
    return rows


def files(*, clips=12, evaluation=6, seed=0, seconds=SECONDS):
    """Content of every file of the set, as bytes by path."""
    vocabulary = sorted({label for leaf, above in LABELS.items() for label in (leaf, *above)})
    found = {}
    for number, (table, rows) in enumerate(tables(clips, evaluation).items()):
        columns = ("labels", "mids", "split") if table == "dev.csv" else ("labels", "mids")
        lines = [f"fname,{','.join(columns)}"]
        for name, row in rows.items():
            cells = (f'"{row[column]}"' if column != "split" else row[column] for column in columns)
            lines.append(f"{name},{','.join(cells)}")
            length = seconds[len(found) % len(seconds)]
            audio = sound(row["labels"].split(","), round(length * RATE), [seed, int(name)])
            found[f"{(DEV, EVAL)[number]}/{name}.wav"] = wav(audio[:, None], rate=RATE)
        found[f"{GROUND_TRUTH}/{table}"] = ("\n".join(lines) + "\n").encode()
    lines = [f"{index},{label},/m/{label.lower()}\n" for index, label in enumerate(vocabulary)]
    return found | {f"{GROUND_TRUTH}/vocabulary.csv": "".join(lines).encode()}


def sound(labels, samples, seed):
    """int16 [shape=(samples,)] in which every leaf has its own tone."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    audio = rng.normal(0, 0.1, samples)
    for place, leaf in enumerate(LABELS):
        if leaf in labels:
            audio += np.sin(2 * np.pi * 200 * 2 ** (place + rng.uniform(-0.2, 0.2)) * time)
    return np.rint(9000 * audio / np.abs(audio).max()).astype(np.int16)


def write(folder, **options):
    """Write the set, unpacked, below `folder` and return it. Options as for :func:`files`."""
    for name, content in files(**options).items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Path(folder)


def write_archives(folder, *, part=400_000, **options):
    """Write the set as archives: one of tables, and audio in at most the official number of parts of size `part`."""
    content = files(**options)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, most in ((GROUND_TRUTH, 1), (DEV, 6), (EVAL, 2)):
        own = {file: data for file, data in content.items() if file.startswith(f"{name}/")}
        write_parts(Path(folder) / f"{name}.zip", own, part=part, most=most)
    return Path(folder)


def write_parts(path, content, *, part, most):
    """Write a zip archive in `most` parts, as ``zip -s`` does: data are divided, a header never is.

    Parameters
    ----------
    path : pathlib.Path, NAME.zip; the others become NAME.z01, NAME.z02, ...
    content : dict of str to bytes
    part : int, bytes of a part; the rest goes into the last part
    most : int, parts
    """
    pieces, directory = [bytearray(b"PK\7\x08" if most > 1 else b"")], b""

    def room():
        return part - len(pieces[-1]) if len(pieces) < most else 1 << 60

    for name, data in content.items():
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        about = struct.pack("<5H3L2H", 20, 0, 8, *_DATE, zlib.crc32(data), len(packed), len(data), len(name), 0)
        header = b"PK\3\4" + about + name.encode()
        if room() < len(header):
            pieces.append(bytearray())
        directory += b"PK\1\2" + struct.pack("<H", 20) + about
        directory += struct.pack("<3H2L", 0, len(pieces) - 1, 0, 0, len(pieces[-1])) + name.encode()
        pieces[-1] += header
        while packed:
            if not room():
                pieces.append(bytearray())
            taken = room()
            pieces[-1] += packed[:taken]
            packed = packed[taken:]
    while len(pieces) < most:
        pieces.append(bytearray())
    last, count = len(pieces) - 1, len(content)
    end = struct.pack("<4s4H2LH", b"PK\5\6", last, last, count, count, len(directory), len(pieces[-1]), 0)
    pieces[-1] += directory + end
    for number, piece in enumerate(pieces, 1):
        (path if number == len(pieces) else path.with_suffix(f".z{number:02d}")).write_bytes(piece)
