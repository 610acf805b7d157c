"""The connection to a scheduler: workers that are fit, tasks on their way, and what is lost."""

import contextlib
import inspect
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from earshift.errors import UserError
from earshift.pipeline import paths, profile
from earshift.pipeline.cluster import worker
from earshift.pipeline.cluster.transfer import Call, Shelf, pack, shared_folder
from earshift.storage.files import replacing

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = 60.0  # s without any worker
_LOOK = 2.0  # s between looks at how many workers there are
_RETRIES = 2  # of a task that fails for another reason than the user's files: a file system or a GPU that fails once

Sent = tuple["Future", Call, str]  # a task on its way: its future, its call, its name for the user


@contextlib.contextmanager
def session(address: str) -> Iterator["Session"]:
    """A :class:`Session` with workers that are fit for this repository."""
    with _connect(address) as client, _write_terms() as terms, Shelf() as shelf:
        connection = Session(client, address, terms, shelf)
        connection.check_workers()
        yield connection


@contextlib.contextmanager
def _connect(address: str) -> Iterator["Client"]:
    import logging
    import warnings

    from distributed import Client
    from distributed.client import CancelledError, ClosedClientError
    from distributed.comm import CommClosedError
    from distributed.versions import VersionMismatchWarning

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors below say once what matters to the user
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    try:
        client = Client(address, timeout="20s", set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"compute.scheduler: no Dask scheduler replies at {address} ({error}); start one, or set "
            "compute.scheduler: null"
        ) from error
    try:
        yield client
    except (CancelledError, ClosedClientError, CommClosedError) as error:
        raise _lost(address) from error
    finally:
        with contextlib.suppress(TimeoutError, OSError):
            client.close(timeout=5)


def _lost(address: str) -> UserError:
    return UserError(
        f"the Dask scheduler at {address} is lost; finished values stay. Run again when it replies, or with "
        "compute.scheduler: null"
    )


@contextlib.contextmanager
def _write_terms() -> Iterator[worker.Terms]:
    """The terms of this repository, whose files exist as long as the block runs."""
    name = f".{uuid.uuid4().hex}.{os.getpid()}.tmp"
    audio = paths.corpus_audio("").parent  # may lie on another disk than the repository
    tokens = [place / name for place in (shared_folder(), audio) if place.is_dir()]
    try:
        for token in tokens:
            with replacing(token) as temporary:
                temporary.touch()
        yield worker.Terms(os.getcwd(), tuple(map(str, tokens)), tuple(worker.environment().items()))
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


class Session:
    """A connection over which tasks are sent."""

    def __init__(self, client: "Client", address: str, terms: worker.Terms, shelf: Shelf) -> None:
        self._client, self._address, self._terms, self._shelf = client, address, terms, shelf
        self._threads, self._looked, self._seen = 0, -_LOOK, time.monotonic()

    def check_workers(self) -> None:
        """Wait for a first worker, and refuse any that is not fit."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise UserError(
                f"compute.scheduler: {self._address} has no workers; start some, in this folder: "
                f"{worker.START} {self._address} --nthreads 1"
            ) from error
        for place, refusal in sorted(self.ask_all(worker.refusal, self._terms).items()):
            if refusal:
                raise UserError(f"compute.scheduler: worker {place} {refusal}")

    def ask_all(self, function: Callable[..., Any], *arguments: object) -> dict[str, Any]:
        """What a function of :mod:`earshift.pipeline.cluster.worker` gives on every worker, by the worker's address."""
        found = self._client.run(function, *arguments, on_error="return")
        here = {place: given for place, given in found.items() if not isinstance(given, OSError)}  # others have left
        for place, given in here.items():
            if isinstance(given, Exception):
                raise UserError(
                    f"compute.scheduler: worker {place} cannot run this repository's code ({given}); start it in "
                    f"{self._terms.root}: {worker.START} {self._address} --nthreads 1"
                )
        if not here:
            raise UserError(f"compute.scheduler: all workers of {self._address} left; start some and run again")
        return here

    def pack(self, function: Callable[..., Any], task: tuple[Any, ...]) -> Call:
        """A call of a function, its large arrays on the shelf."""
        return pack(function, task, self._shelf.put)

    def submit(self, function: Callable[..., Any], task: tuple[Any, ...], together: bool) -> Sent:
        """Send a task to the workers."""
        call = self.pack(function, task)
        name = getattr(function, "func", function).__name__.strip("_")  # of a functools.partial, or of the function
        key = f"{name}-{uuid.uuid4().hex}"  # before the dash: how Dask's pages group tasks
        future = self._client.submit(worker.run, self._terms, call, together, key=key, pure=False, retries=_RETRIES)
        return future, call, _describe(function, task)

    def threads(self) -> int:
        """How many threads the workers have together at present, at least 1."""
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

    def result(self, sent: Sent) -> Any:
        """Wait for the result of a task that was sent."""
        from distributed.scheduler import KilledWorker

        future, call, name = sent
        try:
            result, problem = self._wait(future, name)
        except KilledWorker as error:
            raise UserError(
                f"{name}, or another task of the same workers, killed {error.allowed_failures + 1} workers of "
                f"{self._address}, {error.last_worker.address} last: out of memory, or a file that crashes a library. "
                "See their logs; finished values stay"
            ) from error
        self._shelf.give_back(call.files)
        if problem:
            raise UserError(problem)
        return result

    def _wait(self, future: "Future", name: str) -> tuple[Any, str]:
        while True:
            try:
                given: tuple[Any, str] = future.result(timeout=_LOOK)
                return given
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


def _describe(function: Callable[..., Any], task: tuple[Any, ...]) -> str:
    """Which clips a task is about, for the user to find them."""
    bound = inspect.signature(function).bind(*task).arguments
    start, stop = (bound.get(name, getattr(task[0], name, None)) for name in ("start", "stop"))
    if isinstance(start, int) and isinstance(stop, int):
        return f"clips {start + 1} to {stop} of {paths.CLIPS}"
    function = getattr(function, "func", function)
    return f"a task of {function.__module__}.{function.__qualname__}"
