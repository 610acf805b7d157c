"""The template engine of the page: filters that show numbers, values and names, and what every template reads.

Conventions
-----------
Text is escaped unless a template or a macro wrote it. A filter that takes the name of a format shows a number with it:
``number|as("r2")``, ``estimate|interval("r2")``, ``estimate|with_interval("r2")``; :data:`FORMATS` has the names.
"""

import inspect
import json
import re
from collections.abc import Iterable
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from earshift.report import formats, kim2019, methods, verma2023
from earshift.report.figures import consistency, style, subsets
from earshift.report.formats import Estimate, Format
from earshift.report.page import appendix, provenance
from earshift.report.page.content import Content

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

T = TypeVar("T")
TEMPLATES = Path(__file__).with_name("templates")
FORMATS: dict[str, Format] = {
    "auc": formats.auc,
    "decibels": lambda number: formats.fixed(number, 1),
    "degrees": formats.degrees,
    "gain": formats.gain,
    "p_value": formats.p_value,
    "percent": formats.per_cent,
    "place": formats.place,
    "r2": formats.r2,
    "rank": formats.rank,
    "short": formats.short,
}


@cache
def make_environment() -> "Environment":
    """The template engine with all filters; templates are compiled once."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, extensions=["jinja2.ext.do"],
    )  # fmt: skip
    environment.filters |= {
        "as": lambda number, how: FORMATS[how](number),
        "counted": formats.counted,
        "distance_name": consistency.NAMES.__getitem__,
        "estimate": formats.estimate,
        "first_paragraph": first_paragraph,
        "from_json": json.loads,
        "groups": groups,
        "interval": interval,
        "listed": formats.listed,
        "method_label": lambda method: methods.look(method)[1],
        "method_name": methods.short,
        "plain": plain,
        "squeeze": squeeze,
        "subset_name": subsets.title,
        "thousands": "{:,.0f}".format,
        "value": formats.value,
        "value_or_never": lambda text: "never" if text is None else formats.value(text),
        "with_interval": lambda estimate, how: f"{FORMATS[how](estimate.number)} {interval(estimate, how)}".rstrip(),
        "with_unit": formats.with_unit,
    }
    environment.tests |= {"known": formats.known, "quantity": formats.is_quantity}
    return environment


def shared(g: Content) -> dict[str, Any]:
    """What every template reads, by name."""
    return {
        "g": g,
        "study": g.study,
        "looks": {encoder: _colours(g, encoder) for encoder in g.encoders},
        "kim2019": {"caveat": kim2019.CAVEAT, "run": kim2019.transformations(g.study), "flat": kim2019.FLAT},
        "verma2023": {"caveat": verma2023.CAVEAT},
        "references": appendix.references(g),
        "parameter_text": provenance.parameter_text(g.study.parameters),
    }


def interval(estimate: Estimate, how: str) -> str:
    """[low, high], or "" where there is no interval."""
    return formats.interval(estimate.low, estimate.high, FORMATS[how])


def plain(value: object) -> str:
    """The value of an option as text: lists without brackets, text without quotation marks."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def first_paragraph(thing: object) -> str:
    """The first paragraph of a class's docstring, without markup."""
    paragraph = (inspect.getdoc(type(thing)) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "")


def squeeze(text: "Markup") -> "Markup":
    """Text of a template with single spaces instead of line breaks; what is escaped stays so."""
    return type(text)(re.sub(r"[ \n]+", " ", text).strip(" "))


def groups(things: Iterable[T], attribute: str) -> list[tuple[Any, list[T]]]:
    """Things by an attribute, in the order in which it has its values first."""
    found: dict[Any, list[T]] = {}
    for thing in things:
        found.setdefault(attrgetter(attribute)(thing), []).append(thing)
    return list(found.items())


def _colours(g: Content, encoder: str) -> tuple[str, str]:
    """An encoder's colour on light and on dark paper."""
    colour, _ = style.encoder_look(encoder, g.study.configured_encoders)
    return colour, style.on_dark(colour)
