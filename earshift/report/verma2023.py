"""The second study's findings beside what came out here: ``python -m earshift.report.verma2023``.

Conventions
-----------
Verma 2023, Tables 1 and 2: its numbers are in :mod:`earshift.report.figures.subsets`. Verdicts are those of
:mod:`earshift.report.kim2019`: an order *agrees* or *disagrees* with the study only where intervals lie apart, and
*cannot be told* where they overlap or are missing. All subsets are scored on the same clips, so what overlaps may still
differ draw by draw: *cannot be told* claims no equality.

The study's order, pitch < timbre < end to end < Neuralogram < all four, is of top-5 accuracy on one-second chunks. It
has the mAP of all four only, so the same order is asked of mAP without its numbers. That features which somebody wrote
down add to what was learned is its title; it shows no subset, so this is asked of ours.
"""

import argparse

from earshift.errors import UserError
from earshift.pipeline.command import command
from earshift.report import kim2019 as third_study
from earshift.report import results
from earshift.report.figures import subsets
from earshift.report.kim2019 import OPEN, Check, Interval, above
from earshift.report.page import text as wording

ORDER = (*subsets.STREAMS, subsets.ALL)
LEARNED = "end_to_end+neuralogram"
CAVEAT = (
    "The study trained its streams and the linear model on FSD50K, 200 classes, and gives no intervals. Where corpus, "
    "classes or length of training differ here, orders are compared and not numbers."
)
_TITLES = {"top5": "Top-5 accuracy of one-second chunks (Table 1)", "map": "mAP of clips (Table 2: all four only)"}
_FEATURES = "features add to what was learned: "


def checks(rows):
    """All checks.

    Parameters
    ----------
    rows : pandas.DataFrame, what :func:`earshift.report.figures.subsets.table` returns

    Returns
    -------
    list of earshift.report.kim2019.Check
    """
    found = []
    for name in _TITLES:
        of = {row["subset"]: Interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for _, row in rows.iterrows()}
        pairs = list(zip(ORDER[1:], ORDER[:-1], strict=True)) + [(subsets.ALL, "end_to_end")]
        found += [_above(name, of, *pair) for pair in pairs]
        found.append(_above(name, of, subsets.ALL, LEARNED, _FEATURES))
    return found


def of_order(found, name="top5"):
    """The checks of the study's order in one metric."""
    return [c for c in found if c.title == _TITLES[name]][: len(ORDER) - 1]


def of_features(found, name="map"):
    """The check whether features add to what was learned, in one metric."""
    return next(c for c in found if c.title == _TITLES[name] and c.claim.startswith(_FEATURES))


def _above(name, of, one, other, before=""):
    """Whether one subset lies above another one."""
    claim = f"{before}{subsets.title(one)} above {subsets.title(other)}"
    known = subsets.PUBLISHED[name]
    published = [f"{subsets.title(subset)} {wording.fixed(known[subset], 3)}" for subset in (one, other)
                 if subset in known]  # fmt: skip
    beside = " and ".join(published) if len(published) == 2 else "its title" if before else "as in Table 1, no mAP"
    if one not in of or other not in of:
        return Check(_TITLES[name], claim, beside, "", OPEN, "the subset is missing")
    verdict = above(of[one], of[other])
    why = ""
    if verdict == OPEN:
        why = "intervals overlap" if of[one].known and of[other].known else "there are no intervals"
    return Check(_TITLES[name], claim, beside, f"{of[one]} and {of[other]}", verdict, why)


def text(content):
    """All checks as text of at most :data:`earshift.report.kim2019.WIDTH` columns.

    Parameters
    ----------
    content : dict, params.yaml

    Raises
    ------
    UserError
        If the combination was not run.
    """
    if not subsets.run(content):
        raise UserError(f"run.encoders lacks {subsets.COMBINATION}, whose subsets are compared with the study's; "
                        "add it and run `dvc repro`")  # fmt: skip
    return third_study.worded(checks(subsets.table()), CAVEAT)


@command
def main(arguments=None):
    """Print the checks."""
    parser = argparse.ArgumentParser(prog="python -m earshift.report.verma2023",
                                     description=__doc__.partition("\n")[0])  # fmt: skip
    parser.parse_args(arguments)
    print(text(results.document()))


if __name__ == "__main__":
    main()
