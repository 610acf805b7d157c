"""The headline numbers and the table that ends a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from results_on_disk import dump, write_comparison, write_params

from earshift.pipeline import report_inputs
from earshift.report import summary
from stages import summary as stage

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"mlflow", "matplotlib", "pandas", "torch", "librosa"}


def show():
    """What ``earshift show`` prints."""
    summary.show(report_inputs.results())


# what results_on_disk writes for the first pair, spelled out
FIRST = {
    "heldout_r2": 0.25,
    "heldout_r2_low": 0.125,
    "heldout_r2_high": 0.375,
    "null_r2_mean": 0.0078125,
    "null_r2_p95": 0.046875,
    "published_r2": 0.8125,
    "samplewise_published_r2": 1.0,
    "samplewise_heldout_r2": 0.40625,
    "samplewise_null_r2_p95": 0.046875,
    "effective_rank": 5.25,
    "effective_rank_low": 4.75,
    "effective_rank_high": 5.75,
    "originals_effective_rank": 12.5,
    "null_effective_rank": 21.5,
    "straightness": 0.75,
    "straightness_low": 0.625,
    "straightness_high": 0.875,
    "turning_angle": 35.5,
    "turning_angle_low": 30.5,
    "turning_angle_high": 40.5,
    "monotonicity": 0.8125,
    "monotonicity_low": 0.75,
    "monotonicity_high": 0.875,
    "roc_auc": 0.9375,
    "roc_auc_low": 0.90625,
    "roc_auc_high": 0.96875,
    "mean_drop": 0.0625,
    "mean_drop_low": 0.046875,
    "mean_drop_high": 0.078125,
    "worst_drop": 0.125,
    "worst_drop_low": 0.09375,
    "worst_drop_high": 0.15625,
    "worst_value": "5",
    "best_method": "leace",
    "best_area": 0.015625,
    "best_area_p": 0.02,
    "worst_method": "lda",
    "worst_area": -0.0625,
    "worst_area_p": 0.02,
    "ceiling_area": 0.0625,
    "ceiling_area_low": 0.0585938,
    "ceiling_area_high": 0.0664062,
    "severity_rank": 1.0,
}
# consistency: means over strengths 0 to 1 of what the distances keep, agreement 1 less their difference
MEANS = {
    "within_dtw": 0.9375,
    "within_simple": 0.875,
    "within_euclidean": 0.75,
    "within_cosine": 0.875,
    "between_agreement_dtw_euclidean": 0.8125,
    "between_agreement_simple_cosine": 1.0,
    "between_spearman_dtw_euclidean": 0.25,
}
for name, mean in MEANS.items():
    FIRST |= {name: mean, f"{name}_low": mean - 0.015625, f"{name}_high": min(mean + 0.015625, 1.0)}
FIRST |= {f"originals_spearman_dtw_euclidean{end}": n for end, n in (("", 0.5), ("_low", 0.375), ("_high", 0.625))}


def written(world):
    return json.loads((world / "metrics/summary.json").read_text())


def test_numbers(world):
    stage.main()
    content = written(world)
    assert list(content) == ["mfcc", "musicnn"] and list(content["mfcc"]) == ["gain", "reverb"]
    first = content["mfcc"]["gain"]
    slope = [first.pop(f"severity_slope{end}") for end in ("_low", "", "_high")]
    assert first == FIRST
    # drops 0, 0.025 ... 0.125 at severities 1, 3.4 ... 13: sum s d / sum s^2
    assert slope[1] == pytest.approx(3.675 / 394.8, rel=1e-5) and slope == sorted(slope)
    assert [content[e][p]["heldout_r2"] for e in content for p in content[e]] == [0.25, 0.375, 0.5, 0.625]


def test_nulls_are_left_out_and_shown_as_a_dash(world, capsys):
    path = world / "metrics/cca/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["global"] = dict.fromkeys(content["global"])
    dump(path, content)
    stage.main()
    assert set(FIRST) - set(written(world)["mfcc"]["gain"]) == {
        "heldout_r2", "heldout_r2_low", "heldout_r2_high", "null_r2_mean", "null_r2_p95", "published_r2"
    }  # fmt: skip
    show()
    row = capsys.readouterr().out.splitlines()[3]
    assert " ".join(row.split()) == "mfcc gain - [-, -] -, - - 1.00, 0.41, 0.05 5.2 [4.8, 5.8] of 24 (12.5)"


def test_table(world, capsys):
    (world / "metrics/summary.json").unlink()
    show()
    assert not (world / "metrics/summary.json").exists(), "--show writes nothing"
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "                       held-out R2        null R2     publ.  sample-wise R2    effective rank [low, high]",
        "encoder  perturbation  [low, high]        mean, p95   R2     publ., held, p95  of N directions (originals)",
        "-" * 107,
        "mfcc     gain          0.25 [0.12, 0.38]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "mfcc     reverb        0.38 [0.25, 0.50]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "musicnn  gain          0.50 [0.38, 0.62]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "musicnn  reverb        0.62 [0.50, 0.75]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
    ]
    text = "\n".join(lines)
    assert "1 by construction" in text and "held-out against null" in text
    assert "plots/figures/" in text and "make ui" in text
    assert max(map(len, lines)) <= 112


def blocks(text):
    """Lines of the tables' blocks, by the heading of their third column."""
    parts = [part.splitlines() for part in text.split("\n\n")]
    return {" ".join(part[0].split())[:14]: part for part in parts}


def test_what_it_costs_and_what_removing_helps(world, capsys):
    show()
    found = blocks(capsys.readouterr().out)
    assert found["ROC AUC of ori"][1:5] == [
        "encoder  perturbation  [low, high]           [low, high]           [low, high] at value",
        "-" * 93,
        "mfcc     gain          0.938 [0.906, 0.969]  0.062 [0.047, 0.078]  0.125 [0.094, 0.156] at 5",
        "mfcc     reverb        0.938 [0.906, 0.969]  0.094 [0.078, 0.109]  0.188 [0.156, 0.219] at 1",
    ]
    assert found["best removal: "][3:5] == [
        f"mfcc     {p:12}  LEACE +0.016, p 0.020  LDA -0.062, p 0.020  +0.062 [+0.059, +0.066]"
        for p in ("gain", "reverb")
    ]
    assert [line.split() for line in found["Drop of AUC pe"][1:]] == [
        ["gain", "1", "mfcc", "0.0093", "(100", "%)", "2", "musicnn", "0.019", "(0", "%)"],
        ["reverb", "1", "mfcc", "0.014", "(100", "%)", "2", "musicnn", "0.023", "(0", "%)"],
        ["overall", "1", "mfcc", "(100", "%)", "2", "musicnn", "(0", "%)"],
    ]  # fmt: skip


def test_whether_neighbours_stay(world, capsys):
    show()
    found = blocks(capsys.readouterr().out)["nearest is own"]
    assert found[1].split() == ["encoder", "perturbation", "audio,", "DTW", "Euclidean", "[low,", "high]", "cosine",
                                "SiMPle,", "cosine", "DTW,", "Euclidean"]  # fmt: skip
    assert found[3].split() == ["mfcc", "gain", "0.94", "0.75", "[0.73,", "0.77]", "0.88", "1.00", "0.25"]


def test_distances_that_were_left_out(world, capsys):
    """consistency.latent may leave out one of them."""
    for path in world.glob("metrics/consistency/*/*.json"):
        content = json.loads(path.read_text())
        for part in ("overall", "originals"):
            content[part] = {name: n for name, n in content[part].items() if "cosine" not in name}
        dump(path, content)
    stage.main()
    first = written(world)["mfcc"]["gain"]
    assert first["within_euclidean"] == 0.75 and not {name for name in first if "cosine" in name}
    show()
    found = blocks(capsys.readouterr().out)["nearest is own"]
    assert found[3].split() == ["mfcc", "gain", "0.94", "0.75", "[0.73,", "0.77]", "-", "-", "0.25"]


def test_best_and_worst_are_among_those_with_numbers(world, capsys):
    path = world / "metrics/robustness/mfcc/gain.json"
    content = json.loads(path.read_text())
    by_method = content["methods"]
    for name in ("leace", "lda", "augmentation"):  # as robustness writes a method that gave no numbers
        by_method[name]["problem"] = "not enough clips"
        by_method[name]["forward"] = None
    by_method["cca"]["forward"]["p_holm"] = 0.0004
    by_method["samplewise_cca_svd_0.4"]["forward"]["p_holm"] = None
    dump(path, content)
    stage.main()
    first = written(world)["mfcc"]["gain"]
    assert (first["best_method"], first["best_area"]) == ("samplewise_cca_svd_0.4", 0.0078125)
    assert (first["worst_method"], first["worst_area"]) == ("cca", -0.03125)
    assert not {name for name in first if name.startswith("ceiling")} and "best_area_p" not in first
    show()
    row = blocks(capsys.readouterr().out)["best removal: "][3]
    assert " ".join(row.split()) == "mfcc gain SVD 0.4 +0.008, p - CCA -0.031, p < 0.001 - [-, -]"


def test_a_pair_without_classifiers_says_so(world, capsys):
    path = world / "metrics/robustness/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["original"] = dict.fromkeys(content["original"])
    for of in content["methods"].values():
        of["problem"] = "fewer than three positives"
        of["original"] = dict.fromkeys(of["original"])
        of |= dict.fromkeys(("forward", "backward", "matched"))
    dump(path, content)
    write_comparison(world)
    stage.main()
    first = written(world)["mfcc"]["gain"]
    assert set(FIRST) - set(first) == {n for n in FIRST if "roc" in n or "drop" in n or "worst" in n or "best" in n
                                       or "ceiling" in n or "severity" in n}  # fmt: skip
    capsys.readouterr()
    show()
    found = blocks(capsys.readouterr().out)
    assert " ".join(found["ROC AUC of ori"][3].split()) == "mfcc gain - [-, -] - [-, -] - [-, -] at -"
    assert " ".join(found["best removal: "][3].split()) == "mfcc gain - - - [-, -]"
    assert found["Drop of AUC pe"][1] == "  gain     1 musicnn 0.019 (100 %)   - mfcc (fewer than three positives)"
    assert found["Drop of AUC pe"][3] == "  overall  1 musicnn (100 %)   - mfcc (not ranked under gain)"


def test_many_encoders_wrap_between_encoders(world, capsys):
    content = json.loads((world / "metrics/comparison.json").read_text())
    line = content["measures"]["lsd_db"]["gain"]["mfcc"]
    for i in range(9):
        content["measures"]["lsd_db"]["gain"][f"encoder-{i}"] = {**line, "rank": 3.0 + i}
    content["measures"]["lsd_db"]["gain"]["last"] = {**dict.fromkeys(line), "problem": "every vector is the same, " * 9}
    dump(world / "metrics/comparison.json", content)
    show()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 112
    start = next(i for i, line in enumerate(lines) if line.startswith("  gain     1 mfcc 0.0093 (100 %)   2 musicnn"))
    for i in range(9):
        assert any(f" {3 + i} encoder-{i} 0.0093 (100 %)" in line for line in lines[start : start + 4])
    words = " ".join(" ".join(lines[start:]).split())
    assert "- last (" + "every vector is the same, " * 9 + ")" in words


def test_methods_that_were_left_out(world):
    """robustness.methods may leave out any of them."""
    for path in world.glob("metrics/robustness/*/*.json"):
        content = json.loads(path.read_text())
        content["methods"] = {"none": content["methods"]["none"]}
        dump(path, content)
    stage.main()
    first = written(world)["mfcc"]["gain"]
    assert first["mean_drop"] == 0.0625 and not {n for n in first if n.startswith(("best", "worst_method", "ceiling"))}


def test_table_keeps_its_width_whatever_the_names(results):
    name = "an_encoder_with_a_name_that_takes_half_of_the_line"
    numbers = summary._movement(summary.headline(results, ("mfcc", "gain")), 24)
    lines = summary._aligned(summary._MOVEMENT, {(name, "gain"): numbers}).splitlines()
    assert lines[3].startswith("an_encoder_…  gain ")
    assert lines[3].endswith("5.2 [4.8, 5.8] of 24 (12.5)") and max(map(len, lines)) <= 112


def test_table_keeps_its_width_with_negative_numbers_and_high_ranks(world, capsys):
    for path in world.glob("metrics/cca/*/*.json"):
        content = json.loads(path.read_text())
        for part in ("global", "samplewise"):
            content[part] |= {"heldout": -0.25, "heldout_low": -0.5, "heldout_high": -0.125, "null_mean": -0.125}
        dump(path, content)
    for path in world.glob("metrics/svd/*/*.json"):
        content = json.loads(path.read_text())
        content["overall"] |= {"effective_rank": 15.5, "effective_rank_low": 14.5, "effective_rank_high": 16.5}
        dump(path, content)
    show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("encoder  perturb") and max(map(len, lines)) <= 112
    row = "musicnn reverb -0.25 [-0.50, -0.12] -0.12, 0.05 0.81 1.00, -0.25, 0.05 15.5 [14.5, 16.5] of 24 (12.5)"
    assert " ".join(lines[6].split()) == row


def test_only_the_selection_is_read(world):
    dump(world / "metrics/cca/yamnet/gain.json", {"stale": True})
    write_params(world, ("musicnn",), ("reverb",))
    stage.main()
    assert written(world).keys() == {"musicnn"} and written(world)["musicnn"].keys() == {"reverb"}


@pytest.mark.parametrize("name", [
    "metrics/consistency/mfcc/gain.json",
    "metrics/cca/mfcc/gain.json", "metrics/svd/musicnn/reverb.json", "metrics/trajectories/mfcc/gain.json",
    "metrics/robustness/mfcc/reverb.json", "metrics/comparison.json",
])  # fmt: skip
def test_a_missing_file_is_named(world, name):
    (world / name).unlink()
    with pytest.raises(SystemExit, match=rf"{name} is missing; `dvc repro` computes it"):
        stage.main()


def test_a_broken_file_is_named(world):
    (world / "metrics/svd/mfcc/gain.json").write_text('{"overall": ')
    with pytest.raises(SystemExit, match="metrics/svd/mfcc/gain.json does not hold what this version writes"):
        stage.main()


@pytest.mark.parametrize(("does", "needs"), [
    ("from earshift.pipeline import report_inputs as r; from earshift.report.summary import show; show(r.results())",
     set()),
    ("from stages import summary; summary.main()", {"pandas"}),  # which writes results.parquet
])  # fmt: skip
def test_imports_nothing_heavy(world, does, needs):
    code = f"import sys; {does}; print(sorted({HEAVY} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert run.stdout.splitlines()[-1:] == [str(sorted(needs))], run.stderr
