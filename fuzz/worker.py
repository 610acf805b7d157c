"""A process that goes through inputs of one target until its time is over: started by :mod:`fuzz.campaign`.

Conventions
-----------
The input that is about to run lies in the file ``current``, for the parent to find where this process dies. What is new
is measured in lines of stages/: an input that reaches one which none before it reached is told to the parent. Where
atheris is installed it drives targets without a mutation of their own (libFuzzer's mutations, coverage of branches).
"""

import contextlib
import importlib
import importlib.util
import os
import random
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from fuzz import guard, mutation

BETWEEN = b"\xff" * 8  # in place of the length of an input
_TELL = 0.5  # s between two reports
_FIRST_MEMORY = 8 << 30  # bytes, while the first input brings what is imported late


def work(name, inputs, seconds, seed, folder, pipe, targets="fuzz.targets", guided=True):
    """Run kept inputs, then new ones.

    Parameters
    ----------
    name : str, of the target
    inputs : list of bytes, kept ones
    seconds : float, for new ones; 0: only the kept ones run
    seed : int
    folder : path-like, where this process works and may write
    pipe : multiprocessing connection; what goes through it are tuples: ("done", executions), ("new", bytes),
        ("finding", guard.Finding, bytes), at the end ("end",), or ("failed", traceback) where the worker itself does
    targets : str, package of the targets
    guided : bool, whether atheris drives where it is installed
    """
    try:
        _work(name, inputs, seconds, seed, folder, pipe, targets, guided)
    except Exception:
        pipe.send(("failed", traceback.format_exc()))


def _work(name, inputs, seconds, seed, folder, pipe, targets, guided):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries in C note every oddity
        os.dup2(nowhere, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    guided = guided and seconds > 0 and importlib.util.find_spec("atheris") is not None
    with _instrumented() if guided else contextlib.nullcontext():
        module = importlib.import_module(f"{targets}.{name}")
    work_folder = Path(folder, "work")
    work_folder.mkdir(exist_ok=True)
    os.chdir(work_folder)
    os.environ |= {"HOME": os.getcwd(), "TMPDIR": os.getcwd()}
    run = _Run(module, Path(folder, "current"), pipe)
    getattr(module, "prepared", lambda: None)()
    guard.arm(_FIRST_MEMORY)
    for number, kept in enumerate(inputs):
        run.once(kept, told=False)
        if number == 0:
            guard.limit_memory()
    pipe.send(("done", run.taken()))
    if seconds > 0:
        drive = _with_atheris if guided and not hasattr(module, "mutated") else _without
        drive(run, module, inputs or [b""], seconds, random.Random(seed))
    pipe.send(("done", run.taken()))
    pipe.send(("end",))


class _Run:
    """Runs inputs and tells the parent what came of them."""

    def __init__(self, module, current, pipe):
        self._target, self._pipe = module.target, pipe
        self._current = open(current, "w+b", buffering=0)  # noqa: SIM115
        self._lines, self._codes, self._executions, self._told = set(), {}, 0, time.monotonic()
        self._keys, self._new = set(), False
        self._root = str(Path(__file__).parents[1] / "earshift")

    def once(self, data, *, told=True):
        """Run one input; whether it reached a line that none before it reached."""
        self._current.seek(0)
        self._current.write(len(data).to_bytes(8, "little") + data)
        self._new = False
        sys.settrace(self._entered)
        try:
            found = guard.finding(self._target, data)
        finally:
            sys.settrace(None)
        self._executions += 1
        if found is not None and found.key not in self._keys:
            self._keys.add(found.key)
            self._pipe.send(("finding", found, data))
        elif found is None and self._new and told:
            self._pipe.send(("new", data))
        if time.monotonic() - self._told > _TELL:
            self._pipe.send(("done", self.taken()))
        return self._new and found is None

    def between(self):
        """Say that no input runs: a process that dies now dies of a mutation, as HDF5 may."""
        self._current.seek(0)
        self._current.write(BETWEEN)

    def taken(self):
        """How many inputs ran since this was asked last."""
        self._told = time.monotonic()
        count, self._executions = self._executions, 0
        return count

    def _entered(self, frame, event, argument):
        code = frame.f_code
        wanted = self._codes.get(code)
        if wanted is None:
            wanted = self._codes[code] = code.co_filename.startswith(self._root)
        return self._line if wanted else None

    def _line(self, frame, event, argument):
        place = frame.f_code, frame.f_lineno
        if place not in self._lines:
            self._lines.add(place)
            self._new = True
        return self._line


def _without(run, module, inputs, seconds, rng):
    pool, words, end = list(inputs), getattr(module, "WORDS", ()), time.monotonic() + seconds
    own = getattr(module, "mutated", None)
    while time.monotonic() < end:
        # What came last is tried more often
        data = pool[max(rng.randrange(len(pool)), rng.randrange(len(pool)))] if pool else b""
        run.between()
        data = own(data, rng) if own and rng.random() < 0.7 else mutation.mutated(data, rng, pool, words)
        if run.once(data):
            pool.append(data)


def _instrumented():
    import atheris

    return atheris.instrument_imports(include=["stages"])


def _with_atheris(run, module, inputs, seconds, rng):
    import atheris

    folder = Path("corpus")
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(inputs):
        (folder / str(number)).write_bytes(data)

    end = time.monotonic() + seconds

    def one(data):
        run.once(data)
        if time.monotonic() > end:
            run._pipe.send(("done", run.taken()))
            run._pipe.send(("end",))
            os._exit(0)  # libFuzzer's loop has no other way out

    options = (f"-seed={rng.randrange(1 << 31)}", "-rss_limit_mb=0", f"-max_len={mutation.LARGEST}", "-verbosity=0")
    atheris.Setup([sys.argv[0], *options, "corpus"], one)
    atheris.Fuzz()
