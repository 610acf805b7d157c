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
    "name", ["dvc.lock", "plots/figures", "plots/svd/mfcc/gain", "metrics/cca/mfcc/reverb.json", "metrics/summary.json"]
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
