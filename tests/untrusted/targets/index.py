"""The index of an output, as a colleague's remote may hold it, and the file that it says is whole."""

import hashlib
import shutil
from pathlib import Path

from untrusted.pieces import SEPARATOR, json_mutated, pieces

from earshift.pipeline import paths
from earshift.pipeline.artifacts import INDEX, Artifact, Key, Output, read_index

WORDS = (SEPARATOR, b"KEY", b"SHA256", b"../", b"..", b"/etc/passwd", b"data/embeddings/toy/original.h5", b'"family"',
         b'"rows"', b"\0", b"\xff", b"{}", b"[]", b"null")  # fmt: skip
KEY = Key("embed", {"clips": "0" * 64}, options=None, code="0", packages={}, numerics="pinned")


def mutated(data, random):
    index, content = pieces(data, 2)
    return json_mutated(index, random) + SEPARATOR + content


def target(data):
    index, content = pieces(data, 2)
    for folder in (paths.EMBEDDINGS, paths.STORE):
        shutil.rmtree(folder, ignore_errors=True)
    place, sha256 = paths.originals("toy"), hashlib.sha256(content).hexdigest()
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    (place.parent / INDEX).write_bytes(index.replace(b"KEY", KEY.sha256.encode()).replace(b"SHA256", sha256.encode()))
    output = Output(place.parent, [Artifact("original", KEY, (place,), by_rows=True)])
    if not output.missing():  # the index said that this is the artifact
        assert place.read_bytes() == content
        assert read_index(place.parent)["original"]["files"] == {place.as_posix(): sha256}
    assert {path for path in Path().rglob("*") if path.is_file() and path.parts[0] != paths.STORE.name} <= {
        place, place.parent / INDEX
    }  # fmt: skip
