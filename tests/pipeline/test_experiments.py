"""A sweep as a team runs it: queued, run by two workers; a row and a parent run each, and the same again."""

import csv
import io
import json
import sys

import pytest
from clones import counts, small_run

pytestmark = pytest.mark.slow  # two whole pipelines in folders of their own
SWEEP = ["-S", "run.encoders=[mfcc],[yamnet]", "-S", "run.perturbations=[gain]", "-S", "svd.energy=0.8"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A clone in which two experiments were run by two workers; what the queue printed is in ``log``."""
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


def test_a_row_each_with_a_headline(swept):
    assert "all 2 done" in swept.log
    found = rows(swept)
    assert {(row["run.encoders"], row["svd.energy"]) for row in found} == {("['mfcc']", "0.8"), ("['yamnet']", "0.8")}
    assert len(found) == 2
    headline = ["heldout_r2", "null_r2_p95", "effective_rank", "straightness", "roc_auc", "mean_drop", "best_gain",
                "svd_gain"]  # fmt: skip
    assert all(row[name] != "" for row in found for name in headline)
    shown = json.loads(swept("dvc", "exp", "show", "--json"))
    (metrics,) = {tuple(e["revs"][0]["data"]["metrics"]) for state in shown for e in state["experiments"] or ()}
    assert metrics == ("metrics/headline.json",), "a handful, not hundreds"


def test_what_both_share_with_the_state_before_is_not_computed_again(swept):
    """They run in folders of their own, and the store is that of the repository."""
    for row in rows(swept):
        found = counts(swept.dvc("queue", "logs", row["Experiment"]))
        assert found.pop("svd") == (1, 1, 0)
        assert found.pop("maps") == (1, 1, 0), "which had another perturbation in it"
        assert {"cca", "robustness", "consistency"} <= set(found)
        assert not any(new for new, _, _ in found.values()), found


def test_a_parent_and_its_child_each_whatever_is_run_again(swept):
    before = in_mlflow(swept)
    names = {row["Experiment"] for row in rows(swept)}
    assert len(names) == 2 and names < set(before)
    assert sorted(tuple(before[name]) for name in names) == [("mfcc / gain",), ("yamnet / gain",)]
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
    assert len(shown.splitlines()) < 30 and "run.encoders" in shown
    swept.dvc("plots", "diff", one, two, "-o", "compared")
    page = (swept.root / "compared/index.html").read_text()
    assert page.count("vega-lite/v5.json") == 5 and one in page and two in page
