"""The embed stage with one worker and with two: ``python -m benchmarks.workers``.

The same 512 clips of 3 s, as they are and at three values, in real processes of the stage, one after another. *Whole*
is the process from start to end. *Busy* is the time between its first and its last clip, including the start of workers
and the loading of models. *Steady* is the rate of a long run: the time of a run over 32 clips is subtracted. The
embedding files are compared byte by byte. Two workers cannot be twice as fast where both cores share the limiting
resource, so the same work is also measured without the stage: *alone* are two processes, each with its own half of the
clips, which share only the machine.
"""

import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import stages  # noqa: F401
from benchmarks import _workspace
from benchmarks._results import Table
from earshift.pipeline import paths

FEW, MANY = (32, [-13, -4]), (512, [-22, -13, -4])  # clips and values
SIZES = {"few": FEW, "many": MANY}
ENCODERS = ("musicnn", "yamnet", "mfcc")
ROUNDS = 2
COUNTS = (1, 2)

_ALONE = """
import sys, time
import numpy as np
import stages
from earshift.encoders.inference import Batches
from earshift.pipeline import config, paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.storage.packed_audio import AudioReader
settings, name, share, shares = config.load(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
encoder = settings.encoders[name]
network = Batches(encoder.load(paths.weights(name), "cpu"), encoder, encoder.batch)
with AudioReader(corpus_audio_path()) as reader:
    clips = [reader[i] for i in range(share, 128, shares)]
work = lambda: [network(np.stack([encoder.waveform(audio, rate)])) for audio, rate in clips]
work()
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
work()
print(time.perf_counter() - start, flush=True)
"""


def main(arguments=()):
    rows = []
    with _workspace.workspace():
        for folder, (clips, grid) in SIZES.items():
            with _inside(folder):
                _workspace.configure({"run.perturbations": ["gain"], "perturbations.gain.grid": grid})
                _workspace.write_corpus(clips)
                _workspace.perturbed("gain")
        for name in ENCODERS:
            rows.append(_measured(name))
            found = dict(zip(COLUMNS, rows[-1], strict=True))
            print(
                f"workers: {name}: {found['steady, 1']:.0f} clips/s with one, {found['steady, 2']:.0f} with two: "
                f"{found['ratio, steady']:.2f} x, whole process {found['ratio, whole']:.2f} x, two processes that "
                f"share nothing {found['ratio, alone']:.2f} x; files {found['files']}",
                flush=True,
            )
    title = (
        f"{MANY[0]} clips of {_workspace.SECONDS} s, as they are and at {len(MANY[1])} values, clips/s with 1 and 2 "
        "workers"
    )
    return [Table(COLUMNS, rows, title)]


COLUMNS = ("encoder", "whole, 1", "whole, 2", "ratio, whole", "busy, 1", "busy, 2", "ratio, busy", "steady, 1",
           "steady, 2", "ratio, steady", "ratio, alone", "files")  # fmt: skip


def _measured(name):
    """A row of the table. Rates are medians of a few rounds, in which the numbers of workers alternate."""
    few, many = (clips * (1 + len(grid)) for clips, grid in (FEW, MANY))
    whole, busy, steady = ({count: [] for count in COUNTS} for _ in range(3))
    digests = set()
    for _ in range(ROUNDS):
        for count in COUNTS:
            start, _ = _embedded("few", name, count)
            took, digest = _embedded("many", name, count)
            digests.add(digest)
            whole[count].append(many / took.seconds)
            busy[count].append(many / took.busy)
            steady[count].append((many - few) / (took.seconds - start.seconds))
    row = [name]
    for rates in (whole, busy, steady):
        one, two = (statistics.median(rates[count]) for count in COUNTS)
        row += [one, two, two / one]
    return [*row, _alone(name), "equal" if len(digests) == 1 else "DIFFER"]


def _inside(folder):
    Path(folder).mkdir(exist_ok=True)
    return contextlib.chdir(folder)


def _embedded(folder, name, workers):
    """What embed took, and a digest of its files."""
    with _inside(folder):
        _workspace.configure({"run.encoders": [name], "run.perturbations": ["gain"],
                              "perturbations.gain.grid": SIZES[folder][1], "compute.workers": workers})  # fmt: skip
        if not paths.weights(name).is_dir():
            _workspace.weighed(name)
        took = _workspace.embedded(name)
        files = sorted(paths.embeddings(name).rglob("*.h5"))
        return took, hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _alone(name):
    """The speed-up of two separate processes over one on the same clips: the limit of the machine."""
    with _inside("many"):
        one, two = (_alone_in(name, shares) for shares in COUNTS)
    return one / two


def _alone_in(name, shares):
    """Seconds that `shares` processes take, each with its share of the clips."""
    environment = {**os.environ, "PYTHONPATH": str(_workspace.REPOSITORY)}
    processes = [
        subprocess.Popen([sys.executable, "-c", _ALONE, name, str(share), str(shares)], text=True, env=environment,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for share in range(shares)
    ]  # fmt: skip
    for process in processes:
        process.stdout.readline()
    start = time.perf_counter()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.stdout.readline()
    seconds = time.perf_counter() - start
    for process in processes:
        process.communicate()
    return seconds


if __name__ == "__main__":
    main()
