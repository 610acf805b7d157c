"""Results that no stage wrote end in one message, and text in them never becomes part of the page."""

import pytest
from page_on_disk import change

from earshift.errors import UserError
from earshift.pipeline.report_inputs import results
from earshift.report.page.page import make_page


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
    (inputs / file).write_text(content)
    refused = r"(not what their stages wrote .*`dvc status` names|does not hold what this version writes)"
    with pytest.raises(UserError, match=refused):
        make_page(results())


def test_text_of_results_is_no_markup(inputs):
    mark = "<script>alert(1)</script>"
    change(inputs / "metrics/cca/mfcc/gain.json", ("unit", mark))
    change(inputs / "data/models/mfcc/weights.json", ("licence", mark), ("weights_source", mark))
    change(inputs / "data/excerpts/gain.json", ("silent", mark))
    html = make_page(results()).html
    assert mark not in html and "&lt;script&gt;alert(1)" in html
