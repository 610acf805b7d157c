"""A sweep as a team runs it: queued, run by two workers; a row and a parent run each, and the same again."""

import csv
import io
import json
import sys

import pytest
from clones import small_run

SWEEP = ["-S", "svd.energy=0.7,0.8", "-S", "run.encoders=[mfcc],[yamnet]", "-S", "run.perturbations=[gain]"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A clone in which four experiments were run by two workers; what the queue printed is in ``log``."""
    clone = small_run(tmp_path_factory)
    clone.dvc("exp", "run", "--queue", *SWEEP)
    clone.log = clone(sys.executable, "-m", "earshift", "queue", "--jobs", "2")
    return clone


def rows(clone):
    """Rows of ``dvc exp show`` that are experiments."""
    shown = csv.DictReader(io.StringIO(clone("dvc", "exp", "show", "--csv")))
    return [row for row in shown if row["rev"] not in ("", "workspace") and row["typ"].startswith("branch")]


def in_mlflow(clone):
    """Children's metrics by name of the parent; what stages took is not in git, so a store made again lacks it."""
    found = {}
    for parent in clone.parents():
        ((name,),) = clone.mlflow("select name from runs where run_uuid = ?", parent)
        assert name not in found, f"{name} is there twice"
        children = clone.children(parent).items()
        found[name] = {
            child: {metric: number for metric, number in numbers.items() if not metric.startswith("profile/")}
            for child, numbers in children
        }
    return found


def test_four_rows_with_a_headline(swept):
    assert "all 4 done" in swept.log
    found = rows(swept)
    assert len(found) == 4
    selections = {(row["run.encoders"], row["svd.energy"]) for row in found}
    assert selections == {(e, s) for e in ("['mfcc']", "['yamnet']") for s in ("0.7", "0.8")}
    headline = ["heldout_r2", "null_r2_p95", "effective_rank", "straightness", "roc_auc", "mean_drop", "best_gain",
                "svd_gain"]  # fmt: skip
    assert all(row[name] != "" for row in found for name in headline)
    shown = json.loads(swept("dvc", "exp", "show", "--json"))
    (metrics,) = {tuple(e["revs"][0]["data"]["metrics"]) for state in shown for e in state["experiments"] or ()}
    assert metrics == ("metrics/headline.json",), "a handful, not hundreds"


def test_four_parents_and_their_children_whatever_is_run_again(swept):
    before = in_mlflow(swept)
    names = {row["Experiment"] for row in rows(swept)}
    assert len(names) == 4 and names < set(before)
    assert sorted(tuple(before[name]) for name in names) == [("mfcc / gain",)] * 2 + [("yamnet / gain",)] * 2
    runs = swept.mlflow("select run_uuid, lifecycle_stage, status from runs order by run_uuid")
    for _ in range(2):
        swept(sys.executable, "-m", "earshift", "track", "--all-experiments")
    assert swept.mlflow("select run_uuid, lifecycle_stage, status from runs order by run_uuid") == runs


def test_a_lost_store_is_made_again_for_every_experiment(swept):
    before, names = in_mlflow(swept), {row["Experiment"] for row in rows(swept)}
    (swept.root / "mlflow.db").unlink()
    swept(sys.executable, "-m", "earshift", "track", "--all-experiments")
    after = in_mlflow(swept)
    assert {name: after[name] for name in names} == {name: before[name] for name in names}
    (state,) = set(after) - names
    assert len(after[state]) == 4, "and what lies in the working tree"


def test_two_experiments_compare_in_a_few_lines(swept):
    one, two = sorted(row["Experiment"] for row in rows(swept))[:2]
    shown = swept.dvc("exp", "diff", one, two)
    assert len(shown.splitlines()) < 30 and ("run.encoders" in shown or "svd.energy" in shown)
    swept.dvc("plots", "diff", one, two, "-o", "compared")
    page = (swept.root / "compared/index.html").read_text()
    assert page.count("vega-lite/v5.json") == 5 and one in page and two in page
