"""What the page says of the streams of Verma (2023) where their combination was run, and nothing where it was not."""

from page_on_disk import PICTURE, write_page_inputs
from reading import Table, figures, findings
from results_on_disk import write_combination, write_results

from earshift.pipeline.report_inputs import results
from earshift.report.page.page import make_page

ENCODERS = ("mfcc", "diverse_all")


def test_subsets_and_classes(tmp_path, monkeypatch):
    write_results(tmp_path, ENCODERS, ("gain",))
    write_combination(tmp_path)
    write_page_inputs(tmp_path, ENCODERS, ("gain",))
    for kind in ("svg", "png"):
        (tmp_path / f"plots/figures/subsets.{kind}").write_text(PICTURE)
    monkeypatch.chdir(tmp_path)
    html = make_page(results()).html
    classes = Table(html, "classes")
    assert [text for text, _ in classes.columns] == ["test clips", "pitch", "timbre", "end to end", "Neuralogram",
                                                     "all four"]  # fmt: skip
    assert [(tag, [text for text, _ in cells]) for _, tag, cells in classes.rows] == [
        ("NA", ["4", "0.06", "0.19", "0.31", "0.44", "0.81"]), ("Rain", ["8", "0.00", "0.12", "0.25", "0.38", "0.75"]),
        ("Bark", ["0", *["–"] * 5]),
    ]  # fmt: skip
    rows = Table(html, "subsets").rows
    assert len(rows) == 15 and rows[0][2][1] == ("0.875", "[0.812, 0.938]")
    for wanted in ('id="verma2023"', 'href="#verma2023"', "All classes", "arXiv 2309"):
        assert wanted in html, wanted
    text = findings(html)["Do handcrafted features help, as Verma (2023) found?"]
    assert "an mAP of 0.88 [0.81, 0.94], on the best single stream (Neuralogram) of 0.50 [0.44, 0.56]" in text
    assert "chance is 0.06. Pitch and timbre add to the two learned streams: 0.875" in text
    assert "all four 0.88, " in figures(html)["A linear model on every subset of streams"][1]


def test_a_page_without_streams_is_silent_about_them(inputs):
    html = make_page(results()).html
    assert "verma2023" not in html and "Verma (2023)" not in " ".join(findings(html))
