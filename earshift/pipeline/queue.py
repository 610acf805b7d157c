"""Runs the queued experiments, several at once, until each has its result: ``earshift queue --jobs 2``.

Conventions
-----------
Workers are DVC's own, as ``dvc queue start --jobs N`` starts them. With several workers at once, DVC 3.67 has races.
All of them are rare; they are prevented here, or noticed and repaired:

- A worker that cleans up after setting an experiment up removes Git's folder refs/exps/temp while another writes there:
  that one's experiment fails without a log (treeverse/dvc#10673). A ref that stays keeps the folder.
- Two workers that start together write the table of mailboxes at once: one dies, or never hears that it should stop.
  A table that is there before them is written in turn.
- ``dvc queue stop`` without workers stops those that start next, after one experiment each. ``dvc exp clean`` takes old
  messages away; where workers stop while experiments wait, new ones are started.
- Two experiments that end together may miss the lock of Git's fetch; DVC takes no notice and removes the folder that
  the result was in. An experiment that ended without a result is queued again, as is one that failed before it began.

Ctrl-C ends the watching, not the workers.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earshift.errors import UserError

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
LOST = "ended without a result"
_KEPT = "refs/exps/temp/earshift"
_TABLES = ("celery.pidbox", "reply.celery.pidbox")
_ATTEMPTS = 3
_POLL_SECONDS = 2
_START_SECONDS = 30  # after which a worker that was started is there


@dataclass(frozen=True)
class Task:
    """One experiment of the queue.

    entry : DVC's QueueEntry
    state : QUEUED, RUNNING, DONE, FAILED or LOST
    """

    entry: Any
    name: str
    state: str


def tasks(queue: Any) -> dict[str, Task]:
    """Everything that the queue knows, {stash commit: :class:`Task`}, in the order in which it was queued."""
    # In this order: what moves on between two looks is seen twice and counts as what it has become
    found = {entry.stash_rev: (entry, entry.name, QUEUED) for entry in queue.iter_queued()}
    found |= {entry.stash_rev: (entry, entry.name, RUNNING) for entry in queue.iter_active()}
    for entry, result in queue.iter_done():
        reference = result.ref_info if result else None
        if reference and queue.scm.get_ref(str(reference)):
            state = DONE
        else:
            began = queue.proc.get(entry.stash_rev)
            state = FAILED if began and not reference else LOST
        found[entry.stash_rev] = (entry, entry.name or (reference.name if reference else ""), state)
    return {rev: Task(entry, name or rev[:7], state) for rev, (entry, name, state) in found.items()}


def prepare(queue: Any) -> None:
    """Make the broker and Git ready for several workers."""
    folder = Path(queue.celery.conf.broker_transport_options["control_folder"])
    for table in _TABLES:
        path = folder / f"{table}.exchange"
        if not path.exists():
            path.write_text("[]")
    queue.scm.set_ref(_KEPT, queue.scm.get_rev())
    queue.celery.clean()


def queue_again(queue: Any, task: Task) -> None:
    """Queue an experiment once more, as it was."""
    from dvc.repo.experiments.queue.remove import remove_tasks
    from dvc.repo.experiments.queue.tasks import run_exp
    from dvc.repo.experiments.refs import CELERY_STASH
    from dvc.repo.experiments.stash import ExpStash
    from dvc.repo.experiments.utils import get_exp_rwlock

    entry = task.entry
    message = ExpStash.format_message(entry.head_rev, entry.baseline_rev, entry.name, entry.branch)
    with get_exp_rwlock(queue.repo, writes=["workspace", CELERY_STASH]):
        remove_tasks(queue, [entry])
        queue.scm.set_ref(CELERY_STASH, entry.stash_rev, message=f"commit: {message}")
    queue.celery.signature(run_exp.s(entry.asdict(), copy_paths=None, message=None)).delay()


def count_workers(queue: Any) -> int:
    """How many workers live, as the system knows it: one that computes may not reply in time."""
    import psutil
    from dvc_task.proc.process import ProcessInfo

    count = 0
    for path in Path(queue.wdir).glob("dvc-exp-worker-*.json"):
        info = ProcessInfo.load(str(path))
        with contextlib.suppress(psutil.Error, OSError):
            count += info.returncode is None and "queue-worker" in psutil.Process(info.pid).cmdline()
    return count


def start(jobs: int) -> None:
    """Start workers until there are `jobs`."""
    # DVC starts its workers as `dvc`, wherever that is. No pipe: workers would inherit it, and keep it open
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    line = [sys.executable, "-m", "dvc", "queue", "start", "--jobs", str(jobs)]
    run = subprocess.run(line, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if run.returncode:
        raise UserError(f"no worker could be started; `dvc queue start --jobs {jobs}` says why")


def follow(queue: Any, jobs: int, mine: Set[str] = frozenset()) -> list[Task]:
    """Run what is queued until everything has its result.

    Parameters
    ----------
    queue : dvc.repo.experiments.queue.celery.LocalCeleryQueue
    jobs : int, workers at once
    mine : set of stash commits that are to have a result, beside those that are queued

    Returns
    -------
    list of Task
    """
    from dvc.lock import LockError

    mine, said = set(mine), ""
    attempts: Counter[str] = Counter()
    begun, seen = float("-inf"), False  # when workers were started, and whether one has been there since
    while True:
        known = tasks(queue)
        mine |= {rev for rev, task in known.items() if task.state in (QUEUED, RUNNING)}
        now = {rev: task for rev, task in known.items() if rev in mine}
        lost = [rev for rev, task in now.items() if task.state == LOST and attempts[rev] < _ATTEMPTS]
        for rev in lost:
            try:
                queue_again(queue, now[rev])
                attempts[rev] += 1
                print(f"queue: {now[rev].name} {LOST}, queued again", flush=True)
            except LockError:
                pass  # another DVC command is at it: next time
        if not lost and not any(task.state in (QUEUED, RUNNING) for task in now.values()):
            return list(now.values())
        states = Counter(task.state for task in now.values())
        saying = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        if saying != said:
            print(f"queue: {saying}", flush=True)
            said = saying
        alive = count_workers(queue) > 0
        seen = seen or alive
        if not alive and (seen or time.monotonic() - begun > _START_SECONDS):
            if not states[QUEUED] and not lost:
                return list(now.values())  # who ran them was killed
            start(jobs)
            begun, seen = time.monotonic(), False
        time.sleep(_POLL_SECONDS)


def run(jobs: int) -> None:
    """Run the queue and print what became of it.

    Parameters
    ----------
    jobs : experiments at once

    Raises
    ------
    UserError
        If an experiment has no result in the end.
    """
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be at least 1")
    from dvc.repo import Repo

    with Repo() as repo:
        queue = repo.experiments.celery_queue
        prepare(queue)
        ended = follow(queue, jobs)
    if not ended:
        print("queue: nothing is queued; `dvc exp run --queue -S 'robustness.svd_threshold=0.3,0.4'` queues two")
    failed = [task for task in ended if task.state != DONE]
    if failed:
        names = ", ".join(f"{task.name} ({task.state})" for task in failed)
        raise UserError(
            f"{len(failed)} of {len(ended)} experiments have no result: {names}; "
            f"`dvc queue logs {failed[0].name}` shows why"
        )
    if ended:
        print(f"queue: all {len(ended)} done; `make experiments` compares them")
