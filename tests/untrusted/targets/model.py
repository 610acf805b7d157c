"""What a colleague's remote says of the networks of an encoder, and their arrays, put into the store."""

import hashlib
import shutil

from untrusted.pieces import SEPARATOR, json_mutated, pieces

from earshift.pipeline import paths
from earshift.pipeline.networks import keep_networks
from earshift.pipeline.train import RECORD

WORDS = (SEPARATOR, b"SHA256", b"../", b"..", b"/etc/passwd", b"model.json", b'"files"', b"\0", b"\xff", b"{}", b"[]",
         b"null")  # fmt: skip


def mutated(data, random):
    record, arrays = pieces(data, 2)
    return json_mutated(record, random) + SEPARATOR + arrays


def target(data):
    record, arrays = pieces(data, 2)
    folder = paths.model("toy")
    for each in (folder, paths.STORE):
        shutil.rmtree(each, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "tagging.npz").write_bytes(arrays)
    (folder / "tagging.csv").write_text("epoch\n1\n")
    (folder / "subsets.csv").write_text("subset\n")
    content = record.replace(b"SHA256", hashlib.sha256(arrays).hexdigest().encode())
    (folder / RECORD).write_bytes(content)
    keep_networks(folder)
    assert {path.name for path in folder.iterdir()} == {RECORD, "tagging.npz", "tagging.csv", "subsets.csv"}
    assert (folder / RECORD).read_bytes() == content and (folder / "tagging.npz").read_bytes() == arrays
