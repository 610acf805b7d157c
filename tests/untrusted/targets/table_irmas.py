"""A split table of IRMAS."""

from pathlib import Path

from earshift.corpora import irmas

NAMES = [
    irmas.parse_name(name)
    for name in ("[cel][cla]0001__1", "[gac][dru][pop_roc]0002__3", "002__[voi][nod][jaz_blu]0003__1")
]
WORDS = (b"instrument,genre,file_name,split\n", b",file_name,split\n", b"[cel][cla]0001__1",
         b"[gac][dru][pop_roc]0002__3", b".wav", b"train", b"test", b"cello", b"classical", b",", b'"', b"\n", b"/",
         b"\0", b"\x1b[2J", b"\xff")  # fmt: skip


def target(data):
    path = Path("split.csv")
    path.write_bytes(data)
    irmas._split_table(path, [name for name in NAMES if name])
