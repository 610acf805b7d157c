"""Where the map over work runs: in this process, in a pool of threads or processes, or on a Dask cluster.

Results return in the order of the items to the one caller that writes them, so the same files come out wherever they
were computed. Few items are in flight at once, so memory does not grow with the corpus.
"""

import collections
import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator

from earshift.errors import UserError
from earshift.options import Interval, Options, Text, problem
from earshift.pipeline import paths, profile
from earshift.protocols import Map

T = TypeVar("T")
R = TypeVar("R")

_UNDER_WAY = 2  # items per worker that a map has handed out and not given back, one more besides


def _check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise problem("is {value}; it must be auto, cpu, cuda or cuda:N", value=repr(value))
    return value


@dataclass(frozen=True)
class Compute(Options):
    """Where work is done: ``scheduler`` is the address of a Dask cluster, None for this machine."""

    workers: Literal["auto"] | Annotated[int, Interval(ge=1, le=1024)]
    scheduler: Text | None
    device: Annotated[str, AfterValidator(_check_device)]
    chunk: Annotated[int, Interval(ge=1, le=10_000)]
    gpu_batch: Annotated[int, Interval(ge=1, le=10_000)]


def worker_count(compute: Compute) -> int:
    """Processes that ``compute.workers`` stands for; auto is one per usable core."""
    if compute.workers != "auto":
        return compute.workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_device(wanted: str) -> str:
    """What ``compute.device`` stands for on this machine: "cpu", "cuda" or "cuda:N".

    Raises
    ------
    UserError
        If a GPU is asked for and PyTorch finds none.
    """
    if wanted == "cpu":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda" if wanted == "auto" else wanted
    if wanted != "auto":
        raise UserError(f"compute.device is {wanted}, but PyTorch finds no GPU; set it to auto or cpu")
    return "cpu"


def mapper(compute: Compute, *, threads: bool = False) -> Map:
    """The map that a library function is given: wherever it computes, results come in the order of the items.

    Parameters
    ----------
    compute : Compute
    threads : bool
        Whether workers on this machine are threads instead of processes: for work in libraries that release the
        interpreter, with results that are large to hand from process to process. On a cluster: whether threads of one
        worker may run the function at the same time.

    Returns
    -------
    Map
        It raises :class:`UserError` if a worker process dies (killed, out of memory), or as
        :func:`earshift.pipeline.cluster.ordered_map`. An item that stands for a block of clips is a range, a slice, or
        has ``start`` and ``stop`` of its own: messages name the clips.
    """

    def run(function: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        return ordered_map(function, ((item,) for item in items), compute, threads=threads)

    return run


def ordered_map(
    function: Callable[..., R], tasks: Iterable[tuple[Any, ...]], compute: Compute, *, threads: bool = False
) -> Iterator[R]:
    """Call ``function(*task)`` for every task, possibly elsewhere, and yield the results in order.

    Parameters
    ----------
    function : callable at module level, so that another process can import it
    tasks : iterable of tuples, read as results are taken
    compute, threads, raises : as for :func:`mapper`
    """
    slots = worker_count(compute)
    if compute.scheduler is not None:
        from earshift.pipeline import cluster

        yield from cluster.ordered_map(function, tasks, compute.scheduler, together=threads)
    elif slots == 1:
        yield from (function(*task) for task in tasks)
    else:
        with ThreadPoolExecutor(slots) if threads else _processes(slots) as pool:
            profile.note(workers=slots)
            yield from _in_order(pool, function, tasks, 2 * slots)


def _in_order(pool: Executor, function: Callable[..., R], tasks: Iterable[tuple[Any, ...]], ahead: int) -> Iterator[R]:
    """The results of tasks, of which `ahead` are in flight at once."""
    pending: collections.deque[Future[R]] = collections.deque()
    try:
        for task in tasks:
            pending.append(pool.submit(function, *task))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def surviving_mapper(
    compute: Compute, lost: Callable[[T], R]
) -> Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]:
    """A map that goes on where an item ends its worker process: ``lost(item)`` then stands for the result.

    Parameters
    ----------
    compute : Compute
    lost : called in this process with an item that ended a process of its own
    """

    def run(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        left = collections.deque(items)
        while left:
            try:
                for result in mapper(compute)(function, list(left)):
                    left.popleft()
                    yield result
            except UserError as error:
                if not _process_died(error):
                    raise
                # It is one of those that were under way: each in a process of its own shows which
                for _ in range(min(len(left), _UNDER_WAY * worker_count(compute) + 1)):
                    yield _run_alone(function, left.popleft(), compute, lost)

    return run


def _run_alone(function: Callable[[T], R], item: T, compute: Compute, lost: Callable[[T], R]) -> R:
    own = replace(compute, workers=2, scheduler=None)  # two make a pool, of which one item starts one
    try:
        (result,) = mapper(own)(function, [item])
        return result
    except UserError as error:
        if not _process_died(error):
            raise
    return lost(item)


def _process_died(error: UserError) -> bool:
    from concurrent.futures.process import BrokenProcessPool

    return isinstance(error.__cause__, BrokenProcessPool)


def prefetch(iterable: Iterable[T], ahead: int = 2) -> Iterator[T]:
    """The items of an iterable, taken by a thread of its own up to `ahead` items before they are asked for."""
    iterator, end = iter(iterable), object()
    with ThreadPoolExecutor(1) as pool:
        pending: collections.deque[Future[Any]] = collections.deque()
        pending.extend(pool.submit(next, iterator, end) for _ in range(ahead))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(pool.submit(next, iterator, end))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)
            if isinstance(iterator, Generator):
                iterator.close()


@contextlib.contextmanager
def _processes(slots: int) -> Iterator[Executor]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of ours may hold
    pool = ProcessPoolExecutor(slots, mp_context=context, initializer=_prepare_worker)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, killed or out of memory; finished values stay. "
            "Run again, with fewer workers if memory is short (compute.workers)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends."""
    import multiprocessing
    from multiprocessing.connection import wait

    paths.hand_over()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
