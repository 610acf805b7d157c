"""Time of ``dvc repro``, by stages, start-up and DVC: ``python -m benchmarks.pipeline [FOLDER]``.

The default configuration runs in a copy of this repository, and then 10 and 20 encoders under all nine perturbations
on toy clips; or FOLDER is a repository in which a whole ``dvc repro`` has just ended. Profiles (data/profiles) hold the
lifetime of every stage's process. Start-up is the time to start Python and to read params.yaml, which every stage does;
it is measured separately and multiplied by the number of stages. The time between processes is DVC's: it hashes,
caches, and writes dvc.lock.

DVC writes dvc.lock as a whole after every stage, through a YAML library in Python that keeps comments (dvcfile.py,
``Lockfile.dump_stages``). The runs here time these calls. The call alone is also timed on locks of growing numbers of
stages, because a run of n stages makes n calls, each over n stages.
"""

import argparse
import contextlib
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stages  # noqa: F401
from benchmarks import _workspace
from benchmarks._growth import Growth
from benchmarks._results import Table
from earshift.pipeline import paths

ENCODERS = (10, 20)  # copies of mfcc, which all cost the same
LOCKS = (40, 80, 160, 320)  # stages
GRIDS = {
    "gain": [-20, -10], "lowpass": [1600, 4000], "reverb": [0.2, 0.8], "bitcrush": [4, 8], "pitch": [-1, 1],
    "tempo": [0.9, 1.1], "pink_noise": [0, 20], "ambient_noise": [0, 20], "mp3": [32, 320],
}  # fmt: skip
TOY = {
    "corpus.general_midi.pieces": 4, "corpus.general_midi.excerpts": 1, "corpus.general_midi.clip_seconds": 0.5,
    "run.perturbations": list(GRIDS), **{f"perturbations.{name}.grid": grid for name, grid in GRIDS.items()},
    "perturb.severity_clips": 2, "distances.measures": ["simple"], "distances.subsequence": 10,
    "cca.permutations": 2, "cca.bootstrap": 10, "svd.permutations": 2, "trajectories.clips": 1,
    "trajectories.bootstrap": 10, "robustness.methods": ["none"], "robustness.bootstrap": 10,
    "consistency.bootstrap": 10,
}  # fmt: skip
COLUMNS = ("run", "stages", "wall, s", "stages, s", "of which start-up, s", "DVC, s", "of which dvc.lock, s",
           "share of start-up", "share of DVC", "share of dvc.lock")  # fmt: skip

_REPRO = """
import json, sys, time
import dvc.dvcfile
took, plain = [], dvc.dvcfile.Lockfile.dump_stages
def timed(self, stages, **options):
    start = time.perf_counter()
    try:
        return plain(self, stages, **options)
    finally:
        took.append(time.perf_counter() - start)
dvc.dvcfile.Lockfile.dump_stages = timed
from dvc.cli import main
code = main(["repro", "--quiet"])
json.dump(took, open(sys.argv[1], "w"))
sys.exit(code)
"""


def main(arguments=()):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="a repository in which dvc repro ended")
    folder = parser.parse_args(arguments).folder
    if folder:
        profiles = _profiles(Path(folder))
        found = [(_split(str(folder), profiles, _span(profiles), _start_up(folder), None), profiles)]
    else:
        found = [_run("default", {}), *map(_toy, ENCODERS)]
    rows = [row for row, _ in found]
    for row in rows:
        lock = f", of which dvc.lock {row[6]:.0f} s" if row[6] is not None else ""
        print(f"pipeline: {row[0]}: {row[1]} stages, {row[2]:.0f} s: {row[3]:.0f} s in them, of which start-up "
              f"{row[4]:.0f} s; {row[5]:.0f} s DVC{lock}", flush=True)  # fmt: skip
    locks = _locks()
    return [
        Table(COLUMNS, rows, "Seconds of a whole run"),
        *(Table(("stage", "runs", "seconds"), _by_kind(profiles), f"Stages of: {row[0]}") for row, profiles in found),
        locks,
    ]


def _toy(count):
    """The row of a run of `count` encoders on toy clips, and its profiles."""
    copies = [f"copy{n}" for n in range(count)]
    options = {"class": "earshift.encoders.mfcc:Mfcc", "heads": _workspace.NO_HEADS}
    changes = {**TOY, "run.encoders": copies, **{f"encoders.{name}": options for name in copies}}
    return _run(f"toy clips, {count} encoders x {len(GRIDS)} perturbations", changes)


def _run(label, changes):
    """The row of a run with these changes of params.yaml, and its profiles."""
    with _copy() as root, contextlib.chdir(root):
        if changes:
            _workspace.configure(changes)
        environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
        command = [sys.executable, "-c", _REPRO, "took.json"]
        start = time.perf_counter()
        ended = subprocess.run(command, capture_output=True, text=True, env=environment)
        wall = time.perf_counter() - start
        if ended.returncode:
            raise RuntimeError(f"dvc repro failed: {(ended.stdout + ended.stderr).strip()[-3000:]}")
        lock = sum(json.loads(Path("took.json").read_text(encoding="utf-8")))
        profiles, start_up = _profiles(root), _start_up(root)
    return _split(label, profiles, wall, start_up, lock), profiles


@contextlib.contextmanager
def _copy():
    """A repository with the files of this one, including the code that Python and Numba compiled, and no results."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=_workspace.REPOSITORY, capture_output=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (_workspace.REPOSITORY / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(_workspace.REPOSITORY / name, root / name)
        for room in ("stages", "earshift"):
            for compiled in _workspace.REPOSITORY.glob(f"{room}/**/__pycache__"):
                shutil.copytree(compiled, root / compiled.relative_to(_workspace.REPOSITORY))
        shutil.rmtree(root / paths.METRICS, ignore_errors=True)
        (root / paths.LOCK).unlink(missing_ok=True)
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        yield root


def _profiles(root):
    """Every profile of a repository, with the time at which it was written."""
    found = []
    for path in sorted((root / paths.PROFILES).glob("*.json")):
        found.append({**json.loads(path.read_text(encoding="utf-8")), "ended": path.stat().st_mtime})
    if not found:
        raise FileNotFoundError(f"{root / paths.PROFILES} holds no profiles; `dvc repro` leaves them")
    return found


def _span(profiles):
    """Seconds from the start of the first stage to the end of the last."""
    return max(p["ended"] for p in profiles) - min(p["ended"] - p["seconds"] for p in profiles)


def _start_up(folder):
    """Seconds until a stage has read its parameters, the shortest of three."""
    seconds = []
    environment = {**os.environ, "PYTHONPATH": str(_workspace.REPOSITORY)}
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from earshift.pipeline.config import load; load()"],
            cwd=folder,
            env=environment,
            check=True,
        )
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _split(label, profiles, wall, start_up, lock):
    """A row of the table of runs, `start_up` being that of one stage."""
    lived, starting = sum(p["seconds"] for p in profiles), start_up * len(profiles)
    shares = (None if part is None else part / wall for part in (starting, wall - lived, lock))
    return label, len(profiles), wall, lived, starting, wall - lived, lock, *shares


def _by_kind(profiles):
    """Rows of kinds of stages: number of runs and their seconds, the longest first."""
    kinds = {}
    for profile in profiles:
        kinds.setdefault(profile["stage"].partition("@")[0], []).append(profile)
    rows = [(kind, len(each), sum(p["seconds"] for p in each)) for kind, each in kinds.items()]
    return sorted(rows, key=lambda row: -row[2])


def _locks():
    """Time in which DVC rewrites a lock, by its number of stages; entries of this repository's lock, repeated."""
    import yaml
    from dvc.utils.serialize import modify_yaml

    with open(_workspace.REPOSITORY / paths.LOCK, encoding="utf-8") as file:
        entries = list(yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"].items())
    rows, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in LOCKS:
            path = os.path.join(folder, f"{count}.lock")
            parts = (entries[n % len(entries)] for n in range(count))
            chosen = {f"{name}-{n}": copy.deepcopy(entry) for n, (name, entry) in enumerate(parts)}  # no YAML aliases
            with open(path, "w", encoding="utf-8") as file:
                yaml.safe_dump({"schema": "2.0", "stages": chosen}, file, sort_keys=False)
            start = time.perf_counter()
            with modify_yaml(path) as content:
                content["stages"].update({entries[0][0]: entries[0][1]})
            seconds.append(time.perf_counter() - start)
            with open(path, encoding="utf-8") as file:
                lines = sum(1 for _ in file)
            rows.append((count, lines, seconds[-1], seconds[-1] * count))
    slope = Growth(LOCKS, tuple(seconds)).slope()
    note = (
        f"Slope of a write over stages {slope:.2f}, of a run {slope + 1:.2f}: DVC's time grows faster than linearly. "
        "If the lock does not exist yet, it grows during the run, and its writing takes half the time."
    )
    print(f"pipeline: dvc.lock: {', '.join(f'{row[0]} stages {row[2]:.2f} s' for row in rows)} a write; {note}")
    columns = ("stages", "lines", "s a write", "s in a run of all stages")
    return Table(columns, rows, "DVC's rewriting of dvc.lock", note)


if __name__ == "__main__":
    main(sys.argv[1:])
