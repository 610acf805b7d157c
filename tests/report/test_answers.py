"""The sentences: they say what the numbers carry, and no more."""

import json

from page_on_disk import change, write_page_inputs
from results_on_disk import dump, write_comparison, write_params, write_significance

from earshift.report import results
from earshift.report.page import findings as answers
from earshift.report.page.content import gathered


def read():
    return gathered(results.document())


def said(title):
    """What is said under a title, without unbreakable spaces."""
    finding = {f.title: f for f in answers.findings(read())}[title]
    return f"{finding.text} {finding.more}".replace("\xa0", " ").strip()


def without_classifiers(world, encoder, perturbation, problem="fewer than three positives"):
    path = world / f"metrics/robustness/{encoder}/{perturbation}.json"
    content = json.loads(path.read_text())
    content["original"] = dict.fromkeys(content["original"])
    for of in content["methods"].values():
        of["problem"] = problem
        for name in ("original", "forward", "backward", "matched"):
            of[name] = dict.fromkeys(of[name])
    dump(path, content)


def test_what_was_done(inputs):
    corpus, vectors, asked = (sentence.replace("\xa0", " ") for sentence in answers.done(read()))
    assert corpus == (
        "33 clips from 18 recordings of the corpus general_midi (3 labels) were deformed in graded steps: gain "
        "(6 values, −40 to 5 dB) and reverb (6 values, room size 0.01 to 1)."
    )
    assert "mfcc (144 numbers per clip) and musicnn (753)" in vectors
    assert "costs a classifier" in asked and "nearest to their own original" in asked


def test_neighbours(inputs):
    text = said("Do neighbours stay neighbours?")
    assert text.startswith(
        "Between vectors (Euclidean), from 66 % [64 %, 67 %] of the clips (musicnn under reverb) to 75 % [73 %, 77 %] "
        "of the clips (mfcc under gain) stay nearer to their own original than to any other, on average over the "
        "values. In the audio (DTW) more do so in all 4 pairs and fewer in none of the 4 pairs, with intervals apart."
    )
    assert text.endswith("correlation from 0.16 [0.14, 0.17] (musicnn under reverb) to 0.25 [0.23, 0.27] (mfcc under "
                         "gain).")  # fmt: skip
    change(inputs / "metrics/consistency/mfcc/gain.json", ("overall", "within_euclidean_high", 0.95))
    assert "In the audio (DTW) more do so in 3 of the 4 pairs" in said("Do neighbours stay neighbours?")


def test_neighbours_without_intervals_or_numbers(inputs):
    files = [inputs / f"metrics/consistency/{e}/{p}.json" for e in ("mfcc", "musicnn") for p in ("gain", "reverb")]
    for path in files:
        ends = [f"{name}{end}" for name in ("within_dtw", "within_euclidean") for end in ("_low", "_high")]
        change(path, *(("overall", name, None) for name in [*ends, "between_spearman_dtw_euclidean"]))
    text = said("Do neighbours stay neighbours?")
    assert text.startswith("Between vectors (Euclidean), from 66 % of the clips") and "In the audio" not in text
    assert "correlation" not in text
    for path in files:
        change(path, ("overall", "within_euclidean", None))
    assert "Do neighbours stay neighbours?" not in {f.title for f in answers.findings(read())}


def test_farthest(inputs):
    # path.csv: 1 + 3 strength, and 2 between two originals, alike for every pair
    assert said("How far it moves") == (
        "At the value that moves it most, an embedding ends up 2.00 (mfcc under gain, 5 dB) times as far from its "
        "original as two clips of the corpus lie apart."
    )


def test_direction(inputs):
    text = said("Along one direction?")
    assert text.startswith("Recordings that the direction was not fitted on follow it in all 4 pairs")
    assert "95th percentile of its null, with its whole interval" in text
    most = "Most of all musicnn under reverb, 0.62 [0.50, 0.75] (null 0.05)"
    least = "; least mfcc under gain, 0.25 [0.12, 0.38] (null 0.05)."
    assert f"{most}, though the intervals of mfcc under reverb and musicnn under gain overlap with it{least}" in text
    change(inputs / "metrics/cca/musicnn/reverb.json", ("global", "heldout_low", 0.6))
    assert "though the interval of musicnn under gain overlaps with it" in said("Along one direction?")
    change(inputs / "metrics/cca/musicnn/reverb.json", ("global", "heldout_low", 0.7))
    assert "though" not in said("Along one direction?")


def test_direction_that_does_not_hold(inputs):
    change(inputs / "metrics/cca/mfcc/gain.json", ("global", "null_p95", 0.3))
    change(inputs / "metrics/cca/mfcc/reverb.json", ("global", "heldout_low", 0.01))
    text = said("Along one direction?")
    assert "in 3 of the 4 pairs" in text and "in 2 of them with its whole interval" in text
    assert "No better than shuffled strengths: mfcc under gain." in text


def test_direction_without_numbers(inputs):
    change(inputs / "metrics/cca/mfcc/gain.json", *(("global", name, None) for name in ("heldout", "heldout_low")))
    assert "in 3 of the 4 pairs" in said("Along one direction?")
    assert "Without a number: mfcc under gain." in said("Along one direction?")
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            change(inputs / f"metrics/cca/{encoder}/{perturbation}.json", ("global", "heldout", None))
    assert said("Along one direction?").startswith("There is no held-out R²")


def test_dimensions(inputs):
    text = said("In how many dimensions?")
    assert "5.2 [4.8, 5.8] of 24" in text and "in all 4 pairs." in text and "elsewhere" not in text
    change(inputs / "metrics/svd/mfcc/gain.json", ("overall", "null_effective_rank", 5.5))
    assert "in 3 of the 4 pairs; elsewhere" in said("In how many dimensions?")


def test_cost(inputs):
    text = said("What it costs")
    assert text.startswith(
        "Classifiers trained on originals lose most for musicnn under reverb: 0.156 [0.141, 0.172] of a ROC AUC of "
        "0.938, on average over the grid, and 0.312 [0.281, 0.344] at room size 1."
    )
    assert "above 0 in all 4 pairs" in text and "elsewhere" not in text
    change(inputs / "metrics/robustness/mfcc/gain.json", ("methods", "none", "forward", "mean_drop_low", -0.01))
    named = "(mfcc under reverb, musicnn under gain and musicnn under reverb)"
    assert f"above 0 in 3 of the 4 pairs {named}; elsewhere" in said("What it costs")


def test_who_loses_least(inputs):
    text = said("Who loses least?")
    assert text.startswith("Per unit of log-spectral distance (dB), mfcc loses least: its mean rank over the ")
    assert "first in 100 % of the draws." in text and "settled" not in text
    assert "It also has the least to lose, a ROC AUC of 0.938" in text
    change(inputs / "metrics/comparison.json", ("measures", "lsd_db", "overall", "mfcc", "rank_high", 2.0))
    assert "of the draws: the order is not settled." in said("Who loses least?")


def test_removal(inputs):
    text = said("Does taking it out help?")
    assert text.startswith("Removing directions gains ROC AUC significantly in all 4 pairs; most: LEACE +0.016")
    assert "which is no removal, gains, with its whole interval, in all 4 pairs" in text
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            path = inputs / f"metrics/robustness/{encoder}/{perturbation}.json"
            names = json.loads(path.read_text())["methods"]
            change(path, *(("methods", name, "forward", "p_holm", 0.5) for name in names if name != "none"))
    assert said("Does taking it out help?").startswith(
        "No way of removing directions gains ROC AUC significantly (p < 0.05 after Holm's correction) in any pair."
    )


def test_without_labels_there_are_no_classifiers(inputs):
    write_page_inputs(inputs, label=lambda name: "")
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            without_classifiers(inputs, encoder, perturbation, "no instrument can be classified")
    write_comparison(inputs)
    g = read()
    assert "(no labels)" in answers.done(g)[0] and "classifier" not in answers.done(g)[2]
    assert said("What it costs") == "There are no classifiers here: the corpus has no labels."
    write_page_inputs(inputs)
    assert said("What it costs") == "There are no classifiers here: no instrument can be classified."
    assert {f.title for f in answers.findings(g)}.isdisjoint({"Who loses least?", "Does taking it out help?"})


def test_one_pair_without_classifiers(inputs):
    without_classifiers(inputs, "musicnn", "reverb")
    write_comparison(inputs)
    assert "lose most for musicnn under gain" in said("What it costs")


def test_one_encoder_is_not_ranked(inputs):
    write_params(inputs, ("mfcc",), ("gain",))
    write_comparison(inputs)
    titles = {f.title for f in answers.findings(read())}
    assert "Who loses least?" not in titles
    assert "in the one pair that there is" in said("Along one direction?")
    assert "It is 0.25 [0.12, 0.38] (null 0.05) (mfcc under gain)." in said("Along one direction?")


def test_mfcc_against_the_others_as_in_the_third_study(inputs):
    found = {f.title: f for f in answers.findings(gathered(results.document()))}
    finding = found["Is it as the third study found?"]
    assert finding.text.endswith(
        "it lies above that of musicnn, as the third study found of its networks."
    ) and finding.more.startswith("Of ")
    means = {"within_euclidean": {"mfcc": 0.25, "musicnn": 0.75}}
    write_significance(inputs, ("mfcc", "musicnn"), ("gain", "reverb"), means)
    found = {f.title: f for f in answers.findings(gathered(results.document()))}
    assert "beside musicnn nothing can be told (intervals of the model" in found[finding.title].text
