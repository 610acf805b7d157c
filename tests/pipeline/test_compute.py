"""The ordered map: same results in order wherever it runs, memory bounded, errors in one line."""

import os
import time

import pytest

from earshift.errors import UserError
from earshift.pipeline.compute import ordered_map, prefetched, worker_count
from earshift.pipeline.config import Compute


def settings(workers=1, scheduler=None):
    return Compute(workers=workers, scheduler=scheduler, device="cpu", chunk=4, gpu_batch=4)


def slow_square(n):
    time.sleep(0.02 * (n % 3))
    return n * n, os.getpid()


def die(n):
    if n == 2:
        os._exit(9)
    return n


def fail(n):
    raise UserError(f"clip {n} is broken")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    results = list(ordered_map(slow_square, ((n,) for n in range(12)), settings(workers)))
    assert [r[0] for r in results] == [n * n for n in range(12)]
    assert len({r[1] for r in results}) == workers
    assert (os.getpid() in {r[1] for r in results}) == (workers == 1)


def test_threads_stay_in_this_process():
    results = list(ordered_map(slow_square, ((n,) for n in range(12)), settings(2), threads=True))
    assert results == [(n * n, os.getpid()) for n in range(12)]


def test_tasks_are_read_as_results_are_taken():
    """Back pressure: a slow reader does not make the whole corpus pile up."""
    read = []
    tasks = (read.append(n) or (n,) for n in range(100))
    results = ordered_map(slow_square, tasks, settings(2))
    next(results)
    assert len(read) <= 6
    results.close()


def test_results_on_a_dask_cluster(workspace):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        results = list(
            ordered_map(slow_square, ((n,) for n in range(9)), settings(scheduler=cluster.scheduler_address))
        )
    assert [r[0] for r in results] == [n * n for n in range(9)]


def test_a_killed_worker_is_one_message():
    with pytest.raises(UserError, match="a worker process died.*finished values stay"):
        list(ordered_map(die, ((n,) for n in range(5)), settings(2)))


def test_a_users_mistake_in_a_worker_keeps_its_message():
    with pytest.raises(UserError, match="clip 0 is broken"):
        list(ordered_map(fail, ((n,) for n in range(5)), settings(2)))


def test_a_scheduler_that_is_not_there(monkeypatch):
    import distributed

    def refuse(*args, **kwargs):
        raise OSError("connection refused")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        list(ordered_map(slow_square, [(1,)], settings(scheduler="tcp://127.0.0.1:1")))


def test_auto_is_one_worker_per_core():
    assert worker_count(settings("auto")) == len(os.sched_getaffinity(0))


def test_prefetched_items_are_those_of_the_iterable():
    assert list(prefetched(range(20))) == list(range(20))
    assert list(prefetched([])) == []


def test_prefetched_items_are_made_while_others_are_used():
    def slow():
        for n in range(5):
            time.sleep(0.1)
            yield n

    start = time.perf_counter()
    for _ in prefetched(slow()):
        time.sleep(0.1)
    assert time.perf_counter() - start < 0.9  # one after the other would take a second


def test_few_items_are_prefetched():
    made = []
    items = prefetched((made.append(n) or n for n in range(100)), ahead=2)
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 5
    items.close()


def test_an_error_while_prefetching_comes_after_the_items_before_it():
    def broken():
        yield 1
        raise UserError("clip 2 is broken")

    items = prefetched(broken())
    assert next(items) == 1
    with pytest.raises(UserError, match="clip 2 is broken"):
        next(items)


def test_what_is_prefetched_is_closed_with_the_consumer():
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    items = prefetched(endless())
    next(items)
    items.close()
    assert closed == [True]
