"""Stage ``report``: report/page.html, one self-contained page about the results on disk.

Conventions
-----------
The page loads nothing: styles, pictures and sounds lie inside, and its content security policy forbids the rest. All
text from results goes through the template engine's escaping. Its bytes follow from results alone; the commit is
stamped into a copy afterwards (:mod:`earshift.report.page.stamp`). A page that would be larger than :data:`LARGEST` does
without sounds, and if that is not enough takes pictures in pixels where these are smaller, and says so.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.report import kim2019 as third_study
from earshift.report import results
from earshift.report import verma2023 as second_study
from earshift.report.figures import style
from earshift.report.page import appendix, captions, listening, pictures, sources, tables  # fmt: skip
from earshift.report.page import findings as answers
from earshift.report.page import text as wording
from earshift.report.page.content import gathered
from earshift.storage.files import replacing

LARGEST = 15_000_000  # bytes, what one can still send by mail
TEMPLATES = Path(__file__).with_name("templates")
_REACH = 2.0  # distance at which a bar beside a sound ends; what went farther is cut there
_FIRST = ("headline",)  # pictures that belong to what came out


@dataclass(frozen=True)
class Shown:
    """A picture and what is said about it."""

    picture: pictures.Picture
    caption: captions.Caption


def page(content, *, largest=LARGEST):
    """The page as HTML.

    Parameters
    ----------
    content : dict, params.yaml
    largest : int, bytes

    Returns
    -------
    str
    str
        What had to be left out, a sentence, or "".

    Raises
    ------
    UserError
        If results are missing, or are not what their stages wrote.
    """
    with results.as_written():
        return _page(content, largest)


def _page(content, largest):
    g = gathered(content)
    clips, silent = listening.heard(g)
    html, warning = _rendered(g, clips, silent), ""
    if clips and len(html.encode()) > largest:
        warning = (f"With its sounds the page would be larger than {largest / 1e6:g} MB, so it has none; fewer clips "
                   "(report.clips) or perturbations bring them back.")  # fmt: skip
        html = _rendered(g, [], "with sounds the page would be too large to send", warning=warning)
    if len(html.encode()) > largest:
        size = f"{len(html.encode()) / 1e6:.0f} MB"
        warning += f" Its pictures are in pixels where that is smaller, as it would be {size} large."
        html = _rendered(g, [], silent or "with sounds the page would be too large to send", small=True,
                         warning=warning.strip())  # fmt: skip
    return html, warning.strip()


def _rendered(g, clips, silent, *, small=False, warning=""):
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    shown = [
        Shown(pictures.picture(name, small=small), captions.caption(name, g)) for name in _ordered(pictures.names())
    ]
    general = [s for s in shown if captions.encoder_of(s.picture.name, g.encoders) is None]
    return environment.get_template("page.html.j2").render(
        policy=_policy(script),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        themes=pictures.THEMES,
        looks={e: _colours(e, g.content) for e in g.encoders},
        question=answers.QUESTION,
        encoders=g.encoders,
        perturbations=g.perturbations,
        done=answers.done(g),
        findings=answers.findings(g),
        warning=warning,
        headline=tables.headline(g),
        figures_first=[s for s in general if s.picture.name in _FIRST],
        figures=[s for s in general if s.picture.name not in _FIRST],
        clips=clips,
        silent=silent,
        reach=f"{_REACH:g}",
        one=f"{100 / _REACH:g}",
        share=lambda distance: f"{min(100 * distance / _REACH, 100):.4g}" if wording.known(distance) else "0",
        r2=wording.r2,
        valued=lambda sound: wording.with_unit(sound.value, g.unit(sound.perturbation)),
        of_encoder=[_of_encoder(g, e, shown) for e in g.encoders],
        of_perturbation=[
            {"name": p, "tables": [tables.along_grid(g, p), tables.neighbours(g, p), tables.of_perturbation(g, p)]}
            for p in g.perturbations
        ],
        second=_second(g),
        third={
            "table": tables.third_study(g), "caveat": third_study.CAVEAT,
            "run": third_study.transformations(g.content), "summed": third_study.summed(g.checks),
            "flat": f"{third_study.FLAT:g}",
        },
        methods={
            "corpus": appendix.corpus(g), "perturbations": appendix.perturbations(g), "chain": appendix.chain(g),
            "encoders": appendix.encoders(g), "parameters": appendix.parameters(g), "removals": appendix.removals(g),
            "notes": appendix.notes(g), "models": bool(g.models), "references": appendix.references(g),
        },
        provenance={
            "corpus": sources.corpus(g), "encoders": sources.encoders(g), "parameters": sources.parameters(g.content),
        },
        digest=sources.digest(g, [paths.excerpts(p) for p in g.perturbations]),
    )  # fmt: skip


def _of_encoder(g, encoder, shown):
    mine = [s for s in shown if captions.encoder_of(s.picture.name, g.encoders) == encoder]
    mine.sort(key=lambda s: not s.picture.name.startswith(captions.ABOUT_ENCODER[0]))
    return {"name": encoder, "table": tables.of_encoder(g, encoder), "figures": mine}


def _second(g):
    """What the page says of the second study's streams, or None where the combination was not run."""
    if g.subsets is None:
        return None
    return {"study": tables.second_study(g), "subsets": tables.of_subsets(g), "classes": tables.of_classes(g),
            "caveat": second_study.CAVEAT, "summed": third_study.summed(g.streams)}  # fmt: skip


def _ordered(names):
    """Pictures in the order of :data:`captions.ORDER`, others after them."""
    known = {name: place for place, name in enumerate(captions.ORDER)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def _colours(encoder, content):
    colour, _ = style.encoder_look(encoder, content["encoders"])
    return colour, style.on_dark(colour)


def _policy(script):
    """Nothing is loaded, nothing but the page's own script runs."""
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{known}'; base-uri 'none'; form-action 'none'"
    )


@command
def main():
    """Write report/page.html."""
    html, warning = page(results.document())
    with replacing(paths.PAGE) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")
    print(f"report: {paths.PAGE}, {len(html.encode()) / 1e6:.1f} MB" + (f". {warning}" if warning else ""))


if __name__ == "__main__":
    main()
