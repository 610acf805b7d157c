"""On a worker: whether it is fit for this repository, and the work itself."""

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import earshift
from earshift.errors import UserError
from earshift.pipeline import paths, pinning
from earshift.pipeline.cluster.transfer import Call

START = "earshift worker dask worker"  # how workers are started, in messages

_PACKAGES = ("dask", "distributed", "numpy", "scipy", "pandas", "h5py", "soundfile", "soxr", "pedalboard", "pyloudnorm",
             "scikit-learn", "numba", "torch")  # fmt: skip
_NOT_FOR_WORKERS = ("report/", "pipeline/sharing/", "pipeline/tracking/")  # their code changes nothing of a task


@dataclass(frozen=True)
class Terms:
    """What a worker must agree with before it works.

    root : str, the repository's folder
    tokens : tuple of str, files that were just written there
    environment : tuple of (name, version)
    """

    root: str
    tokens: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


@functools.lru_cache(maxsize=16)
def refusal(terms: Terms) -> str:
    """Why this process cannot work under these terms, "" where it can."""
    for token in terms.tokens:
        if not Path(terms.root, token).is_file():
            where = Path(terms.root, token).parent
            return f"does not see {where} as the machine that asks; both need it, on a shared file system, as that path"
    own, wanted = environment(), dict(terms.environment)
    if own["code"] != wanted["code"]:
        return "runs other code than this repository's; start it again, in this folder, whenever the code has changed"
    differing = [name for name in wanted if own[name] != wanted[name]]
    if differing:
        there, here = (" and ".join(f"{n} {of[n]}" for n in differing) for of in (own, wanted))
        return f"has {there}, this machine {here}; give both what requirements.lock pins, on the same processors"
    if not pinning.SETTINGS_HOLD:
        return (
            "was started without this repository's settings, and would compute other numbers; start it in "
            f"{terms.root}: {START} ... --nthreads 1"
        )
    return ""


@functools.cache
def environment() -> dict[str, str]:
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
    found["code"] = _code_sha256(Path(earshift.__file__).parent)
    return found


def _code_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(_NOT_FOR_WORKERS):
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run(terms: Terms, call: Call, together: bool) -> tuple[Any, str]:
    """(result, "") of a call, or (None, what the user can fix).

    together : bool, whether other threads of this worker may run a call at the same time
    """
    problem = refusal(terms)  # also of workers that came when work had begun
    if problem:
        return None, f"compute.scheduler: worker {_address()} {problem}"
    paths.hand_over()
    with _working_folder(terms.root), contextlib.nullcontext() if together else _alone:
        return call_plainly(call)


def call_plainly(call: Call) -> tuple[Any, str]:
    """As :func:`run`, for a call that needs no files of the repository."""
    try:
        function, task = call.read()
    except ImportError as error:
        return None, f"compute.scheduler: worker {_address()} cannot import what this machine can ({error})"
    try:
        return function(*task), ""
    except UserError as error:
        return None, str(error)


def _address() -> Any:
    from distributed import get_worker

    return get_worker().address


class WorkingFolder:
    """The folder that this process works in, for all its threads; those of other repositories wait."""

    def __init__(self) -> None:
        self._changed, self._inside = threading.Condition(), 0
        self._root: str | None = None

    @contextlib.contextmanager
    def __call__(self, root: str) -> Iterator[None]:
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


_working_folder = WorkingFolder()
_alone = threading.Lock()
