"""A zip archive of a data set."""

from pathlib import Path

from earshift.corpora import archive, fsd50k, irmas
from earshift.corpora.places import Place

WORDS = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"../", b"/", b"..\\", b"C:", b".", b"a.wav",
         b"IRMAS-TrainingData/cel/", b"FSD50K.dev_audio/", b"\1\0\x10\0", b"\xff\xff\xff\xff", b"\0\x08",
         b"\0\0")  # fmt: skip
LARGEST = 1 << 20


def target(data):
    path = Path("set.zip")
    path.write_bytes(data)
    read(path)


def read(path):
    """All that corpora do with an archive."""
    archive._opened.cache_clear()
    sizes = archive.members(path, largest=LARGEST)
    irmas._find_clips(sizes)
    Place(path).sizes(fsd50k.DEV)
    for name, size in list(sizes.items())[:20]:
        try:
            assert len(archive.content(path, name)) <= size
            with archive.opened(path, name) as file:
                file.read(100)
                file.seek(size)
        except archive.Damaged:
            continue
