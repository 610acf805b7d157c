"""The whole pipeline as people use it, on seconds of audio: dvc repro, experiments, the queue, a second clone.

One repository is run once for all tests here; each test works on a copy or goes on from there in its own experiment.
"""

import json
import shutil

import pytest
from clones import ALWAYS, cloned, computes_nothing, counts, ran
from ruamel.yaml import YAML

PAIRS = {f"{e} / {p}" for e in ("mfcc", "yamnet") for p in ("gain", "reverb")}
FINER = "[-40,-30,-20,-10,5]"
HEADLINE = {"heldout_r2", "null_r2_p95", "effective_rank", "straightness", "roc_auc", "mean_drop", "best_gain"}


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
    assert "computed" not in log and not ran(log)
    assert first("git", "status", "--porcelain") == ""


def test_mlflow_has_a_parent_and_a_child_per_pair(first):
    (parent,) = first.parents()
    children = first.children(parent)
    assert set(children) == PAIRS
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


def test_a_second_clone_computes_everything_and_reproduces_the_lock(first, tmp_path):
    """All but the pictures and the page, which write the same bytes twice in the tests of their modules.

    Results that are lost where the store is come from there.
    """
    second = cloned(first, tmp_path / "second")
    shutil.rmtree(second.root / "metrics")
    log = second.dvc("repro", "summary", "significance", "maps", "excerpts")
    stages = YAML(typ="safe").load(second.root / "dvc.yaml")["stages"]
    single = {name for name, stage in stages.items() if "matrix" not in stage} - ALWAYS - {"figures", "report"}
    of = {"models": ("mfcc", "yamnet"), "perturb": ("gain", "reverb"), "embed": ("mfcc", "yamnet")}
    assert ran(log) == single | {f"{stage}@{item}" for stage, items in of.items() for item in items}
    numbers = {
        **{f"perturb {name}": 4 for name in of["perturb"]}, **{f"embed {name}": 9 for name in of["embed"]},
        "distances": 9, "maps": 2, "excerpts": 2,
        **dict.fromkeys(("cca", "svd", "trajectories", "robustness", "consistency", "performance"), 4),
    }  # fmt: skip
    assert counts(log) == {label: (number, number, 0) for label, number in numbers.items()}
    assert second("git", "status", "--porcelain") == ""

    for lost in ("metrics/cca", "metrics/svd", ".dvc/cache/runs"):  # which DVC restores them from
        shutil.rmtree(second.root / lost)
    assert counts(second.dvc("repro", "cca", "svd")) == {"cca": (0, 4, 4), "svd": (0, 4, 4)}
    assert second("git", "status", "--porcelain") == ""


def test_one_value_more_costs_one_value_and_going_back_nothing(changed):
    """Options A, B, A, and then B as an experiment. What did not run, or was restored, is in MLflow as well.

    Pictures and the page are left out: they write the same bytes twice in the tests of their modules.
    """
    numbers = ("summary", "performance", "excerpts")
    changed.set({"perturbations.gain.grid": FINER})
    log = changed.dvc("repro", *numbers)
    one_of_ten, one_of_two = (1, 10, 9), (2, 4, 2)  # gain under both encoders
    assert counts(log) == {
        "perturb gain": (1, 5, 4), "embed mfcc": one_of_ten, "embed yamnet": one_of_ten, "distances": one_of_ten,
        **dict.fromkeys(("cca", "svd", "trajectories", "robustness", "consistency", "performance"), one_of_two),
        "excerpts": (1, 2, 1),
    }  # fmt: skip

    changed("git", "checkout", "-q", "params.yaml")
    log = changed.dvc("repro", *numbers)
    assert {"perturb@gain", "embed@mfcc", "embed@yamnet", "distances"} <= ran(log), "DVC sees that something changed"
    assert computes_nothing(log)
    assert changed("git", "status", "--porcelain") == ""

    log = changed.dvc("exp", "run", "-n", "finer", "-S", f"perturbations.gain.grid={FINER}", *numbers)
    assert {"perturb@gain", "cca", "summary"} <= ran(log) and computes_nothing(log)
    assert "-30.h5" in {path.name for path in (changed.root / "data/embeddings/mfcc/gain").iterdir()}
    changed.back()
    assert "computed" not in changed.dvc("repro", "summary"), "going back must restore, not compute"


def test_other_methods_run_only_robustness_and_what_follows(changed):
    log = changed.dvc("exp", "run", "-n", "two", "-S", "robustness.methods=[none,leace]", "summary")
    assert ran(log) == {"robustness", "comparison", "summary"}
    assert counts(log) == {"robustness": (4, 4, 0)}
    assert ran(changed.dvc("repro", "--dry")) == {"figures", "report"}
    assert list(changed.json("metrics/robustness/mfcc/gain.json")["methods"]) == ["none", "leace"]
    shown = json.loads(changed.dvc("exp", "show", "--json"))
    (of,) = [each for state in shown for each in state["experiments"] or () if each["name"] == "two"]
    metrics = of["revs"][0]["data"]["metrics"]
    assert list(metrics) == ["metrics/headline.json"], "a handful, not hundreds"
    assert set(metrics["metrics/headline.json"]["data"]) >= HEADLINE
    assert "robustness.methods" in changed.dvc("exp", "diff", "HEAD", "two")


def test_a_queued_experiment_lands_in_the_same_store(first):
    before = set(first.parents())
    first.dvc("exp", "run", "--queue", "-n", "queued", "-S", "report.clips=2")  # which little depends on
    first.dvc("exp", "run", "--run-all")
    (parent,) = set(first.parents()) - before
    assert set(first.children(parent)) == PAIRS
    tags = dict(first.mlflow("select key, value from tags where run_uuid = ?", parent))
    assert "queued" in tags.values()
    assert not (first.root / "mlruns").exists()


def test_one_value_less_is_removed(first):
    log = first.dvc("exp", "run", "-n", "coarser", "-S", "perturbations.reverb.grid=[0.01,0.4,1.0]", "embed@mfcc")
    assert counts(log) == {"perturb reverb": (0, 3, 3), "embed mfcc": (0, 8, 8)}
    names = {p.name for p in (first.root / "data/embeddings/mfcc/reverb").iterdir()}
    assert names == {"0.01.h5", "0.4.h5", "1.h5"}
    first.back()
    assert (first.root / "data/embeddings/mfcc/reverb/0.7.h5").exists()
