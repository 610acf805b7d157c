"""Results on disk, one of them broken, as the report page reads and words them."""

import sys
from pathlib import Path

from untrusted import mutation
from untrusted.pieces import json_mutated

from earshift.pipeline import report_inputs
from earshift.report.page.page import make_page

MARK = "<script>alert(1)</script>"
WORDS = (MARK.encode(), b"null", b"NaN", b"1e999", b"-1", b'"', b"[", b"{}", b",", b"\n", b"[" * 2000, b"\xff",
         b"9" * 5000)  # fmt: skip


def prepared():
    """A small world of results in this folder; those of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "report"))
    from page_on_disk import write_page_inputs
    from results_on_disk import write_results

    write_results(Path(), encoders=("mfcc",), perturbations=("gain",))
    write_page_inputs(Path(), encoders=("mfcc",), perturbations=("gain",))


def mutated(data, random):
    """Another value in the same file, or the same in another file."""
    name, _, content = data.partition(b"\n")
    if random.random() < 0.5:
        texts = [path for kind in ("json", "csv", "yaml") for path in Path().rglob(f"*.{kind}")]
        path = random.choice(sorted(texts))
        name, content = path.as_posix().encode(), path.read_bytes()
    bytewise = lambda: mutation.mutated(content, random, words=WORDS)  # noqa: E731
    content = json_mutated(content, random) if name.endswith(b".json") else bytewise()
    return name + b"\n" + content


def target(data):
    """The first line of an input names the file, the rest is its content."""
    name, _, content = data.partition(b"\n")
    path = Path(name.decode("utf-8", "replace"))
    if path not in {found for found in Path().rglob("*") if found.is_file()}:
        return
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        html = make_page(report_inputs.results()).html
        assert MARK not in html
    finally:
        path.write_bytes(before)
