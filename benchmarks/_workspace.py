"""A temporary folder in which benchmarks run real stages, each as ``dvc repro`` would: a process with a profile."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import stages  # noqa: F401
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.audio_files import keep_corpus_audio
from earshift.storage.files import write_table
from earshift.storage.packed_audio import AudioWriter

REPOSITORY = Path(__file__).parents[1]
RATE, SECONDS = 44100, 3  # stereo clips of 3 s, as in deng2025
NO_HEADS = {"tasks": [], "channels": 16, "trial": 0}  # options of mfcc under another name
SHIFT = 4001  # samples by which the same noise is rotated from clip to clip


@dataclass(frozen=True)
class Took:
    """Time and memory of a stage.

    seconds : float, of its whole process
    busy : float, seconds of its progress bars, 0 where there was none
    peak, worker_peak : float, MiB of the stage's process and of its largest worker, 0 where there was none
    """

    seconds: float
    busy: float
    peak: float
    worker_peak: float


@contextlib.contextmanager
def workspace():
    """Work in an empty folder, which is removed afterwards; all paths of earshift/pipeline/paths.py lie there."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield Path(folder)


def configure(changes):
    """Write params.yaml: the repository's with {dotted name: value} changed; on CPUs of this machine."""
    from ruamel.yaml import YAML

    document = params.read(REPOSITORY / paths.PARAMS)
    local = {"compute.device": "cpu", "compute.scheduler": None}
    for key, value in {**local, **changes}.items():
        *path, last = key.split(".")
        section = document
        for part in path:
            section = section[part]
        section[last] = value
    with open(paths.PARAMS, "w", encoding="utf-8") as file:
        YAML(typ="safe").dump(document, file)


def write_corpus(clips):
    """Pack a corpus of noise, unless it is packed: a quarter is the test set, and there are eight labels."""
    import numpy as np
    import pandas as pd

    made = Path(f"clips-{clips}.csv")
    if made.is_file():
        paths.CORPUS.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, paths.CLIPS)
        return
    noise = np.random.default_rng(0).normal(0, 3000, (2, RATE * SECONDS)).astype(np.int16)
    part, rows = paths.AUDIO / "part.h5", []
    with AudioWriter(part, dtype="int16") as writer:
        for i in range(clips):
            audio = np.roll(noise, SHIFT * i, axis=1)
            writer.append(audio, RATE)
            rows.append({"clip": f"{i:05d}", "group": f"{i:05d}", "label": f"label{i % 8}", "genre": "", "tags": "",
                         "split": "test" if i // 8 % 4 == 3 else "train", "seconds": float(SECONDS), "channels": 2,
                         "sample_rate": RATE, "valid": True, "problem": "",
                         "sha256": hashlib.sha256(audio.tobytes()).hexdigest()})  # fmt: skip
    table = pd.DataFrame(rows)
    write_table(paths.CLIPS, table)
    shutil.copy(paths.CLIPS, made)
    keep_corpus_audio(part, table)


def run(stage, module, *arguments):
    """Run a stage in a process, and return what it :class:`Took`.

    Parameters
    ----------
    stage : str, its name in DVC
    module : str, behind ``python -m``
    arguments : str
    """
    environment = {**os.environ, "DVC_STAGE": stage, "PYTHONPATH": str(REPOSITORY)}
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, "-m", module, *arguments], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed: {ended.stderr.strip()[-2000:]}")
    profile = json.loads(paths.profile(stage).read_text(encoding="utf-8"))
    busy = sum(counted["seconds"] for counted in profile["counted"].values())
    return Took(seconds, busy, profile["peak_mib"], profile.get("worker_peak_mib", 0.0))


def perturbed(name):
    """Bring one perturbation up to date, and return what the stage :class:`Took`."""
    return run(f"perturb@{name}", "stages.perturb", name)


def embedded(encoder):
    """Compute the embeddings of an encoder, of the originals too, and return what the stage :class:`Took`."""
    forget(paths.embeddings(encoder))
    return run(f"embed@{encoder}", "stages.embed", encoder)


def forget(*folders):
    """Remove these outputs, and the store, so that nothing of them is reused."""
    for folder in (*folders, paths.STORE):
        shutil.rmtree(folder, ignore_errors=True)


def weighed(encoder):
    """Fetch and check an encoder's weights."""
    run(f"models@{encoder}", "stages.models", encoder)
