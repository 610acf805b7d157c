"""Verdicts on the findings of a study: a claim *agrees* or *disagrees* with results only where intervals lie apart.

Where they overlap, or where something was not run, it is *undecided*: the verdict claims no equality.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earshift.report import formats, templates

AGREES, DISAGREES, OPEN = "agrees", "disagrees", "undecided"
VERDICTS = (AGREES, DISAGREES, OPEN)
WIDTH = 112  # columns that the text may take


@dataclass(frozen=True)
class Check:
    """One claim of a study on one thing here.

    title : str, what it is about; checks of one title stand together
    claim : str, what the study found
    published, ours : str, numbers with errors or intervals, "" where there are none
    verdict : str, of :data:`VERDICTS`
    why : str, what else belongs to the verdict, or ""
    """

    title: str
    claim: str
    published: str
    ours: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Interval:
    """A number with its interval; NaN where it has none."""

    number: float
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, numbers: Mapping[str, object], name: str = "number") -> "Interval | None":
        """The number `name` with its ends ``NAME_low`` and ``NAME_high``; None where it does not exist."""
        number, low, high = formats.estimate(numbers, name)
        ends = (float("nan") if end is None else end for end in (low, high))
        return None if number is None else cls(number, *ends)

    @property
    def known(self) -> bool:
        """Whether it has an interval."""
        return formats.known(self.low) and formats.known(self.high)

    def __str__(self) -> str:
        return formats.with_interval(self.number, self.low, self.high, formats.auc)


def combine(how: Callable[[list[float]], object], intervals: Sequence[Interval]) -> Interval:
    """The mean, or median, of numbers; its interval is the mean of their ends, the widest that it can be."""
    columns = ([getattr(i, name) for i in intervals] for name in ("number", "low", "high"))
    return Interval(*(float(np.asarray(how(column))) for column in columns))


# ------------------------------------------------------------------------------------------------------------- verdicts


def above(first: Interval, second: Interval) -> str:
    """Whether one number is surely above another one."""
    if first.low > second.high:
        return AGREES
    return DISAGREES if first.high < second.low else OPEN


def join(verdicts: Iterable[str]) -> str:
    """The verdict on a claim about several things: it agrees where all do, and disagrees where one does."""
    several = set(verdicts)
    if DISAGREES in several:
        return DISAGREES
    return AGREES if several == {AGREES} else OPEN


def near(interval: Interval, threshold: float) -> str:
    """Whether a share is surely at least as high as the threshold."""
    if interval.low >= threshold:
        return AGREES
    return DISAGREES if interval.high < threshold else OPEN


def falls(first: Interval, last: Interval, threshold: float) -> str:
    """Whether a share surely falls; it surely does not where it is above the threshold at the end."""
    if above(first, last) == AGREES:
        return AGREES
    return DISAGREES if last.low >= threshold or above(last, first) == AGREES else OPEN


def flat(intervals: Sequence[Interval], within: float) -> str:
    """Whether numbers surely lie within a range."""
    highest, lowest = (choose(intervals, key=lambda i: i.number) for choose in (max, min))
    if max(i.high for i in intervals) - min(i.low for i in intervals) <= within:
        return AGREES
    return DISAGREES if highest.low - lowest.high > within else OPEN


def judge(title: str, claim: str, published: str, ours: str, verdict: str) -> Check:
    """A check whose verdict rests on intervals alone."""
    return Check(title, claim, published, ours, verdict, "intervals overlap" if verdict == OPEN else "")


# ------------------------------------------------------------------------------------------------------------- the text


def counts(found: Sequence[Check]) -> dict[str, int]:
    """How many checks have each verdict."""
    return {verdict: sum(check.verdict == verdict for check in found) for verdict in VERDICTS}


def summed(found: Sequence[Check]) -> str:
    """How many claims agree, in a sentence."""
    of = counts(found)
    return (f"Of {len(found)} checks {of[AGREES]} agree with the study, {of[DISAGREES]} do not, and {of[OPEN]} "
            "are undecided.")  # fmt: skip


def text(found: Sequence[Check], before: str) -> str:
    """Checks as text of at most :data:`WIDTH` columns, with the sentences `before` them."""
    titles = {title: [c for c in found if c.title == title] for title in dict.fromkeys(c.title for c in found)}
    return templates.render("verdicts.txt.j2", before=before, titles=titles, summed=summed(found), wrap=_wrap)


def _wrap(line: str, indent: str = "", more: str = "    ") -> str:
    return textwrap.fill(line.replace(formats.GLUE, " "), WIDTH, initial_indent=indent, subsequent_indent=indent + more,
                         break_on_hyphens=False)  # fmt: skip
