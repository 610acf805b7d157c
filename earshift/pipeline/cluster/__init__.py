"""The map over clips on an existing Dask cluster: tasks go to its workers, their results come back in order.

Conventions
-----------
Workers run in the repository's folder, which they see under the same path as the process that asks (a shared file
system), with the same code, packages and settings; each proves it before its first task, or is named. A task is small:
paths, ranges of clips, options. Large arrays are left in the shared folder for the worker to read, so the scheduler
never holds them. What a worker has to say to the user arrives word for word.

- :mod:`earshift.pipeline.cluster.client`: the connection, and what becomes of it
- :mod:`earshift.pipeline.cluster.transfer`: what is sent
- :mod:`earshift.pipeline.cluster.worker`: what happens at the other end

``python -m earshift.pipeline.cluster COMMAND ...`` runs a command, such as ``dask worker``, as workers must run (docs/scale.md).
"""

import collections

from earshift.errors import UserError
from earshift.pipeline.cluster import worker
from earshift.pipeline.cluster.client import session

_AHEAD = 2  # tasks in flight for every thread of a worker: one that it computes, one that it finds when that is done


def ordered_map(function, tasks, address, *, together):
    """Call ``function(*task)`` on a cluster for every task, and yield the results in order.

    Tasks are as long as ``compute.chunk`` says wherever they run, since the vectors of an encoder that takes several
    clips at once may depend on which ones go together. They are given out one by one, as threads of workers become
    free, and are about equally long, so at the end of a stage a thread waits for the length of one task at most.

    Parameters
    ----------
    function : callable at module level
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
        pending = collections.deque()
        for task in tasks:
            pending.append(connection.submit(function, task, together))
            while len(pending) > _AHEAD * connection.threads():
                yield connection.result(pending.popleft())
        while pending:
            yield connection.result(pending.popleft())


def device(address, function, *arguments):
    """What ``function(*arguments)`` says of the device of a worker, which is the same for all.

    Raises
    ------
    UserError
        Where workers have different ones, naming a worker of each kind, or as :func:`ordered_map`.
    """
    with session(address) as connection:
        answers = connection.answers(worker.opinion, connection.call(function, arguments))
    said = {}
    for place, (answer, problem) in sorted(answers.items()):
        if problem:
            raise UserError(f"worker {place}: {problem}")
        said.setdefault(answer, place)
    if len(said) > 1:
        opinions = ", ".join(f"{answer} on {place}" for answer, place in said.items())
        raise UserError(
            f"the workers of {address} compute on different devices, whose numbers differ ({opinions}); keep workers "
            "of one kind, or set compute.device: cpu"
        )
    return next(iter(said))
