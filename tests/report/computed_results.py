"""Results that the stages computed from a small made-up corpus of vectors."""

import contextlib
import importlib

import numpy as np
import pandas as pd
from results_on_disk import INSTRUMENTS, write_params

from earshift.options import value_text
from earshift.pipeline import config, paths
from earshift.storage.distances import Distances, write_distances
from earshift.storage.files import write_table
from earshift.storage.vectors import Embeddings, write_embeddings

CLIPS, DIM = 24, 4


def compute_results(root, encoders=("mfcc", "musicnn"), perturbations=("gain",)):
    """Clips of three instruments move along one direction and a little around it; results of all analyses of pairs, of
    the comparison, the models and the maps."""
    write_params(root, encoders, perturbations)
    with contextlib.chdir(root), contextlib.redirect_stdout(None):
        kinds = config.load().perturbations
        write_inputs(encoders, {name: kinds[name] for name in perturbations})
        for analysis in ("cca", "svd", "trajectories", "robustness", "consistency"):
            run(analysis, [])
        write_performance(encoders, perturbations)
        for stage in ("comparison", "significance", "maps"):
            run(stage)


def run(stage, *arguments):
    importlib.import_module(f"stages.{stage}").main(*arguments)


def write_inputs(encoders, kinds):
    """What the stages before leave: clips.csv, vectors, distances and severities."""
    rng = np.random.default_rng(20)
    labels = [INSTRUMENTS[i % 3] for i in range(CLIPS)]
    clips = pd.DataFrame({
        "clip": [f"{label}{i}" for i, label in enumerate(labels)],
        "group": [f"{label}-{i // 6}" for i, label in enumerate(labels)], "label": labels, "genre": "",
        "split": ["test" if i // 6 == 3 else "train" for i in range(CLIPS)], "tags": "", "seconds": 3.0,
        "channels": 2, "sample_rate": 44100, "valid": True, "problem": "", "sha256": "",
    })  # fmt: skip
    write_table(paths.CLIPS, clips)
    names, valid = list(clips["clip"]), np.ones(CLIPS, dtype=bool)
    for encoder in encoders:
        start = rng.normal(0, 1, (CLIPS, DIM)) + rng.normal(0, 1.5, (3, DIM))[np.arange(CLIPS) % 3]
        originals = Embeddings(start.astype(np.float32), names, valid, {"value": "original"})
        write_embeddings(paths.originals(encoder), originals)
        for name, kind in kinds.items():
            direction = rng.normal(0, 1, DIM)
            for value, strength in kind.strengths().items():
                moved = start + 2.5 * strength * direction + rng.normal(0, 0.1 + 0.3 * strength, start.shape)
                about = {"value": value, "perturbation": name, "unit": kind.unit, "growth": kind.growth}
                path = paths.embeddings(encoder, name) / f"{value}.h5"
                write_embeddings(path, Embeddings(moved.astype(np.float32), names, valid, about))
    audio = {measure: rng.normal(0, 1, (CLIPS, 3)) for measure in ("dtw", "simple")}
    write_distances(paths.original_distances(), distances(audio, audio, names, "original"))
    for name, kind in kinds.items():
        strengths = kind.strengths()
        for value, strength in strengths.items():
            moved = {measure: of + rng.normal(0, 0.1 + strength, of.shape) for measure, of in audio.items()}
            write_distances(paths.distances(name, value), distances(moved, audio, names, value))
        severities = {"snr_db": [30 - 35 * s for s in strengths.values()],
                      "loudness_lu": [-3 * s for s in strengths.values()],
                      "lsd_db": [1 + 12 * s for s in strengths.values()]}  # fmt: skip
        about = {"value": list(strengths), "unit": kind.unit, "strength": list(strengths.values())}
        write_table(paths.severity(name), pd.DataFrame({**about, **severities, "clips": CLIPS}))
    assert all(value_text(float(value)) == value for value in strengths)


def distances(queries, candidates, names, value):
    found = {
        measure: np.linalg.norm(of[:, None] - candidates[measure], axis=2).astype(np.float32)
        for measure, of in queries.items()
    }
    return Distances(found, names, np.ones(len(names), dtype=bool), {"value": value})


def write_performance(encoders, perturbations):
    """Tasks of the second encoder: what takes networks and audio is not computed here."""
    from pathlib import Path

    from results_on_disk import write_performance

    for encoder in encoders:
        for perturbation in perturbations:
            tasks = {} if encoder == encoders[0] else {"autoencoder": (0.5, 0.75), "instruments": (0.75, 0.25)}
            write_performance(Path(), encoder, perturbation, tasks)
