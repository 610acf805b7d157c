"""The page as a whole: self-contained, complete, accessible in its structure, and safe whatever the results say."""

import base64
import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
from page_on_disk import HEARD, SOUND, write_excerpts, write_page_inputs
from reading import Document
from results_on_disk import write_comparison, write_params
from test_findings import put, without_classifiers

from earshift.pipeline.report_inputs import results
from earshift.report import formats, summary
from earshift.report.page.page import make_page
from earshift.report.results import Results
from stages import report

EVIL = '<script>alert("x")</script>'


def made(**options):
    return make_page(results(), **options).html


def test_nothing_is_loaded(inputs):
    document = Document(made())
    assert document.faults == []
    loads = [a[name] for _, a, _ in document.elements for name in ("src", "srcset", "data", "poster") if name in a]
    loads += [a["href"] for a in document.all("link")]
    assert loads and all(address.startswith("data:") for address in loads)
    assert not re.search(r"url\(|@import|https?://", re.sub(r'"data:[^"]*"', "", made()))
    (policy,) = (a["content"] for a in document.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';") and "http" not in policy


def test_the_script_is_the_one_that_the_policy_allows(inputs):
    html = made()
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert any(f"script-src 'sha256-{known}'" in a.get("content", "") for a in Document(html).all("meta"))


def test_every_picture_is_shown_once(inputs):
    images = Document(made()).all("img")
    assert len(images) == len(list(Path("plots/figures").glob("*.svg"))) > 20
    assert len({image["alt"] for image in images}) >= 16 and all(len(image["alt"]) > 60 for image in images)


def test_every_sound_can_be_played_and_says_what_it_is(inputs):
    players = Document(made()).all("audio")
    assert len(players) == len(HEARD) * (1 + 2 * 3)  # the original, and three strengths of two perturbations
    assert all(p["src"] == f"data:audio/mpeg;base64,{SOUND}" and "controls" in p for p in players)
    assert all(p["preload"] == "none" for p in players)
    assert len({p["aria-label"] for p in players}) == len(players)
    assert players[1]["aria-label"].replace("\xa0", " ") == "cello0: gain, −40 dB"


def test_what_embeddings_did_stands_beside_the_sounds(inputs):
    html = made()
    assert html.count('<span class="number">1.50</span>') == len(HEARD) * 2 * 2
    assert "inline-size: 75%" in html  # 1.5 of 2, where bars end


def test_numbers_of_the_summary(inputs):
    text = " ".join(Document(made()).texts("main"))
    for of_encoder in summary.summary(results()).values():
        for n in of_encoder.values():
            for name, how in (("heldout_r2", formats.r2), ("mean_drop", formats.auc), ("worst_drop", formats.auc)):
                assert how(n[name]) in text


def test_structure_that_screen_readers_need(inputs):
    document = Document(made())
    levels = [int(tag[1]) for tag, _, _ in document.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    ids = [a["id"] for _, a, _ in document.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    targets = [a["href"][1:] for a in document.all("a") if a["href"].startswith("#")]
    targets += [a["aria-labelledby"] for _, a, _ in document.elements if "aria-labelledby" in a]
    assert set(targets) <= set(ids) and "content" in targets
    assert document.all("html")[0]["lang"] == "en" and len(document.all("main")) == 1
    assert all(a.get("scope") in ("col", "row", "colgroup", "rowgroup") for a in document.all("th"))
    assert len(document.all("caption")) == len(document.all("table")) > 5
    regions = [a for a in document.all("div") if a.get("class") == "scroll"]
    assert all(a["tabindex"] == "0" and ("aria-label" in a or "aria-labelledby" in a) for a in regions)


def test_the_same_bytes_twice_whatever_the_day(inputs):
    report.main()
    first = Path("report/page.html").read_bytes()
    Path("report/page.html").unlink()
    report.main()
    assert Path("report/page.html").read_bytes() == first
    assert not re.search(rb"20(2[6-9]|3\d)-\d\d-\d\d", first)


def test_hostile_names_stay_text(inputs):
    write_page_inputs(inputs, label=lambda name: f'{name}"{EVIL}')
    put("cca", results().study.pairs[0], ("notes", [EVIL]))
    Path("data/corpus/LICENCE.txt").write_text(EVIL)
    for path in Path("data/excerpts").glob("*.json"):
        path.write_text(path.read_text().replace("c291bmQ", 'c\\" onplay=\\"alert(1)'))
    study = dataclasses.replace(results().study, corpus="<b>x</b>")
    html = make_page(Results(study, results().folders)).html
    document = Document(html)
    assert len(document.all("script")) == 1 and "<b>" not in html and EVIL not in html
    assert EVIL in " ".join(document.texts("main"))
    assert not [a for _, a, _ in document.elements if any(name.startswith("on") for name in a)]


def test_a_hostile_name_of_an_encoder(inputs):
    """Folders cannot have every name, so only what text does is tried here."""
    evil, study = '<img src=x onerror="alert(1)">', results().study

    def renamed(names):
        return {evil if name == "mfcc" else name: of for name, of in names.items()}

    study = dataclasses.replace(
        study, encoders=tuple(renamed(dict.fromkeys(study.encoders))), encoder_options=renamed(study.encoder_options),
        configured_encoders=tuple(renamed(dict.fromkeys(study.configured_encoders))),
        parameters={**study.parameters, "encoders": renamed(study.parameters["encoders"])},
    )  # fmt: skip
    for folder in ("metrics/*", "plots/*", "data/embeddings", "data/models"):
        for path in inputs.glob(f"{folder}/mfcc*"):
            path.rename(path.with_name(path.name.replace("mfcc", evil)))
    for path in inputs.glob("plots/figures/*_mfcc.*"):
        path.unlink()
    comparison = inputs / "metrics/comparison.json"
    comparison.write_text(comparison.read_text().replace("mfcc", evil.replace('"', '\\"')))
    document = Document(make_page(Results(study, results().folders)).html)
    assert not [a for a in document.all("img") if a.get("src") == "x"] and document.faults == []
    assert evil in " ".join(document.texts("main")) and evil in document.texts("title")[0]


def test_a_corpus_that_may_not_be_passed_on_has_no_players_and_says_why(inputs):
    for perturbation in results().study.perturbations:
        write_excerpts(inputs, perturbation, "the licence of the corpus forbids passing its audio on")
    document = Document(made())
    assert document.all("audio") == []
    assert "no sounds on this page: the licence of the corpus forbids" in " ".join(document.texts("main"))


def test_no_labels_one_encoder_missing_numbers(inputs):
    write_page_inputs(inputs, label=lambda name: "")
    write_params(inputs, ("mfcc",), ("gain",))
    without_classifiers(("mfcc", "gain"), "the corpus has no labels")
    put("cca", ("mfcc", "gain"), *(("global", name, None) for name in ("heldout", "null_p95")))
    put("svd", ("mfcc", "gain"), ("overall", "effective_rank", None))
    put("trajectories", ("mfcc", "gain"), ("distance_between_originals", None))
    write_comparison(inputs)
    for path in inputs.glob("plots/figures/*_musicnn.*"):
        path.unlink()
    document = Document(made())
    text = " ".join(document.texts("main"))
    assert document.faults == [] and "There are no classifiers: the corpus has no labels." in text
    assert "nan" not in text.lower().split() and "None" not in text
    assert "musicnn" not in text.partition("Provenance")[0]


def test_too_large_a_page_does_without_sounds_and_says_so(inputs):
    whole = len(made().encode())
    page = make_page(results(), largest=whole - 1)
    assert (page.without_sounds, page.size) == (True, 0) and "<audio" not in page.html
    assert "so it has none; fewer clips (report.clips)" in page.html and "too large to send" in page.html
    assert "data:image/png" not in page.html
    page = make_page(results(), largest=10_000)
    assert page.without_sounds and page.size > 10_000 and "in pixels where these are smaller" in page.html
    assert "<audio" not in page.html and page.html.count("data:image/png") > 20


@pytest.mark.parametrize("name", [
    "data/excerpts/gain.json", "data/corpus/clips.csv", "data/embeddings/mfcc/original.h5",
    "data/embeddings/mfcc/index.json", "data/models/mfcc/weights.json",
])  # fmt: skip
def test_what_is_missing_is_named(inputs, name):
    Path(name).unlink()
    with pytest.raises(SystemExit) as stop:
        report.main()
    assert name in str(stop.value)
