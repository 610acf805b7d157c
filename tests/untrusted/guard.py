"""One input, watched: what a target must not do while it reads.

Conventions
-----------
Limits are on processor time and on memory above what the process holds after the kept inputs, so that neither a busy
machine nor heavy libraries matter. What a target starts, connects to or writes is seen by an audit hook, which cannot
be taken out again: :func:`arm` is for processes that do nothing else.
"""

import contextlib
import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from earshift.errors import UserError

SECONDS = 5  # of processor time, per input
MEMORY = 1 << 30  # bytes, per input
LONGEST = 2500  # characters of a message
_REPOSITORY = Path(__file__).parents[2]
_FORBIDDEN = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen",
              "socket.connect", "socket.bind", "socket.getaddrinfo", "pickle.find_class", "os.kill",
              "shutil.unpack_archive", "urllib.Request"}  # fmt: skip
_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
            "os.truncate", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Forbidden(BaseException):
    """Something was started, connected to or written elsewhere."""


class TooSlow(BaseException):
    """An input took too long."""


@dataclass(frozen=True)
class Finding:
    """What went wrong.

    key : str, the kind of error and the function of this repository that it came from: equal ones count as one
    text : str, the traceback, or what is known
    """

    key: str
    text: str


_watched = []  # the folder that may be written to, while an input runs
_seen = []  # what was forbidden, also where somebody caught it


def arm(memory):
    """Watch this process from now on, and bound what it may allocate above what it has."""
    sys.addaudithook(_audit)
    signal.signal(signal.SIGPROF, _too_slow)
    limit_memory(memory)


def limit_memory(memory=MEMORY):
    """Bound the address space to what is there and `memory` bytes more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def finding(target, data):
    """Run one input.

    Parameters
    ----------
    target : callable
    data : bytes

    Returns
    -------
    Finding, or None where all is as it should be
    """
    _seen.clear()
    _watched[:] = [os.getcwd()]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target(data)
    except UserError as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return _forbidden() or _unreadable(str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return _forbidden() or Finding(_key(error), "".join(traceback.format_exception(error, limit=-12)))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _watched.clear()
    return _forbidden()


def _forbidden():
    return Finding(f"Forbidden-{_seen[0].split()[0].replace('.', '_')}", "\n".join(_seen)) if _seen else None


def _unreadable(message):
    """A finding where a message is no plain text of a bearable length."""
    if len(message) > LONGEST:
        return Finding("Message-long", message[:LONGEST])
    if not all(character.isprintable() or character == "\n" for character in message):
        return Finding("Message-unprintable", repr(message))
    return None


def _key(error):
    """The kind of an error and the innermost function of the project that it passed through."""
    where = "elsewhere"
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        with contextlib.suppress(ValueError):
            inside = path.relative_to(_REPOSITORY)
            if inside.parts[0] in ("earshift", "stages", "tests") and inside.name != "guard.py":
                where = f"{inside.with_suffix('').as_posix().replace('/', '.')}.{frame.name}"
    return f"{type(error).__name__}-{where.replace('<', '').replace('>', '')}"


def _too_slow(*_):
    raise TooSlow(f"more than {SECONDS} s of processor time")


def _audit(event, arguments):
    if not _watched:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & _WRITING
        wrong = writes and not _inside(path)
    elif event in _CHANGES:
        wrong = not all(_inside(path) for path in arguments if isinstance(path, (str, bytes, os.PathLike)))
    else:
        wrong = event in _FORBIDDEN and "uname" not in arguments  # which the standard library asks about the processor
    if wrong:
        _seen.append(f"{event} {arguments!r}"[:500])
        raise Forbidden(event)


def _inside(path):
    """Whether a path lies in the watched folder; numbers of open files do, and so does what nothing comes of."""
    if isinstance(path, int):
        return True
    path = os.path.abspath(os.fsdecode(path))
    return path == os.devnull or os.path.commonpath([path, _watched[0]]) == _watched[0]
