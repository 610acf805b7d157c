"""The numbers by which experiments are compared at a glance: metrics/headline.json, one row of ``dvc exp show``.

Conventions
-----------
Every number is the mean over all pairs that ``run`` selects, of a number that :mod:`earshift.report.summary` defines;
so it is one number whatever is selected, and compares where the same is. What one pair lacks is left out: a mean over
the others would be another number. Rounded to four digits; numbers with intervals are in metrics/summary.json.

- ``heldout_r2``, ``null_r2_p95``: how far unseen recordings follow one direction, and what chance reaches
- ``effective_rank``, ``straightness``: how many directions clips move in, how straight they go
- ``roc_auc``, ``mean_drop``: how well a classifier does on originals, what the movement costs it
- ``best_gain``: ROC AUC that the best removal of each pair wins back, the ceiling apart. The best of more is better
- ``svd_gain``: ROC AUC that sample-wise CCA SVD wins back; where ``svd_threshold`` lists several, their mean
"""

from earshift.report import methods, summary
from earshift.report.formats import estimate
from earshift.report.results import Pair, Results
from earshift.storage.files import round_floats

DIGITS = 4

# name here -> name in the summary
_MEANS = {
    "heldout_r2": "heldout_r2",
    "null_r2_p95": "null_r2_p95",
    "effective_rank": "effective_rank",
    "straightness": "straightness",
    "roc_auc": "roc_auc",
    "mean_drop": "mean_drop",
    "best_gain": "best_area",
}


def headline(results: Results) -> dict[str, float]:
    """The headline of the selected pairs, without the numbers that some pair lacks.

    Raises
    ------
    UserError
        If an analysis has not been run for a pair.
    """
    numbers = {pair: summary.headline(results, pair) for pair in results.study.pairs}
    means = {name: _mean([estimate(of, key).number for of in numbers.values()]) for name, key in _MEANS.items()}
    means["svd_gain"] = _mean([_svd_gain(results, pair) for pair in numbers])
    found: dict[str, float] = round_floats({n: mean for n, mean in means.items() if mean is not None}, DIGITS)
    return found


def _svd_gain(results: Results, pair: Pair) -> float | None:
    """Mean over the thresholds, None where one has no number or the method was not asked for."""
    by_method = results.robustness[pair]["methods"]
    areas = [estimate(methods.direction(of, "forward"), "area") for name, of in by_method.items()
             if name.startswith(methods.SVD)]  # fmt: skip
    return _mean([area.number for area in areas])


def _mean(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known and len(known) == len(numbers) else None
