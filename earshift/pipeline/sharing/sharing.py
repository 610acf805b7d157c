"""What goes to the shared remote and what comes from it: ``push`` and ``pull``.

Conventions
-----------
Shared are the outputs that dvc.lock names, all of them small, and DVC's run cache: it restores a stage that somebody
ran with the same inputs. Audio is shared on request (:mod:`earshift.pipeline.sharing.audio`), weights never. A choice
of encoders or perturbations means the files below data/, and the plot data of pairs, that belong to these or to none.
A transfer that broke off continues when it is run again: every file is there whole or not at all.
"""

import contextlib
import itertools
import logging
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import config, outputs, paths
from earshift.pipeline.config import Config
from earshift.pipeline.sharing.audio import pull_audio, push_audio
from earshift.pipeline.sharing.configuration import shared
from earshift.pipeline.sharing.reach import Shared
from earshift.pipeline.sharing.reasons import lost_connection, reason
from earshift.pipeline.sharing.words import few, some
from earshift.report.results import ANALYSES

_AGAIN = "; what is through stays, and the same command goes on from there"
_INPUTS = paths.RUN_INPUTS.parent.as_posix()  # whole, as DVC would remove it where a file is missing: no store has it
_OF_PAIRS = frozenset(f"{paths.PLOTS}/{analysis}" for analysis in ANALYSES)  # their metrics are in git
_COMMITTED = (paths.LOCK, paths.DVC_CONFIG, "dvc.yaml", paths.PARAMS, paths.METRICS)


@dataclass(frozen=True)
class Choice:
    """What of the pipeline is meant: encoders and perturbations by name; `narrow` where these are not all.

    left_out : names of the encoders and perturbations of the run that are not among it
    """

    encoders: list[str]
    perturbations: list[str]
    narrow: bool
    left_out: frozenset[str]

    def holds(self, item: Mapping[str, str]) -> bool:
        """Whether a matrix item, such as {"encoder": "mfcc"}, is among it."""
        return item.get("encoder", self.encoders[0]) in self.encoders and (
            item.get("perturbation", self.perturbations[0]) in self.perturbations
        )

    def holds_file(self, inner: tuple[str, ...]) -> bool:
        """Whether a file of an output is among it, by its path there: ("gain", "-10.h5"), ("mfcc", "gain", "a.csv")."""
        return not {*inner[:-1], PurePath(inner[-1]).stem} & self.left_out


def push(*, audio: bool = False, encoders: Sequence[str] = (), perturbations: Sequence[str] = ()) -> None:
    """Bring to the shared remote what a colleague needs.

    Parameters
    ----------
    audio : bool, True for audio whatever ``perturb.keep_audio`` and the licence of the corpus say
    encoders, perturbations : sequence of str, () for all

    Raises
    ------
    UserError
        If there is no remote or it cannot be written, if a name is unknown, if anything is missing, or if the
        connection broke.
    """
    settings = config.load()
    choice = choose(settings, encoders, perturbations)
    remote = shared()
    if not remote.writable:
        raise UserError(f"{remote.url} is only read; it cannot be pushed to")
    remote.check_writing()
    with _repository() as repo:
        outs = _outs(repo, choice)
        _require(outs, choice, remote)
        with _moving(remote):
            count = _upload(repo, remote, outs, choice)
            runs = _copy_run_cache(repo.cache.legacy, _run_cache(repo, remote))
    print(f"{remote.url} has {len(outs)} outputs; new there: {some(count, 'file')}, {some(runs, 'cached run')}")
    push_audio(settings, remote, choice.perturbations, wanted=audio)
    for line in _not_committed():
        print(line)


def pull(*, audio: bool = False, encoders: Sequence[str] = (), perturbations: Sequence[str] = ()) -> None:
    """Bring from the shared remote what a colleague pushed. Parameters and errors as of :func:`push`."""
    settings = config.load()
    choice = choose(settings, encoders, perturbations)
    if not paths.LOCK.is_file():
        raise UserError(f"{paths.LOCK} is missing, so there is nothing to pull by; `git pull` may bring it")
    remote = shared()
    if not remote.verified:
        raise UserError(
            f"{remote.url}: DVC does not check the hashes of what it downloads from there; "
            f"run `dvc remote modify {remote.name} verify true`, then pull again"
        )
    if not remote.check_reading():
        raise UserError(f"{remote.url}: nothing is there yet; whoever ran the pipeline says `make push`")
    with _repository() as repo:
        outs = _outs(repo, choice)
        with _moving(remote, pulling=True):
            runs = _copy_run_cache(_run_cache(repo, remote), repo.cache.legacy) if remote.writable else 0
            count = _download(repo, remote, outs, choice)
        missing = [out for out in outs if not _whole(out, choice)]
        _check_out([out for out in outs if out not in missing])
    outputs.keep_all()
    print(f"{len(outs) - len(missing)} outputs are here; new: {some(count, 'file')}, {some(runs, 'cached run')}")
    if missing:
        raise UserError(
            f"{remote.url} lacks {few(sorted(map(str, missing)))}; whoever ran this commit says `make push`, or `dvc "
            "repro` makes it"
        )
    if audio:
        pull_audio(settings, remote, choice.perturbations)
    _say_what_next(choice)


def choose(settings: Config, encoders: Sequence[str], perturbations: Sequence[str]) -> Choice:
    """:class:`Choice` by names.

    Parameters
    ----------
    settings : earshift.pipeline.config.Config
    encoders, perturbations : sequence of str, () for all of ``run``

    Raises
    ------
    UserError
        If a name is not among ``run.encoders`` or ``run.perturbations``.
    """
    names: dict[str, list[str]] = {}
    for key, wanted in (("encoders", encoders), ("perturbations", perturbations)):
        known = getattr(settings.run, key)
        for name in wanted:
            if name not in known:
                raise UserError(f"{key.upper()} names {name!r}; run.{key} in {paths.PARAMS} has {', '.join(known)}")
        names[key] = [name for name in known if not wanted or name in wanted]
    left_out = frozenset(name for key in names for name in getattr(settings.run, key) if name not in names[key])
    return Choice(**names, narrow=bool(left_out), left_out=left_out)


# ---------------------------------------------------------------------------------------------------- what DVC tracks


@contextlib.contextmanager
def _repository() -> Iterator[Any]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.ui import ui

    ui.enable()
    try:
        with Repo() as repo, repo.lock:
            yield repo
    except DvcException as error:
        raise UserError(" ".join(str(error).split())) from error


def _outs(repo: Any, choice: Choice) -> list[Any]:
    """The outputs in DVC's cache that belong to `choice`."""
    items = _matrix_items(repo)
    outs = [out for out in repo.index.outs if out.use_cache and not out.stage.is_repo_import]
    if not choice.narrow:
        return outs
    # What is made from all pairs together would be made anew from some: it stays away
    return [out for out in outs if _belongs(out, items.get(str(getattr(out.stage, "name", ""))), choice)]


def _belongs(out: Any, item: Mapping[str, str] | None, choice: Choice) -> bool:
    path = str(out.def_path)
    return choice.holds(item) if item else path.startswith("data/") or path in _OF_PAIRS


def _matrix_items(repo: Any) -> dict[str, dict[str, str]]:
    """{"embed@mfcc": {"encoder": "mfcc"}, "perturb@gain": {"perturbation": "gain"}, ...} as dvc.yaml has them."""
    from dvc.parsing import DataResolver
    from dvc.utils.serialize import load_yaml

    document = load_yaml("dvc.yaml")
    resolver = DataResolver(repo, repo.root_dir, document)
    items = {}
    for name, stage in document["stages"].items():
        if "matrix" in stage:
            matrix = resolver.context.resolve(stage["matrix"])
            for values in itertools.product(*matrix.values()):
                items[f"{name}@{'-'.join(map(str, values))}"] = dict(zip(matrix, values, strict=True))
    return items


def _files(out: Any, choice: Choice) -> list[Any] | None:
    """Hashes of the files of an output that are meant, with that of a folder's list; None where this is not here."""
    if not out.hash_info:
        return None
    if not out.hash_info.isdir:
        return [out.hash_info]
    folder = out.get_obj()
    if folder is None:
        return None
    meant = (found for inner, _, found in folder if out.def_path == _INPUTS or choice.holds_file(inner))
    return [out.hash_info, *meant]


def _whole(out: Any, choice: Choice) -> bool:
    """Whether all that is meant of an output lies in DVC's cache."""
    files = _files(out, choice)
    return files is not None and all(out.cache.exists(file.value) for file in files)


def _require(outs: list[Any], choice: Choice, remote: Shared) -> None:
    """Stop where outputs are neither here nor on the remote."""
    never = [out for out in outs if not out.hash_info]
    if never:
        raise UserError(f"{few(never)} were never made; `dvc repro` makes them")
    absent = [out for out in outs if not _whole(out, choice)]
    with remote.explained():
        gone = [out for out in absent if not _is_there(out, choice, remote)]
    if gone:
        raise UserError(
            f"{few(gone)} are neither here nor on {remote.url}; `dvc repro` makes them, "
            "ENCODERS=... and PERTURBATIONS=... push a part"
        )


def _is_there(out: Any, choice: Choice, remote: Shared) -> bool:
    """Whether what is meant of an output and does not lie here is on the remote."""
    files = [file.value for file in _files(out, choice) or [out.hash_info]]
    places = (remote.place("files", "md5", file[:2], file[2:]) for file in files if not out.cache.exists(file))
    return all(map(remote.files.exists, places))


# --------------------------------------------------------------------------------------------------------- the transfer


@contextlib.contextmanager
def _moving(remote: Shared, *, pulling: bool = False) -> Iterator[None]:
    """Raise what fails while DVC moves files, which it only logs and counts, as one :class:`UserError`.

    A file that is not there does not count while `pulling`: all of these are named in the end.
    """
    from dvc.exceptions import DvcException

    failures: list[BaseException] = []
    with remote.explained(_AGAIN):
        try:
            with _listening(failures):
                yield
        except DvcException:
            if not failures:
                raise
    if pulling:
        failures = [failure for failure in failures if not isinstance(failure, FileNotFoundError)]
    if failures:
        lost = some(len(failures), "file")
        raise UserError(f"{remote.url}: {reason(failures[0])}; {lost} did not get through{_AGAIN}")


@contextlib.contextmanager
def _listening(failures: list[BaseException]) -> Iterator[None]:
    """Collect the exceptions that DVC logs, and keep its log to itself; end with the first that is a lost connection.

    DVC would go on to the next file, and clients ask again for seconds before they give one up.
    """

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                failures.append(record.exc_info[1])
                if lost_connection(record.exc_info[1]):
                    raise record.exc_info[1]

    listener, loggers = Listener(), [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [listener]
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers = handlers


def _upload(repo: Any, remote: Shared, outs: list[Any], choice: Choice) -> int:
    """How many files were new there. (By targets, `dvc push` reads dvc.lock again for each.)

    Every file is looked for: DVC's own push takes a folder to be there as a whole when its list is, and this comes with
    a part as well.
    """
    from dvc.fs.callbacks import TqdmCallback
    from dvc_data.hashfile.transfer import transfer

    here = {file for out in outs for file in _files(out, choice) or () if out.cache.exists(file.value)}
    source, target = repo.cache.local, repo.cloud.get_remote_odb(remote.name)
    with TqdmCallback(desc=f"Pushing to {remote.url}", unit="file") as progress:
        return len(transfer(source, target, here, cache_odb=source, callback=progress).transferred)


def _download(repo: Any, remote: Shared, outs: list[Any], choice: Choice) -> int:
    """How many files were new here."""
    first = repo.cloud.pull({out.hash_info for out in outs if out.hash_info}, remote=remote.name)
    rest = repo.cloud.pull({file for out in outs for file in _files(out, choice) or ()}, remote=remote.name)
    return len(first.transferred | rest.transferred)


def _check_out(outs: list[Any]) -> None:
    from dvc.exceptions import ConfirmRemoveError

    for out in outs:
        try:
            out.checkout(allow_missing=True)  # of a part, files are missing that nobody asked for
        except ConfirmRemoveError as error:
            raise UserError(f"{out} was changed here and would be lost; move it away, and pull again") from error


def _run_cache(repo: Any, remote: Shared) -> Any:
    return repo.cloud.get_remote_odb(remote.name, hash_name="md5-dos2unix")


def _copy_run_cache(source: Any, target: Any) -> int:
    """Copy the entries that `target` lacks, and return how many; DVC's own command copies all of them each time."""
    from dvc.fs.callbacks import TqdmCallback
    from dvc_objects.fs.generic import copy

    def entries(store: Any) -> set[str]:
        root = store.fs.join(store.path, "runs")
        if not store.fs.exists(root):
            return set()
        return {store.fs.as_posix(store.fs.relpath(path, root)) for path in store.fs.find(root)}

    new = sorted(name for name in entries(source) - entries(target) if not name.endswith(".tmp"))
    if new:
        here = [source.fs.join(source.path, "runs", *name.split("/")) for name in new]
        there = [target.fs.join(target.path, "runs", *name.split("/")) for name in new]
        for folder in {target.fs.parent(path) for path in there}:
            target.fs.makedirs(folder)
        with TqdmCallback(size=len(new), desc="Run cache", unit="file") as progress:
            copy(source.fs, here, target.fs, there, callback=progress)
    return len(new)


# ------------------------------------------------------------------------------------------------------------- words


def _say_what_next(choice: Choice) -> None:
    print(f"here: {', '.join(choice.encoders)} under {', '.join(choice.perturbations)}")
    if choice.narrow:
        print(
            f"next: dvc exp run -S 'run.encoders=[{','.join(choice.encoders)}]' "
            f"-S 'run.perturbations=[{','.join(choice.perturbations)}]' (plain `dvc repro` would compute the others)"
        )
    else:
        print("next: dvc repro (runs no encoder, and shows the runs in MLflow), make show, make ui")


def _not_committed() -> Iterator[str]:
    """A line on what a colleague's pull would not go by, or none."""
    status = ["git", "status", "--porcelain", "--", *map(str, _COMMITTED)]
    changed = [line[3:] for line in subprocess.run(status, capture_output=True, text=True).stdout.splitlines()]
    if changed:
        names = ", ".join(changed)
        yield f"not committed: {names}; a colleague pulls what the committed {paths.LOCK} names: commit it, git push"
