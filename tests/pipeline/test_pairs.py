"""Pairs by themselves: one by hand, one that fails, and a kill between them."""

import sys

from clones import counts


def test_one_pair_by_hand_serves_the_stage(changed):
    changed.set({"cca.seed": 1})
    assert counts(changed(sys.executable, "-m", "stages.cca", "--only", "mfcc/gain")) == {"cca": (1, 1, 0)}
    assert changed("git", "status", "--porcelain").split() == ["M", "params.yaml"], "into the store alone"
    assert counts(changed.dvc("repro", "--single-item", "cca")) == {"cca": (3, 4, 1)}


def test_a_pair_that_fails_stops_no_other_and_is_named(changed):
    changed.set({"cca.seed": 2})
    broken = changed.root / "data/embeddings/yamnet/reverb/0.4.h5"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    log = changed.dvc("repro", "--single-item", "cca", check=False)
    assert "failed to reproduce 'cca'" in log and "earshift: 1 of 4 pairs failed" in log
    assert "yamnet/reverb: data/embeddings/yamnet/reverb/0.4.h5 is damaged" in log and "Traceback" not in log
    assert counts(log) == {"cca": (3, 4, 0)}
    log = changed.dvc("repro", "cca")
    assert counts(log) == {"embed yamnet": (0, 9, 9), "cca": (1, 4, 3)}
    assert broken.read_bytes() == content


def test_a_kill_loses_the_pairs_that_were_under_way(changed):
    changed.set({"cca.seed": 3, "cca.permutations": 300, "compute.workers": 2})
    repro = [sys.executable, "-m", "dvc", "repro", "--single-item", "cca"]
    finished = changed.kill_when_stored(1, "cca", *repro)
    assert 1 <= finished < 4
    assert counts(changed(*repro)) == {"cca": (4 - finished, 4, finished)}
