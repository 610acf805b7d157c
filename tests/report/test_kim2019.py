"""The third study's findings, checked: a verdict takes intervals that lie apart."""

import dataclasses
import json
import os

import pytest
from page_on_disk import change
from results_on_disk import (
    PARAMS,
    write_consistency,
    write_params,
    write_performance,
    write_significance,
    write_tsne,
)

from earshift.pipeline import config, report_inputs
from earshift.report import kim2019, measured
from earshift.report import verdicts as judged
from earshift.report.verdicts import AGREES, DISAGREES, OPEN, Interval

NETWORKS = ("vgg_autotagging", "vgg_instruments", "vgg_separation", "vgg_autoencoder")
ENCODERS = ("mfcc", *NETWORKS, "musicnn")
STUDIED = ("pitch", "tempo", "ambient_noise")


def write_study(root):
    """A run as the study's, in which most is as it found it."""
    write_params(root, ENCODERS, STUDIED)
    kept = dict(zip(ENCODERS, (1.0, 0.75, 0.5, 0.25, 0.0, 0.125), strict=True))
    tasks = {
        "mfcc": {"autoencoder": (2.0, 2.0), "autotagging": (0.5, 0.25), "separation": (2.0, 1.0)},
        "vgg_autotagging": {"autotagging": (0.9375, 0.75)},
        "vgg_instruments": {"instruments": (0.75, 0.25)},
        "vgg_separation": {"separation": (2.0, 1.0)},
    }
    for encoder in ENCODERS:
        for p in STUDIED:
            write_consistency(root, encoder, p, kept=kept[encoder])
            own = {"autoencoder": (0.5, 0.25 if p == "ambient_noise" else 0.75)}
            write_performance(root, encoder, p, own if encoder == "vgg_autoencoder" else tasks.get(encoder))
        write_tsne(root, encoder, STUDIED)
    write_significance(root, ENCODERS, STUDIED)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Such a run, to be changed."""
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is found in it as it is."""
    root, before = tmp_path_factory.mktemp("study"), os.getcwd()
    write_study(root)
    os.chdir(root)
    try:
        return made()
    finally:
        os.chdir(before)


def made():
    """Checks by (start of the title, claim)."""
    found = kim2019.checks(report_inputs.results())
    assert len({(c.title, c.claim) for c in found}) == len(found)
    return {(c.title.partition(":")[0].partition(" (")[0], c.claim): c for c in found}


def verdicts(found, title):
    return {claim: check.verdict for (start, claim), check in found.items() if start == title}


def rewrite(path, old, new):
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("first, second, verdict", [
    ((0.5, 0.4, 0.6), (0.3, 0.2, 0.39), AGREES), ((0.3, 0.2, 0.39), (0.5, 0.4, 0.6), DISAGREES),
    ((0.5, 0.4, 0.6), (0.3, 0.2, 0.4), OPEN), ((0.5,), (0.3,), OPEN),
])  # fmt: skip
def test_an_order_takes_intervals_that_lie_apart(first, second, verdict):
    assert judged.above(Interval(*first), Interval(*second)) == verdict


@pytest.mark.parametrize("found, verdict", [
    ([AGREES, AGREES], AGREES), ([AGREES, OPEN], OPEN), ([OPEN, DISAGREES, AGREES], DISAGREES), ([], OPEN),
])  # fmt: skip
def test_several_verdicts_together(found, verdict):
    assert judged.join(found) == verdict


@pytest.mark.parametrize("numbers, verdict", [
    ([(0.5, 0.45, 0.55), (0.6, 0.55, 0.65)], AGREES), ([(0.5, 0.4, 0.6), (0.6, 0.5, 0.7)], OPEN),
    ([(0.2, 0.1, 0.3), (0.6, 0.55, 0.65)], DISAGREES),
])  # fmt: skip
def test_flat_is_within_a_fifth(numbers, verdict):
    assert judged.flat([Interval(*of) for of in numbers], kim2019.FLAT) == verdict


def test_mfcc_against_every_other_encoder(found):
    found = verdicts(found, "Vectors, Euclidean")
    assert {c: v for c, v in found.items() if c.startswith("MFCC")} == {
        "MFCC above AT (vgg_autotagging)": AGREES, "MFCC above IR (vgg_instruments)": AGREES,
        "MFCC above VS (vgg_separation)": AGREES, "MFCC above AE (vgg_autoencoder)": AGREES,
        "MFCC above musicnn": AGREES,
    }  # fmt: skip
    assert [found[claim] for claim in ("AT above IR", "IR above VS", "VS above AE")] == [AGREES] * 3


def test_published_numbers_and_both_kinds_of_ours_stand_beside_each_other(found):
    check = found["Vectors, Euclidean", "MFCC above AT (vgg_autotagging)"]
    assert check.published == "MFCC 0.741 ± 0.014 and AT 0.671 ± 0.007"
    assert check.ours == (
        "model: 0.875 [0.844,\xa00.906] and 0.750 [0.719,\xa00.781]; "
        "recordings: 1.000 [0.984,\xa01.000] and 0.875 [0.859,\xa00.891]"
    )
    other = found["Vectors, Euclidean", "MFCC above musicnn"]
    assert other.published == "MFCC 0.741 ± 0.014 and networks 0.170 to 0.671"


def test_what_the_model_and_the_recordings_say_must_agree(study):
    means = {"within_euclidean": {**dict.fromkeys(ENCODERS, 0.5), "mfcc": 0.25, "musicnn": 0.25}}
    write_significance(study, ENCODERS, STUDIED, means)
    found = made()
    split = found["Vectors, Euclidean", "MFCC above AT (vgg_autotagging)"]
    assert split.verdict == OPEN
    assert split.why == "intervals of the model lie apart the other way round and those over recordings lie apart"
    assert found["Vectors, Euclidean", "MFCC above musicnn"].why == (
        "intervals of the model overlap and those over recordings lie apart"
    )
    for p in STUDIED:
        write_consistency(study, "mfcc", p, kept=0.0)
    assert made()["Vectors, Euclidean", "MFCC above AT (vgg_autotagging)"].verdict == DISAGREES


def test_without_a_model_recordings_decide_and_without_intervals_nothing(study):
    change(study / "metrics/significance.json", ("models", {}))
    found = made()
    check = found["Vectors, Euclidean", "MFCC above AT (vgg_autotagging)"]
    assert check.verdict == AGREES and "model" not in check.ours
    why = found["Vectors, Euclidean", "effects of transformation and encoder"].why
    assert why == "there is no such model here"
    for path in study.glob("metrics/consistency/*/*.json"):
        overall = json.loads(path.read_text())["overall"]
        change(path, ("overall", {name: None if name.endswith(("low", "high")) else v for name, v in overall.items()}))
    check = made()["Vectors, Euclidean", "MFCC above AT (vgg_autotagging)"]
    assert (check.verdict, check.why) == (OPEN, "there are no intervals")


def test_encoders_that_differ_only_in_their_trial_are_one():
    mfcc, vgg = (config.load(PARAMS).encoders[name] for name in ("mfcc", "vgg_autotagging"))
    trained = {"again": dataclasses.replace(vgg, trial=vgg.trial + 1),
               "other": dataclasses.replace(vgg, trial=vgg.trial + 1, channels=vgg.channels + 1)}  # fmt: skip
    assert measured.levels({"mfcc": mfcc, "vgg_autotagging": vgg, **trained}) == {
        "mfcc": ["mfcc"], "vgg_autotagging": ["vgg_autotagging", "again"], "other": ["other"],
    }  # fmt: skip


def test_the_audio(study):
    rewrite(study / "metrics/consistency/mfcc/ambient_noise.json", '"threshold": 0.9', '"threshold": 0.9375')
    found = verdicts(made(), "Audio")
    assert found["near 1 at the smallest ambient_noise"] == AGREES
    assert found["near 1 at the smallest pitch"] == DISAGREES  # SiMPle keeps 0.85 at a quarter of a semitone
    assert found["falling along ambient_noise"] == AGREES
    assert found["falling along pitch"] == DISAGREES  # it rises below
    assert found["flat along tempo, DTW above all"] == AGREES  # from 0.95 to 1 and from 0.925 to 0.875
    assert found["the way of pink_noise and mp3"] == OPEN


def test_correlation_is_flat_and_the_smallest_values_are_kept(found):
    assert set(verdicts({k: c for k, c in found.items() if "flat in" in k[1]}, "Correlation of audio and vectors, DTW "
                        "and Euclidean").values()) == {AGREES}  # fmt: skip
    smallest = verdicts(found, "The smallest transformations")
    assert smallest == {"MFCC near 1": AGREES, "AT near 1": OPEN, "IR near 1": DISAGREES, "VS low": AGREES,
                        "AE low": AGREES}  # fmt: skip


def test_performance(study, found):
    of = verdicts(found, "Performance of the tasks")
    assert of["vgg_autotagging above MFCC in AT"] == AGREES and of["vgg_autoencoder above MFCC in AE"] == AGREES
    assert of["vgg_separation above MFCC in VS"] == OPEN
    assert of["smallest gap to MFCC in VS"] == AGREES
    assert of["AE improves as ambient noise grows: vgg_autoencoder"] == AGREES
    assert of["AE improves as ambient noise grows: mfcc"] == OPEN
    # the smallest pitch stands in the middle of the grid here, the smallest noise at its start
    assert found["Performance of the tasks", "pitch costs most at the smallest values: IR, vgg_instruments"].why == (
        "intervals overlap"
    )
    write_performance(study, "vgg_instruments", "pitch", {"instruments": (0.5, 0.0)})
    assert made()["Performance of the tasks", "pitch costs most at the smallest values: IR, vgg_instruments"].verdict \
        == AGREES  # fmt: skip


def test_models(study, found):
    check = found["Vectors, Euclidean", "effect of transformation"]
    assert check.published == "F(4, 1,793) = 1,087, R² 0.98"
    assert check.ours == "F(1, 20) = 48, p\xa0=\xa00.001, R² 0.94" and check.verdict == AGREES
    larger = "encoder explains more than transformation"
    path = study / "metrics/significance.json"
    model = ("models", "between_spearman_dtw_euclidean", "terms")
    change(path, (*model, "encoder", "f", 96.0))
    title = "Correlation of audio and vectors, DTW and Euclidean"
    assert made()[title, larger].verdict == AGREES
    change(path, (*model, "encoder", "p", 0.5), (*model, "perturbation", "p", 0.5))
    assert made()[title, larger].verdict == OPEN and made()[title, "effect of encoder"].verdict == OPEN


def test_what_was_not_run_cannot_be_told(world):
    """mfcc and musicnn under effects that the study does not have."""
    found = made()
    assert found["Vectors, Euclidean", "order of the networks: AT, IR, VS, AE"].why == (
        "fewer than two of the study's networks were run"
    )
    assert list(verdicts(found, "Audio").values()) == [OPEN]
    assert found["Performance of the tasks", "pitch costs most at the smallest values"].verdict == OPEN
    write_params(world, ("musicnn",), ("gain",))
    write_significance(world, (), ())
    found = made()
    assert found["Vectors, Euclidean", "MFCC above the networks"].why == "mfcc was not run"
    assert {c.verdict for (_, claim), c in found.items() if "effects" in claim} == {OPEN}


def test_the_text(study, found):
    said = kim2019.text(report_inputs.results())
    assert "Corpus, clips, networks and grids differ here" in said
    assert "Of the study's transformations\npitch, tempo and ambient_noise were run." in said
    assert "  MFCC above AT (vgg_autotagging): agrees\n      study: MFCC 0.741 ± 0.014 and AT 0.671 ± 0.007\n" in said
    counted = judged.counts(found.values())
    assert said.rstrip().endswith(
        f"Of {sum(counted.values())} checks {counted[AGREES]} agree with the study, {counted[DISAGREES]} do not, and "
        f"{counted[OPEN]} are undecided."
    )
    assert max(map(len, said.splitlines())) <= judged.WIDTH
