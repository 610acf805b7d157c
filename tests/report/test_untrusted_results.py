"""Results that no stage wrote end in one message, and text in them never becomes part of the page."""

import pytest
from page_on_disk import change

from earshift.errors import UserError
from earshift.report import results
from earshift.report.page import page


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics/cca/mfcc/gain.json", "{}"),
        ("metrics/cca/mfcc/gain.json", "[1]"),
        ("metrics/trajectories/mfcc/gain.json", '{"distance_between_originals": "x"}'),
        ("plots/trajectories/mfcc/gain/path.csv", "value\n1\n"),
        ("plots/robustness/mfcc/gain/curves.csv", "instrument\nall\n"),
        ("data/perturbed/gain/severity.csv", "value,strength\n-4,x\n"),
        ("metrics/significance.json", "{}"),
    ],
)
def test_files_that_no_stage_wrote(inputs, file, content):
    document = results.document()
    (inputs / file).write_text(content)
    with pytest.raises(UserError, match=r"(not what their stages wrote .*`dvc status` names|is not valid JSON)"):
        page.page(document)


def test_text_of_results_is_no_markup(inputs):
    mark = "<script>alert(1)</script>"
    change(inputs / "metrics/cca/mfcc/gain.json", ("unit", mark))
    change(inputs / "data/weights/mfcc/weights.json", ("licence", mark), ("source", mark))
    change(inputs / "data/excerpts/gain.json", ("silent", mark))
    html, _ = page.page(results.document())
    assert mark not in html and "&lt;script&gt;alert(1)" in html
