"""The audio on the shared remote, for those who ask for it.

Conventions
-----------
Audio is no output of the pipeline, and DVC does not track it: every `dvc pull` would move it then, and every
`dvc checkout` miss it. Its files are named by their content (data/audio/corpus/DIGEST.h5 and
data/audio/PERTURBATION/VALUE-FINGERPRINT.h5), and lie by the same names in a folder ``audio`` of the remote, beside
DVC's. Which of them a state of the pipeline uses follows from its clips.csv and recipes: no others are pushed, however
much lies around.

It is pushed where it is asked for, or with ``perturb.keep_audio`` on; that of a corpus whose licence does not let it be
passed on only where it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.config import Config
from earshift.pipeline.sharing.reach import Shared
from earshift.pipeline.sharing.words import few, some
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import replacing
from earshift.storage.hdf5 import is_whole, read_fingerprint
from earshift.storage.packed_audio import AudioReader

_AGAIN = "; files that are through stay, and the same command goes on from there"


@dataclass(frozen=True)
class _File:
    """Packed audio.

    path : on this machine
    place : on the remote
    fingerprint : which it must carry, or None for the corpus itself
    """

    path: Path
    place: str
    fingerprint: str | None = None

    @property
    def name(self) -> str:
        return self.path.relative_to(paths.AUDIO).as_posix()


def push_audio(settings: Config, remote: Shared, perturbations: Sequence[str], *, wanted: bool) -> None:
    """Bring to the remote what audio of the current state is here.

    Parameters
    ----------
    settings : earshift.pipeline.config.Config
    remote : earshift.pipeline.sharing.reach.Shared
    perturbations : sequence of str
    wanted : bool, whether it was asked for

    Raises
    ------
    UserError
        If it was asked for and is not here, or the connection broke.
    """
    corpus, kept = settings.corpus, settings.perturb.keep_audio
    if not (wanted or kept):
        return
    if not (wanted or corpus.chosen.shareable):
        print(f"the audio of {corpus.name} stays here (`make push AUDIO=1` pushes it): {corpus.chosen.licence}")
        return
    files = _files(remote, perturbations)
    here = [file for file in files if is_whole(file.path)]
    if kept and len(here) < len(files) or not here:
        absent = [file.name for file in files if file not in here]
        raise UserError(
            f"audio that is not here or is damaged cannot be pushed: {few(absent)}; `make pull AUDIO=1` fetches what "
            "was pushed, `dvc repro --force perturb@NAME` makes it where its source is. All the rest is pushed"
        )
    new = [file for file in here if not _same(remote, file)]
    for file in new:
        with remote.explained(_AGAIN), _progress(file) as progress:
            remote.files.makedirs(remote.files.parent(file.place))
            _copy(_local(), str(file.path), remote.files, file.place, progress)
    print(f"audio: {some(len(here), 'file')}, {len(new)} of them new there. {corpus.chosen.licence}")


def pull_audio(settings: Config, remote: Shared, perturbations: Sequence[str]) -> None:
    """Bring here what audio of the current state is on the remote.

    Parameters
    ----------
    settings : earshift.pipeline.config.Config
    remote : earshift.pipeline.sharing.reach.Shared
    perturbations : sequence of str

    Raises
    ------
    UserError
        If it is not there, damaged, or the connection broke.
    """
    files = _files(remote, perturbations)
    missing = [file for file in files if not is_whole(file.path)]
    absent = []
    for file in missing:
        with remote.explained(_AGAIN):
            if not remote.files.exists(file.place):
                absent.append(file)
                continue
        with replacing(file.path) as temporary, remote.explained(_AGAIN):
            with _progress(file) as progress:
                _copy(remote.files, file.place, _local(), str(temporary), progress)
            _check(temporary, file, remote)
    fetched = len(missing) - len(absent)
    print(f"audio: {some(len(files) - len(absent), 'file')} here, {fetched} of them new")
    if settings.perturb.keep_audio and absent or len(absent) == len(files):
        raise UserError(
            f"{remote.url} lacks audio that you asked for: {few([file.name for file in absent])}. Whoever has it says "
            "`make push AUDIO=1`; `dvc repro` makes it where its source is"
        )
    if absent:
        print("effected audio is not kept (perturb.keep_audio): where it is needed, it is made as it is read")


def _files(remote: Shared, perturbations: Sequence[str]) -> list[_File]:
    """All that the current clips.csv and recipes stand for, the corpus first."""
    from earshift.pipeline.recipes import audio_key, read_recipes

    digest = corpus_digest(read_clips(paths.CLIPS))
    found: list[tuple[Path, str | None]] = [(corpus_audio_path(), None)]
    for name in perturbations:
        for recipe in read_recipes(name):
            fingerprint = audio_key(recipe, digest).sha256
            found.append((paths.kept_audio(name, recipe.value, fingerprint), fingerprint))
    return [
        _File(path, remote.place("audio", *path.relative_to(paths.AUDIO).parts), fingerprint)
        for path, fingerprint in found
    ]


def _same(remote: Shared, file: _File) -> bool:
    with remote.explained(_AGAIN):
        try:
            return bool(remote.files.info(file.place)["size"] == file.path.stat().st_size)
        except FileNotFoundError:
            return False


def _check(path: Path, file: _File, remote: Shared) -> None:
    """See that a file is whole and what its name says."""
    good = is_whole(path)
    if good and file.fingerprint is None:
        with AudioReader(path) as reader:
            good = len(reader) == len(read_clips(paths.CLIPS))
    elif good:
        good = read_fingerprint(path) == file.fingerprint
    if not good:
        raise UserError(f"{remote.url}: {file.place} is not what its name says; have it pushed again")


def _copy(source: Any, here: str, target: Any, there: str, progress: Any) -> None:
    from dvc_objects.fs.generic import copy

    copy(source, here, target, there, callback=progress)


def _local() -> Any:
    from dvc.fs import localfs

    return localfs


def _progress(file: _File) -> Any:
    from dvc.fs.callbacks import TqdmCallback

    return TqdmCallback(size=1, desc=file.name, unit="file")
