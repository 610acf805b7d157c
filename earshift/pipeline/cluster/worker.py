"""On a worker: whether it is fit for this repository, and the work itself."""

import contextlib
import functools
import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import stages
from earshift.errors import UserError

_PACKAGES = ("dask", "distributed", "numpy", "scipy", "pandas", "h5py", "soundfile", "soxr", "pedalboard", "pyloudnorm",
             "scikit-learn", "numba", "torch")  # fmt: skip
_NOT_FOR_WORKERS = ("remote", "report")  # rooms whose code decides nothing that workers compute


@dataclass(frozen=True)
class Terms:
    """What a worker must agree with before it works.

    root : str, the repository's folder
    tokens : tuple of str, files that were just written there
    environment : tuple of (name, version)
    """

    root: str
    tokens: tuple
    environment: tuple


@functools.lru_cache(maxsize=16)
def refusal(terms):
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
    if not stages.SETTINGS_HOLD:
        return (
            "was started without this repository's settings, and would compute other numbers; start it in "
            f"{terms.root}: python -m earshift.pipeline.cluster dask worker ... --nthreads 1"
        )
    return ""


@functools.cache
def environment():
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


def outcome(terms, call, together):
    """(result, "") of a call, or (None, what the user can mend)."""
    problem = refusal(terms)  # also of workers that came when work had begun
    if problem:
        return None, f"compute.scheduler: worker {_address()} {problem}"
    with _working_folder(terms.root), contextlib.nullcontext() if together else _alone:
        return opinion(call)


def opinion(call):
    """As :func:`outcome`, of a call that needs no files of the repository."""
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


class WorkingFolder:
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


_working_folder = WorkingFolder()
_alone = threading.Lock()
