"""The ordered map: same results in order wherever it runs, memory bounded, errors in one line."""

import functools
import os
import threading
import time

import pytest

from earshift.errors import UserError
from earshift.pipeline.compute import mapper, ordered_map, prefetch, surviving_mapper, worker_count
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


def scale_if_alive(n):
    return 3 * die(n)


def fail(n):
    raise UserError(f"clip {n} is broken")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    results = list(ordered_map(slow_square, ((n,) for n in range(12)), settings(workers)))
    assert [r[0] for r in results] == [n * n for n in range(12)]
    assert len({r[1] for r in results}) == workers
    assert (os.getpid() in {r[1] for r in results}) == (workers == 1)


def scale(factor, n):
    return factor * n


@pytest.mark.parametrize("workers, threads", [(1, False), (2, False), (2, True)])
def test_a_mapper_has_the_signature_of_the_builtin(workers, threads):
    run = mapper(settings(workers), threads=threads)
    assert list(run(functools.partial(scale, 3), range(9))) == list(map(functools.partial(scale, 3), range(9)))


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
        there = settings(scheduler=cluster.scheduler_address)
        results = list(ordered_map(slow_square, ((n,) for n in range(9)), there))
        assert list(mapper(there)(functools.partial(scale, 3), range(9))) == [3 * n for n in range(9)]
    assert [r[0] for r in results] == [n * n for n in range(9)]


def test_a_killed_worker_is_one_message():
    with pytest.raises(UserError, match="a worker process died.*finished values stay"):
        list(ordered_map(die, ((n,) for n in range(5)), settings(2)))


def test_an_item_that_ends_its_worker_stops_no_other():
    run = surviving_mapper(settings(2), lambda n: f"{n} is lost")
    assert list(run(die, range(9))) == [0, 1, "2 is lost", *range(3, 9)]
    assert list(run(scale_if_alive, [2, 2, 1])) == ["2 is lost", "2 is lost", 3]


def test_a_users_mistake_is_no_lost_item():
    with pytest.raises(UserError, match="clip 0 is broken"):
        list(surviving_mapper(settings(2), str)(fail, range(5)))


def test_a_users_mistake_in_a_worker_keeps_its_message():
    with pytest.raises(UserError, match="clip 0 is broken"):
        list(ordered_map(fail, ((n,) for n in range(5)), settings(2)))


def test_a_scheduler_that_is_not_there(monkeypatch):
    import distributed

    def refuse(*args, **kwargs):
        raise OSError("connection refused")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match="no Dask scheduler replies at tcp://127.0.0.1:1"):
        list(ordered_map(slow_square, [(1,)], settings(scheduler="tcp://127.0.0.1:1")))


def test_auto_is_one_worker_per_core():
    assert worker_count(settings("auto")) == len(os.sched_getaffinity(0))


def test_prefetched_items_are_those_of_the_iterable():
    assert list(prefetch(range(20))) == list(range(20))
    assert list(prefetch([])) == []


def test_prefetched_items_are_made_while_others_are_used():
    made = [threading.Event() for _ in range(4)]

    def items():
        for n, event in enumerate(made):
            event.set()
            yield n

    for n in prefetch(items()):
        assert made[min(n + 1, 3)].wait(timeout=600)  # comes although nobody has asked for it yet


def test_few_items_are_prefetched():
    made = []
    items = prefetch((made.append(n) or n for n in range(100)), ahead=2)
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 5
    items.close()


def test_an_error_while_prefetching_comes_after_the_items_before_it():
    def broken():
        yield 1
        raise UserError("clip 2 is broken")

    items = prefetch(broken())
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

    items = prefetch(endless())
    next(items)
    items.close()
    assert closed == [True]
