"""The map over clips on an existing Dask cluster: tasks go to its workers, their results come back in order.

Conventions
-----------
Workers run in the repository's folder, which they see under the same path as the process that asks (a shared file
system), with the same code, packages and settings; each proves it before its first task, or is named. A task is small:
paths, ranges of clips, options. Large arrays are left in the shared folder for the worker to read, so the scheduler
never holds them. What a worker has to say to the user arrives word for word.

``python -m stages.cluster COMMAND ...`` runs a command, such as ``dask worker``, as workers must run (docs/scale.md).
"""

import collections
import contextlib
import functools
import hashlib
import importlib
import inspect
import io
import os
import pickle
import sys
import threading
import time
import types
import uuid
from dataclasses import dataclass
from pathlib import Path

import stages
from stages import paths, profile, store
from stages.errors import UserError

_AHEAD = 2  # tasks in flight for every thread of a worker: one that it computes, one that it finds when that is done
_LARGE = 1 << 20  # bytes; larger arrays travel as files
_KEPT = 1 << 30  # bytes of such files that may wait for another task with the same array
_PATIENCE = 60.0  # s without any worker
_LOOK = 2.0  # s between looks at how many workers there are
_RETRIES = 2  # of a task that fails for another reason than the user's files: a hiccup of a file system or a GPU
_PACKAGES = ("dask", "distributed", "numpy", "scipy", "pandas", "h5py", "soundfile", "soxr", "pedalboard", "pyloudnorm",
             "scikit-learn", "numba", "torch")  # fmt: skip
_NOT_FOR_WORKERS = ("remote", "report")  # rooms whose code decides nothing that workers compute


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
    with _session(address) as session:
        pending = collections.deque()
        for task in tasks:
            pending.append(session.submit(function, task, together))
            while len(pending) > _AHEAD * session.threads():
                yield session.result(pending.popleft())
        while pending:
            yield session.result(pending.popleft())


def device(address, function, *arguments):
    """What ``function(*arguments)`` says of the device of a worker, which is the same for all.

    Raises
    ------
    UserError
        Where workers have different ones, naming a worker of each kind, or as :func:`ordered_map`.
    """
    with _session(address) as session:
        answers = session.answers(_opinion, session.call(function, arguments))
    said = {}
    for worker, (answer, problem) in sorted(answers.items()):
        if problem:
            raise UserError(f"worker {worker}: {problem}")
        said.setdefault(answer, worker)
    if len(said) > 1:
        opinions = ", ".join(f"{answer} on {worker}" for answer, worker in said.items())
        raise UserError(
            f"the workers of {address} compute on different devices, whose numbers differ ({opinions}); keep workers "
            "of one kind, or set compute.device: cpu"
        )
    return next(iter(said))


# ------------------------------------------------------------------------------------------------------- on the client


@contextlib.contextmanager
def _session(address):
    """A :class:`_Session` with workers that are fit for this repository."""
    with _client(address) as client, _terms() as terms, _Shelf() as shelf:
        session = _Session(client, address, terms, shelf)
        session.check_workers()
        yield session


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


@dataclass(frozen=True)
class _Terms:
    """What a worker must agree with before it works.

    root : str, the repository's folder
    tokens : tuple of str, files that were just written there
    environment : tuple of (name, version)
    """

    root: str
    tokens: tuple
    environment: tuple


@contextlib.contextmanager
def _terms():
    name = f".{uuid.uuid4().hex}.{os.getpid()}.tmp"
    audio = paths.corpus_audio("").parent  # may lie on another disk than the repository
    tokens = [folder / name for folder in (_folder(), audio) if folder.is_dir()]
    try:
        for token in tokens:
            with store.replacing(token) as temporary:
                temporary.touch()
        yield _Terms(os.getcwd(), tuple(map(str, tokens)), tuple(_environment().items()))
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


def _folder():
    """Where tokens and large arrays lie, for workers to see."""
    folder = paths.SCRATCH / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    store.remove_leftovers(folder, shared=True)
    return folder


class _Session:
    """A connection over which tasks are sent.

    terms : _Terms
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
                f"python -m stages.cluster dask worker {self._address} --nthreads 1"
            ) from error
        for worker, refusal in sorted(self.answers(_refusal, self.terms).items()):
            if refusal:
                raise UserError(f"compute.scheduler: worker {worker} {refusal}")

    def answers(self, function, *arguments):
        """What a function of this module gives on every worker, by the worker's address."""
        found = self._client.run(function, *arguments, on_error="return")
        answers = {}
        for worker, answer in found.items():
            if isinstance(answer, OSError):  # it left meanwhile
                continue
            if isinstance(answer, Exception):
                raise UserError(
                    f"compute.scheduler: worker {worker} cannot run this repository's code ({answer}); start it in "
                    f"{self.terms.root}: python -m stages.cluster dask worker {self._address} --nthreads 1"
                )
            answers[worker] = answer
        if not answers:
            raise UserError(f"compute.scheduler: all workers of {self._address} left; start some and run again")
        return answers

    def call(self, function, task):
        """A :class:`_Call`, its large arrays on the shelf."""
        return _Call(*_pickled((function, task), self._shelf.put))

    def submit(self, function, task, together):
        """A task on its way: (future, call, its name for the user)."""
        call = self.call(function, task)
        key = f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"  # before the dash: how Dask's pages group it
        future = self._client.submit(_outcome, self.terms, call, together, key=key, pure=False, retries=_RETRIES)
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


class _Shelf:
    """Large arrays as files that workers see, named by their content; unused ones go when they are too many."""

    def __init__(self):
        self._folder, self._users, self._unused = _folder(), collections.Counter(), collections.OrderedDict()

    def put(self, content):
        """Path of a file with this content, which stays until it is given back."""
        name = f".{hashlib.blake2b(content, digest_size=16).hexdigest()}.{os.getpid()}.tmp"
        path = self._folder / name
        if not self._users[name] and self._unused.pop(name, None) is None:
            with store.replacing(path) as temporary:
                temporary.write_bytes(content)
        self._users[name] += 1
        return str(path)

    def give_back(self, files):
        for path in map(Path, files):
            self._users[path.name] -= 1
            if not self._users[path.name]:
                self._unused[path.name] = path.stat().st_size
        while sum(self._unused.values()) > _KEPT:
            (self._folder / self._unused.popitem(last=False)[0]).unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for name in self._users:
            (self._folder / name).unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------- what is sent


@dataclass(frozen=True)
class _Call:
    """A function and its arguments.

    pickled : bytes
    files : tuple of str, with the large arrays
    """

    pickled: bytes
    files: tuple

    def read(self):
        """The function and its arguments."""
        return pickle.loads(self.pickled, buffers=map(_content, self.files))


def _content(path):
    content = bytearray(os.path.getsize(path))
    with open(path, "rb") as file:
        file.readinto(content)
    return content


def _pickled(thing, put):
    """A thing as bytes, and what ``put`` gave for its large arrays."""
    files, stream = [], io.BytesIO()

    def is_small(buffer):
        content = buffer.raw()
        if content.nbytes >= _LARGE:
            files.append(put(content))
        return content.nbytes < _LARGE

    _Pickler(stream, protocol=5, buffer_callback=is_small).dump(thing)
    return stream.getvalue(), tuple(files)


class _Pickler(pickle.Pickler):
    """Names functions and classes of the module that was started with ``python -m`` as that module imports."""

    def reducer_override(self, thing):
        if isinstance(thing, (type, types.FunctionType)) and thing.__module__ == "__main__":
            return _imported, (sys.modules["__main__"].__spec__.name, thing.__qualname__)
        return NotImplemented


def _imported(module, name):
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


# -------------------------------------------------------------------------------------------------------- on a worker


@functools.lru_cache(maxsize=16)
def _refusal(terms):
    """Why this process cannot work under these terms, "" where it can."""
    for token in terms.tokens:
        if not Path(terms.root, token).is_file():
            where = Path(terms.root, token).parent
            return f"does not see {where} as the machine that asks; both need it, on a shared file system, as that path"
    own, wanted = _environment(), dict(terms.environment)
    if own["code"] != wanted["code"]:
        return "runs other code than this repository's; start it again, in this folder, whenever the code has changed"
    differing = [name for name in wanted if own[name] != wanted[name]]
    if differing:
        there, here = (" and ".join(f"{n} {of[n]}" for n in differing) for of in (own, wanted))
        return f"has {there}, this machine {here}; give both what requirements.lock pins, on the same processors"
    if not stages.SETTINGS_HOLD:
        return (
            "was started without this repository's settings, and would compute other numbers; start it in "
            f"{terms.root}: python -m stages.cluster dask worker ... --nthreads 1"
        )
    return ""


@functools.cache
def _environment():
    """What decides numbers and must be equal on all machines, by name; the code as it was when this was first asked."""
    import platform
    from importlib import metadata

    found = {"Python": platform.python_version(), "processor": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    found["EARSHIFT_NATIVE"] = str(os.environ.get("EARSHIFT_NATIVE") == "1")
    found["code"] = _code_sha256(Path(stages.__file__).parent)
    return found


def _code_sha256(folder):
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        if name.parts[0] not in _NOT_FOR_WORKERS:
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _outcome(terms, call, together):
    """(result, "") of a call, or (None, what the user can mend)."""
    refusal = _refusal(terms)  # also of workers that came when work had begun
    if refusal:
        return None, f"compute.scheduler: worker {_address()} {refusal}"
    with _working_folder(terms.root), contextlib.nullcontext() if together else _alone:
        return _opinion(call)


def _opinion(call):
    """As :func:`_outcome`, of a call that needs no files of the repository."""
    try:
        function, task = call.read()
    except ImportError as error:
        return None, f"compute.scheduler: worker {_address()} cannot import what this machine can ({error})"
    try:
        return function(*task), ""
    except UserError as error:
        return None, str(error)


def _address():
    from distributed import get_worker

    return get_worker().address


class _WorkingFolder:
    """The folder that this process works in, for all its threads: those of other repositories wait."""

    def __init__(self):
        self._changed, self._root, self._inside = threading.Condition(), None, 0

    @contextlib.contextmanager
    def __call__(self, root):
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._root == root)
            os.chdir(root)
            self._root = root
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()


_working_folder = _WorkingFolder()
_alone = threading.Lock()


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit("earshift: name a command, as in: python -m stages.cluster dask worker tcp://host:8786 --nthreads 1")
    for name, first in (("PATH", str(Path(sys.executable).parent)), ("PYTHONPATH", os.getcwd())):
        os.environ[name] = os.pathsep.join(filter(None, [first, os.environ.get(name)]))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"earshift: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
