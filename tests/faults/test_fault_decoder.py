"""A file that breaks its decoder is a clip that cannot be used, named, and the rest is as it would be without it."""

import sys

import pytest
import soundfile

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.corpus import build
from earshift.storage.clips import read_clips
from earshift.storage.packed_audio import AudioReader

# As libsndfile, but for files that it does not survive. Only worker processes import it: here the real one is loaded.
BREAKS = """
import importlib.machinery, importlib.util, os, signal, sys

own = os.path.dirname(os.path.abspath(__file__))
spec = importlib.machinery.PathFinder.find_spec("soundfile", [p for p in sys.path if os.path.abspath(p) != own])
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
globals().update(vars(real))


class SoundFile(real.SoundFile):
    def read(self, *arguments, **options):
        if "kills" in str(self.name):
            os.kill(os.getpid(), signal.SIGSEGV)
        if "raises" in str(self.name):
            raise ZeroDivisionError("no samples in a block")
        return super().read(*arguments, **options)
"""


@pytest.fixture
def files(workspace, rng, monkeypatch):
    """Twelve sound files, a decoder that breaks on names that say so, and how to rename one."""
    (workspace / "fake").mkdir()
    (workspace / "fake/soundfile.py").write_text(BREAKS)
    monkeypatch.syspath_prepend(str(workspace / "fake"))  # which worker processes inherit
    folder = workspace / "audio"
    folder.mkdir()
    for i in range(12):
        soundfile.write(folder / f"{i:02}.wav", rng.uniform(-0.5, 0.5, 4000), 8000)
    return folder


@pytest.fixture
def of(files, edited):
    def make(on_bad_clip="skip", **changes):
        return edited({
            "corpus.name": "folder", "corpus.folder.path": str(files), "corpus.on_bad_clip": on_bad_clip,
            "compute.workers": 2, **changes,
        })  # fmt: skip

    return make


def test_decoders_that_raise_and_that_kill(files, of, capsys):
    (files / "03.wav").rename(files / "03-raises.wav")
    (files / "07.wav").rename(files / "07-kills.wav")
    build(of())
    printed = capsys.readouterr().out
    clips = read_clips(paths.CLIPS)
    problems = dict(zip(clips["clip"], clips["problem"], strict=True))
    assert problems.pop("03-raises.wav") == "cannot be read: ZeroDivisionError, no samples in a block"
    assert problems.pop("07-kills.wav") == "its decoder crashes, or takes more memory than there is"
    assert len(problems) == 10 and set(problems.values()) == {""}
    assert "2 of 12 clips cannot be used and are marked invalid: 03-raises.wav (cannot be read" in printed
    assert "07-kills.wav (its decoder crashes" in printed
    with AudioReader(corpus_audio_path()) as reader:
        for i, row in enumerate(clips.itertuples()):
            assert reader[i][0].shape[1] == (4000 if row.valid else 0)
    with pytest.raises(UserError, match=r"2 of 12 clips .*07-kills.wav \(its decoder .*go on without them: corpus.on_"):
        build(of("error"))
    assert not paths.CLIPS.exists()


def test_a_decoder_that_raises_in_this_process(files, of, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", soundfile)

    def read(self, *arguments, **options):
        raise MemoryError("a header that asks for a terabyte")

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    with pytest.raises(UserError, match=r"none of the 12 clips can be used: 00.wav \(cannot be read: MemoryError, "):
        build(of(**{"compute.workers": 1}))
