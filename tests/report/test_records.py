"""What a tracker is asked to show, and under which name, without any tracker."""

import json

import pytest
from results_on_disk import GRIDS, dump, write_lock, write_pair, write_params

from stages.errors import UserError
from stages.report import records, results

BOTH = (("mfcc", "musicnn"), ("gain", "reverb"))


def lock_hash():
    content = results.document()
    return records.lock_sha256(records.locked_stages(content))


def made():
    content = results.document()
    return records.records(content, records.locked_stages(content))


def test_one_parent_and_a_record_per_pair(world):
    assert [r.pair for r in made()] == [
        ("", ""), ("mfcc", "gain"), ("mfcc", "reverb"), ("musicnn", "gain"), ("musicnn", "reverb")
    ]  # fmt: skip


def test_metrics_of_a_pair(world):
    steps = {}
    for name, value, step in made()[1].metrics:
        steps.setdefault(name, {})[step] = value
    flat = {name: of[0] for name, of in steps.items() if list(of) == [0]}
    assert flat["cca.global.heldout"] == 0.25 and flat["cca.pooled.published"] == 0.6875
    assert flat["cca.samplewise.heldout"] == 0.40625 and flat["cca.global.null_p95"] == 0.046875
    assert {n: v for n, v in flat.items() if n.startswith("cca.heldout.")} == {
        "cca.heldout.cello": 0.25, "cca.heldout.flute": 0.25, "cca.heldout.voice": 0.25
    }  # fmt: skip
    assert flat["svd.effective_rank"] == 5.25 and flat["svd.rank_at_energy"] == 5
    assert list(steps["svd.spectrum"]) == list(steps["svd.originals_spectrum"]) == list(range(1, 25))
    assert steps["svd.spectrum"][1] == 1 and steps["svd.spectrum"][2] == pytest.approx(0.778801)


def by_name(metrics):
    found = {}
    for name, value, step in metrics:
        found.setdefault(name, {})[step] = value
    return found


def test_robustness_of_a_pair(world):
    found = by_name(made()[1].metrics)
    assert found["robustness.original.roc_auc"] == {0: 0.9375} and found["robustness.original.roc_auc_low"] == {
        0: 0.90625
    }
    assert found["robustness.none.forward.mean_drop"][0] == pytest.approx(0.0625)
    assert found["robustness.leace.forward.area"] == {0: 0.015625} and found["robustness.leace.forward.p_holm"] == {
        0: 0.02
    }
    assert found["robustness.leace.original.roc_auc"] == {0: 0.94140625}
    assert found["robustness.leace.random.forward"] == {0: 0.875} and "robustness.none.forward.p_holm" not in found
    curve = found["robustness.samplewise_cca_svd_0.4.backward.roc_auc"]  # 0.9375 - 0.0625 strength + 0.0078125
    assert curve == pytest.approx({step: 0.9453125 - 0.0125 * (step - 1) for step in range(1, 7)})
    assert not any(name.startswith("robustness.augmentation.backward") for name in found)


def test_trajectories_of_a_pair(world):
    found = by_name(made()[1].metrics)
    assert found["trajectories.straightness_low"] == {0: 0.625} and "trajectories.pca_explained" not in found
    assert found["trajectories.path.distance_from_original"] == pytest.approx(
        {i: 1 + 0.6 * (i - 1) for i in range(1, 7)}
    )
    assert found["trajectories.path.step_length"] == dict.fromkeys(range(2, 7), 0.75)
    assert found["trajectories.path.turning_angle"] == dict.fromkeys(range(2, 6), 35.5)


def test_the_parent_shows_the_comparison(world):
    parent = made()[0]
    found = by_name(parent.metrics)
    assert found["comparison.overall.rank.mfcc"] == {0: 1} and found["comparison.gain.rank.musicnn"] == {0: 2}
    assert found["comparison.gain.slope.mfcc"][0] == pytest.approx(3.675 / 394.8, rel=1e-5)
    assert found["comparison.reverb.first.mfcc"] == {0: 1} and "comparison.overall.slope.mfcc" not in found
    assert parent.params["comparison.severity"] == "lsd_db"
    assert {path.as_posix() for _, path in parent.files} >= {
        "metrics/comparison.json", "plots/comparison/ranking.csv", "plots/comparison/drops.csv"
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


def test_nulls_and_odd_labels(world):
    path = world / "metrics/cca/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["instruments"] = {"ré/é (2)": content["instruments"]["cello"], "x" * 300: {"global": None}}
    content["global"]["heldout"] = None
    dump(path, content)
    names = [name for name, _, _ in made()[1].metrics]
    assert "cca.heldout.ré_é _2_" in names and "cca.global.heldout" not in names


def test_parameters_are_short_and_hold_no_grid(world):
    parent, _, _, child, _ = made()
    assert parent.params["run.encoders"] == "mfcc musicnn" and parent.params["corpus.general_midi.pieces"] == "8"
    assert child.params["encoder.model"] == "MSD_musicnn" and child.params["perturb.clip"] == "null"
    assert child.params["fidelity"] == "corrected" and child.params["cca.permutations"] == "200"
    assert child.params["dim"] == "753" and child.params["unit"] == "dB"
    assert not any("grid" in name or "folder" in name for name in {**parent.params, **child.params})
    assert child.grid == {"perturbation": "gain", "unit": "dB", "values": GRIDS["gain"][1]}
    assert made()[2].params["perturbation.damping"] == "0.5"


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
        "metrics/comparison.json",
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
