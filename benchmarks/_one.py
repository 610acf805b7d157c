"""One benchmark in its own process, started by ``python -m benchmarks``.

Threads, settings and memory of one benchmark therefore do not affect the next, and a failure ends only its own process.
"""

import datetime
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

import stages  # noqa: F401
from benchmarks import _results

FAILED = 3  # the exit status of a failure that the results name


def main(name, folder):
    """Run a benchmark and keep its results in a folder; 0, or FAILED."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = {"date": datetime.date.today().isoformat(), "load": load}
    start = time.monotonic()
    try:
        module = importlib.import_module(f"benchmarks.{name}")
        found["tables"] = module.main(())
        found["about"] = module.__doc__.partition("\n")[0].partition(": ``")[0].replace("``", "`") + "."
        found |= {"machine": _results.machine(), "packages": _results.packages()}
    except Exception as error:  # of any kind: the results name it, and the other benchmarks run
        traceback.print_exc()
        found["failed"] = " ".join(f"{type(error).__name__}: {error}".split())
    found["seconds"] = time.monotonic() - start
    _results.keep(name, found, folder)
    return FAILED if "failed" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
