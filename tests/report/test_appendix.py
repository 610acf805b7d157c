"""The methods appendix and the sources: what was run, and nothing that is nobody's business."""

import json

import pytest
from page_on_disk import change, write_page_inputs
from results_on_disk import INSTRUMENTS, write_comparison
from test_answers import without_classifiers

from earshift.report import results
from earshift.report.page import appendix, sources
from earshift.report.page.content import gathered


def read():
    return gathered(results.document())


def edit(world, *replacements):
    text = (world / "params.yaml").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (world / "params.yaml").write_text(text)


def rows(table):
    return {name: [cell.text for cell in cells] for _, group in table.groups for name, cells in group}


def test_corpus(inputs):
    said = {name: text.replace("\xa0", " ") for name, text in appendix.corpus(read())}
    assert said["clips"].startswith("33 in 18 groups") and "99 s" in said["clips"] and "3 s each" in said["clips"]
    assert said["left out"].startswith("3 clips") and said["labels"] == "cello (11), flute (11) and voice (11)"
    assert said["split"].startswith("9 test and 24 train; one of 4 folds")
    assert said["options"] == "seed 20250129, pieces 8"


def test_a_corpus_without_labels(inputs):
    write_page_inputs(inputs, label=lambda name: "")
    assert dict(appendix.corpus(read()))["labels"].startswith("none")


def test_grids_and_encoders(inputs):
    g = read()
    grids = rows(appendix.perturbations(g))
    assert grids["gain"][1:] == ["−40, −31, −22, −13, −4, 5", "dB", "0", "none"]
    assert grids["reverb"][2:] == ["room size", "none", "damping 0.5"] and grids["reverb"][0].startswith("Freeverb")
    encoders = rows(appendix.encoders(g))
    assert encoders["mfcc"][1:] == ["144", "16,000", "0.0464", "none"]
    assert encoders["musicnn"][4] == "model MSD_musicnn, layer mean_pool"


def test_an_encoder_of_the_users_own(inputs):
    edit(inputs, ("  mfcc: {}", '  mfcc: {class: "mine:Mfcc", weights: {path: /home/me/secret.pth}}'))
    what, _, _, window, options = rows(appendix.encoders(read()))["mfcc"]
    assert "outside this repository" in what and window == "–" and "secret" not in options and "mine:Mfcc" in options


@pytest.mark.parametrize("fidelity, clip, expected", [
    ("corrected", "null", "off: samples beyond full scale are kept"),
    ("paper", "null", "on: samples beyond full scale are cut"),
    ("paper", "false", "off (set by hand): samples beyond full scale are kept"),
])  # fmt: skip
def test_switches_of_the_chain(inputs, fidelity, clip, expected):
    edit(inputs, ("fidelity: corrected", f"fidelity: {fidelity}"), ("clip: null", f"clip: {clip}"))
    said = dict(appendix.chain(read()))
    assert said["clip"] == expected and said["fidelity"].startswith(fidelity)


def test_only_what_was_run_is_described(inputs):
    removed = dict(appendix.removals(read()))
    assert len(removed) == 10 and "at least 0.3, 0.4 and 0.5 of the first" in removed["sample-wise CCA SVD"]
    assert any("Belrose" in source for source in appendix.references(read()))
    text = (inputs / "params.yaml").read_text()
    start, end = text.index("  methods:"), text.index("  svd_threshold")
    (inputs / "params.yaml").write_text(f"{text[:start]}  methods: [none, pca]\n{text[end:]}")
    assert list(dict(appendix.removals(read()))) == ["nothing removed", "PCA"]
    found = " ".join(appendix.references(read()))
    assert "Belrose" not in found and "Holm" in found and "musicnn" in found and "YAMNet" not in found


def test_no_classifiers_no_removals(inputs):
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            without_classifiers(inputs, encoder, perturbation)
    write_comparison(inputs)
    assert appendix.removals(read()) == [] and not any("Holm" in source for source in appendix.references(read()))


def test_notes_say_whom_they_are_about(inputs):
    for encoder, perturbation in (("mfcc", "gain"), ("mfcc", "reverb")):
        change(inputs / f"metrics/cca/{encoder}/{perturbation}.json", ("notes", ["of mfcc"]))
    change(inputs / "metrics/svd/musicnn/gain.json", ("notes", ["of one pair", "and more"]))
    for encoder in ("mfcc", "musicnn"):
        for perturbation in ("gain", "reverb"):
            change(inputs / f"metrics/trajectories/{encoder}/{perturbation}.json", ("notes", ["of all"]))
    assert appendix.notes(read()) == [
        ("mfcc", ["of mfcc"]), ("musicnn under gain", ["of one pair", "and more"]), ("all pairs", ["of all"])
    ]  # fmt: skip


def test_sources(inputs):
    g = read()
    assert dict(sources.corpus(g))["licence"] == "Yours to share."
    about = sources.encoders(g)
    assert dict(about["mfcc"])["weights"] == "none" and dict(about["musicnn"])["sha256"] == "ab" * 32
    assert dict(about["musicnn"])["packages"] == "numpy 2.4.6"


def test_where_files_of_the_user_lie_is_not_told(inputs):
    edit(inputs, ("name: general_midi", "name: folder"), ("folder: {path: null}", "folder: {path: /home/me/audio}"))
    g = read()
    told = sources.parameters(g.content)
    assert "path: (a path on the machine that ran it)" in told and "/home/me" not in told
    assert "general_midi" not in told and "compute" not in told and "yamnet" not in told
    assert not any("/home/me" in text for _, text in appendix.corpus(g))


def test_the_digest_follows_the_results(inputs):
    first = sources.digest(read(), [])
    assert sources.digest(read(), []) == first
    edit(inputs, ("workers: 1", "workers: 2"))  # changes no number
    assert sources.digest(read(), []) == first
    change(inputs / "metrics/cca/mfcc/gain.json", ("global", "heldout", 0.26))
    second = sources.digest(read(), [])
    (inputs / "plots/figures/headline.svg").write_text(json.dumps(INSTRUMENTS))
    assert len({first, second, sources.digest(read(), [])}) == 3
