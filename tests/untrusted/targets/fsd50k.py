"""A folder of FSD50K: vocabulary.csv, dev.csv, eval.csv and one sound."""

from pathlib import Path

from untrusted.pieces import SEPARATOR, pieces

from earshift.corpora import base, fsd50k

WORDS = (SEPARATOR, b"fname,labels,mids,split\n", b"fname,labels,mids\n", b"0,Bark,/m/05tny_\n",
         b'1,"Bark,Dog","/m/1,/m/2",train\n', b"val", b"train", b",", b'"', b"\n", b"/", b"..", b"\0", b"|",
         b"\x1b[2J", b"\xff", b"RIFF", b"fmt ", b"data")  # fmt: skip


def target(data):
    vocabulary, dev, evaluation, sound = pieces(data, 4)
    truth = Path(fsd50k.GROUND_TRUTH)
    for path, content in (
        (truth / "vocabulary.csv", vocabulary),
        (truth / "dev.csv", dev),
        (truth / "eval.csv", evaluation),
        (Path(fsd50k.DEV, "1.wav"), sound),
        (Path(fsd50k.EVAL, "2.wav"), sound),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    corpus = fsd50k.Fsd50k(root=".")
    recordings = base.list_recordings(corpus, "skip")
    corpus.extent(recordings)
    for recording in recordings[:5]:
        corpus.clips(recording)
