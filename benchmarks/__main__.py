"""Run all benchmarks, or the named ones: ``python -m benchmarks [NAME ...]``; writes benchmarks/results.md.

Each benchmark runs in its own process, one after another, and writes benchmarks/results/NAME.json. results.md is made
from all these files, so benchmarks that do not run now keep their sections. Close other programs first, because the
benchmarks measure time.
"""

import argparse
import datetime
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import benchmarks
from benchmarks import _one, _results


def names():
    """Every benchmark's name, sorted."""
    found = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(info.name for info in found if not info.name.startswith("_") and not info.ispkg)


def main(arguments=None, known=None, folder=_results.FOLDER, page=_results.PAGE):
    """Run benchmarks and write their results; 1 if one failed, else 0."""
    known = names() if known is None else known
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when none")
    wanted = parser.parse_args(arguments).names or known
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"unknown benchmark {unknown[0]}; known: {', '.join(known)}")
    before = {name: _results.kept(name, folder).get("seconds") for name in wanted}
    print(f"benchmarks: {', '.join(wanted)}; last time {_minutes(sum(filter(None, before.values())))} together")
    failed = []
    try:
        for number, name in enumerate(wanted, start=1):
            took = f", {_minutes(before[name])} last time" if before[name] else ""
            print(f"\nbenchmarks: {number}/{len(wanted)} {name}{took}", flush=True)
            start = time.monotonic()
            if not run(name, folder):
                failed.append(name)
            end = "FAILED" if name in failed else "done"
            print(f"benchmarks: {name} {end} after {_minutes(time.monotonic() - start)}", flush=True)
    finally:
        _results.write_page(known, folder, page)
    print(f"\nresults: {page}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return bool(failed)


def run(name, folder):
    """Run one benchmark in a process; whether it succeeded. If the process was killed, the results state this."""
    start = time.monotonic()
    code = subprocess.run([sys.executable, "-m", "benchmarks._one", name, str(Path(folder).resolve())]).returncode
    if code not in (0, _one.FAILED):
        found = {"failed": f"its process ended with {code}", "date": datetime.date.today().isoformat(),
                 "seconds": time.monotonic() - start}  # fmt: skip
        _results.keep(name, found, folder)
    return code == 0


def _minutes(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    sys.exit(main())
