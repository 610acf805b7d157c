"""What a stage took: data/profiles/STAGE.json, and its progress line by line in data/profiles/STAGE.log.

Conventions
-----------
Only what DVC runs as a stage leaves a profile (DVC sets DVC_STAGE): tools, tests and stages run by hand do not. The
file exists from the beginning with the exit ``unfinished``, and is written again when the stage ends, in whatever way
except by a kill. Of a stage with several commands it is that of the last one.

seconds        wall clock, the start of Python and its imports included
cpu_seconds    of all its processes, those included that have ended
counted        by unit (clips, pairs, classifiers, ...): computed, reused, seconds under way, per_second
peak_mib       largest memory of the stage's own process
worker_peak_mib  largest memory of one process that it started, absent where it started none; on Linux at least what the
               stage itself had at that moment
gpu_peak_mib   largest GPU memory of PyTorch in the stage's own process, absent where that used no GPU
device, workers  where the work was done, and by how many processes or threads
exit           ok, failed, interrupted, unfinished (killed, or still running as ``process``)
params         SHA-256 of params.yaml as it was then: a profile says nothing about results of other parameters

Profiles are no results: DVC does not know them, and two runs never have the same.
"""

import contextlib
import hashlib
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.files import read_json, write_json

UNFINISHED, OK, FAILED, INTERRUPTED = "unfinished", "ok", "failed", "interrupted"
_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of ru_maxrss
_current: "Profile | None" = None


class Profile:
    """What the stage that this process runs has taken so far."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._age = _process_age()
        self._start = time.monotonic()
        self._children = _children_peak()
        self._counted: dict[str, dict[str, float]] = {}
        self._noted: dict[str, Any] = {}
        self._params = params_sha256()
        self._log = paths.stage_log(_file_name(stage))

    def note(self, **facts: Any) -> None:
        """Keep facts, such as ``device`` and ``workers``; a later value replaces an earlier one."""
        self._noted |= facts

    def count(self, unit: str, computed: int, reused: int, seconds: float) -> None:
        """Add up what was done, in `seconds`, and what needed no work."""
        total = self._counted.setdefault(unit, {"computed": 0, "reused": 0, "seconds": 0.0})
        for name, number in (("computed", computed), ("reused", reused), ("seconds", seconds)):
            total[name] += number

    def line(self, text: str) -> None:
        """Append a line to the log; one that cannot be written is no reason to stop."""
        with contextlib.suppress(OSError), open(self._log, "a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def begin(self) -> None:
        """Replace the profile and the log of the run before."""
        self.write(UNFINISHED)
        with contextlib.suppress(OSError):
            self._log.write_text("", encoding="utf-8")

    def write(self, outcome: str) -> None:
        """Write the profile; a disk that is full or read-only costs the profile and not the results."""
        try:
            write_json(paths.profile(_file_name(self.stage)), self._content(outcome))
        except (OSError, UserError) as error:
            print(f"{self.stage}: no profile: {error}", file=sys.stderr)

    def _content(self, outcome: str) -> dict[str, Any]:
        own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        workers = _children_peak()
        content = {
            "stage": self.stage,
            "exit": outcome,
            "process": os.getpid(),
            "seconds": self._age + time.monotonic() - self._start,
            "cpu_seconds": own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime,
            "counted": {unit: _with_rate(numbers) for unit, numbers in self._counted.items()},
            "peak_mib": _own_peak() / 2**20,
            "worker_peak_mib": workers / 2**20 if workers > self._children else None,
            "gpu_peak_mib": None,
            "device": "cpu",
            "workers": 1,
            **_gpu(),
            **self._noted,
            "params": self._params,
        }
        return {name: value for name, value in content.items() if value is not None}


@contextlib.contextmanager
def record() -> Iterator[Profile | None]:
    """Keep the profile of the stage that DVC runs, for the time of the block; without DVC, or within another, nothing.

    Yields
    ------
    Profile or None
    """
    global _current
    stage = os.environ.get("DVC_STAGE")
    if not stage or _current is not None:
        yield None
        return
    _current = Profile(stage)
    _current.begin()
    outcome = FAILED
    try:
        yield _current
        outcome = OK
    except KeyboardInterrupt:
        outcome = INTERRUPTED
        raise
    except SystemExit as end:
        outcome = FAILED if end.code else OK
        raise
    finally:
        _current.write(outcome)
        _current = None


def current() -> Profile | None:
    """The :class:`Profile` that is being kept, or None."""
    return _current


def note(**facts: Any) -> None:
    """:meth:`Profile.note` where a profile is being kept."""
    if _current is not None:
        _current.note(**facts)


def params_sha256() -> str | None:
    """SHA-256 of params.yaml, or None where there is none."""
    try:
        return hashlib.sha256(paths.PARAMS.read_bytes()).hexdigest()
    except OSError:
        return None


def read_profiles() -> dict[str, dict[str, Any]]:
    """All profiles in this folder, {stage: content of its file}, by name; damaged ones are left out."""
    found = {}
    for path in sorted(paths.PROFILES.glob("*.json")):
        with contextlib.suppress(OSError, TypeError, KeyError):
            content = read_json(path)
            found[content["stage"]] = content
    return found


def last_line(stage: str) -> str:
    """The last line of a stage's log, "" where there is none."""
    try:
        lines = paths.stage_log(_file_name(stage)).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def runs(content: Mapping[str, Any]) -> bool:
    """Whether the stage of a profile is running, on this machine."""
    import psutil

    return content.get("exit") == UNFINISHED and psutil.pid_exists(content["process"])


def _file_name(stage: str) -> str:
    """A stage's name as a file's: in another folder's dvc.yaml it holds a slash and a colon."""
    return re.sub(r"[^\w@.-]", "_", stage)


def _with_rate(numbers: dict[str, float]) -> dict[str, float | None]:
    return {**numbers, "per_second": numbers["computed"] / numbers["seconds"] if numbers["seconds"] else None}


def _process_age() -> float:
    """Seconds since this process began, 0 where the system does not tell; psutil knows it to a second only."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError):
        return 0.0


def _own_peak() -> int:
    """Largest memory of this process in bytes; getrusage would count that of the process that started it."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS


def _children_peak() -> int:
    """Largest memory of one process that ended under this one, in bytes; a shell before this one leaves its own."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MAXRSS


def _gpu() -> dict[str, Any]:
    """What PyTorch used of a GPU in this process, if it did."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {"device": "cuda", "gpu_peak_mib": torch.cuda.max_memory_allocated() / 2**20}
