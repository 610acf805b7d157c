"""The report page: one self-contained HTML file about the results of a run.

Conventions
-----------
The page loads nothing: styles, pictures and sounds lie inside, and its content security policy forbids the rest. What
it says stands in templates/, one file per section and per figure; all text from results goes through the escaping of
the template engine. Its bytes follow from results alone; the commit is stamped into a copy afterwards
(:mod:`earshift.report.page.stamp`). A page that would be larger than :data:`LARGEST` does without sounds, and if that
is not enough takes pictures in pixels where these are smaller, and says so.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from earshift.report.page import appendix, findings, listening, pictures, provenance
from earshift.report.page.content import Content, read_content
from earshift.report.page.environment import TEMPLATES, make_environment, shared
from earshift.report.results import Results, as_written

LARGEST = 15_000_000  # bytes, what one can still send by mail
REACH = 2.0  # distance at which a bar beside a sound ends
_FIRST = ("headline",)  # figures that stand among the findings


@dataclass(frozen=True)
class Page:
    """The page, and what had to be left out of it.

    html : str
    without_sounds : bool, whether sounds would have made it too large
    size : int, bytes without pictures in pixels, or 0 where none had to be taken
    """

    html: str
    without_sounds: bool = False
    size: int = 0


def make_page(results: Results, *, largest: int = LARGEST) -> Page:
    """The page of a run.

    Parameters
    ----------
    results : Results
    largest : int, bytes

    Raises
    ------
    UserError
        If results are missing, or are not what their stages wrote.
    """
    with as_written():
        g = read_content(results)
        clips, silent = listening.read_clips(g)
        content = shared(g) | {
            "corpus": appendix.describe_corpus(g), "findings": findings.find(g), "digest": provenance.digest(g),
            "silent": silent, "largest": largest,
        }  # fmt: skip
        page = Page(_render(content, clips=clips))
        if clips and len(page.html.encode()) > largest:
            page = Page(_render(content, without_sounds=True), without_sounds=True)
        if (size := len(page.html.encode())) > largest:
            html = _render(content, without_sounds=page.without_sounds, size=size)
            page = Page(html, page.without_sounds, size)
    return page


def _render(
    content: Mapping[str, Any], *, clips: Iterable[listening.Clip] = (), without_sounds: bool = False, size: int = 0
) -> str:
    g: Content = content["g"]
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    shown = pictures.read_pictures(g.results.folders.figures, g.encoders, small=size > 0)
    figures = {
        "first": [picture for picture in shown if picture.name in _FIRST],
        "general": [picture for picture in shown if not picture.encoder and picture.name not in _FIRST],
        "of_encoder": {e: [picture for picture in shown if picture.encoder == e] for e in g.encoders},
    }
    return (
        make_environment()
        .get_template("page.html.j2")
        .render(
            content,
            policy=_policy(script),
            style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
            script=script,
            themes=pictures.THEMES,
            figures=figures,
            clips=list(clips),
            reach=REACH,
            without_sounds=without_sounds,
            size=size,
        )
    )


def _policy(script: str) -> str:
    """Nothing is loaded, nothing but the page's own script runs."""
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{known}'; base-uri 'none'; form-action 'none'"
    )
