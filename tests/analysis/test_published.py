"""The comparison with the published figure, on embeddings that are made up."""

import json
import random

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from earshift.analysis import classify, published, robustness
from earshift.analysis.classify import STUDY_INSTRUMENTS
from earshift.analysis.published import BACKWARD, FORWARD, PANELS
from earshift.errors import UserError
from earshift.options import value_text
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline import published as stage
from earshift.pipeline.published import TABLE, compute
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage.files import write_json, write_table
from earshift.storage.vectors import Embeddings, read_embeddings, write_embeddings

OPENL3, PANNS, CLAP = PANELS
METHODS = list(published.METHODS.values())
VALUES = (-40, -13.7, 5)  # the second one was not published
DIM = 12


@pytest.fixture
def embedded(workspace, rng):
    """Embeddings of panns under gain: 6 training and 4 test clips of each instrument, which moves along two lines."""

    def write(per_train=6, per_test=4, values=VALUES, moving=True):
        names = [name for name in STUDY_INSTRUMENTS for _ in range(per_train + per_test)]
        count = len(names)
        table = pd.DataFrame(
            {
                "clip": [f"clip{i:03d}" for i in range(count)],
                "group": [f"group{i}" for i in range(count)],
                "label": names,
                "genre": "",
                "split": (["train"] * per_train + ["test"] * per_test) * 11,
                "tags": "",
                "valid": True,
                "problem": "",
                "sha256": "",
            }
        ).sample(frac=1, random_state=3)
        write_table(paths.CLIPS, table)
        centres = dict(zip(STUDY_INSTRUMENTS, rng.normal(size=(11, DIM)), strict=True))
        originals = np.array([centres[name] for name in table["label"]]) + rng.normal(0, 1.4, (count, DIM))
        line, own = rng.normal(size=DIM), rng.normal(size=(count, DIM))
        vectors = {"original": originals}
        for place, value in enumerate(values):
            vectors[value_text(value)] = originals + moving * (place + 1) * (0.7 * line + 0.3 * own)
        for text, features in vectors.items():
            attributes = {"value": text, "unit": "dB", "growth": "two-sided"}
            path = paths.originals("panns") if text == "original" else paths.embeddings("panns", "gain") / f"{text}.h5"
            write_embeddings(path, Embeddings(features, list(table["clip"]), np.ones(count, bool), attributes))
        return table

    return write


@pytest.fixture
def trained(monkeypatch):
    """The training sets, as (vectors, removed directions); the model is the difference of the classes' means."""
    calls = []

    def train(training):
        vectors, positive, removal, _ = training
        if removal.problem:
            return classify.Classifier.missing(removal.problem)
        calls.append((vectors, removal.directions))
        difference = vectors[positive].mean(axis=0) - vectors[~positive].mean(axis=0)
        return classify.Classifier(*removal.absorb(difference, 0.0))

    monkeypatch.setattr(robustness, "train", train)
    return calls


def points():
    return pd.read_csv(TABLE, dtype={"param": str}, keep_default_na=False, na_values={"ours": "", "published": ""})


def ours(direction, method, param):
    table = points()
    row = table[(table["direction"] == direction) & (table["method"] == method) & (table["param"] == param)]
    return row["ours"].item()


# -------------------------------------------------------------------------------------------------- the reference file


def test_published_points_are_whole_numbers_of_pairs():
    """Facts 1a: each AUC times positives times negatives of the study's 1,666 test clips is a multiple of one half."""
    table = published.reference()
    assert len(table) == 1140 and not table.isna().any(axis=None)
    assert set(table["panel"]) == {panel.name for panel in PANELS}
    for panel in PANELS:
        pairs = panel.positives * (published.TEST_CLIPS - panel.positives)
        wins = 2 * pairs * table.loc[table["panel"] == panel.name, "published"].to_numpy()
        assert (np.abs(wins - wins.round()) <= 2 * pairs * 0.5e-6 + 1e-6).all()  # six digits were kept


def test_published_params_are_those_of_the_full_grids(workspace):
    grids = params.read("presets/deng2025-grids.yaml")["perturbations"]
    table = published.reference()
    for panel in PANELS:
        own = table[table["panel"] == panel.name]
        texts = {value_text(value) for value in grids[panel.perturbation]["grid"]}
        assert set(own.loc[own["original"] == 0, "param"]) <= texts
        assert set(own.loc[own["original"] == 1, "param"]) == {
            {"reverb": "0", "gain": "0", "lowpass": "22500"}[panel.perturbation]
        }


def test_facts_of_the_published_figure():
    """Facts 1a, two rows of its tables and the AUC without effect."""
    rows = published.side_by_side(published.reference(), PANNS, ("-40", "-13.7"), {})
    found = {(row["direction"], row["method"], row["param"]): row["published"] for row in rows}
    assert found[FORWARD, "none", "-40"] == pytest.approx(0.9736, abs=5e-5)
    assert found[BACKWARD, "samplewise_cca_svd_0.4", "-38.5"] == pytest.approx(0.97673, abs=5e-6)
    assert found[FORWARD, "none", "0"] == found[BACKWARD, "none", "0"] == pytest.approx(0.98614, abs=5e-6)
    assert np.isnan(found[FORWARD, "none", "-13.7"])


def test_a_point_that_one_direction_drew_outside_its_axes_is_taken_from_the_other():
    rows = published.side_by_side(published.reference(), OPENL3, ("0.01",), {})
    without = {(row["direction"], row["method"]): row["published"] for row in rows if row["original"]}
    assert without[FORWARD, "pca"] == without[BACKWARD, "pca"] == pytest.approx(0.97184, abs=5e-6)


# ------------------------------------------------------------------------------------------------------------- the loop


def directly(table, direction, value, line):
    """One point as the study computes it, from the files, `line` projected out."""

    def read(text):
        path = paths.originals("panns") if text == "original" else paths.embeddings("panns", "gain") / f"{text}.h5"
        features = read_embeddings(path).features.astype(np.float64)
        return features - features @ np.outer(line, line)

    train, test = (read("original"), read(value)) if direction == FORWARD else (read(value), read("original"))
    labels, splits = table["label"].to_numpy(), table["split"].to_numpy()
    own = np.flatnonzero((labels == "organ") & (splits == "train"))
    rows = list(own)
    for other in STUDY_INSTRUMENTS:
        if other != "organ":
            random.seed(42)
            clips = np.flatnonzero((labels == other) & (splits == "train"))
            rows += [clips[i] for i in random.sample(range(len(clips)), len(own) // 10)]
    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=42)
    search = GridSearchCV(model, {"C": [10.0**k for k in range(-8, 4)]}, scoring="roc_auc", cv=3)
    search.fit(train[rows], labels[rows] == "organ")
    tested = splits == "test"
    return roc_auc_score(labels[tested] == "organ", search.predict_proba(test[tested])[:, 1])


def test_points_are_those_of_a_direct_loop(embedded, capsys):
    table = embedded(per_train=10, values=(-40, 5))
    compute()
    own = np.flatnonzero((table["label"] == "organ") & (table["split"] == "train"))
    originals = read_embeddings(paths.originals("panns")).features[own].astype(np.float64)
    moved = [read_embeddings(paths.embeddings("panns", "gain") / f"{v}.h5").features[own] for v in ("-40", "5")]
    line = np.mean(moved, axis=(0, 1)) - originals.mean(axis=0)
    lines = {"none": np.zeros(DIM), "average_displacement": line / np.linalg.norm(line)}
    for method, removed in lines.items():
        for direction in (FORWARD, BACKWARD):
            for value in ("-40", "5"):
                expected = directly(table, direction, value, removed)
                assert ours(direction, method, value) == pytest.approx(expected, abs=1e-6)
        expected = directly(table, FORWARD, "original", removed)
        assert ours(FORWARD, method, "0") == ours(BACKWARD, method, "0") == pytest.approx(expected, abs=1e-6)
    printed = capsys.readouterr().out
    assert "openl3-reverb-cello is left out: data/embeddings/openl3/original.h5 is missing" in printed


def test_one_classifier_serves_all_tests_of_a_training_set(embedded, trained):
    embedded(per_train=10)
    compute()
    bases = {removed.tobytes() for _, removed in trained}
    assert len(trained) == len(bases) * (1 + len(VALUES)) and 4 <= len(bases) <= len(METHODS)
    table = points()
    on_grid = table[table["note"] != "not on this grid"]
    assert len(on_grid) == 2 * len(METHODS) * (1 + len(VALUES)) and on_grid["ours"].between(0, 1).all()
    assert table.loc[table["note"] != "", "ours"].isna().all()
    record = json.loads(paths.PUBLISHED.read_text())["panels"]["panns-gain-organ"]
    assert record["methods"]["none"][FORWARD]["points"] == 2  # -40 and 5


# -------------------------------------------------------------------------------------------------- what is used again


def test_a_second_call_trains_nothing_and_writes_the_same_bytes(embedded, trained):
    embedded(per_train=10)
    compute()
    first, count = (paths.PUBLISHED.read_bytes(), TABLE.read_bytes()), len(trained)
    compute()
    assert (paths.PUBLISHED.read_bytes(), TABLE.read_bytes()) == first and len(trained) == count


@pytest.mark.parametrize("changed", ["embeddings", "labels", "table", "grid"])
def test_what_changed_is_computed_again(embedded, trained, changed):
    table = embedded(per_train=10)
    compute()
    count = len(trained)
    if changed == "embeddings":
        path = paths.embeddings("panns", "gain") / "5.h5"
        old = read_embeddings(path)
        write_embeddings(path, Embeddings(old.features + 1, old.clip, old.valid, old.attributes))
    elif changed == "labels":
        table["label"] = table["label"].replace({"organ": "piano", "piano": "organ"})
        write_table(paths.CLIPS, table)
    elif changed == "table":
        TABLE.write_text(TABLE.read_text().replace("0.9", "0.8"))
    elif changed == "grid":
        (paths.embeddings("panns", "gain") / "5.h5").unlink()
    compute()
    assert len(trained) > count


def test_a_killed_run_goes_on_where_it_was(embedded, trained, monkeypatch, edited):
    edited({"compute.workers": 1})
    embedded(per_train=10)
    compute()
    whole, total = (paths.PUBLISHED.read_bytes(), TABLE.read_bytes()), len(trained)
    for path in (paths.PUBLISHED, TABLE):
        path.unlink()
    trained.clear()
    monkeypatch.setattr(stage, "_SAVED_EVERY", 0)
    evaluations, after = classify.evaluate, iter([None] * 7)

    def killed(*arguments):
        if next(after, "stop") == "stop":
            raise KeyboardInterrupt
        return evaluations(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(classify, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            compute()
    assert len(trained) == 5  # 4 tests of the first classifier, one of each of three more, none of the fifth
    assert json.loads(paths.PUBLISHED.read_text())["panels"] == {}
    compute()
    assert len(trained) == total + 1  # the one that was lost
    assert (paths.PUBLISHED.read_bytes(), TABLE.read_bytes()) == whole


def test_a_panel_whose_embeddings_are_gone_is_dropped(embedded, trained):
    embedded(per_train=10)
    compute()
    for path in paths.embeddings("panns", "gain").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"no panel .*embeddings/panns/gain holds no embeddings \(`dvc repro embed@p"):
        compute()


# -------------------------------------------------------------------------------------------------- what the files say


def test_clips_stand_as_in_the_table_that_gave_the_split(embedded, trained, workspace):
    """The study's positions count along its own table: which clips are negatives, and in which fold each is."""
    table = embedded(per_train=10)
    rows = table.sort_values("clip")
    pd.DataFrame({"file_name": rows["clip"] + ".wav", "split": rows["split"]}).to_csv("split.csv", index=False)
    write_json(paths.CORPUS_INPUTS, {"corpus": "irmas", "options": {"split_csv": "split.csv"}})
    compute()
    first = trained[0][0]
    t = read_trajectories("panns", "gain")
    organ = np.flatnonzero((t.instrument == "organ") & (t.split == "train"))
    organ = organ[np.argsort(t.clip[organ])]
    assert organ.tolist() != sorted(organ.tolist())
    np.testing.assert_array_equal(first[:10], t.originals[organ])
    (workspace / "split.csv").unlink()
    trained.clear()
    compute()  # now as in clips.csv, and computed again
    np.testing.assert_array_equal(trained[0][0][:10], t.originals[np.sort(organ)])


def test_deviations_name_what_is_not_as_in_the_study(embedded, edited):
    loaded = edited({"fidelity": "corrected", "perturb.clip": True})
    embedded()
    t = read_trajectories("panns", "gain")
    found = stage.deviations(t, PANNS, loaded, ordered=False)
    assert found[0] == "The corpus is unknown, not IRMAS."
    assert "4 of 44 test clips are organ; in the study 164 of 1666" in found[1]
    assert found[2] == "The weights of panns are not the official ones."
    assert found[3] == "The vectors of panns have 12 dimensions; in the study 2048."
    switched = "perturb.reverb_tail, perturb.wav_round_trip, encoders.panns.policy (fidelity: paper"
    assert switched in found[4] and len(found) == 5
    write_json(paths.CORPUS_INPUTS, {"corpus": "irmas"})
    write_json(paths.weights("panns") / "weights.json", {"official": True})
    found = stage.deviations(t, PANNS, edited({"fidelity": "paper", "perturb.clip": None}), ordered=False)
    assert len(found) == 2 and "test clips" in found[0] and "dimensions" in found[1]


def test_the_studys_own_conditions_have_no_deviation(edited):
    class Study:
        dim, instrument = 2048, np.array(["organ"] * 164 + ["cello"] * 1502)

        @staticmethod
        def indices(split):
            return np.arange(1666)

    loaded = edited({"fidelity": "paper"})
    write_json(paths.CORPUS_INPUTS, {"corpus": "irmas"})
    write_json(paths.weights("panns") / "weights.json", {"official": True})
    assert stage.deviations(Study, PANNS, loaded, ordered=True) == []
    (only,) = stage.deviations(Study, PANNS, loaded, ordered=False)
    assert "other negatives" in only


def test_headline_is_about_points_that_both_have():
    def row(method, param, published_, ours_, original=0):
        return {"method": method, "direction": FORWARD, "param": param, "original": original, "published": published_,
                "ours": ours_, "difference": ours_ - published_}  # fmt: skip

    rows = [
        {**row(m.name, "0", 0.9, 0.8, 1), "direction": d} for m in METHODS for d in (FORWARD, BACKWARD)
    ]  # fmt: skip
    rows += [row("none", "1", 0.5, 0.6), row("none", "2", 0.7, 0.6), row("none", "3", 0.75, 0.5)]
    rows += [row("pca", "1", 0.6, 0.9), row("pca", "2", 0.6, np.nan), row("pca", "4", np.nan, 0.5)]
    numbers = published.headline(rows)
    none, pca = numbers["none"][FORWARD], numbers["pca"][FORWARD]
    assert none == pytest.approx({
        "points": 3, "published": 0.65, "ours": 1.7 / 3, "difference": -0.25 / 3, "largest_difference": -0.25,
        "original_published": 0.9, "original_ours": 0.8, "gain_published": 0.0, "gain_ours": 0.0,
    })  # fmt: skip
    assert pca["points"] == 1 and pca["difference"] == pytest.approx(0.3)
    assert (pca["gain_published"], pca["gain_ours"]) == pytest.approx((0.1, 0.3))
    assert numbers["pca"][BACKWARD]["points"] == 0 and np.isnan(numbers["pca"][BACKWARD]["difference"])


# ------------------------------------------------------------------------------------------------ without an outcome


def test_too_few_clips_give_a_reason_instead_of_numbers(embedded):
    embedded(per_train=2)
    compute()
    record = json.loads(paths.PUBLISHED.read_text())["panels"]["panns-gain-organ"]
    (note,) = record["notes"]
    assert note == {"note": "2 positive training clips, 3 folds need 3", "methods": [m.name for m in METHODS],
                    "points": 2 * len(METHODS) * (1 + len(VALUES))}  # fmt: skip
    assert record["methods"]["none"][FORWARD]["ours"] is None


def test_a_perturbation_without_effect(embedded, trained):
    embedded(per_train=10, moving=False)
    compute()
    record = json.loads(paths.PUBLISHED.read_text())["panels"]["panns-gain-organ"]
    assert {tuple(note["methods"]) for note in record["notes"]} == {
        ("average_displacement",), ("pca",), tuple(m.name for m in METHODS if "svd" in m.name)
    }  # fmt: skip
    none = record["methods"]["none"]
    assert none[FORWARD]["ours"] == none[BACKWARD]["ours"] == none[FORWARD]["original_ours"]
    count = len(trained)
    compute()
    assert len(trained) == count


def test_an_instrument_that_the_corpus_lacks(embedded):
    table = embedded()
    table["label"] = table["label"].replace("organ", "banjo")
    write_table(paths.CLIPS, table)
    with pytest.raises(UserError, match="the corpus has no train clips of organ"):
        compute()
