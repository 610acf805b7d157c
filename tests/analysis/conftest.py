"""Trajectories made up from known parts."""

import shutil

import numpy as np
import pandas as pd
import pytest

from earshift.analysis.cca import Cca
from earshift.analysis.data import Trajectories
from earshift.analysis.svd import Svd
from earshift.options import value_text
from earshift.pipeline import paths
from earshift.storage.files import write_table
from earshift.storage.vectors import Embeddings, write_embeddings


@pytest.fixture
def options():
    """Options of the CCA stage with few shuffles and resamples."""

    def make(permutations=19, bootstrap=50, ridge=0.001, seed=0, confidence=0.95):
        return Cca(ridge=ridge, seed=seed, permutations=permutations, bootstrap=bootstrap, confidence=confidence)

    return make


@pytest.fixture
def svd_options():
    def make(permutations=3, energy=0.9, seed=0, confidence=0.95):
        return Svd(seed=seed, permutations=permutations, confidence=confidence, energy=energy)

    return make


@pytest.fixture
def trajectories():
    """Trajectories from vectors [shape=(clips, values, dim)]; two clips a group, every fourth group in the test set."""

    def make(vectors, instruments=1, split=None, group=None, instrument=None, originals=None):
        count, values, _ = vectors.shape
        group = np.array([f"group{i // 2:03d}" for i in range(count)]) if group is None else np.asarray(group)
        if instrument is None:
            member = np.unique(group, return_inverse=True)[1] % instruments
            instrument = np.array(["all"] * count if instruments == 1 else [f"instrument{i}" for i in member])
        if split is None:
            turn = np.unique(group, return_inverse=True)[1] // instruments % 4
            split = np.where(turn == 3, "test", "train")
        return Trajectories(
            encoder="encoder",
            perturbation="gain",
            unit="dB",
            values=tuple(value_text(-i) for i in range(values)),
            vectors=vectors,
            originals=vectors[:, 0] if originals is None else originals,
            clip=np.array([f"clip{i:03d}" for i in range(count)]),
            group=group,
            instrument=np.asarray(instrument),
            split=np.asarray(split),
            invalid=0,
        )

    return make


@pytest.fixture
def computed_twice():
    """Run the main of a stage of pairs twice, with nothing to reuse: bytes of all that it writes, by path."""

    def run(main):
        found = []
        for _ in range(2):
            main([])
            files = [path for folder in (paths.METRICS, paths.PLOTS) for path in folder.rglob("*") if path.is_file()]
            found.append({path.as_posix(): path.read_bytes() for path in files})
            for folder in (paths.METRICS, paths.PLOTS, paths.STORE):
                shutil.rmtree(folder)
        assert found[0] == found[1]
        return found[0]

    return run


@pytest.fixture
def on_disk(edited):
    """Write clips.csv and embedding files as the stages before do; returns the table of clips.

    The run is of the encoder mfcc under gain alone.
    """

    def write(vectors, values, *, growth="up", labels=None, splits=None, valid=None, attributes=None, tags=""):
        count = len(vectors)
        clips = pd.DataFrame(
            {
                "clip": [f"clip{i}" for i in range(count)],
                "group": [f"group{i // 2}" for i in range(count)],
                "label": ["cello"] * count if labels is None else labels,
                "genre": "",
                "split": ["train"] * count if splits is None else splits,
                "tags": tags,
                "valid": [True] * count if valid is None else valid,
                "problem": "",
                "sha256": "",
            }
        )
        edited({"run.encoders": ["mfcc"], "run.perturbations": ["gain"], "compute.workers": 1})
        write_table(paths.CLIPS, clips)
        usable = clips["valid"].to_numpy()
        names = list(clips["clip"])
        common = {"encoder": "mfcc", "perturbation": "gain", "unit": "dB", "growth": growth}
        write_embeddings(paths.originals("mfcc"), Embeddings(vectors[:, 0], names, usable, {"value": "original"}))
        for place, value in enumerate(values):
            text = value_text(value)
            extra = {**common, "value": text, **(attributes or {}).get(value, {})}
            path = paths.embeddings("mfcc", "gain") / f"{text}.h5"
            write_embeddings(path, Embeddings(vectors[:, place], names, usable, extra))
        return clips

    return write
