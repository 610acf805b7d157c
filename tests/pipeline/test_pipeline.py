"""The whole pipeline as people use it, on seconds of audio: dvc repro, experiments, the queue, a second clone.

One repository is run once for all tests here; each test works on a copy or goes on from there in its own experiment.
"""

import pytest
from clones import cloned, small_run
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A clone whose pipeline has been run and committed."""
    return small_run(tmp_path_factory)


def test_everything_is_there(first):
    summary = first.json("metrics/summary.json")
    assert {e: set(p) for e, p in summary.items()} == {e: {"gain", "reverb"} for e in ("mfcc", "yamnet")}
    for row in (r for p in summary.values() for r in p.values()):
        assert row["samplewise_published_r2"] == pytest.approx(1, abs=1e-6)
        assert row["null_r2_mean"] < 0.2 and -1 <= row["heldout_r2"] <= 1
        assert 1 <= row["effective_rank"] <= 44
    for name in (
        "headline",
        "cca_scatter",
        "svd_spectra",
        "umap_maps",
        "roc_auc_mfcc",
        "other_methods_yamnet",
        "ranking",
    ):
        assert (first.root / f"plots/figures/{name}.png").stat().st_size > 5000
    assert not list(first.root.glob("data/**/.*.tmp"))


def test_nothing_to_do_is_nothing_done(first):
    log = first.dvc("repro")
    assert "computed" not in log
    assert first("git", "status", "--porcelain") == ""


def test_mlflow_has_a_parent_and_a_child_per_pair(first):
    (parent,) = first.parents()
    children = first.children(parent)
    assert set(children) == {f"{e} / {p}" for e in ("mfcc", "yamnet") for p in ("gain", "reverb")}
    for name, metrics in children.items():
        encoder, perturbation = name.split(" / ")
        row = first.json("metrics/summary.json")[encoder][perturbation]
        assert metrics["cca/heldout_r2"] == row["heldout_r2"]
        assert metrics["svd/effective_rank"] == row["effective_rank"]
        assert "svd/spectrum" in metrics


def test_what_a_classifier_loses_is_in_the_table_and_in_mlflow(first):
    row = first.json("metrics/robustness/yamnet/gain.json")["methods"]["none"]["forward"]
    (parent,) = first.parents()
    assert first.children(parent)["yamnet / gain"]["roc_auc/mean_drop"] == row["mean_drop"]
    ranking = first.json("metrics/comparison.json")["measures"]["lsd_db"]
    assert set(ranking) == {"gain", "reverb", "overall"}


def test_a_second_clone_reproduces_the_lock(first, tmp_path):
    """All that is computed of a pair and before it, for two pairs that have every encoder and perturbation.

    What comes after all pairs writes the same bytes twice in the tests of its module.
    """
    second = cloned(first, tmp_path / "second")
    stages = YAML(typ="safe").load(second.root / "dvc.yaml")["stages"]
    of_pairs = [name for name, stage in stages.items() if {"encoder", "perturbation"} <= set(stage.get("matrix", ()))]
    assert {"embed", "cca", "svd", "trajectories", "robustness", "consistency"} <= set(of_pairs)
    pairs = [f"{name}@{pair}" for name in of_pairs for pair in ("mfcc-reverb", "yamnet-gain")]
    log = second.dvc("repro", *pairs, "excerpts@gain", "excerpts@reverb")
    assert all(f"Running stage '{name}'" in log for name in [*pairs, "corpus", "distances@gain", "distances@reverb"])
    assert second("git", "status", "--porcelain") == ""


def test_one_value_more_in_an_experiment_and_restored_stages_in_mlflow(first):
    before = set(first.parents())
    log = first.dvc("exp", "run", "-n", "finer", "-S", "perturbations.gain.grid=[-40,-30,-20,-10,5]")
    for line in ("perturb gain: computed 1 of 5 values (-30;", "embed mfcc gain: computed 1 of 5 values (-30;",
                 "embed yamnet gain: computed 1 of 5 values (-30;"):  # fmt: skip
        assert line in log
    assert "embed yamnet reverb" not in log
    (parent,) = set(first.parents()) - before
    children = first.children(parent)
    assert set(children) == {f"{e} / {p}" for e in ("mfcc", "yamnet") for p in ("gain", "reverb")}, (
        "stages that did not run, or were restored, must show up as well"
    )
    shown = first.dvc("exp", "show", "--csv")
    assert "finer" in shown and "heldout_r2" in shown
    first("git", "checkout", "-q", ".")
    first.dvc("checkout", "-q")
    assert "computed" not in first.dvc("repro"), "going back must restore, not compute"
    assert set(first.parents()) == before | {parent}


def test_other_methods_run_only_robustness_and_what_follows(first):
    log = first.dvc("exp", "run", "-n", "two", "-S", "robustness.methods=[none,leace]", "summary")
    pairs = {f"{e}-{p}" for e in ("mfcc", "yamnet") for p in ("gain", "reverb")}
    assert _run(log) == {f"robustness@{pair}" for pair in pairs} | {"comparison", "summary"}
    assert _run(first.dvc("repro", "--dry")) == {"figures", "report"}
    assert list(first.json("metrics/robustness/mfcc/gain.json")["methods"]) == ["none", "leace"]
    first("git", "checkout", "-q", ".")
    first.dvc("checkout", "-q")


def _run(log):
    """The stages that DVC says it runs, those left out that always run."""
    always = {"corpus_inputs", "encoder_inputs", "perturbation_inputs", "track"}
    return {line.split("'")[1] for line in log.splitlines() if line.startswith("Running stage")} - always


def test_a_queued_experiment_lands_in_the_same_store(first):
    before = set(first.parents())
    first.dvc("exp", "run", "--queue", "-n", "queued", "-S", "report.clips=2")  # which little depends on
    first.dvc("exp", "run", "--run-all")
    (parent,) = set(first.parents()) - before
    assert len(first.children(parent)) == 4
    tags = dict(first.mlflow("select key, value from tags where run_uuid = ?", parent))
    assert "queued" in tags.values()
    assert not (first.root / "mlruns").exists()


def test_one_value_less_is_removed(first):
    first.dvc("exp", "run", "-n", "coarser", "-S", "perturbations.reverb.grid=[0.01,0.4,1.0]", "embed@mfcc-reverb")
    names = {p.name for p in (first.root / "data/embeddings/mfcc/reverb").iterdir()}
    assert names == {"0.01.h5", "0.4.h5", "1.h5"}
    first("git", "checkout", "-q", ".")
    first.dvc("checkout", "-q")
    assert (first.root / "data/embeddings/mfcc/reverb/0.7.h5").exists()
