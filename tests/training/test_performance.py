"""Stages models and performance on tones: trained once, reused, evaluated at every value, with honest references."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from earshift.analysis.performance import PerformanceResult
from earshift.errors import UserError
from earshift.pipeline import config, paths, performance
from earshift.pipeline import train as run
from earshift.pipeline.pairs import Pair
from earshift.pipeline.perturb import perturb
from earshift.pipeline.recipes import read_recipes
from earshift.pipeline.train_kim2019 import Trainer
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json, write_table
from earshift.storage.results import read_result
from earshift.training.kim2019.scores import mean_score
from earshift.training.kim2019.tasks import sdr
from stages import performance as stage

CHANGES = {
    "run.encoders": ["mfcc", "vgg_separation"],
    "run.perturbations": ["gain", "pitch"],
    "perturbations.gain.grid": [-20, 0],
    "perturbations.pitch.grid": [-2, 2],
    "perturb.severity_clips": 1,
    "encoders.mfcc.heads": {"tasks": ["autotagging", "instruments"], "channels": 1, "trial": 0},
    "training.instruments.epochs": 25,
    "training.learning_rate": 0.01,
    "training.final_learning_rate": 0.01,
}


@pytest.fixture
def trained(tones):
    params = tones(CHANGES)
    for name in params.run.encoders:
        run.train(params, name)
    for name in params.run.perturbations:
        perturb(params, name)
    return params


def record(name):
    return json.loads((paths.model(name) / run.RECORD).read_text())


def test_networks_are_kept_reused_and_evaluated(trained, capsys):
    assert set(record("mfcc")["tasks"]) == {"autotagging", "instruments"}
    about = record("mfcc")["tasks"]["instruments"]
    assert about["outputs"] == ["high", "low"] and about["clips"] == {"train": 10, "valid": 2, "test": 6}
    assert record("mfcc")["tasks"]["autotagging"]["outputs"] == ["high", "low", "trembling"]
    before = {path: path.read_bytes() for path in paths.MODELS.rglob("*.*")}
    capsys.readouterr()
    run.train(trained, "mfcc")
    assert capsys.readouterr().out.count("reused") == 2
    assert {path: path.read_bytes() for path in paths.MODELS.rglob("*.*")} == before
    shutil.rmtree(paths.model("mfcc"))
    run.train(trained, "mfcc")
    assert capsys.readouterr().out.count("reused") == 2
    assert {path: path.read_bytes() for path in paths.MODELS.rglob("*.*")} == before
    assert not list(paths.CHECKPOINTS.glob("*"))

    tasks = performance.read_record("mfcc")["tasks"]
    result, rows = performance.evaluate_tasks(trained, "mfcc", tasks, read_recipes("gain"))
    of = result["instruments"]
    assert of["metric"] == "accuracy" and of["original"] == 1.0 and of["baseline"] == 0.5 and of["clips"] == 6
    # a level is no tone: MFCC without the first coefficient do not hear a gain
    by_value = {row[2]: row[4] for row in rows if row[0] == "instruments"}
    assert by_value == {"-20": 1.0, "0": 1.0}

    dropped = dataclasses.replace(trained, encoders=trained.encoders | {
        "mfcc": dataclasses.replace(trained.encoders["mfcc"], heads=dataclasses.replace(
            trained.encoders["mfcc"].heads, tasks=("instruments",)))})  # fmt: skip
    run.train(dropped, "mfcc")
    assert {p.name for p in paths.model("mfcc").iterdir()} == {"model.json", "instruments.npz", "instruments.csv"}


def test_separation_is_judged_against_what_moves_with_the_music(trained):
    """A mask of one is the mixture: its SDR must not fall because pitch was moved."""

    def perturbed(perturbation, *, apart):
        fixed = replace(trained, training=replace(trained.training, references_apart=apart))
        tasks = performance.read_record("vgg_separation")["tasks"]
        opened = Trainer().open(fixed, "vgg_separation", "separation", tasks["separation"])
        recipe, _ = read_recipes(perturbation)
        clips = opened.evaluator._clips
        return (
            clips.audio(clips.data.places("test")),
            opened.evaluator.perturb(recipe, opened.corpus.perturb(opened.rows, recipe)),
        )

    plain, both = perturbed("pitch", apart=False)
    _, apart = perturbed("pitch", apart=True)
    original = sdr(plain[:, 0], plain[:, 1]).mean()
    assert both.shape == apart.shape == plain.shape
    assert abs(sdr(both[:, 0], both[:, 1]).mean() - original) < 2
    assert sdr(apart[:, 0], apart[:, 1]).min() < original - 8
    np.testing.assert_allclose(perturbed("gain", apart=False)[1], plain / 10, atol=1e-4)


def test_files_of_the_stage(trained, monkeypatch, capsys):
    monkeypatch.setattr(config, "load", lambda: trained)  # params.yaml does not know the tones
    stage.main([])
    assert "performance: computed 4 of 4 pairs, reused 0" in capsys.readouterr().out
    (paths.plots("performance", "vgg_separation", "gain") / "curves.csv").write_text("")  # and in the store
    stage.main([])
    assert "performance: computed 1 of 4 pairs, reused 3" in capsys.readouterr().out
    fewer = replace(trained, run=replace(trained.run, perturbations=("gain",)))
    monkeypatch.setattr(config, "load", lambda: fewer)
    stage.main([])
    assert "performance: computed 0 of 2 pairs, reused 2" in capsys.readouterr().out
    assert not paths.metrics("performance", "vgg_separation", "pitch").exists()
    content = read_result(paths.metrics("performance", "vgg_separation", "gain"), PerformanceResult)
    assert content["values"] == ["-20", "0"] and set(content["tasks"]) == {"separation"}
    curves = pd.read_csv(paths.plots("performance", "vgg_separation", "gain") / "curves.csv")
    assert curves["task"].tolist() == ["separation"] * 2 and curves["clips"].tolist() == [6, 6]
    assert (curves["low"] <= curves["number"]).all() and (curves["number"] <= curves["high"]).all()


def test_an_encoder_without_networks_has_an_empty_table(tones):
    nothing = {"encoders.mfcc.heads": {"tasks": [], "channels": 1, "trial": 0}, "run.perturbations": ["gain"]}
    params = tones(CHANGES | nothing)
    run.train(params, "mfcc")
    perturb(params, "gain")
    performance.evaluate(Pair("performance", "mfcc", "gain", params))
    assert read_json(paths.metrics("performance", "mfcc", "gain"))["tasks"] == {}
    assert len(pd.read_csv(paths.plots("performance", "mfcc", "gain") / "curves.csv")) == 0


def test_intervals_are_over_recordings(edited):
    training = edited({"training.bootstrap": 4000, "training.confidence": 0.9}).training
    rng = np.random.default_rng(0)
    scores, groups = rng.normal(5, 1, 60), np.repeat([f"g{i}" for i in range(20)], 3)
    mean, low, high, clips = mean_score(np.append(scores, np.nan), np.append(groups, "g0"), training)
    error = scores.reshape(20, 3).mean(axis=1).std() / np.sqrt(20)
    assert clips == 60 and mean == pytest.approx(scores.mean())
    np.testing.assert_allclose([mean - low, high - mean], 1.645 * error, rtol=0.15)
    assert mean_score(np.full(3, np.nan), groups[:3], training)[3] == 0


@pytest.mark.parametrize("task, what", [("instruments", "at least two labels"), ("autotagging", "at least two tags")])
def test_a_corpus_that_lacks_what_a_task_needs_is_named(tones, task, what, monkeypatch):
    params = tones()
    clips = read_clips(paths.CLIPS)
    clips["label"], clips["tags"] = "one", "one"
    write_table(paths.CLIPS, clips)
    with pytest.raises(UserError, match=rf"{what}.*training.{task}.corpus"):
        run.train(params, f"vgg_{task}")
