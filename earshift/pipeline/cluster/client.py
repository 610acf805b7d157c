"""The connection to a scheduler: workers that are fit, tasks on their way, and what is lost."""

import contextlib
import inspect
import os
import time
import uuid

from earshift.errors import UserError
from earshift.pipeline import paths, profile
from earshift.pipeline.cluster import worker
from earshift.pipeline.cluster.transfer import Call, Shelf, folder, pickled
from earshift.storage.files import replacing

_PATIENCE = 60.0  # s without any worker
_LOOK = 2.0  # s between looks at how many workers there are
_RETRIES = 2  # of a task that fails for another reason than the user's files: a hiccup of a file system or a GPU


@contextlib.contextmanager
def session(address):
    """A :class:`Session` with workers that are fit for this repository."""
    with _client(address) as client, _terms() as terms, Shelf() as shelf:
        connection = Session(client, address, terms, shelf)
        connection.check_workers()
        yield connection


@contextlib.contextmanager
def _client(address):
    import logging
    import warnings

    from distributed import Client
    from distributed.client import CancelledError, ClosedClientError
    from distributed.comm import CommClosedError
    from distributed.versions import VersionMismatchWarning

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters to the user is said once, by us
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    try:
        client = Client(address, timeout="20s", set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"compute.scheduler: no Dask scheduler answers at {address} ({error}); start one, or set "
            "compute.scheduler: null"
        ) from error
    try:
        yield client
    except (CancelledError, ClosedClientError, CommClosedError) as error:
        raise _lost(address) from error
    finally:
        with contextlib.suppress(TimeoutError, OSError):
            client.close(timeout=5)


def _lost(address):
    return UserError(
        f"the Dask scheduler at {address} is lost; finished values stay. Run again when it answers, or with "
        "compute.scheduler: null"
    )


@contextlib.contextmanager
def _terms():
    name = f".{uuid.uuid4().hex}.{os.getpid()}.tmp"
    audio = paths.corpus_audio("").parent  # may lie on another disk than the repository
    tokens = [place / name for place in (folder(), audio) if place.is_dir()]
    try:
        for token in tokens:
            with replacing(token) as temporary:
                temporary.touch()
        yield worker.Terms(os.getcwd(), tuple(map(str, tokens)), tuple(worker.environment().items()))
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


class Session:
    """A connection over which tasks are sent.

    terms : earshift.pipeline.cluster.worker.Terms
    """

    def __init__(self, client, address, terms, shelf):
        self.terms = terms
        self._client, self._address, self._shelf = client, address, shelf
        self._threads, self._looked, self._seen = 0, -_LOOK, time.monotonic()

    def check_workers(self):
        """Wait for a first worker, and see whether all are fit."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise UserError(
                f"compute.scheduler: {self._address} has no workers; start some, in this folder: "
                f"python -m earshift.pipeline.cluster dask worker {self._address} --nthreads 1"
            ) from error
        for place, refusal in sorted(self.answers(worker.refusal, self.terms).items()):
            if refusal:
                raise UserError(f"compute.scheduler: worker {place} {refusal}")

    def answers(self, function, *arguments):
        """What a function of :mod:`earshift.pipeline.cluster.worker` gives on every worker, by the worker's address."""
        found = self._client.run(function, *arguments, on_error="return")
        answers = {}
        for place, answer in found.items():
            if isinstance(answer, OSError):  # it left meanwhile
                continue
            if isinstance(answer, Exception):
                raise UserError(
                    f"compute.scheduler: worker {place} cannot run this repository's code ({answer}); start it in "
                    f"{self.terms.root}: python -m earshift.pipeline.cluster dask worker {self._address} --nthreads 1"
                )
            answers[place] = answer
        if not answers:
            raise UserError(f"compute.scheduler: all workers of {self._address} left; start some and run again")
        return answers

    def call(self, function, task):
        """A :class:`earshift.pipeline.cluster.transfer.Call`, its large arrays on the shelf."""
        return Call(*pickled((function, task), self._shelf.put))

    def submit(self, function, task, together):
        """A task on its way: (future, call, its name for the user)."""
        call = self.call(function, task)
        key = f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"  # before the dash: how Dask's pages group it
        future = self._client.submit(worker.outcome, self.terms, call, together, key=key, pure=False, retries=_RETRIES)
        return future, call, _described(function, task)

    def threads(self):
        """How many threads the workers have together, now that some may have come or gone; 1 at least."""
        now = time.monotonic()
        if now - self._looked >= _LOOK:
            try:
                self._threads = sum(self._client.nthreads().values())
            except OSError as error:
                raise _lost(self._address) from error
            self._looked = now
            profile.note(workers=self._threads)
            if self._threads:
                self._seen = now
        return max(1, self._threads)

    def result(self, sent):
        """The result of a task that was sent, once it is there."""
        from distributed.scheduler import KilledWorker

        future, call, name = sent
        try:
            result, problem = self._awaited(future, name)
        except KilledWorker as error:
            raise UserError(
                f"{name}, or what the same workers did beside, killed {error.allowed_failures + 1} workers of "
                f"{self._address}, {error.last_worker.address} last: out of memory, or a file that crashes a library. "
                "Their logs may tell; finished values stay"
            ) from error
        self._shelf.give_back(call.files)
        if problem:
            raise UserError(problem)
        return result

    def _awaited(self, future, name):
        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if future.done():  # it is the task's own
                    raise
            if self._client.status != "running":
                raise _lost(self._address)
            self.threads()
            if time.monotonic() - self._seen > _PATIENCE:
                raise UserError(
                    f"{self._address} has had no workers for {_PATIENCE:.0f} s, since {name}; finished values stay. "
                    "Start some and run again; if the same clips end them all, look into their logs"
                )


def _described(function, task):
    """Which clips a task is about, for the user to find them."""
    bound = inspect.signature(function).bind(*task).arguments
    if isinstance(bound.get("start"), int) and isinstance(bound.get("stop"), int):
        return f"clips {bound['start'] + 1} to {bound['stop']} of {paths.CLIPS}"
    return f"a task of {function.__module__}.{function.__qualname__}"
