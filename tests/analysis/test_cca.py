import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshift.analysis import cca, stacked, strengths
from earshift.analysis.cca import analyse
from earshift.analysis.directions import unit
from earshift.analysis.statistics import signed_square
from earshift.pipeline import paths
from earshift.storage import scratch
from earshift.storage.files import read_json, round_floats
from stages import cca as stage

KEYS = {
    "published", "published_low", "published_high", "published_null_mean", "published_null_p95",
    "heldout", "heldout_low", "heldout_high", "null_mean", "null_p95",
}  # fmt: skip
RIDGED = KEYS | {"heldout_unregularised"}


def planted(rng, clips=48, values=6, dim=24, jitter=0.1, spread=0.2):
    """Every clip moves along one direction, alike; clips differ a little."""
    direction = unit(rng.normal(size=dim))
    start = rng.normal(0, spread, (clips, 1, dim))
    movement = np.linspace(0, 3, values)[:, None] * direction
    return (start + movement + jitter * rng.normal(size=(clips, values, dim))).astype(np.float32)


def test_noise_is_told_by_the_held_out_number_alone(rng, trajectories, options):
    t = trajectories(rng.normal(size=(64, 8, 40)).astype(np.float32), instruments=2)
    result = analyse(t, options(permutations=100))[0]
    assert result["samplewise"]["published"] == result["samplewise"]["published_null_mean"] == 1
    for kind in ("global", "pooled", "samplewise"):
        numbers = result[kind]
        assert numbers["published"] > 0.1
        assert numbers["published"] < numbers["published_null_p95"] + 0.1
        assert abs(numbers["heldout"]) < 0.05
        assert abs(numbers["null_mean"]) < 0.005 < numbers["null_p95"] < 0.1
        assert numbers["heldout_low"] < numbers["null_p95"] and numbers["heldout_high"] > numbers["null_mean"]
    assert any("1 by construction: a clip has 8 points" in note for note in result["notes"])


def test_a_planted_direction_is_found_throughout(rng, trajectories, options):
    result, scatter, clips = analyse(trajectories(planted(rng), instruments=3), options())
    for kind in ("global", "pooled", "samplewise"):
        numbers = result[kind]
        assert numbers["published"] > 0.95 and numbers["heldout"] > 0.9
        assert numbers["null_p95"] < 0.2
        assert numbers["heldout_low"] <= numbers["heldout"] <= numbers["heldout_high"]
        assert numbers["heldout_low"] > 0.85
    assert (clips["heldout"] > 0.7).all()
    rho = [abs(scipy.stats.spearmanr(g["projection"], g["strength"]).statistic) for _, g in scatter.groupby("clip")]
    assert len(rho) == 48 and min(rho) > 0.9


def test_null_of_the_published_number_is_at_its_known_level(rng, trajectories, options):
    """A fit of noise to n points in d dimensions explains d / (n - 1); its ranks somewhat less."""
    clips, values, dim = 60, 6, 60
    t = trajectories(rng.normal(size=(clips, values, dim)).astype(np.float32), split=["train"] * clips)
    null = analyse(t, options(permutations=200))[0]["global"]["published_null_mean"]
    assert null == pytest.approx(dim / (clips * values - 1), rel=0.1)


def test_numbers_are_those_of_a_plain_loop(rng, trajectories, options):
    """The study's procedure with sklearn and scipy, clip by clip and instrument by instrument."""
    from sklearn.cross_decomposition import CCA
    from sklearn.linear_model import Ridge

    t = trajectories(planted(rng, clips=40, values=7, dim=12, jitter=0.8, spread=2), instruments=2)
    result = analyse(t, options(ridge=0.01))[0]
    raw, ranks = t.raw, np.arange(7)
    assert raw.tolist() == [0, -1, -2, -3, -4, -5, -6]  # the value falls as strength grows

    def rho(projections, strengths):
        return scipy.stats.spearmanr(np.ravel(projections), np.ravel(strengths)).statistic

    heldout, published = [], []
    for name in [*t.instruments, None]:
        own, tested = t.indices("train", name), t.indices("test", name)
        rows, strengths = t.vectors[own].reshape(-1, 12).astype(np.float64), np.tile(ranks, len(own))
        direction = CCA(n_components=1, scale=False).fit(rows, strengths).x_weights_[:, 0]
        largest = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[0]
        ridged = Ridge(alpha=0.01 * largest**2, solver="svd").fit(rows, strengths).coef_
        plain = Ridge(alpha=1e-12, solver="svd").fit(rows, strengths).coef_
        published.append(rho(rows @ direction, np.tile(raw, len(own))) ** 2)
        strengths = np.tile(ranks, len(tested))
        heldout.append([signed_square(rho(t.vectors[tested] @ weights, strengths)) for weights in (ridged, plain)])
    heldout = np.array(heldout)
    for i, name in enumerate(t.instruments):
        found = result["instruments"][name]["global"]
        assert found["published"] == pytest.approx(published[i], abs=1e-9)
        assert [found["heldout"], found["heldout_unregularised"]] == pytest.approx(heldout[i], abs=1e-9)
    assert result["global"]["published"] == pytest.approx(np.mean(published[:2]), abs=1e-9)
    assert result["global"]["heldout"] == pytest.approx(heldout[:2, 0].mean(), abs=1e-9)
    assert result["pooled"]["published"] == pytest.approx(published[2], abs=1e-9)
    assert result["pooled"]["heldout"] == pytest.approx(heldout[2, 0], abs=1e-9)

    halves = []
    for clip in t.vectors[t.indices("train")].astype(np.float64):
        for fit, score in ((ranks[0::2], ranks[1::2]), (ranks[1::2], ranks[0::2])):
            centred = clip[fit] - clip[fit].mean(axis=0)
            weights = np.linalg.lstsq(centred, fit - fit.mean(), rcond=None)[0]
            halves.append(rho(clip[score] @ weights, score))
    assert result["samplewise"]["heldout"] == pytest.approx(signed_square(np.mean(halves)), abs=1e-9)


def test_numbers_are_the_same_where_little_is_held_at_a_time(rng, trajectories, options, monkeypatch, tmp_path):
    t = trajectories(planted(rng, jitter=1.0), instruments=2)
    result, scatter, clips = analyse(t, options())
    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    monkeypatch.setattr(stacked, "_ELEMENTS", 1)
    monkeypatch.setattr(strengths, "_ELEMENTS", 1)
    monkeypatch.setattr(cca, "_FITS", 3)
    again, same_scatter, same_clips = analyse(t, options(), scratch=tmp_path)
    assert round_floats(again) == round_floats(result)
    np.testing.assert_allclose(same_scatter["projection"], scatter["projection"], rtol=1e-9)
    np.testing.assert_allclose(same_clips["heldout"], clips["heldout"], rtol=1e-9)
    assert not list(tmp_path.iterdir())


def test_in_sample_r2_below_one_where_values_outnumber_dimensions(rng, trajectories, options):
    from sklearn.cross_decomposition import CCA

    t = trajectories(planted(rng, clips=8, values=12, dim=3, jitter=1.0), split=["train"] * 8)
    result, _, clips = analyse(t, options())
    expected = []
    for clip in t.vectors:
        direction = CCA(n_components=1, scale=False).fit(clip, np.arange(12)).x_weights_[:, 0]
        expected.append(scipy.stats.spearmanr(clip @ direction, t.raw).statistic ** 2)
    assert clips["published"].to_numpy() == pytest.approx(expected, abs=1e-9)
    assert result["samplewise"]["published"] == pytest.approx(np.mean(expected)) and max(expected) < 1
    assert 0 < result["samplewise"]["published_null_mean"] < np.mean(expected)
    assert not any("by construction" in note for note in result["notes"])


def test_pairs_of_equal_vectors_are_ties(rng, trajectories, options):
    """Squared Spearman of 15 tied pairs and one more against 31 strengths: 1 - 15 * 6 / (31^3 - 31)."""
    vectors = np.repeat(rng.normal(size=(6, 16, 40)), 2, axis=1)[:, :31].astype(np.float32)
    result = analyse(trajectories(vectors, split=["train"] * 6), options())[0]
    assert result["samplewise"]["published"] == pytest.approx(1 - 15 * 6 / (31**3 - 31), abs=1e-9)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), shape=st.sampled_from([(24, 6, 10), (16, 5, 90)]))
def test_r2_is_the_same_in_every_frame(trajectories, options, seed, scale, shape):
    rng = np.random.default_rng(seed)
    clips, values, dim = shape
    vectors = planted(rng, *shape, jitter=0.5, spread=1).astype(np.float64)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    order = rng.permutation(clips)
    names = np.array([f"group{i // 2:03d}" for i in range(clips)])
    splits = np.where(np.arange(clips) // 2 % 3 == 2, "test", "train")
    frames = {
        "as it is": (vectors, slice(None)),
        "turned": (vectors @ turn, slice(None)),
        "shifted": (vectors + rng.normal(0, 10, dim), slice(None)),
        "scaled": (scale * vectors, slice(None)),
        "reversed": (vectors[:, ::-1], slice(None)),
        "in another order": (vectors[order], order),
    }
    found = {}
    for frame, (moved, clips_order) in frames.items():
        t = trajectories(moved, group=names[clips_order], split=splits[clips_order])
        result = analyse(t, options(permutations=1, bootstrap=1))[0]
        found[frame] = [result[k][n] for k in ("global", "pooled", "samplewise") for n in ("published", "heldout")]
    for frame, numbers in found.items():
        assert numbers == pytest.approx(found["as it is"], abs=1e-6), frame


def test_tables(rng, trajectories, options):
    t = trajectories(planted(rng, clips=16), instruments=2)
    result, scatter, clips = analyse(t, options())
    assert list(scatter.columns) == ["instrument", "clip", "split", "value", "strength", "projection"]
    assert len(scatter) == 16 * 6 and set(scatter["split"]) == {"train", "test"}
    assert list(clips.columns) == ["clip", "instrument", "published", "heldout"]
    assert clips["clip"].tolist() == t.clip[t.split == "train"].tolist()
    one = scatter[scatter["clip"] == "clip003"]
    assert one["value"].tolist() == list(t.values) and one["strength"].tolist() == pytest.approx(t.strengths)
    own = scatter[(scatter["instrument"] == "instrument0") & (scatter["split"] == "train")]
    assert own["projection"].mean() == pytest.approx(0, abs=1e-9)  # relative to the mean of the fitted points
    first = t.vectors[t.indices("train", "instrument0")].astype(np.float64)
    spread = np.linalg.norm(first - first.mean(axis=(0, 1)), axis=-1)
    assert (np.abs(own["projection"].to_numpy()) <= spread.ravel() + 1e-9).all()  # the direction has length 1
    assert result["instruments"]["instrument0"]["rows"] == len(own)


def test_every_key_is_there(rng, trajectories, options):
    result = analyse(trajectories(planted(rng), instruments=2), options())[0]
    assert set(result["global"]) == set(result["pooled"]) == RIDGED and set(result["samplewise"]) == KEYS
    for numbers in result["instruments"].values():
        assert set(numbers) == {"global", "samplewise", "train_clips", "test_clips", "rows"}
        assert set(numbers["global"]) == RIDGED and set(numbers["samplewise"]) == KEYS
    assert result["clips"] == {"train": 36, "test": 12, "invalid": 0, "no_direction": 0}
    assert result["values"] == ["0", "-1", "-2", "-3", "-4", "-5"] and result["dim"] == 24 and result["unit"] == "dB"


# --------------------------------------------------------------------------------------- corpora and encoders that lack


def numbers_of(result, *kinds):
    return [value for kind in kinds for value in result[kind].values()]


@pytest.mark.parametrize("alike", [True, False])
def test_an_encoder_that_does_not_react(rng, trajectories, options, alike):
    vectors = np.repeat(rng.normal(size=(1 if alike else 16, 1, 5)), 6, axis=1).astype(np.float32)
    t = trajectories(np.repeat(vectors, 16 // len(vectors), axis=0), instruments=2)
    result, scatter, clips = analyse(t, options())
    numbers = numbers_of(result, "global", "pooled", "samplewise")
    assert all(value is None or np.isnan(value) for value in numbers)
    assert result["clips"]["no_direction"] == result["clips"]["train"] == len(clips)
    assert clips[["published", "heldout"]].isna().all(axis=None) and scatter["projection"].isna().all()
    assert any("No global direction for 2 instruments" in note for note in result["notes"])
    assert any("No direction for" in note and "clip000" in note for note in result["notes"])


def test_clips_without_direction_are_left_out_of_the_mean(rng, trajectories, options):
    vectors = planted(rng, clips=24)
    moving = analyse(trajectories(vectors[2:], split=["train"] * 22), options())[0]
    vectors[:2] = vectors[:2, :1]
    result, _, clips = analyse(trajectories(vectors, split=["train"] * 24), options())
    assert result["clips"]["no_direction"] == 2 and clips["published"].isna().sum() == 2
    assert result["samplewise"]["heldout"] == pytest.approx(moving["samplewise"]["heldout"], abs=1e-12)
    assert "No direction for 2 clips (clip000, clip001): vectors do not move with strength." in result["notes"]


def test_a_shuffle_that_asks_for_no_direction_scores_zero(trajectories, options):
    """One step along one line: strengths that average the same before and after it find nothing there."""
    step = np.array([0, 0, 1, 1])[:, None] * np.array([0, 3, 4])
    t = trajectories(np.stack([step, step]).astype(np.float32), split=["train", "test"])
    result = analyse(t, options(permutations=60))[0]
    # Of the 6 pairs that can stand after the step, 2 score the highest, 2 the lowest square above 0, and 2 score 0.
    best = scipy.stats.spearmanr([0, 0, 1, 1], [0, 1, 2, 3]).statistic ** 2
    next_best = scipy.stats.spearmanr([0, 0, 1, 1], [0, 2, 1, 3]).statistic ** 2
    assert result["global"]["published"] == result["samplewise"]["published"] == pytest.approx(best)
    for kind in ("global", "samplewise"):
        assert result[kind]["published_null_mean"] == pytest.approx((best + next_best) / 3, rel=0.3)


def test_a_half_that_does_not_move_tells_nothing(rng, trajectories, options):
    vectors = np.repeat(rng.normal(size=(6, 1, 20)), 6, axis=1)
    vectors[:, 1::2] += rng.normal(size=(6, 3, 20))  # the clip moves, its ranks 0, 2 and 4 do not
    result, _, clips = analyse(trajectories(vectors.astype(np.float32), split=["train"] * 6), options())
    assert result["samplewise"]["heldout"] == result["samplewise"]["null_p95"] == 0
    assert (clips["heldout"] == 0).all() and result["clips"]["no_direction"] == 0


@pytest.mark.parametrize("values", [2, 3])
def test_too_few_values_for_halves(rng, trajectories, options, values):
    result = analyse(trajectories(planted(rng, values=values)), options())[0]
    samplewise = result["samplewise"]
    assert samplewise["published"] == 1 and np.isnan(samplewise["heldout"]) and samplewise["heldout_low"] is None
    # Clips' points at one value have no order among strengths, so perfect order scores 1 - 1 / values^2, not 1.
    assert 0.95 * (1 - values**-2) < result["global"]["heldout"] < 1 - values**-2 + 0.01
    assert f"No sample-wise held-out R2: it takes 4 values, the grid has {values}." in result["notes"]


def test_a_corpus_without_labels_has_one_instrument(rng, trajectories, options):
    result = analyse(trajectories(planted(rng)), options())[0]
    assert list(result["instruments"]) == ["all"]
    assert result["global"] == result["pooled"] == result["instruments"]["all"]["global"]


def test_no_test_clips(rng, trajectories, options):
    result = analyse(trajectories(planted(rng), instruments=2, split=["train"] * 48), options())[0]
    for kind in ("global", "pooled"):
        assert result[kind]["published"] > 0.9
        assert np.isnan(result[kind]["heldout"]) and np.isnan(result[kind]["null_mean"])
        assert result[kind]["heldout_low"] is None
    assert result["samplewise"]["heldout"] > 0.9
    assert any("No global held-out R2 for 2 instruments" in note for note in result["notes"])


def test_instruments_that_lack_test_or_training_clips(rng, trajectories, options):
    instrument = ["cello"] * 20 + ["flute"] * 8 + ["organ"] * 4
    split = (["train"] * 4 + ["test"]) * 4 + ["train"] * 8 + ["test"] * 4
    result = analyse(trajectories(planted(rng, clips=32), instrument=instrument, split=split), options())[0]
    assert list(result["instruments"]) == ["cello", "flute"]
    cello, flute = (result["instruments"][name]["global"] for name in ("cello", "flute"))
    assert result["global"]["heldout"] == cello["heldout"] and np.isnan(flute["heldout"])
    assert result["global"]["null_p95"] == cello["null_p95"]
    assert any("No global held-out R2 for 1 instrument (flute)" in note for note in result["notes"])
    assert "Test clips of 1 instrument (organ) count for the pooled direction only." in result["notes"]


def test_an_instrument_with_one_clip_and_one_group_has_no_interval(rng, trajectories, options):
    instrument = ["cello"] * 12 + ["flute"] * 2
    split = ["train", "train", "test", "test"] * 3 + ["train", "test"]
    group = [f"g{i // 2}" for i in range(12)] + ["g6", "g7"]
    t = trajectories(planted(rng, clips=14), instrument=instrument, split=split, group=group)
    flute = analyse(t, options())[0]["instruments"]["flute"]
    assert (flute["train_clips"], flute["test_clips"], flute["rows"]) == (1, 1, 6)
    assert flute["global"]["published"] == 1 and flute["global"]["heldout"] > 0.5
    ends = [f"{name}_{end}" for name in ("published", "heldout") for end in ("low", "high")]
    for kind in ("global", "samplewise"):
        assert [flute[kind][end] for end in ends] == [None] * 4


def test_about_as_many_points_as_dimensions_is_noted(rng, trajectories, options):
    t = trajectories(planted(rng, clips=32, dim=100), instruments=2)  # 12 training clips of 6 values an instrument
    notes = analyse(t, options())[0]["notes"]
    named = "3 fits (the direction of instrument0, the direction of instrument1, the pooled direction): about"
    assert any(note.startswith(named) for note in notes)
    assert any("Global published R2 is 1 by construction for 2 instruments" in note for note in notes)


# ----------------------------------------------------------------------------------------------------------- the stage


def test_stage_writes_the_same_bytes_twice(rng, on_disk, computed_twice):
    vectors = planted(rng, clips=12, dim=16)
    vectors[3] = vectors[3, :1]
    on_disk(vectors, [1, 2, 3, 4, 5, 6], splits=["train", "train", "train", "train", "test", "test"] * 2)
    written = computed_twice(stage.main)
    result, folder = "metrics/cca/mfcc/gain.json", "plots/cca/mfcc/gain"
    assert set(written) == {
        "metrics/cca/index.json", result, f"{folder}/scatter.csv", f"{folder}/samplewise_r2.csv"
    }  # fmt: skip
    content = json.loads(written[result])
    assert content["encoder"] == "mfcc" and content["perturbation"] == "gain"
    assert content["clips"] == {"train": 8, "test": 4, "invalid": 0, "no_direction": 1}
    assert b"clip3,cello,,\n" in written[f"{folder}/samplewise_r2.csv"]


def test_stage_of_a_still_encoder_writes_nulls(on_disk):
    on_disk(np.ones((4, 3, 5), dtype=np.float32), [1, 2, 3])
    stage.main([])
    content = read_json(paths.metrics("cca", "mfcc", "gain"))
    assert set(numbers_of(content, "global", "pooled", "samplewise")) == {None}


def test_stage_names_what_is_missing(on_disk, rng):
    on_disk(rng.normal(size=(4, 3, 5)), [1, 2, 3])
    with pytest.raises(SystemExit, match="mfcc/reverb: data/embeddings/mfcc/reverb holds no embeddings"):
        stage.main(["--only", "mfcc/reverb"])
