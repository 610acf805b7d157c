"""The numbers by which experiments are compared at a glance: metrics/headline.json, one row of ``dvc exp show``.

Conventions
-----------
Every number is the mean over all pairs that ``run`` selects, of a number that :mod:`earshift.report.summary` defines; so
it is one number whatever is selected, and compares where the same is. What one pair lacks is left out: a mean over the
others would be another number. Rounded to four digits; numbers with intervals are in metrics/summary.json.

- ``heldout_r2``, ``null_r2_p95``: how far unseen recordings follow one direction, and what chance reaches
- ``effective_rank``, ``straightness``: how many directions clips move in, how straight they go
- ``roc_auc``, ``mean_drop``: how well a classifier does on originals, what the movement costs it
- ``best_gain``: ROC AUC that the best removal of each pair wins back, the ceiling apart. The best of more is better
- ``svd_gain``: ROC AUC that sample-wise CCA SVD wins back; where ``svd_threshold`` lists several, their mean
"""

from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.report import methods, results, summary
from earshift.storage.files import rounded, write_json

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


def headline(content):
    """The headline of the selected pairs.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    dict of str to float, without the numbers that some pair lacks

    Raises
    ------
    UserError
        If an analysis has not been run for a pair.
    """
    pairs = results.pairs(content)
    numbers = [summary.headline(*pair) for pair in pairs]
    values = {name: [of_pair.get(key) for of_pair in numbers] for name, key in _MEANS.items()}
    values["svd_gain"] = [_svd_gain(*pair) for pair in pairs]
    means = {name: _mean(of_pairs) for name, of_pairs in values.items()}
    return rounded({name: mean for name, mean in means.items() if mean is not None}, DIGITS)


def _svd_gain(encoder, perturbation):
    """Mean over the thresholds, None where one has no number or the method was not asked for."""
    by_method = results.metrics("robustness", encoder, perturbation)["methods"]
    return _mean([(of["forward"] or {}).get("area") for name, of in by_method.items() if name.startswith(methods.SVD)])


def _mean(numbers):
    return None if not numbers or None in numbers else sum(numbers) / len(numbers)


@command
def main():
    """Write metrics/headline.json."""
    write_json(paths.HEADLINE, headline(results.document()))


if __name__ == "__main__":
    main()
