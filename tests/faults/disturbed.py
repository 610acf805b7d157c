"""A small pipeline to disturb: seven clips, three values, an encoder that takes no time, and real stage processes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from earshift.pipeline import paths
from earshift.pipeline.artifacts import read_index
from earshift.pipeline.distances import update_distances
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {
    "run.encoders": ["toy"],
    "run.perturbations": ["gain"],
    "perturbations.gain.grid": [-20, -10, 5],
    "distances.measures": ["simple"],
    "distances.subsequence": 30,
    "perturb.keep_audio": True,
    "compute.device": "cpu",
    "compute.workers": 1,
    "compute.chunk": 2,
}
TOYS = REPOSITORY / "tests/toys.py"


def toy(delay):
    """The toy encoder's section of params.yaml; it takes `delay` seconds for a batch."""
    return {"encoders.toy": {"class": "toys:Toy", "bands": 1, "delay": delay}}


class Bench:
    """The pipeline in the current folder; params as params.yaml says."""

    def __init__(self, params):
        self.params = params

    def perturb(self):
        perturb(self.params, "gain")

    def embed(self):
        embed(self.params, "toy")

    def distances(self):
        update_distances(self.params)

    def run(self):
        """Everything, and what it wrote."""
        self.perturb()
        self.embed()
        self.distances()
        return outputs()


def outputs(folder="."):
    """Bytes of all files under data/, temporary ones included; how long stages took is no output."""
    files = [p for p in Path(folder, "data").rglob("*") if p.is_file() and "profiles" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def forget(folder="."):
    """Remove the store, so that only what lies in the outputs can be reused."""
    shutil.rmtree(Path(folder) / paths.STORE, ignore_errors=True)


def finished(folder):
    """Names of the artifacts that an output has."""
    return set(read_index(Path(folder)))


def computed(printed):
    """How many artifacts a stage computed, as it prints."""
    (count,) = re.findall(r": computed (\d+) of \d+ \w+", printed)
    return int(count)


def environment(folder):
    """In which a stage finds this repository's sources, the folder's encoder, and the same Python."""
    return {
        **os.environ,
        "TOY_PAUSE": str(Path(folder, "pause").resolve()),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(Path(folder).resolve())]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def start(module, *arguments, folder="."):
    """``python -m MODULE ...`` as a process of its own, the leader of a new group, that Ctrl-C interrupts."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=folder, env=environment(folder), text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Where tests run in the background of a shell, SIGINT is ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@contextlib.contextmanager
def pausing_after(value, folder="."):
    """A stage that makes embeddings here stops for the time of the block once those at `value` are written."""
    pause = Path(folder, "pause")
    pause.write_text(str(target(value)))
    try:
        yield
    finally:
        pause.unlink()


def kill_all(folder):
    """Kill whatever runs with the :func:`environment` of a folder, in other groups and sessions too."""
    ours = environment(folder)["TOY_PAUSE"]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TOY_PAUSE") == ours:
                process.kill()


def ended(process, how=signal.SIGKILL):
    """End a process, and what it said."""
    process.send_signal(how)
    return process.communicate(timeout=1800)


def written(folder):
    """Whole files of a folder by name, with the time at which they were written."""
    return {p.name: p.stat().st_mtime_ns for p in Path(folder).glob("[!.]*")}


def target(value):
    """Embeddings at one value."""
    return paths.embeddings("toy", "gain") / f"{value}.h5"


def flipped(path, where):
    """Change one bit of a file, at a part of its length."""
    content = bytearray(path.read_bytes())
    content[int(where * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def cut(path, where):
    """Cut a file short, to a part of its length."""
    path.write_bytes(path.read_bytes()[: int(where * path.stat().st_size)])
