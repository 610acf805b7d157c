"""The robustness analysis against the published procedure, and what it says where there is nothing to say."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.robustness import INSTRUMENTS, negatives, published, roc_auc, synthetic
from earshift.analysis import classify, desensitise, drops, robustness
from earshift.analysis.desensitise import Method, TrainingClips
from earshift.analysis.drops import Outcome
from earshift.analysis.robustness import Experiment, Robustness, analyse
from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.compute import mapper
from earshift.pipeline.robustness import Finished
from stages import robustness as stage

THREADS = mapper(params.Compute(workers=2, scheduler=None, device="cpu", chunk=16, gpu_batch=1), threads=True)


def options(*names, threshold=0.4, bootstrap=60, seed=0):
    return Robustness(
        methods=names, svd_threshold=threshold, positives=288, seed=seed, bootstrap=bootstrap, confidence=0.95
    )


@pytest.fixture(scope="module")
def small():
    """Eleven instruments, 9 training clips of each, 44 test clips, 4 values."""
    return synthetic(9, 44, 4, 20)


def by_names(t, *instruments):
    """Trajectories of some of the instruments only."""
    kept = np.isin(t.instrument, instruments)
    arrays = ("vectors", "originals", "clip", "group", "instrument", "split")
    return dataclasses.replace(t, **{name: getattr(t, name)[kept] for name in arrays})


def paired_groups(t):
    """Two clips of a recording each."""
    return dataclasses.replace(t, group=np.array([f"group{i // 2}" for i in range(len(t.clip))]))


# -------------------------------------------------------------------------------------------- as the study published it


@pytest.mark.parametrize("kind", ["none", "lda", "average_displacement", "pca", "pca_normalised", "cca",
                                  "samplewise_cca_svd"])  # fmt: skip
def test_same_numbers_as_the_published_procedure(small, kind):
    experiment = Experiment(small, options(kind, bootstrap=1, seed=3))
    reference = desensitise.reference_variances(small.originals[small.indices("train")])
    method = experiment.methods[-1]
    found = robustness.outcomes(experiment, "cello")[kind]
    areas = dict(zip(experiment.tests(method), found.scores[:, 0], strict=True))
    some = {("original", "original"), ("original", "2"), ("3", "original"), ("0", "0"), ("original", "random"),
            ("random", "random")}  # fmt: skip
    removed, expected = published(
        experiment, "cello", kind, reference, 0.4, run=lambda name, *sets: roc_auc(*sets) if name in some else None
    )
    assert method.kind == kind and set(expected) == set(areas)
    differences = [abs(areas[name] - expected[name]) for name in some]
    assert max(differences) < 1e-3 and np.median(differences) < 1e-5
    assert found.removed == len(removed)
    own = small.indices("train", "cello")
    clips = TrainingClips(small.originals[own], small.vectors[own], reference)
    ours = desensitise.estimate_removal(clips, method).directions
    if len(removed):
        assert np.linalg.svd(ours @ removed.T)[1].min() > 1 - 1e-6


def test_negatives_are_the_same_clips(small):
    labels = small.instrument[small.indices("train")]
    for instrument in INSTRUMENTS:
        positions, positive = classify.training_set(labels, instrument)
        assert positions[~positive].tolist() == negatives(labels, instrument, 9).tolist()


def test_all_the_studys_combinations(small):
    experiment = Experiment(small, options("none"))
    tests = experiment.tests(Method("none", "none"))
    steps = ["0", "1", "2", "3", "random"]
    assert len(tests) == len(set(tests)) == 3 * 4 + 4
    assert set(tests) == {("original", "original")} | {
        pair for step in steps for pair in (("original", step), (step, "original"), (step, step))
    }
    assert experiment.tests(Method("augmentation", "augmentation")) == [("all", s) for s in ["original", *steps]]


def test_values_are_mixed_by_the_seed(small):
    one, other = (Experiment(small, options("none", seed=seed)) for seed in (1, 2))
    places = one.mixed
    assert np.array_equal(places, Experiment(small, options("none", seed=1)).mixed)
    assert not np.array_equal(places, other.mixed)
    assert set(places.tolist()) == {0, 1, 2, 3}
    clips = np.array([5, 100, 7])
    expected = [small.vectors[clip, places[clip]] for clip in clips]
    np.testing.assert_array_equal(one.vectors("random", clips), expected)


def test_thresholds_are_one_method_or_one_each(small):
    wanted = ("samplewise_cca_svd", "lda")
    found = Experiment(small, options(*wanted)).methods
    assert [(m.name, m.threshold) for m in found] == [("none", 0), ("lda", 0), ("samplewise_cca_svd", 0.4)]
    found = Experiment(small, options(*wanted, threshold=(0.3, 0.5))).methods
    assert [(m.name, m.threshold) for m in found[2:]] == [
        ("samplewise_cca_svd_0.3", 0.3), ("samplewise_cca_svd_0.5", 0.5)
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------ numbers, tables


@pytest.fixture(scope="module")
def analysed(small):
    t = paired_groups(by_names(small, "cello", "flute", "organ"))
    return t, *analyse(t, options(*desensitise.METHODS, threshold=(0.3, 0.4)), map=THREADS)


def test_the_tidy_table_has_every_classifier_under_every_test(analysed):
    t, _, tables = analysed
    scores = tables["scores"]
    assert list(scores) == ["instrument", "method", "train", "test", *classify.SCORES, "penalty", "note"]
    assert len(scores) == 3 * (10 * 16 + 6)
    assert not scores.duplicated(["instrument", "method", "train", "test"]).any()
    test = t.instrument[t.split == "test"]
    assert (scores["support"] == scores["instrument"].map(lambda name: (test == name).sum())).all()
    assert scores["roc_auc"].between(0, 1).all() and (scores["note"] == "").all()
    assert scores["penalty"].isin(classify.PENALTIES).all()


def test_numbers_follow_from_the_table(analysed):
    t, result, tables = analysed
    scores = tables["scores"].set_index(["method", "train", "test", "instrument"])["roc_auc"]
    base = scores["none", "original", "original"]
    assert result["original"]["roc_auc"] == pytest.approx(base.mean())
    ends = {"forward": lambda v: ("original", v), "backward": lambda v: (v, "original"), "matched": lambda v: (v, v)}
    for method in ("none", "lda", "leace", "samplewise_cca_svd_0.4"):
        for direction, end in ends.items():
            numbers = result["methods"][method][direction]
            curve = np.array([scores[(method, *end(value))].mean() for value in t.values])
            none = np.array([scores[("none", *end(value))].mean() for value in t.values])
            assert numbers["mean_auc"] == pytest.approx(curve.mean())
            assert numbers["mean_drop"] == pytest.approx(base.mean() - curve.mean())
            assert numbers["worst_drop"] == pytest.approx(base.mean() - curve.min())
            assert numbers["worst_value"] == t.values[int(np.argmin(curve))]
            assert numbers["area"] == pytest.approx(np.trapezoid(curve - none, t.strengths))
            for name in ("mean_auc", "mean_drop", "worst_drop") + (("area",) if method != "none" else ()):
                assert numbers[f"{name}_low"] <= numbers[name] <= numbers[f"{name}_high"]
    augmented = result["methods"]["augmentation"]
    assert augmented["backward"] is augmented["matched"] is None
    assert augmented["forward"]["mean_auc"] == pytest.approx(
        np.mean([scores["augmentation", "all", value].mean() for value in t.values])
    )
    assert result["methods"]["none"]["random"]["matched"] == pytest.approx(scores["none", "random", "random"].mean())


def test_curves_and_draws_are_of_the_same_numbers(analysed):
    t, result, tables = analysed
    curves, draws = tables["curves"], tables["draws"]
    assert set(curves["instrument"]) == {"all", "cello", "flute", "organ"}
    none = curves[(curves["method"] == "none") & (curves["direction"] == "forward")]
    assert none.loc[none["instrument"] == "all", "value"].tolist() == ["original", *t.values]
    overall = none[none["instrument"] == "all"].set_index("value")["roc_auc"]
    each = none[none["instrument"] != "all"].groupby("value")["roc_auc"].mean()
    pd.testing.assert_series_equal(overall.sort_index(), each.sort_index(), check_names=False)
    assert draws.groupby("value")["draw"].nunique().to_dict() == dict.fromkeys(["original", *t.values], 60)
    spread = draws[draws["value"] == "original"]["roc_auc"].quantile([0.025, 0.975])
    original = result["original"]
    assert original["roc_auc_high"] - original["roc_auc_low"] <= spread.iloc[1] - spread.iloc[0] + 1e-6


def test_p_values_are_holms(analysed):
    _, result, _ = analysed
    found = {name: of["forward"] for name, of in result["methods"].items() if name != "none"}
    ordered = sorted(found.values(), key=lambda numbers: numbers["p"])
    largest = 0.0
    for place, numbers in enumerate(ordered):
        largest = max(largest, min(1, numbers["p"] * (len(ordered) - place)))
        assert numbers["p_holm"] == pytest.approx(largest)
    assert result["methods"]["none"]["forward"]["p"] is None


def test_a_shift_common_to_all_clips_does_not_change_their_order(analysed):
    _, result, _ = analysed
    numbers = result["methods"]["conditional_displacement"]["forward"]
    assert numbers["area"] == pytest.approx(0, abs=1e-12)
    assert any("conditional_displacement" in note and "random" in note for note in result["notes"])


def test_threads_change_nothing(small):
    t = by_names(small, "cello", "flute", "organ")
    wanted = options("pca", "leace", "augmentation", bootstrap=5)
    (one, tables), (two, others) = analyse(t, wanted), analyse(t, wanted, map=THREADS)
    assert json.dumps(one) == json.dumps(two)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, others[name], check_exact=True)


def test_a_nuisance_costs_and_the_report_says_which_removal_pays():
    """Clips move along one line by amounts of their own: LEACE and PCA win back what is lost, Holm's p says so."""
    rng = np.random.default_rng(1)
    t = paired_groups(synthetic(24, 220, 4, 12, seed=1))
    line = np.linalg.qr(rng.normal(size=(12, 12)))[0][0]
    amounts = rng.uniform(0, 1, (len(t.clip), 1, 1)) * np.arange(1, 5)[:, None]
    t = dataclasses.replace(t, vectors=(t.originals[:, None] + 40 * amounts * line).astype(np.float32))
    t = by_names(t, "cello", "flute", "organ", "piano")
    result, _ = analyse(t, options("pca", "leace", "augmentation", bootstrap=400), map=THREADS)
    none = result["methods"]["none"]["forward"]
    assert none["mean_drop"] > 0.05 and none["mean_drop_low"] > 0
    for method in ("pca", "leace", "augmentation"):
        numbers = result["methods"][method]["forward"]
        assert numbers["mean_drop"] < none["mean_drop"] / 2 and numbers["area_low"] > 0 and numbers["p_holm"] < 0.05


# ---------------------------------------------------------------------------------------------- nothing to say, and why


EVERY = tuple(desensitise.METHODS)


def test_a_corpus_of_one_class(small):
    t = dataclasses.replace(small, instrument=np.full(len(small.clip), "all"))
    result, tables = analyse(t, options(*EVERY))
    assert result["skipped"] == {"all": "0 negative training clips, 3 folds need 3"}
    assert result["original"]["roc_auc"] is None or np.isnan(result["original"]["roc_auc"])
    assert all(of["forward"] is None and of["problem"] for of in result["methods"].values())
    assert tables["scores"]["roc_auc"].isna().all() and len(tables["curves"].dropna(subset="roc_auc")) == 0
    assert len(tables["draws"]) == 0


def test_fewer_positives_than_folds(small):
    t = by_names(small, "cello", "flute", "organ", "piano")
    rare = np.flatnonzero((t.instrument == "piano") & (t.split == "train"))[2:]
    kept = np.setdiff1d(np.arange(len(t.clip)), rare)
    arrays = ("vectors", "originals", "clip", "group", "instrument", "split")
    t = dataclasses.replace(t, **{name: getattr(t, name)[kept] for name in arrays})
    result, tables = analyse(t, options("pca", "leace"))
    assert result["skipped"] == {"piano": "2 positive training clips, 3 folds need 3"}
    assert result["methods"]["pca"]["instruments"] == 3 and np.isfinite(result["original"]["roc_auc"])
    piano = tables["scores"][tables["scores"]["instrument"] == "piano"]
    assert piano["roc_auc"].isna().all() and piano["note"].str.startswith("2 positive").all()
    assert any(note.startswith("piano is left out: 2 positive training clips") for note in result["notes"])


def test_an_instrument_without_test_clips(small):
    t = by_names(small, "cello", "flute", "organ")
    kept = ~((t.instrument == "flute") & (t.split == "test"))
    arrays = ("vectors", "originals", "clip", "group", "instrument", "split")
    t = dataclasses.replace(t, **{name: getattr(t, name)[kept] for name in arrays})
    result, _ = analyse(t, options("lda"))
    assert result["skipped"] == {"flute": "no positive test clips"} and result["methods"]["lda"]["instruments"] == 2


def test_a_perturbation_without_effect(small):
    t = by_names(small, "cello", "flute", "organ")
    t = dataclasses.replace(t, vectors=np.repeat(t.originals[:, None], 4, axis=1))
    result, tables = analyse(t, options(*EVERY))
    assert result["methods"]["none"]["forward"]["mean_drop"] == 0
    assert result["methods"]["augmentation"]["forward"] is not None
    for method in set(EVERY) - {"none", "augmentation"}:
        section = result["methods"][method]
        assert section["problem"] and section["forward"] is None and section["instruments"] == 0
        own = tables["scores"][tables["scores"]["method"] == method]
        assert own["roc_auc"].isna().all() and (own["note"] != "").all()
        assert any(note.startswith(f"{method} has no numbers for all instruments") for note in result["notes"])


def test_an_encoder_that_returns_constants(small):
    t = by_names(small, "cello", "flute", "organ")
    t = dataclasses.replace(t, vectors=np.ones_like(t.vectors), originals=np.ones_like(t.originals))
    result, tables = analyse(t, options(*EVERY))
    assert set(result["skipped"].values()) == {"all training vectors are alike"}
    assert tables["scores"]["roc_auc"].isna().all()


def test_values_at_which_all_clips_are_alike(small):
    """Silence, say: trained there is no classifier, tested there every clip ties."""
    t = by_names(small, "cello", "flute", "organ")
    vectors = t.vectors.copy()
    vectors[:, 3] = 1
    result, tables = analyse(dataclasses.replace(t, vectors=vectors), options("none"))
    scores = tables["scores"].set_index(["train", "test", "instrument"])
    assert scores.loc[("original", "3", "cello"), "roc_auc"] == 0.5
    assert scores.loc[("3", "original", "cello"), "note"] == "all training vectors are alike"
    none = result["methods"]["none"]
    assert none["forward"]["worst_value"] == "3" and none["backward"] is None
    assert any("backward" in note and "alike" in note for note in result["notes"])


def test_one_test_recording_has_no_intervals(small):
    t = by_names(small, "cello", "flute", "organ")
    t = dataclasses.replace(t, group=np.where(t.split == "test", "one", t.group))
    result, tables = analyse(t, options("pca"))
    numbers = result["methods"]["pca"]["forward"]
    assert numbers["mean_drop_low"] is numbers["area_high"] is numbers["p"] is numbers["p_holm"] is None
    assert np.isfinite(numbers["mean_drop"]) and len(tables["draws"]) == 0
    assert "There are no intervals: they need two test recordings." in result["notes"]


def test_an_unknown_method_is_one_message(edited):
    with pytest.raises(UserError, match=r"robustness.methods names 'leece'; .*did you mean 'leace'"):
        edited({"robustness.methods": ["none", "leece"]})


# ------------------------------------------------------------------------------------------------------ killed, resumed


def test_a_killed_run_goes_on_at_the_last_whole_instrument(small, tmp_path, monkeypatch):
    t = by_names(small, "cello", "flute", "organ")
    wanted, done = options("pca", "samplewise_cca_svd", bootstrap=20), []
    expected, tables = analyse(t, wanted)
    outcomes = robustness.outcomes

    def killed(experiment, instrument, **how):
        if instrument == "cello" and not done.count("again"):
            raise KeyboardInterrupt
        done.append(instrument)
        return outcomes(experiment, instrument, **how)

    def finished(fingerprint):
        return Finished(tmp_path / "finished", fingerprint, t.instruments)

    monkeypatch.setattr(robustness, "outcomes", killed)
    with pytest.raises(KeyboardInterrupt):
        analyse(t, wanted, finished=finished("same"))
    assert done == ["organ"]
    done.append("again")
    (tmp_path / "finished" / ".half.npz.123.tmp").write_bytes(b"what a kill leaves")
    found, others = analyse(t, wanted, finished=finished("same"))
    assert done == ["organ", "again", "cello", "flute"]
    assert json.dumps(found) == json.dumps(expected)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, others[name], check_exact=True)
    analyse(t, wanted, finished=finished("changed"))
    assert done[4:] == ["organ", "cello", "flute"]


def test_every_classifier_is_counted_once(small):
    t = by_names(small, "cello", "flute", "organ")
    wanted, counted = options("pca", "average_displacement", "augmentation", bootstrap=1), []
    analyse(t, wanted, advance=counted.append)
    assert sum(counted) == 3 * Experiment(t, wanted).classifiers_of_each == 3 * (3 * 6 + 1)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken"])
def test_broken_leftovers_count_as_none(tmp_path, content):
    finished = Finished(tmp_path, "same", [])
    scores = np.ones((2, 8))
    finished["cello"] = {"none": Outcome(scores, ["", ""], np.zeros((2, 3), dtype=np.float32), 0)}
    found = Finished(tmp_path, "same", ["cello", "flute"])
    assert list(found) == ["cello"]
    np.testing.assert_array_equal(found["cello"]["none"].scores, scores)
    for path in tmp_path.iterdir():
        path.write_bytes(content)
    assert not Finished(tmp_path, "same", ["cello"])


def test_the_stage_writes_its_files_and_leaves_nothing_else(on_disk, edited, rng, computed_twice):
    """The same bytes twice."""
    edited({"robustness.methods": ["pca", "leace"], "robustness.bootstrap": 20})
    labels = ["cello", "flute"] * 20
    originals = rng.normal(size=(40, 1, 6)) + 2 * (np.arange(40) % 2)[:, None, None]
    vectors = np.concatenate([originals, originals + rng.normal(size=(40, 2, 6))], axis=1).astype(np.float32)
    on_disk(vectors, [1, 2, 3], labels=labels, splits=(["train"] * 6 + ["test"] * 2) * 5)
    written = computed_twice(stage.main)
    path, plots = "metrics/robustness/mfcc/gain.json", "plots/robustness/mfcc/gain"
    tables = {f"{plots}/{name}" for name in ("curves.csv", "draws.parquet", "scores.parquet")}
    assert set(written) == {"metrics/robustness/index.json", path, *tables}
    assert not (paths.SCRATCH / "robustness" / "mfcc-gain").exists()
    result = json.loads(written[path])
    assert list(result["methods"]) == ["none", "pca", "leace"] and result["values"] == ["1", "2", "3"]
    table = pd.read_parquet(io.BytesIO(written[f"{plots}/scores.parquet"]))
    assert len(table) == 2 * 3 * 13 and table["roc_auc"].between(0, 1).all()


def test_the_columns_are_where_the_numbers_look_for_them():
    assert classify.SCORES[drops.ROC_AUC] == "roc_auc"
