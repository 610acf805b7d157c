"""The row of numbers by which experiments are compared."""

import json

import pytest
from results_on_disk import write_params, write_robustness

from earshift.errors import UserError
from earshift.pipeline import paths, report_inputs
from earshift.report import headline
from stages import summary as stage


def test_means_over_the_selected_pairs(results):
    row = headline.headline(results)
    assert row == {
        "heldout_r2": 0.4375,  # of 0.25, 0.375, 0.5 and 0.625
        "null_r2_p95": 0.04688,
        "effective_rank": 5.25,
        "straightness": 0.75,
        "roc_auc": 0.9375,
        "mean_drop": 0.1094,  # half of 0.125, 0.1875, 0.25 and 0.3125, four digits
        "best_gain": 0.01562,  # leace; augmentation, the ceiling, is no removal
        "svd_gain": 0.004271,  # of 0.001, 0.0078125 and 0.004
    }


def test_the_same_numbers_whatever_is_selected(world):
    write_params(world, ("musicnn",), ("reverb",))
    row = headline.headline(report_inputs.results())
    assert (row["heldout_r2"], row["mean_drop"]) == (0.625, 0.1562)


def test_one_threshold_has_its_own_gain_and_other_methods_have_none(world, results):
    for pair in results.study.pairs:
        write_robustness(world, *pair, 0.25)
        path = world / f"metrics/robustness/{pair[0]}/{pair[1]}.json"
        document = json.loads(path.read_text())
        svd = document["methods"]["samplewise_cca_svd_0.4"]
        document["methods"] = {"none": document["methods"]["none"], "samplewise_cca_svd": svd}
        path.write_text(json.dumps(document))
    row = headline.headline(report_inputs.results())
    assert row["svd_gain"] == row["best_gain"] == 0.007812
    del document["methods"]["samplewise_cca_svd"]  # of the last pair
    path.write_text(json.dumps(document))
    assert not {"svd_gain", "best_gain"} & set(headline.headline(report_inputs.results()))


def test_what_one_pair_lacks_is_left_out(world, results):
    path = world / "metrics/cca/musicnn/gain.json"
    document = json.loads(path.read_text())
    document["global"]["heldout"] = None
    path.write_text(json.dumps(document))
    row = headline.headline(results)
    assert "heldout_r2" not in row and row["effective_rank"] == 5.25


def test_the_file_is_flat_and_short(world):
    stage.main()
    row = json.loads((world / paths.HEADLINE).read_text())
    assert len(row) == 8 and all(isinstance(number, float) for number in row.values())


def test_a_missing_analysis_is_named(world, results):
    (world / "metrics/svd/mfcc/gain.json").unlink()
    with pytest.raises(UserError, match="metrics/svd/mfcc/gain.json is missing; `dvc repro`"):
        headline.headline(results)
