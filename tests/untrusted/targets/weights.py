"""weights.json and weights.npz beside it, whose hash the former says."""

import hashlib
from pathlib import Path

from untrusted.pieces import SEPARATOR, json_mutated, pieces

from earshift.encoders.weights import record as weights

WORDS = (SEPARATOR, b"SHA256", b"weights.npz", b"../", b"PK\1\2", b"PK\3\4", b"\x93NUMPY\1\0", b"'descr': '|O'",
         b"'<f4'", b"'shape': (1000000, 1000000)", b"'fortran_order': True", b"\xff\xff\xff\xff")  # fmt: skip


def mutated(data, random):
    record, arrays = pieces(data, 2)
    return json_mutated(record, random) + SEPARATOR + arrays


def target(data):
    record, arrays = pieces(data, 2)
    folder = Path("weights")
    folder.mkdir(exist_ok=True)
    (folder / "weights.npz").write_bytes(arrays)
    (folder / "weights.json").write_bytes(record.replace(b"SHA256", hashlib.sha256(arrays).hexdigest().encode()))
    weights.open_weights(folder)
