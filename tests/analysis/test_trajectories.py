import json
from math import factorial

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import Ridge

from earshift.analysis import shapes
from earshift.analysis import trajectories as module
from earshift.analysis.statistics import RESOLUTION
from earshift.analysis.trajectories import TrajectoryMaps
from stages import trajectories as stage

RIDGE = 0.001


def options(clips=5, neighbours=3, seed=0, bootstrap=50, confidence=0.95):
    return TrajectoryMaps(clips=clips, neighbours=neighbours, seed=seed, bootstrap=bootstrap, confidence=confidence)


def analyse(t, **changes):
    return module.analyse(t, options(**changes), ridge=RIDGE)


def shape(vectors, originals=None):
    vectors = np.asarray(vectors, dtype=np.float64)
    return vars(shapes.measure_shapes(vectors, vectors[:, 0] if originals is None else np.asarray(originals)))


def planes(rng, points, clips, dim):
    """Points [shape=(values, 2)] on a random plane for each clip, each from a start of its own."""
    frames = np.linalg.qr(rng.normal(size=(clips, dim, 2)))[0]
    return rng.normal(size=(clips, 1, dim)) + points @ np.swapaxes(frames, 1, 2)


# ------------------------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("dim", [1, 2, 300])
def test_a_straight_line_is_straight_whatever_its_steps(rng, dim):
    at = np.array([0, 0.1, 2, 2.5, 7])
    along = rng.normal(size=(6, 1, dim))
    found = shape(rng.normal(size=(6, 1, dim)) + at[:, None] * along)
    length = np.linalg.norm(along[:, 0], axis=1)
    np.testing.assert_allclose(found["turning_angles"], 0, atol=1e-6)
    np.testing.assert_allclose(found["straightness"], 1, rtol=1e-12)
    assert (found["straightness"] <= 1).all()
    np.testing.assert_allclose(found["path_length"], 7 * length)
    np.testing.assert_allclose(found["displacement"], 7 * length)
    np.testing.assert_allclose(found["step_length"], np.diff(at) * length[:, None])
    np.testing.assert_allclose(found["step_share"], np.broadcast_to(np.diff(at) / 7, (6, 4)))
    np.testing.assert_allclose(found["distance_from_original"], at * length[:, None])


@pytest.mark.parametrize("degrees, values", [(30, 7), (72, 6), (0.01, 5), (179.9, 4)])
def test_a_circle_turns_by_its_angle(rng, degrees, values):
    """Chords of a circle of radius 5: 2 r sin(phi / 2), and from the first to the last 2 r |sin((P - 1) phi / 2)|."""
    turn = np.radians(degrees)
    at = turn * np.arange(values)
    found = shape(planes(rng, 5 * np.stack([np.cos(at), np.sin(at)], axis=1), 4, 20))
    np.testing.assert_allclose(found["turning_angles"], degrees, rtol=1e-5)
    chord, across = 10 * np.sin(turn / 2), 10 * abs(np.sin((values - 1) * turn / 2))
    np.testing.assert_allclose(found["step_length"], chord, rtol=1e-6)
    np.testing.assert_allclose(found["straightness"], across / ((values - 1) * chord), rtol=1e-5, atol=1e-9)


def test_there_and_back_again():
    found = shape([[[0.0, 0], [3, 0], [0, 0]]])
    assert found["turning_angles"].tolist() == [[180]]
    assert found["displacement"][0] == found["straightness"][0] == 0 and found["path_length"][0] == 6


def test_a_pause_has_no_angle():
    """3 east, 4 north, a pause, 3 west: two corners are cut off by the pause, one of 90 degrees is left."""
    found = shape([[[0.0, 0], [3, 0], [3, 4], [3, 4], [0, 4]]], originals=[[0.0, -1]])
    np.testing.assert_allclose(found["turning_angles"], [[90, np.nan, np.nan]])
    assert found["turning_angle"][0] == pytest.approx(90)
    assert found["path_length"].tolist() == [10] and found["displacement"].tolist() == [4]
    np.testing.assert_allclose(found["step_share"], [[0.3, 0.4, 0, 0.3]])
    np.testing.assert_allclose(found["distance_from_original"], [[1, np.sqrt(10), np.sqrt(34), np.sqrt(34), 5]])


@pytest.mark.parametrize("dim", [1, 2, 40])
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy"])
def test_points_in_no_order_turn_by_120_degrees(rng, dim, draw):
    """Exactly, in any number of dimensions and for any distribution: the angles of a triangle add up to 180."""
    angles = shape(getattr(rng, draw)(size=(4000, 6, dim)))["turning_angle"]
    assert abs(angles.mean() - 120) < 4 * angles.std() / np.sqrt(4000)


@pytest.mark.parametrize("dim", [1, 2, 40])
def test_a_random_walk_turns_by_90_degrees(rng, dim):
    angles = shape(rng.normal(size=(4000, 6, dim)).cumsum(axis=1))["turning_angle"]
    assert abs(angles.mean() - 90) < 4 * angles.std() / np.sqrt(4000)


@pytest.mark.parametrize("values", [2, 6, 17])
def test_references_hold_where_dimensions_are_many(rng, trajectories, values):
    noise = rng.normal(size=(12, values, 20_000))
    references = analyse(trajectories(noise[..., :50].astype(np.float32)))[0]["references"]
    for name, vectors in (("independent_points", noise), ("random_walk", noise.cumsum(axis=1))):
        found = shape(vectors)
        assert found["straightness"].mean() == pytest.approx(references[name]["straightness"], rel=0.02)
        if values > 2:
            assert found["turning_angle"].mean() == pytest.approx(references[name]["turning_angle"], rel=0.01)


def test_measures_are_the_same_in_every_frame(rng):
    vectors, originals = rng.normal(size=(5, 6, 8)), rng.normal(size=(5, 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    plain, moved = shape(vectors, originals), shape(40 * vectors @ turn + 7, 40 * originals @ turn + 7)
    for key, scale in (("straightness", 1), ("turning_angles", 1), ("step_share", 1), ("path_length", 40),
                       ("displacement", 40), ("distance_from_original", 40)):  # fmt: skip
        np.testing.assert_allclose(moved[key], scale * plain[key], rtol=1e-9)


@pytest.mark.parametrize("ulps, moves", [(0, False), (4, False), (64, True)])
def test_rounding_is_no_movement(rng, ulps, moves):
    base = rng.uniform(-1, 1, (3, 1, 50))
    base[:, :, 7] = 90.0  # the largest number, whose rounding all others share
    vectors = np.repeat(base, 5, axis=1)
    vectors[:, 1::2, 3] += 90 * ulps * RESOLUTION
    found = shape(vectors)
    assert found["moves"].tolist() == [moves] * 3
    assert np.isnan(found["straightness"]).all() != moves and np.isnan(found["turning_angle"]).all() != moves


def test_distance_between_originals(rng, trajectories):
    vectors = rng.normal(size=(24, 3, 10)).astype(np.float32)
    t = trajectories(vectors, originals=rng.normal(3, 2, (24, 10)).astype(np.float32))
    pairs = scipy.spatial.distance.pdist(t.originals[t.indices("train")].astype(np.float64))
    assert analyse(t)[0]["distance_between_originals"] == pytest.approx(np.sqrt(np.mean(pairs**2)))


# --------------------------------------------------------------------------------------------------------- monotonicity


@pytest.mark.parametrize("clips, dim", [(32, 8), (16, 100)])
def test_monotonicity_is_spearman_on_the_directions_of_sklearn(rng, trajectories, clips, dim):
    drift = np.linspace(0, 2, 6)[:, None] * rng.normal(size=dim)
    scales = np.geomspace(1, 0.003, dim)  # the penalty must matter
    t = trajectories(((rng.normal(size=(clips, 6, dim)) + drift) * scales).astype(np.float32), instruments=2)
    result, _, _ = analyse(t)
    apart = []
    for name in t.instruments:
        each = dict(zip(("", "_ridged"), shapes.monotonicity(t, name, np.ones(clips, dtype=bool), RIDGE), strict=True))
        apart.append(np.abs(each[""] - each["_ridged"]).max())
        train, test = t.indices("train", name), t.indices("test", name)
        rows, ranks = t.vectors[train].reshape(-1, dim).astype(np.float64), np.tile(np.arange(6), len(train))
        largest = np.linalg.norm(rows - rows.mean(axis=0), 2)
        directions = {
            "": CCA(n_components=1, scale=False).fit(rows, ranks).x_weights_[:, 0],
            "_ridged": Ridge(alpha=RIDGE * largest**2).fit(rows, ranks).coef_,
        }
        for suffix, direction in directions.items():
            direction = direction * np.sign(scipy.stats.spearmanr(rows @ direction, ranks).statistic)
            rho = [scipy.stats.spearmanr(clip @ direction, np.arange(6)).statistic for clip in t.vectors[test]]
            np.testing.assert_allclose(each[suffix], rho, atol=1e-9)
            numbers = result["instruments"][name]
            assert numbers[f"monotonicity{suffix}"] == pytest.approx(np.mean(rho), rel=1e-9)
            assert numbers[f"monotone_clips{suffix}"] == np.mean(np.isclose(rho, 1))
    assert max(apart) > 0.01
    noisy = any("too few points" in note for note in result["notes"])
    assert noisy == (dim == 100)


def test_planted_order_is_found_on_unseen_clips(rng, trajectories):
    """Three test clips of four go along, one the other way: (3 - 1) / 4."""
    vectors = 5 * rng.normal(size=(32, 1, 6)) + np.arange(6)[:, None] * rng.normal(size=6)
    t = trajectories(vectors)
    backwards = t.indices("test")[::4]
    t.vectors[backwards] = t.vectors[backwards, ::-1]
    overall = analyse(t)[0]["overall"]
    for suffix in ("", "_ridged"):
        assert overall[f"monotonicity{suffix}"] == pytest.approx(0.5)
        assert overall[f"monotone_clips{suffix}"] == 0.75


def test_no_order_gives_zero(rng, trajectories):
    found = [analyse(trajectories(rng.normal(size=(64, 4, 3))), bootstrap=1)[0]["overall"] for _ in range(40)]
    for suffix in ("", "_ridged"):
        rho = np.array([overall[f"monotonicity{suffix}"] for overall in found])
        assert abs(rho.mean()) < 4 * rho.std() / np.sqrt(40)
        ordered = np.mean([overall[f"monotone_clips{suffix}"] for overall in found])
        assert ordered == pytest.approx(1 / factorial(4), abs=0.025)


# ------------------------------------------------------------------------------------------------- means and intervals


def test_means_over_clips_then_over_instruments(rng, trajectories):
    names = ["a"] * 8 + ["b"] * 24  # unequal, so that the mean over instruments is not that over clips
    t = trajectories(rng.normal(size=(32, 5, 7)) * (1 + np.arange(32))[:, None, None], instrument=names)
    result, _, path = analyse(t)
    whole = shape(t.vectors, t.originals)
    own = {name: t.indices("train", name) for name in "ab"}
    for key in ("path_length", "displacement", "straightness", "turning_angle"):
        means = {name: whole[key][clips].mean() for name, clips in own.items()}
        assert {name: result["instruments"][name][key] for name in "ab"} == pytest.approx(means)
        assert result["overall"][key] == pytest.approx(np.mean(list(means.values())))
    assert list(path["instrument"]) == ["all"] * 5 + ["a"] * 5 + ["b"] * 5
    assert path["value"].tolist()[:5] == list(t.values) and path["strength"].tolist()[:5] == [0, 0.25, 0.5, 0.75, 1]
    for key, place in (("distance_from_original", slice(0, 5)), ("step_length", slice(1, 5)),
                       ("step_share", slice(1, 5)), ("turning_angle", slice(1, 4))):  # fmt: skip
        source = whole["turning_angles" if key == "turning_angle" else key]
        rows = {name: path.loc[path["instrument"] == name, key].to_numpy() for name in ("all", "a", "b")}
        for name in "ab":
            np.testing.assert_allclose(rows[name][place], source[own[name]].mean(axis=0))
        np.testing.assert_allclose(rows["all"], (rows["a"] + rows["b"]) / 2)
        assert np.isnan(np.delete(rows["a"], np.arange(5)[place])).all()
    np.testing.assert_allclose(path.groupby("instrument")["step_share"].sum(), 1)


def test_intervals_are_those_of_the_mean_over_recordings(rng, trajectories):
    """Every clip its own recording: the spread of a bootstrap mean is s / sqrt(n)."""
    t = trajectories(rng.normal(size=(200, 5, 4)), group=np.arange(200))
    result, _, _ = analyse(t, bootstrap=4000, confidence=0.9)
    whole = shape(t.vectors, t.originals)
    for key in ("straightness", "turning_angle"):
        own = whole[key][t.indices("train")]
        reach = scipy.stats.norm.ppf(0.95) * own.std() / np.sqrt(len(own))
        for numbers in (result["overall"], result["instruments"]["all"]):
            low, high = numbers[f"{key}_low"], numbers[f"{key}_high"]
            assert [low, high] == pytest.approx([own.mean() - reach, own.mean() + reach], abs=0.12 * reach)
    overall = result["overall"]
    assert -1 <= overall["monotonicity_low"] < overall["monotonicity"] < overall["monotonicity_high"] <= 1


def test_recordings_count_not_clips(rng, trajectories):
    """Ten copies of each clip in its recording: as wide as without copies."""
    vectors = rng.normal(size=(40, 5, 4))
    single = analyse(trajectories(vectors, group=np.arange(40)), bootstrap=2000)[0]["overall"]
    copied = trajectories(np.repeat(vectors, 10, axis=0), group=np.repeat(np.arange(40), 10))
    copies = analyse(copied, bootstrap=2000)[0]["overall"]
    for key in ("straightness", "turning_angle"):
        widths = [part[f"{key}_high"] - part[f"{key}_low"] for part in (single, copies)]
        assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_one_recording_has_no_interval(rng, trajectories):
    group = ["x"] * 8 + ["y"] * 4 + ["z"] * 8
    instrument, split = ["a"] * 8 + ["b"] * 12, ["train"] * 12 + ["test"] * 8
    t = trajectories(rng.normal(size=(20, 4, 3)), group=group, instrument=instrument, split=split)
    result, _, _ = analyse(t)
    assert result["overall"]["straightness_low"] is not None and result["overall"]["monotonicity_low"] is None
    for part in result["instruments"].values():
        assert part["straightness_low"] is None and np.isfinite(part["straightness"])
    assert "No interval over test groups: there is one." in result["notes"]
    assert "No interval for part of 2 instruments (a, b): it takes two recordings." in result["notes"]


# --------------------------------------------------------------------------------------------------------- corner cases


def test_a_perturbation_without_effect(rng, trajectories):
    still = np.repeat(rng.normal(size=(32, 1, 9)).astype(np.float32), 6, axis=1)
    result, points, path = analyse(trajectories(still, instruments=2))
    overall = result["overall"]
    assert overall["path_length"] == overall["displacement"] == 0
    for key in ("straightness", "turning_angle", "monotonicity", "monotone_clips", "monotonicity_ridged"):
        assert np.isnan(overall[key]) and overall.get(f"{key}_low") is None
    assert result["clips"]["still"] == 32 and result["instruments"]["instrument0"]["still"] == 16
    assert points[["umap_1", "umap_2", "pc_1", "pc_2"]].isna().all(axis=None)
    assert (path["distance_from_original"] == 0).all() and path["turning_angle"].isna().all()
    assert result["notes"][0].startswith("24 training and 8 test clips do not move along the grid")
    assert "No UMAP map of 2 instruments (instrument0, instrument1): vectors do not move." in result["notes"]
    assert any(note.endswith("vectors do not move with strength.") for note in result["notes"])


@pytest.mark.parametrize("constant", [0.0, 3.0])
def test_an_encoder_that_returns_constants(trajectories, constant):
    result, points, _ = analyse(trajectories(np.full((16, 6, 9), constant, dtype=np.float32)))
    assert result["distance_between_originals"] == 0 and result["clips"]["still"] == 16
    assert points[["umap_1", "pc_1"]].isna().all(axis=None)


def test_clips_that_do_not_move_are_left_out(rng, trajectories):
    vectors = rng.normal(size=(32, 5, 6))
    whole = analyse(trajectories(vectors))[0]
    still = np.concatenate([vectors, np.repeat(rng.normal(size=(8, 1, 6)), 5, axis=1)])
    split = [*trajectories(vectors).split, *["test"] * 8]
    group = [f"group{i // 2:03d}" for i in range(40)]
    some = analyse(trajectories(still, split=split, group=group))[0]
    for key in ("monotonicity", "monotone_clips", "monotonicity_ridged", "monotone_clips_ridged"):
        assert some["overall"][key] == pytest.approx(whole["overall"][key])
    assert some["clips"] == {"train": 24, "test": 16, "invalid": 0, "still": 8}
    some = analyse(trajectories(still, split=[*split[:32], *["train"] * 8], group=group))[0]
    for key in ("straightness", "turning_angle"):
        assert some["overall"][key] == pytest.approx(whole["overall"][key])
    assert some["overall"]["path_length"] == pytest.approx(whole["overall"]["path_length"] * 24 / 32)


def test_two_values_have_no_angle(rng, trajectories):
    result, _, path = analyse(trajectories(rng.normal(size=(32, 2, 6))))
    assert np.isnan(result["overall"]["turning_angle"]) and result["overall"]["turning_angle_low"] is None
    assert result["overall"]["straightness"] == pytest.approx(1)
    assert path["turning_angle"].isna().all() and path["step_share"].tolist()[1] == pytest.approx(1)
    assert any(note.startswith("No turning angle: it takes three values") for note in result["notes"])


def test_an_instrument_without_test_clips(rng, trajectories):
    instrument = ["a"] * 16 + ["b"] * 16
    split = ["train"] * 12 + ["test"] * 4 + ["train"] * 16
    result, _, _ = analyse(trajectories(rng.normal(size=(32, 4, 3)), instrument=instrument, split=split))
    assert np.isnan(result["instruments"]["b"]["monotonicity"])
    assert result["overall"]["monotonicity"] == result["instruments"]["a"]["monotonicity"]
    assert "No monotonicity for 1 instrument (b): no valid test clips." in result["notes"]


def test_without_any_test_clip(rng, trajectories):
    result, _, _ = analyse(trajectories(rng.normal(size=(8, 4, 3)), split=["train"] * 8))
    assert np.isnan(result["overall"]["monotonicity"]) and result["overall"]["monotonicity_low"] is None


def test_without_labels_there_is_one_curve(rng, trajectories):
    _, points, path = analyse(trajectories(rng.normal(size=(8, 4, 3))))
    assert path["instrument"].tolist() == ["all"] * 4 and set(points["instrument"]) == {"all"}


# --------------------------------------------------------------------------------------------------------------- output


def test_main_writes_the_same_bytes_twice(rng, on_disk, computed_twice):
    vectors = rng.normal(size=(24, 5, 8)).astype(np.float32)
    splits = ["train"] * 16 + ["test"] * 8
    on_disk(vectors, [-40, -31, -22, -13, -4], splits=splits)
    first = computed_twice(stage.main)
    assert set(first) == {
        "metrics/trajectories/index.json",
        "metrics/trajectories/mfcc/gain.json",
        "plots/trajectories/mfcc/gain/path.csv",
        "plots/trajectories/mfcc/gain/points.csv",
    }
    content = json.loads(first["metrics/trajectories/mfcc/gain.json"])
    assert list(content) == ["encoder", "perturbation", "unit", "values", "dim", "clips", "distance_between_originals",
                             "references", "overall", "instruments", "notes"]  # fmt: skip
    assert content["values"] == ["-40", "-31", "-22", "-13", "-4"] and content["unit"] == "dB"
    assert list(content["overall"]) == [
        "path_length", "displacement", "straightness", "straightness_low", "straightness_high", "turning_angle",
        "turning_angle_low", "turning_angle_high", "monotonicity", "monotonicity_low", "monotonicity_high",
        "monotone_clips", "monotonicity_ridged", "monotonicity_ridged_low", "monotonicity_ridged_high",
        "monotone_clips_ridged", "pca_explained",
    ]  # fmt: skip
    header = first["plots/trajectories/mfcc/gain/points.csv"].decode().splitlines()[0]
    assert header == "instrument,clip,value,strength,umap_1,umap_2,pc_1,pc_2"
