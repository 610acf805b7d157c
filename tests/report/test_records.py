"""What a tracker is asked to show, and under which name, without any tracker."""

import json

import pytest
from results_on_disk import GRIDS, dump, write_lock, write_pair, write_params, write_results

from earshift.errors import UserError
from earshift.pipeline import paths, profile, report_inputs
from earshift.pipeline.tracking import records

BOTH = (("mfcc", "musicnn"), ("gain", "reverb"))


def lock_hash():
    return records.lock_sha256(records.locked_stages(report_inputs.results().study))


def made():
    results = report_inputs.results()
    return records.make_records(results, records.locked_stages(results.study))


def test_one_parent_and_a_record_per_pair(world):
    assert [r.pair for r in made()] == [
        ("", ""), ("mfcc", "gain"), ("mfcc", "reverb"), ("musicnn", "gain"), ("musicnn", "reverb")
    ]  # fmt: skip


def by_name(metrics):
    found = {}
    for name, value, step in metrics:
        found.setdefault(name, {})[step] = value
    return found


def test_metrics_of_a_pair_are_few_and_grouped(world):
    found = by_name(made()[1].metrics)
    assert found["cca/heldout_r2"] == {0: 0.25} and found["cca/heldout_r2_high"] == {0: 0.375}
    assert found["cca/null_r2_p95"] == {0: 0.046875} and found["cca/samplewise_heldout_r2"] == {0: 0.40625}
    assert found["svd/effective_rank"] == {0: 5.25} and found["svd/originals_effective_rank"] == {0: 12.5}
    assert list(found["svd/spectrum"]) == list(found["svd/originals_spectrum"]) == list(range(1, 25))
    assert found["svd/spectrum"][1] == 1 and found["svd/spectrum"][2] == pytest.approx(0.778801)
    groups = {"cca", "svd", "trajectories", "roc_auc", "gain", "consistency"}
    assert {name.partition("/")[0] for name in found} == groups
    assert len(found) <= 80


def test_what_a_classifier_loses(world):
    found = by_name(made()[1].metrics)
    assert found["roc_auc/original"] == {0: 0.9375} and found["roc_auc/original_low"] == {0: 0.90625}
    assert found["roc_auc/mean_drop"][0] == pytest.approx(0.0625)
    assert found["roc_auc/drop_per_severity"][0] == pytest.approx(3.675 / 394.8, rel=1e-5)
    assert found["gain/leace"] == {0: 0.015625} and "gain/none" not in found
    curve = found["roc_auc/samplewise_cca_svd_0.4"]  # 0.9375 - 0.125 strength + 0.0078125
    assert curve == pytest.approx({step: 0.9453125 - 0.025 * (step - 1) for step in range(1, 7)})
    assert found["roc_auc/none"][6] == pytest.approx(0.8125) and len(found["roc_auc/none"]) == 6


def test_trajectories_of_a_pair(world):
    found = by_name(made()[1].metrics)
    assert found["trajectories/straightness_low"] == {0: 0.625}
    assert found["trajectories/distance_at_value"] == pytest.approx({i: 1 + 0.6 * (i - 1) for i in range(1, 7)})
    assert found["trajectories/turn_at_value"] == dict.fromkeys(range(2, 6), 35.5)


def test_consistency_of_a_pair(world):
    found = by_name(made()[1].metrics)
    assert found["consistency/within_dtw"] == {0: 0.9375} and found["consistency/within_cosine_low"] == {0: 0.859375}
    assert found["consistency/between_agreement_dtw_euclidean"] == {0: 0.8125}
    assert found["consistency/between_agreement_simple_cosine"] == {0: 1}
    assert found["consistency/between_spearman_dtw_euclidean"] == {0: 0.25}
    assert found["consistency/within_euclidean_at_value"] == pytest.approx({i: 1.1 - 0.1 * i for i in range(1, 7)})
    assert found["consistency/within_dtw_at_value"][6] == pytest.approx(0.875)
    assert len([name for name in found if name.startswith("consistency/")]) == 17


def test_the_parent_shows_the_headline_the_ranks_and_all_grids(world):
    parent = made()[0]
    found = by_name(parent.metrics)
    assert found["headline/heldout_r2"] == {0: 0.5}
    assert found["rank/overall/mfcc"] == {0: 1} and found["rank/gain/musicnn"] == {0: 2}
    assert parent.params["comparison.severity"] == "lsd_db"
    assert {name: of["values"] for name, of in parent.grid.items()} == {n: GRIDS[n][1] for n in ("gain", "reverb")}
    assert {path.as_posix() for _, path in parent.files} >= {
        "metrics/comparison.json", "plots/comparison/ranking.csv", "plots/comparison/drops.csv", "report/page.html"
    }  # fmt: skip


def test_tables_of_a_pair_go_along(world):
    assert {(folder, path.name) for folder, path in made()[1].files} >= {
        ("plots/robustness", "curves.csv"), ("plots/robustness", "draws.parquet"),
        ("plots/robustness", "scores.parquet"),
        ("plots/trajectories", "points.csv"), ("plots/trajectories", "path.csv"), ("metrics/robustness", "gain.json"),
    }  # fmt: skip


def test_lists_of_an_analysis_are_joined(world):
    params = made()[1].params
    assert params["robustness.svd_threshold"] == "0.3 0.4 0.5" and params["trajectories.neighbours"] == "3"
    assert params["robustness.methods"].startswith("none lda average_displacement ")
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("[0.3, 0.4, 0.5]", "0.4"))
    assert made()[1].params["robustness.svd_threshold"] == "0.4"


def test_numbers_that_are_missing_are_left_out(world):
    path = world / "metrics/cca/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["global"]["heldout"] = None
    dump(path, content)
    names = [name for name, _, _ in made()[1].metrics]
    assert "cca/heldout_r2" not in names and "cca/null_r2_p95" in names


def test_odd_names_become_names_of_metrics(world):
    path = world / "metrics/comparison.json"
    content = json.loads(path.read_text())
    for of in content["measures"]["lsd_db"].values():
        of["ré/é (2)"] = of["mfcc"]
    dump(path, content)
    assert "rank/overall/ré_é _2_" in [name for name, _, _ in made()[0].metrics]


def test_parameters_are_short_and_hold_no_grid(world):
    parent, _, _, child, _ = made()
    assert parent.params["run.encoders"] == "mfcc musicnn" and parent.params["corpus.general_midi.pieces"] == "8"
    assert child.params["encoder.model"] == "MSD_musicnn" and child.params["perturb.clip"] == "null"
    assert child.params["fidelity"] == "corrected" and child.params["cca.permutations"] == "9"
    assert child.params["dim"] == "753" and child.params["unit"] == "dB"
    assert not any("grid" in name or "folder" in name for name in {**parent.params, **child.params})
    assert child.grid == {"perturbation": "gain", "unit": "dB", "values": GRIDS["gain"][1]}


def test_options_of_a_perturbation_are_parameters_of_its_pairs(world):
    write_results(world, perturbations=("gain", "pitch"))
    assert "perturbation.level" not in made()[1].params and made()[2].params["perturbation.level"] == "true"


def test_the_corpus_is_the_dataset(world):
    assert all(
        r.dataset == {"name": "general_midi", "digest": "01234567", "source": "data/corpus/clips.csv"} for r in made()
    )


def test_a_lock_without_the_corpus(world):
    dump(world / "dvc.lock", {"stages": {"summary": {"cmd": "x"}}})
    with pytest.raises(UserError, match="dvc.lock does not know data/corpus"):
        made()


@pytest.mark.parametrize("text", ["", "stages: [", "schema: '2.0'\n"])
def test_a_broken_lock(world, text):
    (world / "dvc.lock").write_text(text)
    with pytest.raises(UserError, match="dvc.lock is broken"):
        made()


@pytest.mark.parametrize(
    "name",
    [
        "dvc.lock",
        "plots/figures",
        "plots/svd/mfcc/gain",
        "metrics/cca/mfcc/reverb.json",
        "metrics/summary.json",
        "metrics/headline.json",
        "metrics/comparison.json",
        "report/page.html",
        "plots/comparison",
        "plots/robustness/mfcc/gain",
        "plots/trajectories/mfcc/gain/path.csv",
    ],
)
def test_what_is_missing_is_named(world, name):
    (world / name).rename(world / "away")
    with pytest.raises(UserError, match=f"{name} is missing; `dvc repro`"):
        made()


def test_the_hash_ignores_track_and_the_order(world):
    before = lock_hash()
    write_lock(world, *BOTH, track={"cmd": "track", "deps": [{"path": "metrics/cca", "md5": "1"}]})
    assert lock_hash() == before
    write_lock(world, *(names[::-1] for names in BOTH))
    assert lock_hash() == before
    write_lock(world, *BOTH, corpus="ffff.dir")
    assert lock_hash() != before


def test_the_hash_ignores_what_is_no_longer_selected(world):
    """DVC leaves the entries of matrix items in dvc.lock when they are deselected."""
    write_lock(world, ("mfcc",), ("gain",))
    write_params(world, ("mfcc",), ("gain",))
    alone = lock_hash()
    write_lock(world, *BOTH)
    assert lock_hash() == alone
    write_params(world, *BOTH)
    assert lock_hash() != alone


def test_the_key_tells_experiments_apart(world):
    assert len({records.key(e, lock) for e in ("", "a", "b") for lock in ("1", "2")}) == 6


def test_the_digest_follows_what_is_shown(world):
    before = {r.pair: r.digest for r in made()}
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("workers: auto", "workers: 3") + "# all I have\n")
    assert {r.pair: r.digest for r in made()} == before
    write_pair(world, "mfcc", "gain", 0.3)
    after = {r.pair: r.digest for r in made()}
    assert {pair for pair in after if after[pair] != before[pair]} == {("mfcc", "gain")}
    (world / "plots/figures/headline.png").write_text("drawn again")
    assert made()[0].digest != before["", ""]


def write_profile(stage, *, exit_="ok", params=None, **content):
    dump(paths.profile(stage), {"stage": stage, "exit": exit_, "counted": {}, **content,
                                "params": params or profile.params_sha256()})  # fmt: skip


def test_what_the_stages_took_is_beside_the_results(world):
    before = [record.digest for record in made()]
    clips = {"clips": {"computed": 7, "reused": 3, "seconds": 2.0, "per_second": 3.5}}
    write_profile("embed@mfcc", seconds=2.5, peak_mib=128.0, counted=clips, workers=2)
    write_profile("embed@musicnn", seconds=5.0)
    write_profile("corpus", seconds=1.5, peak_mib=64.0)
    parent, *children = made()
    assert [record.digest for record in (parent, *children)] == before
    assert {name: (value, step) for name, value, step in parent.costs} == {
        "profile/corpus_seconds": (1.5, 0), "profile/corpus_peak_mib": (64, 0), "profile/embed.mfcc_seconds": (2.5, 0),
        "profile/embed.mfcc_peak_mib": (128, 0), "profile/embed.mfcc_clips_computed": (7, 0),
        "profile/embed.mfcc_clips_reused": (3, 0), "profile/embed.mfcc_clips_per_second": (3.5, 0),
        "profile/embed.musicnn_seconds": (5, 0),
    }  # fmt: skip
    assert list(parent.profiles) == ["corpus", "embed@mfcc", "embed@musicnn"]
    assert not any(child.profiles or child.costs for child in children)


def test_what_other_runs_took_is_left_out(world):
    write_profile("embed@mfcc", exit_="failed", seconds=2.5)
    write_profile("embed@musicnn", params="of another params.yaml", seconds=2.5)
    write_profile("embed@yamnet", seconds=2.5)  # which is not in dvc.lock
    write_profile("track", seconds=2.5)
    assert not any(record.profiles for record in made())
