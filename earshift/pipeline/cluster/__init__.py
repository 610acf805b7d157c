"""The map over work on an existing Dask cluster: tasks go to its workers, their results come back in order.

Conventions
-----------
Workers run in the repository's folder, which they see under the same path as the process that asks (a shared file
system), with the same code, packages and settings; each is checked before its first task, and a worker that is not fit
is an error that names it. A task is small: paths, ranges of clips, options. Large arrays are left in the shared folder
for the worker to read, so the scheduler never holds them. A :class:`earshift.errors.UserError` of a worker arrives word
for word.

- :mod:`earshift.pipeline.cluster.client`: the connection to the scheduler
- :mod:`earshift.pipeline.cluster.transfer`: functions and arguments on their way
- :mod:`earshift.pipeline.cluster.worker`: a task at the other end

:func:`run_command` runs a command, such as ``dask worker``, as workers must run (docs/scale.md).
"""

import collections
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from earshift.errors import UserError
from earshift.pipeline.cluster import worker
from earshift.pipeline.cluster.client import Sent, session

R = TypeVar("R")

_AHEAD = 2  # tasks in flight for every thread of a worker: one that it computes, and the next one


def ordered_map(
    function: Callable[..., R], tasks: Iterable[tuple[Any, ...]], address: str, *, together: bool
) -> Iterator[R]:
    """Call ``function(*task)`` on a cluster for every task, and yield the results in order.

    Tasks are as long as ``compute.chunk`` says wherever they run, since the vectors of an encoder that takes several
    clips at once may depend on which ones go together. They are given out one by one, as threads of workers become
    free, and are about equally long, so at the end of a stage a thread waits for the length of one task at most.

    Parameters
    ----------
    function : callable at module level, or a functools.partial of one
    tasks : iterable of tuples, read as results are taken
    address : str, of the scheduler
    together : bool
        Whether threads of one worker may run the function at the same time; otherwise one after another.

    Raises
    ------
    UserError
        If scheduler or workers cannot be reached, are lost, or are not fit for this repository.
    """
    with session(address) as connection:
        pending: collections.deque[Sent] = collections.deque()
        for task in tasks:
            pending.append(connection.submit(function, task, together))
            while len(pending) > _AHEAD * connection.threads():
                yield connection.result(pending.popleft())
        while pending:
            yield connection.result(pending.popleft())


def device(address: str, function: Callable[..., str], *arguments: object) -> str:
    """What ``function(*arguments)`` gives for the device of a worker, which must be the same for all.

    Raises
    ------
    UserError
        Where workers have different ones, naming a worker of each kind, or as :func:`ordered_map`.
    """
    with session(address) as connection:
        replies = connection.ask_all(worker.call_plainly, connection.pack(function, arguments))
    places: dict[str, str] = {}
    for place, (reply, problem) in sorted(replies.items()):
        if problem:
            raise UserError(f"worker {place}: {problem}")
        places.setdefault(reply, place)
    if len(places) > 1:
        kinds = ", ".join(f"{reply} on {place}" for reply, place in places.items())
        raise UserError(
            f"the workers of {address} compute on different devices, whose numbers differ ({kinds}); keep workers "
            "of one kind, or set compute.device: cpu"
        )
    return next(iter(places))


def run_command(command: list[str]) -> None:
    """Replace this process by a command that sees this Python's programs and imports from this folder.

    Parameters
    ----------
    command : list of str, such as ["dask", "worker", "tcp://host:8786", "--nthreads", "1"]

    Raises
    ------
    UserError
        If there is no such command.
    """
    if not command:
        raise UserError(f"name a command, as in: {worker.START} tcp://host:8786 --nthreads 1")
    for name, first in (("PATH", str(Path(sys.executable).parent)), ("PYTHONPATH", os.getcwd())):
        os.environ[name] = os.pathsep.join(filter(None, [first, os.environ.get(name)]))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise UserError(f"cannot run {command[0]}: {error.strerror}") from error
