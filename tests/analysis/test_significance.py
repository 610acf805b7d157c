"""Which observations enter which model, what replicates are, and what is said where a model cannot be had."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earshift.analysis.significance import (
    Significance,
    analyse,
    consistency_tables,
    levels,
    of_vectors,
    performance_table,
)
from earshift.pipeline import paths
from earshift.storage.files import read_json, write_json, write_table
from stages import significance as stage

REPOSITORY = Path(__file__).parents[2]
OPTIONS = Significance(basis=10, confidence=0.95)
VALUES = ("-40", "-20", "-5", "1", "3", "5")


def consistency_curves(encoders=("a", "b"), perturbations=("gain", "reverb"), latent=("euclidean",), seed=0):
    """Curves of all measures, as the stage consistency writes them, with encoder and perturbation beside them."""
    rng, tables = np.random.default_rng(seed), []
    for e, encoder in enumerate(encoders):
        for p, perturbation in enumerate(perturbations):
            keys = [("within", "dtw", ""), *(("within", "", z) for z in latent)]
            keys += [(measure, "dtw", z) for z in latent
                     for measure in ("between_agreement", "between_spearman", "own_spearman")]  # fmt: skip
            for key in keys:
                strength = np.linspace(0, 1, len(VALUES))
                number = 0.8 - 0.2 * e * (key[2] != "") - 0.1 * p * strength
                number = number + (0.01 * rng.normal(size=len(VALUES)) if key[2] else 0.01 * np.sin(9 * strength))
                rows = {"value": VALUES, "strength": strength, "number": number, "low": np.nan, "high": np.nan}
                rows = pd.DataFrame(rows | {"clips": 9, "encoder": encoder, "perturbation": perturbation})
                tables.append(rows.assign(**dict(zip(("measure", "audio", "latent"), key, strict=True))))
    return pd.concat(tables, ignore_index=True)


def performance_curves(encoders, perturbations=("gain", "reverb"), seed=0):
    """Curves of performance; `encoders` is a list of (encoder, task, offset)."""
    rng, tables = np.random.default_rng(seed), []
    for encoder, task, offset in encoders:
        for perturbation in perturbations:
            strength = np.linspace(0, 1, len(VALUES))
            number = offset - 0.2 * strength + 0.02 * rng.normal(size=len(VALUES))
            tables.append(pd.DataFrame({"task": task, "value": VALUES, "strength": strength, "number": number,
                                        "encoder": encoder, "perturbation": perturbation}))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


TASKS = [("vgg_tags", "tags", 0.9), ("vgg_mse", "mse", 2.0), ("mfcc", "tags", 0.7), ("mfcc", "mse", 3.0)]
BETTER = {"tags": "higher", "mse": "lower"}


def test_models_and_what_enters_them():
    models = consistency_tables(consistency_curves(latent=("euclidean", "cosine")))
    assert list(models) == [
        "within_euclidean", "within_cosine", "between_agreement_dtw_euclidean", "between_agreement_dtw_cosine",
        "between_spearman_dtw_euclidean", "between_spearman_dtw_cosine", "within_dtw",
    ]  # fmt: skip
    sizes = {name: len(table) for name, (_, _, _, table) in models.items()}
    assert sizes.pop("within_dtw") == 2 * 6 and set(sizes.values()) == {2 * 2 * 6}
    assert models["within_dtw"][2] == ("perturbation",)


def test_metrics_and_tables_of_one_model():
    result, means, fitted = analyse(consistency_curves(), None, {}, OPTIONS)
    model = result["models"]["within_euclidean"]
    assert model["observations"] == 24 and model["notes"] == [] and 0.9 < model["r2"] < 1
    assert list(model["terms"]) == ["encoder", "perturbation", "encoder:perturbation"]
    encoder = model["terms"]["encoder"]
    assert encoder["df"] == 1 and encoder["p"] < 1e-6 and encoder["residual_df"] == model["residual_df"]
    assert model["edf"] + model["residual_df"] == pytest.approx(24)
    a, b = (model["means"]["encoder"][level] for level in ("a", "b"))
    assert a["mean"] - b["mean"] == pytest.approx(0.2, abs=0.01) and a["low"] < a["mean"] < a["high"]
    row = means[(means["model"] == "within_euclidean") & (means["level"] == "b")].iloc[0]
    assert row[["mean", "se", "low", "high"]].to_dict() == b
    curve = fitted[(fitted["model"] == "within_euclidean") & (fitted["encoder"] == "b")]
    assert curve["value"].tolist() == [*VALUES, *VALUES] and set(curve["task"]) == {""}
    assert np.all((curve["low"] < curve["fitted"]) & (curve["fitted"] < curve["high"]))
    assert set(fitted[fitted["model"] == "within_dtw"]["encoder"]) == {""}
    assert "performance" not in result["models"]


def test_missing_and_constant_numbers_are_noted():
    curves = consistency_curves()
    curves.loc[(curves["measure"] == "between_spearman") & (curves["value"] == "5"), "number"] = np.nan
    curves.loc[curves["audio"] == "dtw", "number"] = curves["number"].where(curves["latent"] != "", 1.0)
    curves.loc[curves["measure"] == "between_agreement", "number"] = np.nan
    models = analyse(curves, None, {}, OPTIONS)[0]["models"]
    known = models["between_spearman_dtw_euclidean"]
    assert known["observations"] == 20 and known["notes"] == ["4 of 24 observations have no number and are left out."]
    assert models["within_dtw"]["notes"] == ["All observations are 1: nothing to explain, no tests."]
    assert models["within_dtw"]["terms"] == {} and models["within_dtw"]["r2"] is None
    assert models["between_agreement_dtw_euclidean"]["notes"][-1] == "No observation has a number."


def test_one_encoder_is_no_factor():
    model = analyse(consistency_curves(encoders=("a",)), None, {}, OPTIONS)[0]["models"]["within_euclidean"]
    assert list(model["terms"]) == ["perturbation"] and model["notes"] == ["encoder is left out: it has one level."]
    assert list(model["means"]["encoder"]) == ["a"]


def test_performance_is_standardised_within_its_task_and_more_is_better():
    table, notes = performance_table(performance_curves(TASKS), BETTER)
    assert notes == [] and set(table["encoder"]) == {"vgg", "mfcc"}
    for _, numbers in table.groupby("task")["response"]:
        assert (numbers.mean(), numbers.std()) == pytest.approx((0, 1))
    means = table.groupby(["task", "encoder"])["response"].mean()
    assert means["tags", "vgg"] > means["tags", "mfcc"] and means["mse", "vgg"] > means["mse", "mfcc"]


def test_performance_has_three_factors_in_pairs():
    result, _, fitted = analyse(consistency_curves(), performance_curves(TASKS), BETTER, OPTIONS)
    model = result["models"]["performance"]
    assert list(model["terms"]) == [
        "task", "encoder", "perturbation", "task:encoder", "task:perturbation", "encoder:perturbation"
    ]  # fmt: skip
    assert model["terms"]["task"]["f"] == 0 and model["terms"]["task"]["p"] == 1, "the same mean by construction"
    assert model["terms"]["encoder"]["p"] < 1e-6 and set(model["means"]) == {"task", "encoder", "perturbation"}
    assert set(fitted[fitted["model"] == "performance"]["task"]) == {"tags", "mse"}


def test_performance_of_a_task_that_never_changes_is_left_out():
    curves = performance_curves(TASKS)
    curves.loc[curves["task"] == "mse", "number"] = 2.0
    model = analyse(consistency_curves(), curves, BETTER, OPTIONS)[0]["models"]["performance"]
    assert model["notes"][0] == "The task mse is left out: its numbers are all the same, or fewer than two."
    assert list(model["means"]["task"]) == ["tags"] and "encoder" in model["terms"]


@dataclass(frozen=True)
class Trained:
    task: str
    trial: int


@dataclass(frozen=True)
class Headed:
    heads: Trained


@dataclass(frozen=True)
class Fixed:
    layer: str


def test_trials_are_one_level():
    encoders = {
        "net": Trained("tags", 0), "net_1": Trained("tags", 1), "other": Trained("mse", 0),
        "unused": Trained("tags", 2), "x": Fixed("a"), "y": Fixed("a"),
        "mfcc": Headed(Trained("", 0)), "mfcc_1": Headed(Trained("", 1)),
    }  # fmt: skip
    selected = {name: encoders[name] for name in ("net_1", "x", "net", "other", "y", "mfcc", "mfcc_1")}
    assert levels(selected) == {
        "net_1": "net_1", "x": "x", "net": "net_1", "other": "other", "y": "y", "mfcc": "mfcc", "mfcc_1": "mfcc"
    }  # fmt: skip
    assert of_vectors(selected) == ["net_1", "x", "net", "other", "y", "mfcc"], (
        "the vectors of mfcc_1 are those of mfcc"
    )


def test_trials_share_a_curve():
    curves = consistency_curves(encoders=("a", "b", "c"))
    curves["encoder"] = curves["encoder"].replace({"c": "a"})
    result, _, fitted = analyse(curves, None, {}, OPTIONS)
    assert result["models"]["within_euclidean"]["observations"] == 36
    assert list(result["models"]["within_euclidean"]["means"]["encoder"]) == ["a", "b"]
    of = fitted[fitted["model"] == "within_euclidean"]
    assert len(of) == 24
    kept = (curves["measure"] == "within") & (curves["latent"] == "euclidean") & (curves["value"] == "5")
    observed = curves[kept & (curves["encoder"] == "a") & (curves["perturbation"] == "gain")]["number"].mean()
    row = of[(of["encoder"] == "a") & (of["perturbation"] == "gain") & (of["value"] == "5")]
    assert row["observed"].item() == pytest.approx(observed)


def write_curves(analysis, curves, columns):
    for (encoder, perturbation), table in curves.groupby(["encoder", "perturbation"]):
        write_table(paths.plots(analysis, encoder, perturbation) / "curves.csv", table[columns])


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with params.yaml and the curves of consistency of its run."""
    from earshift.pipeline import config as params

    shutil.copy(REPOSITORY / paths.PARAMS, tmp_path)
    monkeypatch.chdir(tmp_path)
    run = params.load().run
    columns = ["measure", "audio", "latent", "value", "strength", "number", "low", "high", "clips"]
    write_curves("consistency", consistency_curves(run.encoders, run.perturbations), columns)
    return run


def test_the_stage_writes_the_same_bytes_again(results):
    stage.main()
    written = [paths.SIGNIFICANCE, paths.SIGNIFICANCE_PLOTS / "means.csv", paths.SIGNIFICANCE_PLOTS / "fitted.csv"]
    first = [path.read_bytes() for path in written]
    stage.main()
    assert [path.read_bytes() for path in written] == first
    models = json.loads(first[0])["models"]
    assert {"within_euclidean", "within_dtw"} <= set(models) and "performance" not in models
    assert list(models["within_euclidean"]["means"]["encoder"]) == list(results.encoders)


def test_the_stage_reads_performance_where_there_is_some(results):
    first = results.encoders[0]
    for encoder in results.encoders:
        tasks = BETTER if encoder == first else {}
        for perturbation in results.perturbations:
            content = {"tasks": {task: {"better": better} for task, better in tasks.items()}}
            write_json(paths.metrics("performance", encoder, perturbation), content)
            curves = performance_curves([(encoder, task, 1.0) for task in BETTER], (perturbation,))
            write_curves("performance", curves, ["task", "value", "strength", "number"])
            if not tasks:
                table = curves[["task", "value", "strength", "number"]].iloc[:0]
                write_table(paths.plots("performance", encoder, perturbation) / "curves.csv", table)
    stage.main()
    model = read_json(paths.SIGNIFICANCE)["models"]["performance"]
    assert "encoder is left out: it has one level." in model["notes"]
    assert model["observations"] == 2 * len(results.perturbations) * len(VALUES)


def test_a_missing_table_is_named(results, capsys):
    path = paths.plots("consistency", results.encoders[0], results.perturbations[0]) / "curves.csv"
    path.unlink()
    with pytest.raises(SystemExit, match=f"{path} is missing; `dvc repro consistency`"):
        stage.main()
