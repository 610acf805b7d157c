"""Where the map over clips runs: in this process, in a pool of threads or processes, or on a Dask cluster.

Results return in the order of the tasks to the one caller that writes them, so the same files come out wherever they
were computed. Few tasks are in flight at once, so memory does not grow with the corpus.
"""

import collections
import contextlib
import os
import signal
import threading

from earshift.errors import UserError
from earshift.pipeline import profile


def worker_count(compute):
    """Processes that ``compute.workers`` stands for; auto is one per usable core."""
    if compute.workers != "auto":
        return compute.workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_device(wanted):
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


def ordered_map(function, tasks, compute, *, threads=False):
    """Call ``function(*task)`` for every task, possibly elsewhere, and yield the results in order.

    Parameters
    ----------
    function : callable at module level, so that another process can import it
    tasks : iterable of tuples, read as results are taken
    compute : earshift.pipeline.config.Compute
    threads : bool
        Whether workers on this machine are threads instead of processes: for work in libraries that release the
        interpreter, with results that are large to hand from process to process.

    Raises
    ------
    UserError
        If a worker process dies (killed, out of memory), or as :func:`earshift.pipeline.cluster.ordered_map`.
    """
    if compute.scheduler is not None:
        from earshift.pipeline import cluster

        yield from cluster.ordered_map(function, tasks, compute.scheduler, together=threads)
        return
    if worker_count(compute) == 1:
        yield from (function(*task) for task in tasks)
        return
    where = _threads if threads else _processes
    with where(compute) as (submit, slots):
        profile.note(workers=slots)
        pending = collections.deque()
        try:
            for task in tasks:
                pending.append(submit(function, *task))
                if len(pending) > 2 * slots:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def prefetched(iterable, ahead=2):
    """The items of an iterable, taken by a thread of its own up to `ahead` items before they are asked for."""
    import queue

    items, stop, end = queue.Queue(ahead), threading.Event(), object()

    def put(item):
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=0.1)
                return True
        return False

    def take():
        iterator = iter(iterable)
        try:
            for item in iterator:
                if not put((item, None)):
                    break
            else:
                put((end, None))
        except BaseException as error:  # handed over, whatever it is, and raised where the items are used
            put((None, error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _threads(compute):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(worker_count(compute)) as pool:
        yield pool.submit, worker_count(compute)


@contextlib.contextmanager
def _processes(compute):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    slots = worker_count(compute)
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of ours may hold
    pool = ProcessPoolExecutor(slots, mp_context=context, initializer=_prepare_worker)
    try:
        yield pool.submit, slots
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, killed or out of memory; finished values stay. "
            "Run again, with fewer workers if memory is short (compute.workers)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker():
    """Leave Ctrl-C to the parent, and do not outlive it."""
    import multiprocessing
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (wait([parent]), os._exit(1)), daemon=True).start()
