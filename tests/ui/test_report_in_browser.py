"""The report opened from disk: it shows and plays everything, asks nobody for anything, and everybody can read it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import faults
import pytest

REPOSITORY = Path(__file__).parents[2]
WRITTEN = """
import base64
from pathlib import Path
import numpy as np
import page_on_disk
from results_on_disk import write_results
from earshift.perturbations import mp3
from earshift.pipeline.stamp import write_index
from stages import figures, report

second = np.sin(440 * 2 * np.pi * np.arange(22050) / 22050, dtype=np.float32)[np.newaxis]
page_on_disk.SOUND = base64.b64encode(mp3.encode_playable(second / 2, 22050)).decode()
write_results(Path.cwd())
page_on_disk.write_page_inputs(Path.cwd())
figures.main()
report.main()
write_index()
"""
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
LOOKS = [(device, scheme) for device in WIDTHS for scheme in ("light", "dark")]
BROKEN = """<!doctype html><html lang="en"><title>broken</title><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="https://example.org/style.css"><script>throw new Error("uncaught")</script>
<main><h1>Broken</h1><p style="color: #999; background: #aaa">pale</p><div style="width: 700px">wide</div>
<details><summary>more</summary><img src="data:image/png;base64,AAAA"><figure id="empty"></figure></details>
<audio controls src="data:audio/wav;base64,AAAA"></audio></main></html>
"""


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory):
    """Path of the report on a small world of results, or of the one that EARSHIFT_REPORT names."""
    if named := os.environ.get("EARSHIFT_REPORT"):
        return Path(named).resolve()
    root = tmp_path_factory.mktemp("report")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests/report")))
    subprocess.run([sys.executable, "-c", WRITTEN], cwd=root, env=environment, check=True, timeout=1200)
    return root / "report/index.html"


@pytest.fixture
def opened(visit):
    """A function that opens a page from disk and gives the visit."""

    def open_it(path, device="desktop", scheme="light"):
        width, height = WIDTHS[device]
        opened = visit(width=width, height=height, scheme=scheme)
        opened.page.goto(path.as_uri())
        return opened

    return open_it


def asked(visit, path):
    """What the page asked for besides itself and what it carries."""
    return [address for address in visit.requests if not address.startswith((path.as_uri()[:200], "data:", "blob:"))]


@pytest.mark.parametrize("device, scheme", LOOKS)
def test_it_shows_everything_and_asks_nobody(opened, report, screenshots, device, scheme):
    visit = opened(report, device, scheme)
    visit.photograph(screenshots / f"report-{device}-{scheme}-top.png")
    visit.photograph(screenshots / f"report-{device}-{scheme}.png", whole=True)
    faults.unfold(visit.page)
    found = faults.of_pictures(visit.page) + faults.of_width(visit.page) + visit.errors + asked(visit, report)
    visit.photograph(screenshots / f"report-{device}-{scheme}-unfolded.png", whole=True)
    assert not found, "\n".join(found)
    assert visit.page.locator("img, figure svg").count() > 0


@pytest.mark.parametrize("device, scheme", LOOKS)
def test_no_serious_finding_of_axe(opened, report, device, scheme):
    page = opened(report, device, scheme).page
    faults.unfold(page)
    found = faults.of_access(page)
    assert not found, "\n".join(found)


def test_every_player_plays(opened, report):
    visit = opened(report)
    faults.unfold(visit.page)
    found = faults.of_players(visit.page) + visit.errors
    assert not found, "\n".join(found)
    assert visit.page.locator("audio").count() > 0


def test_dark_is_dark(opened, report):
    from PIL import Image

    paper = {}
    for scheme in ("light", "dark"):
        picture = opened(report, scheme=scheme).page.screenshot()
        paper[scheme] = Image.open(io.BytesIO(picture)).convert("L").getpixel((1, 1))
    assert paper["light"] > 200 and paper["dark"] < 80


def test_every_fault_is_found(opened, tmp_path):
    """A page that has them all, so that the tests above can fail."""
    path = tmp_path / "broken.html"
    path.write_text(BROKEN)
    visit = opened(path, "phone")
    faults.unfold(visit.page)
    pictures = " ".join(faults.of_pictures(visit.page))
    assert "does not load" in pictures and "no alternative text" in pictures and "figure empty: nothing" in pictures
    assert "708 px in 390" in " ".join(faults.of_width(visit.page))
    access = " ".join(faults.of_access(visit.page))
    assert "color-contrast (serious)" in access and "image-alt (critical)" in access
    assert len(faults.of_players(visit.page)) == 3
    assert any("uncaught" in error for error in visit.errors)
    assert set(asked(visit, path)) == set(visit.strangers) == {"https://example.org/style.css"}
