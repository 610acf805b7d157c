"""Goes through targets, a worker process for each, and keeps what they find: the kept files are what is learned.

Conventions
-----------
Names of kept files follow from their content, those of crashes from what went wrong, so that the same finding is kept
once, its shortest input. An input joins the corpus where it reaches a line of stages/ that nothing in it reaches.
"""

import hashlib
import multiprocessing
import pkgutil
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import guard, worker

HOME = Path(__file__).parent
_PATIENCE = 60  # s without a word from a worker before it is stopped; an input has guard.SECONDS
_LARGEST_KEPT = 1 << 16  # bytes of a file in the corpus
_REPORT = 10  # s between two lines


@dataclass
class Result:
    """What came of one target.

    executions : int, inputs that ran
    findings : dict of str to (guard.Finding, bytes), the shortest input of each
    new : list of bytes, inputs that reached new lines
    """

    executions: int = 0
    findings: dict = field(default_factory=dict)
    new: list = field(default_factory=list)


def names(targets="fuzz.targets"):
    """Names of all targets, sorted."""
    package = __import__(targets, fromlist=["__path__"])
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__))


def kept(name, home=HOME):
    """The inputs kept for a target: its corpus, then what once went wrong; short ones first."""
    found = []
    for kind in ("corpus", "crashes"):
        found += sorted(
            (path.read_bytes() for path in (home / kind / name).glob("*")), key=lambda data: (len(data), data)
        )
    return found


def run(wanted, seconds, *, seed, jobs, home=HOME, targets="fuzz.targets", guided=True, say=print):
    """Go through targets.

    Parameters
    ----------
    wanted : list of str
    seconds : float, for all together; 0: only what is kept runs
    seed : int
    jobs : int, workers at a time
    home : pathlib.Path, holds corpus/ and crashes/
    targets : str, package of the targets
    guided : bool, whether atheris drives where it is installed
    say : callable, takes lines about how far it is

    Returns
    -------
    dict of str to Result
    """
    each = seconds * min(jobs, len(wanted)) / len(wanted)
    results = {name: Result() for name in wanted}
    running, lock, start = set(), threading.Lock(), time.monotonic()
    longest = -(-len(wanted) // jobs) * each

    def one(name):
        with lock:
            running.add(name)
        _supervised(name, results[name], kept(name, home), each, seed, targets, guided)
        with lock:
            running.remove(name)
        result = results[name]
        if seconds > 0:  # at once: what is found must outlive a run that is stopped
            _keep(name, result, home)
        say(f"fuzz: {name}: {result.executions} inputs, {len(result.new)} reached something new, "
            f"{len(result.findings)} findings")  # fmt: skip

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(one, name) for name in wanted]
        told = time.monotonic()
        while not all(future.done() for future in waiting):
            time.sleep(0.05)
            if time.monotonic() - told >= _REPORT:
                told = time.monotonic()
                say(_line(results, running, waiting, told - start, longest))
        for future in waiting:
            future.result()
    return results


def _line(results, running, waiting, elapsed, longest):
    """How far it is, in one line."""
    executions = sum(result.executions for result in results.values())
    findings = sum(len(result.findings) for result in results.values())
    done = sum(future.done() for future in waiting)
    return (
        f"fuzz: {done}/{len(waiting)} targets, now {', '.join(sorted(running))}: {executions} inputs, "
        f"{executions / elapsed:.0f} inputs/s, {findings} findings, {max(longest - elapsed, 0):.0f} s left"
    )


def _supervised(name, result, inputs, seconds, seed, targets, guided):
    """Workers for one target, one after another where inputs kill them, until its time is over."""
    end, left = time.monotonic() + seconds, list(inputs)
    context = multiprocessing.get_context("spawn")
    while True:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            ours, theirs = context.Pipe(duplex=False)
            arguments = (
                name,
                left,
                max(end - time.monotonic(), 0) if seconds else 0,
                seed,
                folder,
                theirs,
                targets,
                guided,
            )
            process = context.Process(target=worker.work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            whole, hung = _listened(ours, process, result)
            process.join()
            if whole:
                return
            data, how = _current(folder), "hang" if hung else _died(process.exitcode)
            if data is None:
                raise RuntimeError(f"the worker of {name} does not start")
            if data != worker.BETWEEN:
                _note(result, guard.Finding(f"Process-{how}", f"the process: {how}"), data)
        if data in left:
            left.remove(data)
        elif time.monotonic() >= end:
            return
        seed += 1_000_003


def _listened(pipe, process, result):
    """(whether a worker came to its end, whether it had to be stopped), its reports taken into `result`."""
    heard = time.monotonic()
    while True:
        if pipe.poll(0.2):
            try:
                kind, *content = pipe.recv()
            except (EOFError, OSError):
                return False, False
            heard = time.monotonic()
            if kind == "done":
                result.executions += content[0]
            elif kind == "new":
                result.new.append(content[0])
            elif kind == "finding":
                _note(result, *content)
            elif kind == "failed":
                raise RuntimeError(f"a worker failed:\n{content[0]}")
            else:
                return True, False
        elif not process.is_alive():
            return False, False
        elif time.monotonic() - heard > _PATIENCE:
            process.kill()
            return False, True


def _note(result, found, data):
    known = result.findings.get(found.key)
    if known is None or len(data) < len(known[1]):
        result.findings[found.key] = found, data


def _current(folder):
    """The input that a worker ran, worker.BETWEEN where it made one, None where it never came so far."""
    path = Path(folder, "current")
    content = path.read_bytes() if path.exists() else b""
    if content[:8] == worker.BETWEEN:
        return worker.BETWEEN
    return content[8 : 8 + int.from_bytes(content[:8], "little")] if content else None


def _died(code):
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit-{code}"


def _keep(name, result, home):
    """Write what a target found beside what was kept."""
    folder = home / "crashes" / name
    for key, (_, data) in sorted(result.findings.items()):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{key}-{_digest(data)}"
        if not list(folder.glob(f"{key}-*")):
            path.write_bytes(data)
    folder = home / "corpus" / name
    for data in result.new:
        if len(data) <= _LARGEST_KEPT:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _digest(data)).write_bytes(data)


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:12]
