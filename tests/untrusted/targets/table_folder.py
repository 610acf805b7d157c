"""The user's table of labels, tags, groups and splits."""

from pathlib import Path

from earshift.corpora import folder

WORDS = (b"file,label,group,split,genre,tags\n", b"a.wav", b"b/c.wav", b"train", b"test", b"|", b",", b'"', b"\n",
         b"\r\n", b"\xef\xbb\xbf", b"\0", b"\x1b[2J", b"\xff", b"../", b"/", b" ")  # fmt: skip


def target(data):
    path = Path("labels.csv")
    path.write_bytes(data)
    folder._table(path, ["a.wav", "b/c.wav"], Path("audio"))
