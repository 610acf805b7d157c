"""The findings of verma2023 beside the results here.

Conventions
-----------
Verma 2023, Tables 1 and 2: its numbers are in :mod:`earshift.report.figures.subsets`. All subsets are scored on the
same clips, so what overlaps may still differ draw by draw (:mod:`earshift.report.verdicts`).

The study's order, pitch < timbre < end to end < Neuralogram < all four, is of top-5 accuracy on one-second chunks. It
has the mAP of all four only, so the same order is asked of mAP without its numbers. That features which somebody wrote
down add to what was learned is its title; it shows no subset, so this is asked of ours.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from earshift.errors import UserError
from earshift.report import formats, verdicts
from earshift.report.figures import subsets
from earshift.report.results import Results
from earshift.report.verdicts import OPEN, Check, Interval, above

if TYPE_CHECKING:
    import pandas as pd

ORDER = (*subsets.STREAMS, subsets.ALL)
LEARNED = "end_to_end+neuralogram"
CAVEAT = (
    "The study trained its streams and the linear model on FSD50K, 200 classes, and gives no intervals. Where corpus, "
    "classes or length of training differ here, orders are compared and not numbers."
)
_TITLES = {"top5": "Top-5 accuracy of one-second chunks (Table 1)", "map": "mAP of clips (Table 2: all four only)"}
_FEATURES = "features add to what was learned: "


def checks(rows: "pd.DataFrame") -> list[Check]:
    """All checks.

    Parameters
    ----------
    rows : pandas.DataFrame, what :func:`earshift.report.figures.subsets.table` returns
    """
    found, by_subset = [], {str(row["subset"]): row for row in rows.to_dict("records")}
    for name in _TITLES:
        of = {
            subset: interval
            for subset, row in by_subset.items()
            if (interval := Interval.of({str(key): n for key, n in row.items()}, name))
        }
        pairs = [*zip(ORDER[1:], ORDER[:-1], strict=True), (subsets.ALL, "end_to_end")]
        found += [_above(name, of, *pair) for pair in pairs]
        found.append(_above(name, of, subsets.ALL, LEARNED, _FEATURES))
    return found


def of_order(found: Sequence[Check], name: str = "top5") -> list[Check]:
    """The checks of the study's order in one metric."""
    return [c for c in found if c.title == _TITLES[name]][: len(ORDER) - 1]


def of_features(found: Sequence[Check], name: str = "map") -> Check:
    """The check whether features add to what was learned, in one metric."""
    return next(c for c in found if c.title == _TITLES[name] and c.claim.startswith(_FEATURES))


def _above(name: str, of: Mapping[str, Interval], one: str, other: str, before: str = "") -> Check:
    """Whether one subset lies above another one."""
    claim = f"{before}{subsets.title(one)} above {subsets.title(other)}"
    known = subsets.PUBLISHED[name]
    if one in known and other in known:
        beside = " and ".join(f"{subsets.title(subset)} {formats.auc(known[subset])}" for subset in (one, other))
    else:
        beside = "its title" if before else "as in Table 1, no mAP"
    if one not in of or other not in of:
        return Check(_TITLES[name], claim, beside, "", OPEN, "the subset is missing")
    verdict, why = above(of[one], of[other]), ""
    if verdict == OPEN:
        why = "intervals overlap" if of[one].known and of[other].known else "there are no intervals"
    return Check(_TITLES[name], claim, beside, f"{of[one]} and {of[other]}", verdict, why)


def text(results: Results) -> str:
    """All checks as text of at most :data:`earshift.report.verdicts.WIDTH` columns.

    Raises
    ------
    UserError
        If the combination was not run.
    """
    if not subsets.present(results.study):
        raise UserError(f"run.encoders lacks {subsets.COMBINATION}, whose subsets are compared with the study's; "
                        "add it and run `dvc repro`")  # fmt: skip
    return verdicts.text(checks(subsets.table(results)), CAVEAT)
