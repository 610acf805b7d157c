"""Slopes, ranks and their intervals against closed forms, and what happens where a number is missing."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from earshift.analysis import comparison, robustness
from earshift.analysis.comparison import Comparison, Drops, compare, drops_of, severities, slope
from earshift.analysis.drops import DIRECTIONS, DirectionNumbers, RobustnessResult
from earshift.errors import UserError
from earshift.storage.results import checked, write_result
from earshift.storage.tables import read_table
from stages import comparison as stage

VALUES = ("1", "2", "3")
OPTIONS = Comparison(severity="lsd_db", confidence=0.9)


def severity_table(**columns):
    unchanged = {"snr_db": 20.0, "loudness_lu": 0.0, "lsd_db": 1.0}
    return pd.DataFrame({"value": VALUES, **{name: columns.get(name, of) for name, of in unchanged.items()}})


def same(lsd, measures=comparison.MEASURES):
    """The same severities in every measure."""
    return {measure: dict(zip(VALUES, lsd, strict=True)) for measure in measures}


def lines(result, perturbation="gain", measure="lsd_db"):
    return result["measures"][measure][perturbation]


def test_severity_grows_from_zero():
    found = severities(severity_table(snr_db=[0.0, 20.0, 40.0], loudness_lu=[-3.0, 0.0, 2.0], lsd_db=[4.0, 0.5, 9.0]))
    assert found["snr_db"] == pytest.approx({"1": 1.0, "2": 0.1, "3": 0.01})  # amplitude: 20 dB is a tenth
    assert found["loudness_lu"] == {"1": 3.0, "2": 0.0, "3": 2.0}
    assert found["lsd_db"] == {"1": 4.0, "2": 0.5, "3": 9.0}


@pytest.mark.parametrize("unchanged", [{"snr_db": 120.0}, {"snr_db": np.inf}, {"snr_db": np.nan, "lsd_db": 0.0}])
def test_a_value_without_change_has_severity_zero(unchanged):
    columns = {"snr_db": 6.0, "loudness_lu": np.nan, "lsd_db": 2.0} | unchanged
    found = severities(severity_table(**{name: [of, 6.0, 6.0] for name, of in columns.items()}))
    assert {measure: of["1"] for measure, of in found.items()} == {"lsd_db": 0, "loudness_lu": 0, "snr_db": 0}
    assert found["snr_db"]["2"] == pytest.approx(0.501187)  # 10^-0.3


def test_what_a_measure_cannot_tell_is_nan():
    found = severities(severity_table(snr_db=[-120.0, np.nan, 0.0], loudness_lu=[np.nan, 1.0, 1.0]))
    assert np.isnan(found["snr_db"]["1"]) and np.isnan(found["snr_db"]["2"]) and np.isnan(found["loudness_lu"]["1"])


def test_slope_is_the_least_squares_line_through_the_origin():
    rng = np.random.default_rng(0)
    severity, drops = rng.uniform(0, 10, 7), rng.normal(0, 1, (4, 7))
    slopes, residuals = slope(severity, drops)
    for fitted, residual, row in zip(slopes, residuals, drops, strict=True):
        expected, rest, *_ = np.linalg.lstsq(severity[:, None], row, rcond=None)
        assert fitted == pytest.approx(expected[0]) and residual == pytest.approx(np.sqrt(rest[0] / 7))
    mirrored = linregress(np.concatenate([severity, -severity]), np.concatenate([drops[0], -drops[0]]))
    assert slopes[0] == pytest.approx(mirrored.slope)


def test_a_straight_line_leaves_nothing_and_a_curve_says_so():
    assert np.array(slope([0, 2, 4], [0, 0.1, 0.2])) == pytest.approx([0.05, 0])
    fitted, residual = slope([1, 2, 3], [1, 4, 9])  # x^2: slope sum x^3 / sum x^2 = 36 / 14
    assert fitted == pytest.approx(18 / 7) and residual == pytest.approx(np.sqrt((98 - 36**2 / 14) / 3))
    assert np.isnan(slope([0, 0, 0], [0.1, 0.2, 0.3])).all()


def test_ranks_follow_slopes_and_ties_share():
    drops = {(e, "gain"): Drops(VALUES, np.array([0, 1, 2]) * s) for e, s in (("a", 0.3), ("b", 0.1), ("c", 0.1))}
    result, ranking, points = compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)
    assert {e: of["rank"] for e, of in lines(result).items()} == {"a": 3, "b": 1.5, "c": 1.5}
    assert {e: of["slope"] for e, of in lines(result).items()} == pytest.approx({"a": 0.3, "b": 0.1, "c": 0.1})
    assert {(of["rank_low"], of["first"], of["slope_low"]) for of in lines(result).values()} == {(None, None, None)}
    assert len(ranking) == 3 * 2 * 3 and set(ranking["perturbation"]) == {"gain", "overall"}
    assert points[points["measure"] == "lsd_db"]["drop"].tolist() == pytest.approx(
        [0, 0.3, 0.6, 0, 0.1, 0.2] + [0, 0.1, 0.2]
    )


def drawn(drops, errors):
    """Drops whose draw i is the estimate plus errors[i] times severity (0, 1, 2)."""
    drops = np.asarray(drops, dtype=float)
    return Drops(VALUES, drops, draws=drops + np.asarray(errors)[:, None] * np.arange(3))


def test_intervals_are_percentiles_of_paired_draws():
    errors = np.linspace(-0.05, 0.05, 101)
    drops = {("a", "gain"): drawn([0, 0.2, 0.4], errors), ("b", "gain"): drawn([0, 0.23, 0.46], errors)}
    result, _, points = compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)
    a, b = lines(result)["a"], lines(result)["b"]
    assert (a["slope_low"], a["slope_high"]) == pytest.approx((0.155, 0.245))  # 5th and 95th of 101 steps of 0.001
    assert (b["slope_low"], b["slope_high"]) == pytest.approx((0.185, 0.275))
    assert a["slope_high"] > b["slope_low"], "intervals overlap, yet in every draw the order is the same"
    assert (a["rank_low"], a["rank_high"], a["first"]) == (1, 1, 1) and (b["rank_low"], b["first"]) == (2, 0)
    strongest = points[(points["measure"] == "lsd_db") & (points["encoder"] == "a")].iloc[2]
    assert (strongest["low"], strongest["high"]) == pytest.approx((0.31, 0.49))


def test_share_of_first_places():
    a, b = np.zeros(100), np.concatenate([np.full(70, 0.1), np.full(30, -0.7 / 3)])  # b's mean 0: no shift
    drops = {("a", "gain"): drawn([0, 0.2, 0.4], a), ("b", "gain"): drawn([0, 0.21, 0.42], b)}
    of = lines(compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)[0])
    assert of["a"]["first"] == pytest.approx(0.7) and of["b"]["first"] == pytest.approx(0.3)
    assert (of["a"]["rank"], of["a"]["rank_low"], of["a"]["rank_high"]) == (1, 1, 2)


def test_a_rank_that_occurs_often_enough_is_in_the_interval():
    """Of 100 draws, 6 have the other order: more than the 5 that an interval of 0.9 leaves out on a side."""
    for swapped, high in ((6, 2), (4, 1)):
        b = np.concatenate([np.full(swapped, -0.1), np.full(100 - swapped, 0.1 * swapped / (100 - swapped))])  # mean 0
        drops = {("a", "gain"): drawn([0, 0.2, 0.4], np.zeros(100)), ("b", "gain"): drawn([0, 0.21, 0.42], b)}
        of = lines(compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)[0])
        assert (of["a"]["rank_low"], of["a"]["rank_high"], of["b"]["rank_high"]) == (1, high, 2)


def test_encoders_that_tie_share_the_draw():
    drops = {(e, "gain"): drawn([0, 0.2, 0.4], np.linspace(-0.1, 0.1, 5)) for e in "ab"}
    of = lines(compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)[0])
    assert [of[e][name] for e in "ab" for name in ("rank", "rank_low", "first")] == [1.5, 1.5, 0.5] * 2


def test_draws_are_shifted_to_mean_the_estimate():
    """A resample of few recordings is biased; the interval keeps the draws' spread and stands about the estimate."""
    errors = np.linspace(-0.05, 0.05, 101) + 1
    drops = {("a", "gain"): drawn([0, 0.2, 0.4], errors), ("b", "gain"): drawn([0, 0.3, 0.6], np.zeros(101))}
    a = lines(compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)[0])["a"]
    assert (a["slope_low"], a["slope_high"]) == pytest.approx((0.155, 0.245)) and a["first"] == 1


def test_overall_is_the_mean_rank_over_perturbations():
    slopes = {"gain": {"a": 1, "b": 2, "c": 3}, "reverb": {"a": 2, "b": 1, "c": 3}, "lowpass": {"a": 3, "b": 1, "c": 2}}
    drops = {
        (e, p): drawn(np.arange(3) * of[e] / 10, np.linspace(-0.001, 0.001, 11))
        for p, of in slopes.items()
        for e in "abc"
    }
    overall = lines(compare(drops, dict.fromkeys(slopes, same([0, 1, 2])), OPTIONS)[0], "overall")
    assert {e: of["rank"] for e, of in overall.items()} == pytest.approx({"a": 2, "b": 4 / 3, "c": 8 / 3})
    assert (
        overall["b"]["first"] == 1
        and overall["b"]["rank_low"] == pytest.approx(4 / 3)
        and overall["b"]["slope"] is None
    )


def test_an_encoder_without_numbers_is_listed_and_not_ranked():
    missing = Drops(VALUES, np.full(3, np.nan), problem="vectors are constant")
    drops = {
        ("a", "gain"): Drops(VALUES, np.array([0, 0.2, 0.4])), ("b", "gain"): missing,
        ("c", "gain"): Drops(VALUES, np.array([0, 0.1, 0.2])),
        **{(e, "reverb"): Drops(VALUES, np.array([0, 0.1, 0.2]) * (i + 1)) for i, e in enumerate("abc")},
    }  # fmt: skip
    result, ranking, _ = compare(drops, {"gain": same([0, 1, 2]), "reverb": same([0, 1, 2])}, OPTIONS)
    assert lines(result)["b"]["problem"] == "vectors are constant" and lines(result)["b"]["rank"] is None
    assert (lines(result)["a"]["rank"], lines(result)["c"]["rank"]) == (2, 1)
    overall = lines(result, "overall")
    assert overall["b"]["problem"] == "not ranked under gain" and overall["b"]["rank"] is None
    assert (overall["a"]["rank"], overall["c"]["rank"]) == (1.5, 1.5), "among a and c alone, under reverb too"
    assert "vectors are constant" in set(ranking["problem"])


def test_no_one_has_numbers():
    missing = Drops(VALUES, np.full(3, np.nan), problem="no instrument has numbers")
    result, _, _ = compare({("a", "gain"): missing}, {"gain": same([0, 1, 2])}, OPTIONS)
    assert lines(result, "overall")["a"] == {
        **dict.fromkeys(("slope", "slope_low", "slope_high", "residual", "rank", "rank_low", "rank_high", "first")),
        "problem": "not ranked under any perturbation",
    }


def test_values_without_drop_or_severity_are_left_out():
    drops = {("a", "gain"): Drops(VALUES, np.array([np.nan, 0.2, 0.9]))}
    measures = same([1, 2, np.nan]) | {
        "loudness_lu": dict.fromkeys(VALUES, 0.0),
        "snr_db": dict.fromkeys(VALUES, np.nan),
    }
    result, _, points = compare(drops, {"gain": measures}, OPTIONS)
    assert lines(result)["a"]["slope"] == pytest.approx(0.1), "0.2 over 2; the others lack one of the two"
    assert lines(result, measure="loudness_lu")["a"]["problem"] == "no value has a severity above 0"
    assert lines(result, measure="snr_db")["a"]["problem"] == "no value has both a drop and a severity"
    assert points["drop"].isna().sum() == 3


def test_draws_of_different_number_rank_no_one():
    drops = {("a", "gain"): drawn([0, 0.2, 0.4], np.zeros(5)), ("b", "gain"): drawn([0, 0.3, 0.6], np.zeros(6))}
    a = lines(compare(drops, {"gain": same([0, 1, 2])}, OPTIONS)[0])["a"]
    assert a["rank"] == 1 and a["rank_low"] is None and a["first"] is None


def test_a_severity_table_of_another_grid():
    with pytest.raises(
        UserError, match="severity.csv of gain does not have the value 3, at which a was tested; run `dvc"
    ):
        compare(
            {("a", "gain"): Drops(VALUES, np.zeros(3))}, {"gain": {m: {"1": 0, "2": 1} for m in same([0] * 3)}}, OPTIONS
        )


# -------------------------------------------------------------------------------------------------------- on the files

LSD = (1.0, 2.0, 4.0)
PARAMS = """\
run: {encoders: [a, b], perturbations: [gain]}
comparison: {severity: lsd_db, confidence: 0.95}
"""


def write(root, encoder, auc, *, none=True, original=0.9, problem=""):
    """Results of robustness as its stage writes them, with ROC AUC that are made up."""
    numbers = dict.fromkeys(DirectionNumbers.__annotations__) | dict.fromkeys(
        ("mean_auc", "mean_drop", "worst_drop", "area"), 0.1
    )
    intervals = {"roc_auc": original, "roc_auc_low": None, "roc_auc_high": None}
    forward = None if original is None else {**numbers, "worst_value": VALUES[0]}
    method = {"problem": problem, "instruments": 1, "removed": 0.0, "original": intervals, "forward": forward,
              "backward": None, "matched": None, "random": dict.fromkeys(DIRECTIONS)}  # fmt: skip
    content = {"encoder": encoder, "perturbation": "gain", "unit": "dB", "values": list(VALUES), "dim": 2,
               "clips": {"train": 1, "test": 1, "invalid": 0}, "original": intervals,
               "methods": {"none": method} if none else {}, "skipped": {}, "notes": []}  # fmt: skip
    write_result(root / f"metrics/robustness/{encoder}/gain.json", RobustnessResult, content)
    folder = root / f"plots/robustness/{encoder}/gain"
    folder.mkdir(parents=True)
    rows = [("all", "none", "forward", "original", None, 0.9)]
    rows += [("all", "none", "forward", v, i / 2, a) for i, (v, a) in enumerate(zip(VALUES, auc, strict=True))]
    rows += [
        ("all", "none", "backward", "1", 0, 0.1),
        ("cello", "none", "forward", "1", 0, 0.2),
        ("all", "lda", "forward", "1", 0, 0.3),
    ]
    columns = ["instrument", "method", "direction", "value", "strength", "roc_auc"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "curves.csv", index=False)
    texts, numbers = ("original", *VALUES), (0.9, *auc)
    lost = (0.0, 0.0, 0.003)  # per dB, in each of three draws, beside a level that rises and falls with all
    draws = [
        (d, v, a + d / 100 - lost[d] * lsd)
        for d in range(3)
        for v, a, lsd in zip(texts, numbers, (0, *LSD), strict=True)
    ]
    pd.DataFrame(draws, columns=["draw", "value", "roc_auc"]).to_parquet(folder / "draws.parquet")


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/perturbed/gain").mkdir(parents=True)
    severity_table(lsd_db=list(LSD)).to_csv(tmp_path / "data/perturbed/gain/severity.csv", index=False)
    return tmp_path


def test_files(world, capsys):
    write(world, "a", [0.89, 0.88, 0.86])  # 0.01 per dB
    write(world, "b", [0.88, 0.86, 0.82])  # 0.02 per dB
    stage.main()
    content = json.loads((world / "metrics/comparison.json").read_text())
    of = content["measures"]["lsd_db"]["gain"]
    assert (of["a"]["slope"], of["b"]["slope"]) == pytest.approx((0.01, 0.02)) and of["a"]["rank"] == 1
    # slopes of the draws 0.01, 0.01, 0.013, shifted to mean 0.01, at 2.5 and 97.5 per cent
    assert (of["a"]["slope_low"], of["a"]["slope_high"]) == pytest.approx((0.009, 0.009 + 0.95 * 0.003))
    assert content["measures"]["snr_db"]["gain"]["a"]["slope"] == pytest.approx(0.07 / 0.3, 1e-5), "0.1 at each"
    table = pd.read_csv(world / "plots/comparison/ranking.csv")
    assert len(table) == 3 * 2 * 2 and table["slope"].iloc[0] == pytest.approx(0.01)
    drops = pd.read_csv(world / "plots/comparison/drops.csv", dtype={"value": str})
    assert drops[(drops["encoder"] == "b") & (drops["measure"] == "lsd_db")]["drop"].tolist() == pytest.approx(
        [0.02, 0.04, 0.08]
    )
    assert "drop per lsd_db: a 1.00, b 2.00" in capsys.readouterr().out
    before = {
        path: path.read_bytes() for path in [*world.glob("plots/comparison/*"), world / "metrics/comparison.json"]
    }
    assert len(before) == 3
    stage.main()
    assert {path: path.read_bytes() for path in before} == before


def test_an_instrument_called_na_stays_a_name(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("instrument,value,roc_auc,low\nNA,nan,0.5,\n,1,,0.1\n")
    table = read_table(path)
    assert table["instrument"].tolist() == ["NA", ""] and table["value"].tolist() == ["nan", "1"]
    np.testing.assert_array_equal(table[["roc_auc", "low"]], [[0.5, np.nan], [np.nan, 0.1]])


def test_the_drops_of_what_robustness_computes(trajectories, rng):
    """From its own result and tables, not from files that a test makes up."""
    instrument = np.repeat(["cello", "flute"], 24)
    vectors = rng.normal(size=(48, 4, 5)) + 2 * (instrument == "cello")[:, None, None]
    vectors[:, 1:] += 3 * np.arange(1, 4)[:, None] * rng.normal(size=(48, 1, 5))
    t = trajectories(vectors, instrument=instrument, group=[f"group{i // 2}" for i in range(48)],
                     split=np.tile(["train", "train", "train", "test"], 12))  # fmt: skip
    options = robustness.Robustness(methods=("none",), svd_threshold=0.4, positives=288, seed=0, bootstrap=30,
                                    confidence=0.95)  # fmt: skip
    result, tables = robustness.analyse(t, options)
    found = drops_of(checked(RobustnessResult, result), tables["curves"], tables["draws"])
    numbers = result["methods"]["none"]["forward"]
    assert found.values == t.values and found.draws.shape == (30, 4) and found.original_draws.shape == (30,)
    assert found.drops.mean() == pytest.approx(numbers["mean_drop"], abs=1e-6) and numbers["mean_drop"] > 0.05
    spread = np.quantile(found.draws.mean(axis=1), [0.025, 0.975])
    expected = numbers["mean_drop_high"] - numbers["mean_drop_low"]
    assert spread[1] - spread[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("options, reason", [
    ({"none": False}, "robustness.methods leaves out none"),
    ({"original": None}, "no instrument has numbers"),
    ({"original": None, "problem": "every vector is the same"}, "every vector is the same"),
])  # fmt: skip
def test_a_pair_without_numbers(world, options, reason):
    write(world, "a", [0.89, 0.88, 0.86])
    write(world, "b", [np.nan] * 3, **options)
    stage.main()
    of = json.loads((world / "metrics/comparison.json").read_text())["measures"]["lsd_db"]["gain"]
    assert of["b"]["problem"] == reason and of["b"]["rank"] is None and of["a"]["rank"] == 1


def with_originals(original, drops, errors):
    """Drops as :func:`drawn`, and the AUC of originals, whose draw i is it less errors[i]."""
    of = drawn(drops, errors)
    return Drops(VALUES, of.drops, of.draws, original=original, original_draws=original - np.asarray(errors))


def test_accuracy_and_mean_drop_with_intervals_of_their_draws():
    errors = np.linspace(-0.05, 0.05, 101)
    drops = {
        ("a", "gain"): with_originals(0.9, [0, 0.1, 0.2], errors),
        ("a", "reverb"): with_originals(0.9, [0, 0.3, 0.6], errors),
    }
    found = comparison.accuracy(drops, 0.9)["perturbations"]
    gain, overall = found["gain"]["a"], found["overall"]["a"]
    assert (gain["roc_auc"], gain["mean_drop"], overall["mean_drop"]) == pytest.approx((0.9, 0.1, 0.2))
    # severity is 1 on average, so a draw's mean drop is off by its error: 5th and 95th of 101 steps of 0.001
    assert (gain["mean_drop_low"], gain["mean_drop_high"]) == pytest.approx((0.055, 0.145))
    assert (overall["roc_auc_low"], overall["roc_auc_high"]) == pytest.approx((0.855, 0.945))
    assert (overall["mean_drop_low"], overall["mean_drop_high"]) == pytest.approx((0.155, 0.245)), "draws are paired"


def test_differences_are_taken_draw_by_draw():
    """Both encoders err alike in every draw, so their difference is sure however wide either interval is."""
    errors = np.linspace(-0.05, 0.05, 101)
    drops = {
        ("a", "gain"): with_originals(0.9, [0, 0.1, 0.2], errors),
        ("b", "gain"): with_originals(0.88, [0, 0.13, 0.26], errors),
    }
    (of,) = comparison.accuracy(drops, 0.9)["differences"]
    assert (of["first"], of["second"]) == ("a", "b")
    assert [of[f"roc_auc{end}"] for end in ("", "_low", "_high")] == pytest.approx([0.02] * 3)
    assert [of[f"mean_drop{end}"] for end in ("", "_low", "_high")] == pytest.approx([-0.03] * 3)


def test_accuracy_of_encoders_without_numbers_or_draws():
    missing = Drops(VALUES, np.full(3, np.nan), problem="vectors are constant")
    plain = Drops(VALUES, np.array([0, 0.1, 0.2]), original=0.8)
    drops = {("a", "gain"): plain, ("a", "reverb"): missing, ("a", "pitch"): plain,
             ("b", "gain"): missing, ("b", "reverb"): missing, ("b", "pitch"): plain}  # fmt: skip
    found = comparison.accuracy(drops, 0.9)
    overall = found["perturbations"]["overall"]
    assert (overall["a"]["roc_auc"], overall["a"]["mean_drop"]) == pytest.approx((0.8, 0.1)), "no one has reverb"
    assert overall["a"]["roc_auc_low"] is None and overall["b"]["problem"] == "no numbers under gain"
    assert np.isnan(overall["b"]["roc_auc"]) and found["differences"] == []
    assert found["perturbations"]["reverb"]["b"]["problem"] == "vectors are constant"
    nobody = comparison.accuracy({("a", "gain"): missing}, 0.9)["perturbations"]["overall"]["a"]
    assert nobody["problem"] == "no numbers under any perturbation"


@pytest.mark.parametrize("name, command", [
    ("metrics/robustness/b/gain.json", "dvc repro robustness`"),
    ("plots/robustness/b/gain/curves.csv", "dvc repro robustness`"),
    ("plots/robustness/b/gain/draws.parquet", "dvc repro robustness`"),
    ("data/perturbed/gain/severity.csv", "dvc repro perturb@gain"),
])  # fmt: skip
def test_a_missing_file_is_named(world, name, command):
    for encoder in "ab":
        write(world, encoder, [0.89, 0.88, 0.86])
    (world / name).unlink()
    with pytest.raises(SystemExit, match=rf"{name} is missing.*{command}"):
        stage.main()
