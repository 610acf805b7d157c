"""Audio goes to the remote where it may or is asked for, and comes back where it is asked for."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from earshift.corpora import irmas
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.perturb import perturb
from earshift.pipeline.sharing.audio import pull_audio, push_audio
from earshift.pipeline.sharing.reach import reach


@pytest.fixture
def remote(tmp_path_factory):
    return reach("shared", {"url": str(tmp_path_factory.mktemp("store"))})


@pytest.fixture
def settings(tiny_corpus, edited):
    """Of a run that kept its audio."""
    grids = {"perturbations.gain.grid": [-20, -10], "perturbations.lowpass.grid": [500, 900]}
    settings = edited({"perturb.keep_audio": True, "compute.workers": 1, **grids})
    for name in ("gain", "lowpass"):
        perturb(settings, name)
    return settings


def kept(settings, keep):
    """The same with ``perturb.keep_audio`` set."""
    return SimpleNamespace(corpus=settings.corpus, perturb=SimpleNamespace(keep_audio=keep))


def there(remote):
    return sorted(Path(p).relative_to(remote.path).as_posix() for p in remote.files.find(remote.path))


def here():
    return sorted(path.relative_to(paths.AUDIO).as_posix() for path in paths.AUDIO.rglob("*.h5"))


def test_keep_audio_pushes_what_the_run_uses_and_no_more(settings, remote, capsys):
    stray = paths.AUDIO / "gain/-99-0123456789abcdef.h5"
    shutil.copy(corpus_audio_path(), stray)
    push_audio(settings, remote, ["gain", "lowpass"], wanted=False)
    stray.unlink()
    assert there(remote) == [f"audio/{name}" for name in here()] and len(here()) == 5
    push_audio(settings, remote, ["gain"], wanted=True)
    assert "audio: 3 files, 0 of them new there" in capsys.readouterr().out


def test_nothing_is_pushed_unasked(settings, remote):
    push_audio(kept(settings, False), remote, ["gain"], wanted=False)
    assert there(remote) == []


def test_asked_for_without_keeping_it_is_the_corpus(settings, remote):
    shutil.rmtree(paths.AUDIO / "gain")
    push_audio(kept(settings, False), remote, ["gain"], wanted=True)
    assert there(remote) == [f"audio/corpus/{corpus_audio_path().name}"]


def test_a_licence_is_kept_unless_told(settings, remote, capsys):
    assert not irmas.Irmas.shareable
    settings = kept(settings, True)
    settings.corpus = SimpleNamespace(
        name="irmas", chosen=SimpleNamespace(shareable=False, licence=irmas.Irmas.licence)
    )
    push_audio(settings, remote, ["gain"], wanted=False)
    assert there(remote) == []
    printed = capsys.readouterr().out
    assert "the audio of irmas stays here" in printed and "CC BY-NC-SA" in printed and "AUDIO=1" in printed
    push_audio(settings, remote, ["gain"], wanted=True)
    assert len(there(remote)) == 3
    assert "CC BY-NC-SA" in capsys.readouterr().out


def test_what_is_not_here_is_named(settings, remote):
    shutil.rmtree(paths.AUDIO / "gain")
    with pytest.raises(UserError, match=r"cannot be pushed: gain/-20-\w+.h5, gain/-10-\w+.h5; "):
        push_audio(settings, remote, ["gain"], wanted=False)


def test_it_comes_back_the_same(settings, remote, capsys):
    push_audio(settings, remote, ["gain", "lowpass"], wanted=False)
    before = {name: (paths.AUDIO / name).read_bytes() for name in here()}
    shutil.rmtree(paths.AUDIO)
    pull_audio(settings, remote, ["lowpass"])
    assert {name.partition("/")[0] for name in here()} == {"corpus", "lowpass"}
    pull_audio(settings, remote, ["gain", "lowpass"])
    assert {name: (paths.AUDIO / name).read_bytes() for name in here()} == before
    assert "audio: 5 files here, 2 of them new" in capsys.readouterr().out


def test_what_was_never_pushed(settings, remote, capsys):
    shutil.rmtree(paths.AUDIO / "gain")
    push_audio(kept(settings, False), remote, ["gain"], wanted=True)
    shutil.rmtree(paths.AUDIO)
    with pytest.raises(UserError, match=r"lacks audio that you asked for: gain/.*`make push AUDIO=1`"):
        pull_audio(settings, remote, ["gain"])
    assert here() == [f"corpus/{corpus_audio_path().name}"]
    pull_audio(kept(settings, False), remote, ["gain"])
    assert "effected audio is not kept" in capsys.readouterr().out


def test_what_is_damaged_there_is_not_taken(settings, remote):
    push_audio(settings, remote, ["gain"], wanted=False)
    (name,) = (name for name in there(remote) if "/-10-" in name)
    shutil.copy(corpus_audio_path(), remote.place(name))
    shutil.rmtree(paths.AUDIO / "gain")
    with pytest.raises(UserError, match="is not what its name says"):
        pull_audio(settings, remote, ["gain"])
    assert not [name for name in here() if "/-10-" in name]
