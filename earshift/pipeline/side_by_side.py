"""Artifacts that are computed side by side, in processes of this machine or on the cluster.

A process writes into a folder of its own and puts the finished artifact into the store itself, so that a killed run
goes on at those that were under way. One that fails does not stop the others: the stage finishes them, and then names
those that failed.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from earshift.errors import UserError
from earshift.pipeline import artifacts
from earshift.pipeline.artifacts import Artifact, Output
from earshift.pipeline.compute import Compute, surviving_mapper
from earshift.pipeline.progress import Progress
from earshift.pipeline.store import Store

T = TypeVar("T")
Write = Callable[[T, Path, Compute], None]


def compute_missing(
    label: str, write: Write[T], tasks: Mapping[Artifact, T], output: Output | None, compute: Compute, *, unit: str
) -> None:
    """Compute what is missing of the artifacts of an output.

    Parameters
    ----------
    label : of the progress bar, and of what is printed
    write : ``write(task, root, compute)`` writes the files of a task under `root`; another process can import it
    tasks : what is handed to `write`, by artifact
    output : what the artifacts belong to; None, where they are to be put into the store alone
    compute : where work is done; an artifact that is computed beside others is told to use one core
    unit : what the artifacts are

    Raises
    ------
    UserError
        Naming the artifacts that failed, when all others are finished.
    """
    store = artifacts.store()
    missing = output.missing() if output else [each for each in tasks if store.check(each.key.sha256) is None]
    alone = replace(compute, workers=1, scheduler=None)
    across, inside = (compute, alone) if len(missing) > 1 else (alone, compute)
    work = partial(_finish, write, store.folder.resolve(), inside)
    failures: dict[str, str] = {}
    with Progress(label, len(tasks), len(tasks) - len(missing), unit=unit) as progress:
        problems = surviving_mapper(across, _lost)(work, [(each, tasks[each]) for each in missing])
        for artifact, problem in zip(missing, problems, strict=True):
            if problem:
                failures[artifact.name] = problem
            elif output:
                output.take(artifact)
            progress.advance(1)
    print(f"{label}: computed {len(missing) - len(failures)} of {len(tasks)} {unit}, "
          f"reused {len(tasks) - len(missing)}")  # fmt: skip
    if failures:
        names = [", ".join(failures)] if len(failures) > 1 else []  # first: a long message is cut in the middle
        reasons = [f"{name}: {problem}" for name, problem in failures.items()]
        head = f"{len(failures)} of {len(tasks)} {unit} failed, the others are finished:"
        raise UserError("\n".join([head, *names, *reasons]))


def _finish(write: Write[T], store: Path, compute: Compute, item: tuple[Artifact, T]) -> str:
    """Compute an artifact in a folder of this process and put it into the store; "" or what went wrong."""
    (artifact, task), into = item, Store(store)
    if into.check(artifact.key.sha256):  # finished before a process beside it was killed
        return ""
    try:
        with artifacts.making(artifact, into) as root:
            write(task, root, compute)
    except UserError as error:
        return str(error)
    except (Exception, SystemExit):  # of a library or of an encoder: the others go on, and this one is named
        return traceback.format_exc()
    return ""


def _lost(item: tuple[Artifact, T]) -> str:
    return "its process was killed, or there was not enough memory for it"
