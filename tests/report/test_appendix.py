"""The methods section and the provenance: what was run, and nothing that is nobody else's business."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from page_on_disk import write_page_inputs
from reading import Document, Table, facts, section
from test_findings import put, without_classifiers

from earshift.pipeline.report_inputs import results
from earshift.report.page import provenance
from earshift.report.page.content import read_content
from earshift.report.page.page import make_page
from earshift.report.results import Results


def html():
    return make_page(results()).html


def edit(*changes):
    """Set entries of params.yaml: (key, ..., value)."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    for *keys, last, value in changes:
        place = content
        for key in keys:
            place = place[key]
        place[last] = value
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def removals(page):
    return facts(page, "Analyses")


def references(page):
    return Document(section(page, "<h3>References</h3>", "</ul>")).texts("li")


def test_corpus(inputs):
    said, study = facts(html(), "Corpus"), results().study
    assert said["clips"].startswith("33 in 18 groups") and "99 s" in said["clips"] and "3 s each" in said["clips"]
    assert said["left out"].startswith("3 clips") and said["labels"] == "cello (11), flute (11) and voice (11)"
    assert said["split"].startswith(f"9 test and 24 train; one of {study.folds} folds")
    assert f"seed {study.parameters['corpus'][study.corpus]['seed']}" in said["options"]


def test_a_corpus_without_labels(inputs):
    write_page_inputs(inputs, label=lambda name: "")
    assert facts(html(), "Corpus")["labels"].startswith("none")


def test_grids_and_encoders(inputs):
    page, g = html(), read_content(results())
    grids = Table(page, "perturbations-run")
    assert [row for _, row, _ in grids.rows] == list(g.perturbations)
    gain = grids.row("gain")
    assert gain["grid, by strength"].startswith("−40, ") and (gain["unit"], gain["neutral value"]) == ("dB", "0")
    assert grids.row(g.perturbations[-1])["what it does"] not in ("", "–")
    mfcc = Table(page, "encoders-run").row("mfcc")
    assert mfcc["dimensions"] == f"{g.about['mfcc']['dim']:,}" and mfcc["sample rate"] == "16,000"
    assert mfcc["shortest input"] == "0.0464" and "MFCC" in mfcc["what a vector is"]


def test_an_encoder_of_the_users_own(inputs):
    """Options as they are written: where a file lies is not for others."""
    study = results().study
    options = {
        **study.parameters["encoders"],
        "mfcc": {"class": "mine:Mfcc", "weights": {"path": "/home/me/secret.pth"}},
    }
    study = dataclasses.replace(study, parameters={**study.parameters, "encoders": options})
    mine = Results(study, results().folders)
    row = Table(make_page(mine).html, "encoders-run").row("mfcc")
    assert "outside this repository" in row["what a vector is"] and row["shortest input"] == "–"
    assert "mine:Mfcc" in row["options"] and "secret" not in row["options"]


@pytest.mark.parametrize("fidelity, clip, expected", [
    ("corrected", None, "off: samples above full scale are kept"),
    ("paper", None, "on: samples above full scale are cut"),
    ("paper", False, "off (set by hand): samples above full scale are kept"),
])  # fmt: skip
def test_switches(inputs, fidelity, clip, expected):
    edit(("fidelity", fidelity), ("perturb", "clip", clip))
    said = facts(html(), "Encoders") | facts(html().replace("<h3>Perturbations</h3>", "<h3>x</h3>"), "x")
    assert said["clip"] == expected and said["fidelity"].startswith(fidelity)


def test_only_what_was_run_is_described(inputs):
    edit(("robustness", "svd_threshold", [0.3, 0.4, 0.5]))
    page = html()
    assert len(removals(page)) == len(results().study.robustness.methods) + (
        "none" not in results().study.robustness.methods
    )
    assert "at least 0.3, 0.4 and 0.5 of the first" in removals(page)["sample-wise CCA SVD"]
    assert any("Belrose" in reference for reference in references(page))
    edit(("robustness", "methods", ["pca"]))
    page = html()
    assert list(removals(page)) == ["nothing removed", "PCA"]
    found = " ".join(references(page))
    assert "Belrose" not in found and "Holm" in found and "YAMNet" not in found


def test_no_classifiers_no_removals(inputs):
    for pair in results().study.pairs:
        without_classifiers(pair)
    page = html()
    assert "Each method removes" not in page and not any("Holm" in reference for reference in references(page))


def test_notes_say_whom_they_are_about(inputs):
    for analysis, of in results().by_analysis.items():
        for pair in of:
            if of[pair].get("notes"):
                put(analysis, pair, ("notes", []))
    (one, p), (_, q), (other, _), _ = pairs = results().study.pairs
    for pair in ((one, p), (one, q)):
        put("cca", pair, ("notes", ["of one encoder"]))
    put("svd", (other, p), ("notes", ["of one pair", "and more"]))
    for pair in pairs:
        put("trajectories", pair, ("notes", ["of all"]))
    part = section(html(), "<h3>Notes of the analyses</h3>", "<h3>")
    found = dict(
        zip(Document(part).texts("h4"), ([*Document(ul).texts("li")] for ul in part.split("<ul")[1:]), strict=True)
    )
    assert found == {
        one: ["of one encoder"],
        f"{other} under {p}": ["of one pair", "and more"],
        "all pairs": ["of all"],
    }


def test_provenance(inputs):
    page = html()
    assert facts(page, "Results")["licence"] == "Yours to share."
    assert facts(page, "mfcc")["weights"] == "none"
    other = facts(page, "musicnn" if "musicnn" in results().study.encoders else results().study.encoders[1])
    assert other["sha256"] == "ab" * 32 and other["packages"] == "numpy 2.4.6"


def test_where_files_of_the_user_lie_is_not_shown(inputs):
    parameters = {
        "corpus": {"name": "folder", "folder": {"path": "/home/me/audio", "labels": None}},
        "svd": {"seed": 0},
    }
    text = provenance.parameter_text(parameters)
    assert "path: (a path on the machine that ran it)" in text and "/home/me" not in text
    assert "labels: null" in text and "svd:\n  seed: 0" in text
    assert "compute" not in section(html(), "<summary>All parameters", "</details>")


def test_the_digest_follows_the_results(inputs):
    def digest():
        return provenance.digest(read_content(results()))

    first = digest()
    assert digest() == first
    edit(("compute", "workers", 2))  # changes no number
    assert digest() == first
    put("cca", results().study.pairs[0], ("global", "heldout", 0.26))
    second = digest()
    Path("plots/figures/headline.svg").write_text(json.dumps("another picture"))
    third = digest()
    path = Path("data/embeddings/mfcc/index.json")
    index = json.loads(path.read_text())
    for entry in index["artifacts"].values():
        entry["key"] = "of other code"  # that gave the same files
    path.write_text(json.dumps(index))
    assert digest() == third
    (entry, *_) = index["artifacts"].values()
    entry["files"] = dict.fromkeys(entry["files"], "0")
    path.write_text(json.dumps(index))
    assert len({first, second, third, digest()}) == 4
