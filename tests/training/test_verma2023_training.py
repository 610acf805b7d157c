"""Streams trained on a small corpus of many tags: each once, together, killed and gone on, asked about moved clips."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earshift.errors import UserError
from earshift.pipeline import corpus as build
from earshift.pipeline import paths, performance
from earshift.pipeline import train as run
from earshift.pipeline.perturb import perturb
from earshift.pipeline.recipes import read_recipes
from earshift.pipeline.train_verma2023 import StreamRun
from earshift.pipeline.weights import weights_source
from earshift.storage.clips import read_clips
from earshift.storage.files import write_table
from earshift.storage.packed_audio import AudioReader

REPOSITORY = Path(__file__).parents[2]
SMALL = {
    "corpus.name": "soundscapes",
    "corpus.soundscapes.count": 60,
    "corpus.soundscapes.longest": 1.6,
    "perturbations.gain.grid": [-20, 0],
    "run.perturbations": ["gain"],
    "perturb.severity_clips": 1,
    "diverse.networks.transformer.layers": 2,
    "diverse.networks.transformer.width": 8,
    "diverse.networks.transformer.mlp": 8,
    "diverse.networks.transformer.heads": 2,
    "diverse.networks.transformer.head_width": 4,
    "diverse.networks.transformer.hidden": 8,
    "diverse.networks.filters": 4,
    "diverse.networks.mobilenet.width": 0.1,
    "diverse.networks.mobilenet.last": 8,
    "diverse.epochs": 3,
    "diverse.mobilenet_epochs": 1,
    "diverse.learning_rate": 0.01,
    "diverse.threads": 1,
    "diverse.batch": 16,
    "diverse.costs": [0.01, 0.1],
    "diverse.bootstrap": 20,
    "compute.workers": 1,
}
STREAMS = ("pitch", "timbre", "end_to_end", "neuralogram")


@pytest.fixture
def small(edited):
    params = edited(SMALL)
    build.build(params)
    return params


def record(name):
    return json.loads((paths.model(name) / run.RECORD).read_text())["tasks"]["tagging"]


def test_all_streams_are_trained_once_and_put_together(small, capsys):
    run.train(small, "diverse_all")
    out = capsys.readouterr().out
    assert all(f"train {stream}: finished after 3 epochs" in out for stream in (*STREAMS,)) and "parameters" in out
    table = pd.read_csv(paths.model("diverse_all") / "subsets.csv")
    assert len(table) == 15 and table["streams"].value_counts().to_dict() == {1: 4, 2: 6, 3: 4, 4: 1}
    assert ((table["map_low"] <= table["map"]) & (table["map"] <= table["map_high"])).all()
    assert table["map"].between(0, 1).all() and (table["chance_map"] == table["chance_map"][0]).all()
    classes = pd.read_csv(paths.model("diverse_all") / "classes.csv")
    assert set(classes["subset"]) == {*STREAMS, "+".join(STREAMS)}
    precision = classes[(classes["subset"] == "pitch") & (classes["positives"] > 0)]["average_precision"]
    np.testing.assert_allclose(precision.mean(), table.loc[table["subset"] == "pitch", "map"], rtol=1e-5)

    run.train(small, "diverse_pitch")
    assert "train pitch: reused, 3 epochs" in capsys.readouterr().out
    assert {p.name for p in paths.model("diverse_pitch").iterdir()} == {"model.json", "tagging.npz", "tagging.csv"}
    assert record("diverse_pitch")["sha256"] != record("diverse_all")["sha256"]
    assert not list(paths.CHECKPOINTS.glob("*"))
    run.train(small, "diverse_all")
    assert "train combination: reused" in capsys.readouterr().out

    perturb(small, "gain")
    for name, head in (("diverse_pitch", "map"), ("diverse_all", "map")):
        tasks = performance.read_record(name)["tasks"]
        result, rows = performance.evaluate_tasks(small, name, tasks, read_recipes("gain"))
        of = result["tagging"]
        assert of["metric"] == "map" and of["better"] == "higher" and of["clips"] == rows[0][-1]
        assert {row[2] for row in rows} == {"-20", "0"}
        expected = record(name)[head] if name == "diverse_all" else None
        if expected is not None:  # from chunks again, not from packed features
            assert of["original"] == pytest.approx(expected, abs=2e-3)


def test_the_encoder_gives_the_mean_of_the_chunks_embeddings(small):
    from earshift.encoders.weights.record import write_weights

    run.train(small, "diverse_timbre")
    encoder = small.encoders["diverse_timbre"]
    write_weights(paths.weights("diverse_timbre"), "diverse_timbre", weights_source("diverse_timbre", encoder))
    embed = encoder.load(paths.weights("diverse_timbre"), "cpu")
    run_ = StreamRun(small, 0)
    of_chunks = run_.embed("timbre", paths.model("diverse_timbre") / "tagging.npz")
    with AudioReader(run_.corpus.data.audio) as reader:
        for place in (0, 7, 20):
            signal_, _ = reader[int(run_.corpus.data.clips["row"][place])]
            mean = of_chunks[run_.corpus.clip == place].mean(axis=0)
            np.testing.assert_allclose(embed(signal_)[0], mean, atol=1e-5)


def test_a_training_that_was_killed_ends_in_the_same_weights(small):
    """By SIGKILL, between two epochs or in the middle of one."""
    run.train(small, "diverse_timbre")
    expected = record("diverse_timbre")["sha256"]
    shutil.rmtree(paths.MODELS)
    shutil.rmtree(paths.STORE)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "stages.models", "diverse_timbre"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 600
        while not list(paths.CHECKPOINTS.glob("*.pt")) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    killed = not (paths.MODELS / "diverse_timbre" / run.RECORD).is_file()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert record("diverse_timbre")["sha256"] == expected
    if killed:
        assert "going on after epoch" in done.stdout


def test_a_corpus_without_tags_is_named(small):
    clips = read_clips(paths.CLIPS)
    clips["tags"] = ""
    write_table(paths.CLIPS, clips)
    with pytest.raises(UserError, match="need a corpus with tags, the training clips have 0.*diverse.corpus"):
        StreamRun(small, 0).corpus  # noqa: B018


def test_losses_that_contradict_are_refused(edited):
    with pytest.raises(UserError, match="diverse.loss.output is 'none'"):
        edited({"diverse.loss": {"name": "bce", "delta": 1.0, "output": "none"}})
