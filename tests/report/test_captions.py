"""Figures on the page: each has a title, one sentence on how to read it, and a text for those who do not see it."""

from pathlib import Path

import pytest
from reading import figures
from test_findings import put

from earshift.pipeline.report_inputs import results
from earshift.report import formats
from earshift.report.page import pictures
from earshift.report.page.content import read_content
from earshift.report.page.environment import TEMPLATES
from earshift.report.page.page import make_page


def shown():
    """{title: (reading, alternative text)}, without unbreakable spaces."""
    found = figures(make_page(results()).html)
    return {title: tuple(text.replace("\xa0", " ") for text in texts) for title, texts in found.items()}


def test_every_figure_that_is_drawn_has_a_caption(inputs):
    found = shown()
    assert len(found) == len(list(Path("plots/figures").glob("*.svg")))  # titles differ
    for title, (reading, alt) in found.items():
        assert "without a caption" not in reading, title
        assert reading.endswith(".") and reading.count(". ") == 0, title  # one sentence
        assert alt.endswith(".") and len(alt) > 60 and "  " not in alt and "\n" not in alt, title
    assert {path.name.partition(".")[0] for path in (TEMPLATES / "figures").iterdir()} == {
        *pictures.ORDER, *pictures.ABOUT_ENCODER, "other"
    }  # fmt: skip


def test_the_text_gives_the_numbers(inputs):
    g, found = read_content(results()), shown()
    alts = " ".join(alt for _, alt in found.values())

    def each(number):
        return "; ".join(f"{p}: " + ", ".join(f"{e} {number(e, p)}" for e in g.encoders) for p in g.perturbations)

    def of(name, how):
        return each(lambda e, p: how(g.numbers[e][p].get(name)))

    for name, how in (("heldout_r2", formats.r2), ("samplewise_heldout_r2", formats.r2),
                      ("turning_angle", formats.degrees),
                      ("effective_rank", formats.rank), ("within_euclidean", formats.r2)):  # fmt: skip
        assert of(name, how) in alts, name
    sides = {pair: of["sides"].values() for pair, of in g.results.consistency.items()}
    falls = each(
        lambda e, p: " and ".join(
            formats.value(v) if (v := side["falls_below"]["euclidean"]) is not None else "never" for side in sides[e, p]
        )
    )
    assert falls in alts
    assert each(lambda e, p: " and ".join(formats.r2(side["at_smallest"]["euclidean"]) for side in sides[e, p])) in alts
    encoder, perturbation = g.pairs[0]
    n = g.numbers[encoder][perturbation]
    worst = formats.with_unit(n["worst_value"], g.unit(perturbation)).replace("\xa0", " ")
    assert f"worst drop {formats.auc(n['worst_drop'])} at {worst}" in alts
    assert "; ".join(f"{place}: {', '.join(g.with_rank(place))}" for place in g.severity_lines) in alts
    values = [of["lsd_db"] for of in g.severity[perturbation].values()]
    assert f"{perturbation} from {values[0]:.1f} to {values[-1]:.1f} dB" in alts
    for task, numbers in g.tasks:
        assert f"{task}: {', '.join(f'{e} {formats.r2(number)}' for e, number in numbers.items())}" in alts


def test_pictures_of_one_encoder(inputs):
    encoders = ("mfcc", "musicnn")
    assert pictures.encoder_of(f"{pictures.ABOUT_ENCODER[0]}_mfcc", encoders) == "mfcc"
    assert pictures.encoder_of(f"{pictures.ABOUT_ENCODER[1]}_musicnn", encoders) == "musicnn"
    assert pictures.encoder_of("roc_auc_instrument", encoders) == "" == pictures.encoder_of("roc_auc_openl3", encoders)


def test_a_picture_without_a_caption_of_its_own(inputs):
    Path("plots/figures/something_new.svg").write_text(Path("plots/figures/gains.svg").read_text())
    reading, alt = shown()["something new"]
    assert "without a caption" in reading and alt == "Picture: something new."


def test_numbers_that_are_missing(inputs):
    (encoder, perturbation), *_ = results().study.pairs
    put("cca", (encoder, perturbation), ("global", "heldout", None))
    put("trajectories", (encoder, perturbation), ("distance_between_originals", None))
    found = shown()
    assert f"{perturbation}: {encoder} –," in found["How far held-out recordings follow one direction"][1]
    assert f"{perturbation}: {encoder} –," in found["How far clips move, and how their trajectories turn"][1]


@pytest.mark.parametrize("wanted", ["", "theremin"])
def test_the_instrument_is_the_one_that_is_drawn(inputs, wanted, monkeypatch):
    present = list(results().trajectories[results().study.pairs[0]]["instruments"])
    text = Path("params.yaml").read_text()
    before, _, after = text.partition("figures:\n  instrument: ")
    Path("params.yaml").write_text(
        f"{before}figures:\n  instrument: {wanted or present[-1]}\n{after.partition(chr(10))[2]}"
    )
    assert (
        f"few {present[0] if wanted else present[-1]} clips" in shown()["Trajectories of a few clips on UMAP maps"][1]
    )
