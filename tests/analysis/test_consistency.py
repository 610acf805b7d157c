"""Stage ``consistency``: what is left out, intervals, sides, and the files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from earshift.analysis import agreement
from earshift.analysis import consistency as module
from earshift.analysis.consistency import Consistency
from earshift.analysis.data import ORIGINAL
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.distances import Distances, read_distances, write_distances
from stages import consistency as stage

OPTIONS = Consistency(latent=("euclidean", "cosine"), threshold=0.9, seed=0, bootstrap=200, confidence=0.95)
PAIRS = [f"{a}_{z}" for a in module.AUDIO for z in OPTIONS.latent]


@pytest.fixture
def case(rng, trajectories):
    """Trajectories that leave their originals step by step, and distances in an audio space of their own."""

    def make(clips=24, values=4, lost=(), **more):
        originals = rng.normal(size=(clips, 6)).astype(np.float32)
        steps = np.arange(1, values + 1)[:, None] * rng.normal(size=(clips, 1, 6)) / 3
        vectors = (originals[:, None] + steps).astype(np.float32)
        if not lost:
            more = {"split": ["train"] * clips, **more}
        t = trajectories(vectors, originals=originals, **more)
        sounds = originals[:, :4] + 0.1 * rng.normal(size=(clips, 4))
        heard = {ORIGINAL: sounds}
        for place, value in enumerate(t.values):
            heard[value] = sounds + (place + 1) * rng.normal(size=sounds.shape) / 3
        matrices = {}
        for value, points in heard.items():
            dtw = agreement.euclidean(points, sounds).astype(np.float32)
            matrices[value] = {"dtw": dtw, "simple": (dtw**2 + rng.random(dtw.shape)).astype(np.float32)}
        return t, matrices

    return make


def analyse(t, matrices, options=OPTIONS, **more):
    return module.analyse(t, lambda value: dict(matrices[value]), options, **more)


def row(curves, value, measure, audio="", latent=""):
    chosen = curves[(curves["value"] == value) & (curves["measure"] == measure)]
    (found,) = chosen[(chosen["audio"] == audio) & (chosen["latent"] == latent)].itertuples()
    return found


def test_every_measure_at_every_value(case):
    t, matrices = case()
    result, curves = analyse(t, matrices)
    for place, value in enumerate(t.values):
        spaces = {**matrices[value], **{n: d(t.vectors[:, place], t.originals) for n, d in agreement.LATENT.items()}}
        wrong = {}
        for name, d in spaces.items():
            wrong[name] = [any(d[i, i] >= d[i, j] for j in range(24) if j != i) for i in range(24)]
            audio, latent = (name, "") if name in module.AUDIO else ("", name)
            assert row(curves, value, "within", audio, latent).number == pytest.approx(1 - np.mean(wrong[name]))
        for a in module.AUDIO:
            for z in OPTIONS.latent:
                x, y = spaces[a], spaces[z]
                same = np.mean([p == q for p, q in zip(wrong[a], wrong[z], strict=True)])
                assert row(curves, value, "between_agreement", a, z).number == pytest.approx(same)
                rho = spearmanr(x.ravel(), y.ravel()).statistic
                assert row(curves, value, "between_spearman", a, z).number == pytest.approx(rho)
                own = spearmanr(np.diagonal(x), np.diagonal(y)).statistic
                assert row(curves, value, "own_spearman", a, z).number == pytest.approx(own)
    overall = result["overall"]
    for name in (f"between_spearman_{pair}" for pair in PAIRS):
        chosen = curves[[module.name_of((r.measure, r.audio, r.latent)) == name for r in curves.itertuples()]]
        assert overall[name] == pytest.approx(chosen["number"].mean())
        assert overall[f"{name}_low"] < overall[name] < overall[f"{name}_high"]
    assert len(curves) == 4 * (4 + 3 * len(PAIRS))
    assert ((curves["low"] <= curves["number"]) & (curves["number"] <= curves["high"])).all()


def test_originals_are_correlated_over_pairs_of_different_clips(case):
    t, matrices = case()
    result, _ = analyse(t, matrices)
    dtw, euclidean = matrices[ORIGINAL]["dtw"], agreement.euclidean(t.originals, t.originals)
    above = np.triu_indices(24, 1)
    expected = spearmanr(dtw[above], euclidean[above]).statistic
    assert result["originals"]["originals_spearman_dtw_euclidean"] == pytest.approx(expected, abs=1e-4)
    numbers = [result["originals"][f"originals_spearman_dtw_euclidean{end}"] for end in ("_low", "", "_high")]
    assert numbers == sorted(set(numbers))


def test_an_encoder_that_hears_what_the_audio_space_hears(case):
    """Equal distances: both spaces agree about every clip, wrong ones too, and have one order."""
    t, matrices = case(values=6)
    for place, value in enumerate(t.values):
        matrices[value]["dtw"] = agreement.euclidean(t.vectors[:, place], t.originals)
    result, curves = analyse(t, matrices)
    overall = result["overall"]
    assert 0.1 < overall["within_dtw"] == overall["within_euclidean"] < 0.9
    assert overall["between_agreement_dtw_euclidean"] == 1
    assert overall["between_spearman_dtw_euclidean"] == pytest.approx(1)
    assert overall["own_spearman_dtw_euclidean"] == pytest.approx(1)


def test_clips_without_a_distance_are_left_out_of_both_spaces(case):
    t, matrices = case()
    value = t.values[2]
    simple = matrices[value]["simple"]
    simple[[3, 11]] = simple[:, [3, 11]] = np.nan
    t.originals[5] = 0  # no cosine
    result, curves = analyse(t, matrices)
    rest = [i for i in range(24) if i not in (3, 11)]
    found = row(curves, value, "within", "simple")
    assert found.clips == 22 and found.number == pytest.approx(
        1 - agreement.errors(simple[np.ix_(rest, rest)]).mean()
    )  # fmt: skip
    assert row(curves, value, "within", "dtw").clips == 24
    both = [i for i in rest if i != 5]
    found = row(curves, value, "between_spearman", "simple", "cosine")
    cosine = agreement.cosine(t.vectors[:, 2], t.originals)
    expected = spearmanr(simple[np.ix_(both, both)].ravel(), cosine[np.ix_(both, both)].ravel()).statistic
    assert found.clips == 21 and found.number == pytest.approx(expected)
    assert row(curves, value, "between_agreement", "simple", "euclidean").clips == 22
    notes = "\n".join(result["notes"])
    assert f"Some clips have no distance by simple at {value}: at least 22 of 24 do." in notes
    assert "no distance by cosine at" in notes and "by dtw" not in notes


def test_a_value_without_any_simple(case):
    t, matrices = case()
    matrices[t.values[3]]["simple"][:] = np.nan
    result, curves = analyse(t, matrices)
    for measure in ("between_agreement", "between_spearman", "own_spearman"):
        found = row(curves, t.values[3], measure, "simple", "cosine")
        assert np.isnan(found.number) and found.clips == 0
        rest = curves[(curves["measure"] == measure) & (curves["audio"] == "simple") & (curves["latent"] == "cosine")]
        assert result["overall"][f"{measure}_simple_cosine"] == pytest.approx(rest["number"].mean())
    assert result["overall"]["within_simple_low"] is not None
    assert f"No clip has a distance by simple at {t.values[3]}; means are over the other values." in result["notes"]
    for of in matrices.values():
        of["simple"][:] = np.nan
    result, _ = analyse(t, matrices)
    assert np.isnan(result["overall"]["within_simple"]) and result["overall"]["within_simple_low"] is None
    assert np.isfinite(result["overall"]["within_dtw"])


def test_a_distance_that_was_not_measured(case):
    t, matrices = case()
    for of in matrices.values():
        of.pop("simple")
    result, curves = analyse(t, matrices, replace(OPTIONS, latent=("cosine",)))
    assert result["audio"] == ["dtw"] and result["latent"] == ["cosine"]
    assert [name for name in result["overall"] if not name.endswith(("_low", "_high"))] == [
        "within_dtw", "within_cosine", "between_agreement_dtw_cosine", "between_spearman_dtw_cosine",
        "own_spearman_dtw_cosine",
    ]  # fmt: skip
    assert set(result["sides"]["all"]["falls_below"]) == {"dtw", "cosine"} == set(result["clips"]["twins"])
    assert len(curves) == 5 * 4


def test_recordings_count_not_clips(rng, trajectories):
    """Half of the clips are kept, whole recordings of three clips at a time: twenty numbers, not sixty."""
    t = trajectories(rng.normal(size=(60, 2, 3)))
    matrices = staged(t, [0.5, 0.5])
    for group, count in ((np.repeat(np.arange(20), 3), 20), (np.arange(60), 60)):
        options = replace(OPTIONS, bootstrap=4000)
        result, curves = analyse(replace(t, group=group.astype(str)), matrices, options)
        share = row(curves, t.values[0], "within", "dtw")
        reach = 1.96 * np.sqrt(0.25 / count)
        assert [share.low, share.high] == pytest.approx([0.5 - reach, 0.5 + reach], abs=0.15 * reach)
        assert result["overall"]["within_dtw_low"] == pytest.approx(share.low), "both values lose the same clips"
        assert result["clips"]["recordings"] == count


@pytest.mark.parametrize("recordings", [1, 2])
def test_few_recordings_have_no_intervals(case, recordings):
    t, matrices = case(clips=8)
    t = replace(t, group=np.array(["a"] * 4 + ["b" if recordings == 2 else "a"] * 4))
    result, curves = analyse(t, matrices)
    assert f"No intervals of consistency: they take 3 recordings, there are {recordings}." in result["notes"]
    assert result["overall"]["within_dtw_low"] is None and np.isfinite(result["overall"]["within_dtw"])
    assert result["originals"]["originals_spearman_dtw_euclidean_high"] is None
    assert curves["low"].isna().all() and np.isfinite(curves["number"]).all()


def test_a_single_clip(case):
    t, matrices = case(clips=1, values=2)
    result, _ = analyse(t, matrices)
    assert result["overall"]["within_dtw"] == 1 and np.isnan(result["overall"]["between_spearman_dtw_euclidean"])


def test_twins_are_errors_and_are_told(case):
    t, matrices = case(values=2)
    t.originals[7], t.vectors[7] = t.originals[6], t.vectors[6]
    result, curves = analyse(t, matrices)
    assert result["clips"]["twins"] == {"dtw": 0, "simple": 0, "euclidean": 2, "cosine": 2}
    assert any(note.startswith("2 of 24 originals lie at distance 0") for note in result["notes"])
    still = replace(t, vectors=np.repeat(t.originals[:, None], 2, axis=1))
    result, curves = analyse(still, matrices)
    assert row(curves, t.values[0], "within", "", "euclidean").number == pytest.approx(22 / 24)


def test_an_encoder_that_returns_constants(case):
    t, matrices = case(values=2)
    t.vectors[:], t.originals[:] = 3, 3
    result, _ = analyse(t, matrices)
    overall = result["overall"]
    assert overall["within_euclidean"] == overall["within_cosine"] == 0
    assert np.isnan(overall["between_spearman_dtw_cosine"]) and overall["between_spearman_dtw_cosine_low"] is None


# ---------------------------------------------------------------------------------------------------------------- sides


def staged(t, shares):
    """Distances in which the given share of the clips finds its own original at each value."""
    count = len(t.clip)
    matrices = {ORIGINAL: {name: 1 - np.eye(count) for name in module.AUDIO}}
    for value, share in zip(t.values, shares, strict=True):
        d = 1 - np.diag((np.arange(count) < round(share * count)).astype(float))
        matrices[value] = {"dtw": d, "simple": 1 - np.eye(count)}
    return matrices


def test_each_way_from_neutral_has_its_own_smallest_and_broken_value(trajectories, rng):
    t = replace(trajectories(rng.normal(size=(10, 6, 3))), values=("0.5", "0.8", "0.9", "1", "1.1", "1.2"))
    result, _ = analyse(t, staged(t, [0.2, 0.5, 0.9, 0.1, 1.0, 0.8]), neutral=1.0)
    below, above = result["sides"]["below"], result["sides"]["above"]
    assert below["values"] == ["0.9", "0.8", "0.5"] and above["values"] == ["1.1", "1.2"], "1 itself is on no side"
    assert (below["smallest"], above["smallest"]) == ("0.9", "1.1")
    assert below["distance_from_neutral"] == pytest.approx(0.1)
    assert below["falls_below"]["dtw"] == "0.8", "0.9 is the threshold and not below it"
    assert above["falls_below"]["dtw"] == "1.2" and above["falls_below"]["simple"] is None


def test_one_side_in_order_of_strength(trajectories, rng):
    t = replace(trajectories(rng.normal(size=(10, 3, 3))), values=("30", "6", "-15"))
    ((name, side),) = analyse(t, staged(t, [1.0, 0.7, 0.2]))[0]["sides"].items()
    assert name == "all" and side["smallest"] == "30" and side["distance_from_neutral"] is None
    assert side["falls_below"]["dtw"] == "6" and side["falls_below"]["simple"] is None


# ---------------------------------------------------------------------------------------------------------------- files


def write(path, matrices, clips):
    write_distances(path, Distances(matrices, list(clips["clip"]), clips["valid"].to_numpy()))


@pytest.fixture
def finished(rng, on_disk):
    """Embeddings and distances of 12 clips under gain, one of them invalid."""
    values = (-40, -4, 5)
    vectors = rng.normal(size=(12, 1, 5)) + np.array([3, 0.3, 0.4])[:, None] * rng.normal(size=(12, 3, 5))
    valid = [i != 4 for i in range(12)]
    clips = on_disk(vectors.astype(np.float32), values, growth="two-sided", valid=valid)
    for path in (paths.original_distances(), *(paths.distances("gain", value) for value in values)):
        dtw = rng.random((12, 12)) + 1 - np.eye(12)
        dtw[4] = dtw[:, 4] = np.nan
        write(path, {"dtw": dtw, "simple": dtw**2}, clips)
    return clips


def test_main_writes_the_same_bytes_twice(finished, computed_twice):
    written = computed_twice(stage.main)
    result, curves = "metrics/consistency/mfcc/gain.json", "plots/consistency/mfcc/gain/curves.csv"
    assert set(written) == {"metrics/consistency/index.json", result, curves}
    content = json.loads(written[result])
    assert list(content) == ["encoder", "perturbation", "unit", "values", "dim", "clips", "audio", "latent",
                             "threshold", "overall", "originals", "sides", "notes"]  # fmt: skip
    assert content["clips"]["used"] == 11 and content["clips"]["recordings"] == 6
    assert list(content["sides"]) == ["below", "above"] and content["sides"]["below"]["smallest"] == "-4"
    assert written[curves].decode().splitlines()[0] == "measure,audio,latent,value,strength,number,low,high,clips"
    dtw = read_distances(paths.distances("gain", "-4")).matrices["dtw"]
    kept = [i for i in range(12) if i != 4]
    line = next(line for line in written[curves].decode().splitlines() if line.startswith("within,dtw,,-4,"))
    assert float(line.split(",")[5]) == pytest.approx(1 - agreement.errors(dtw[np.ix_(kept, kept)]).mean(), abs=1e-5)


def test_distances_of_another_corpus(finished):
    write(paths.distances("gain", "-4"), {"dtw": np.eye(5)}, finished[:5])
    with pytest.raises(UserError, match=r"gain/-4.h5 holds 5 clips that are not the 12 of .*; run `dvc repro`"):
        stage.audio_distances("gain", finished["clip"])("-4")


def test_missing_distances_are_named(finished):
    paths.original_distances().unlink()
    with pytest.raises(SystemExit, match="data/distances/original.h5 is missing; `dvc repro` computes it"):
        stage.main([])
