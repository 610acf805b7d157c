"""A zip archive of a data set in three parts."""

from pathlib import Path

from untrusted.pieces import SEPARATOR, pieces
from untrusted.targets import archive

WORDS = (SEPARATOR, *archive.WORDS)


def target(data):
    for name, content in zip(("set.z01", "set.z02", "set.zip"), pieces(data, 3), strict=True):
        Path(name).write_bytes(content)
    archive.read(Path("set.zip"))
