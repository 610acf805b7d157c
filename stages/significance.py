"""Stage ``significance``: what encoder and perturbation do to the measures, tested over all pairs.

Writes metrics/significance.json and, under plots/significance/, means.csv and fitted.csv.
"""

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from earshift.analysis.significance import (
    PERFORMANCE,
    SignificanceResult,
    analyse,
    join_curves,
    levels,
    of_vectors,
)
from earshift.pipeline import config, paths
from earshift.pipeline.command import command
from earshift.storage.files import write_table
from earshift.storage.results import read_result, write_result
from earshift.storage.tables import read_table

if TYPE_CHECKING:
    import pandas as pd


class _Task(TypedDict):
    better: str


class _Performance(TypedDict):
    """What is read of metrics/performance/ENCODER/PERTURBATION.json."""

    tasks: dict[str, _Task]


@command
def main() -> None:
    """Test the effects of all selected encoders and perturbations."""
    params = config.load()
    encoders = {name: params.encoders[name] for name in params.run.encoders}
    level = levels(encoders)
    pairs = [(encoder, perturbation) for encoder in encoders for perturbation in params.run.perturbations]
    performance, better = None, dict[str, str]()
    if any((paths.plots(PERFORMANCE, *pair) / "curves.csv").exists() for pair in pairs):
        performance = join_curves({pair: _curves(PERFORMANCE, pair) for pair in pairs}, level)
        for pair in pairs:
            result = read_result(paths.metrics(PERFORMANCE, *pair), _Performance, stage=PERFORMANCE)
            better |= {task: of["better"] for task, of in result["tasks"].items()}
    of_encoders = [pair for pair in pairs if pair[0] in of_vectors(encoders)]
    consistency = join_curves({pair: _curves("consistency", pair) for pair in of_encoders}, level)
    significance, means, fitted = analyse(consistency, performance, better, params.significance)
    write_table(paths.SIGNIFICANCE_PLOTS / "means.csv", means)
    write_table(paths.SIGNIFICANCE_PLOTS / "fitted.csv", fitted)
    write_result(paths.SIGNIFICANCE, SignificanceResult, significance)


def _curves(analysis: str, pair: tuple[str, str]) -> "pd.DataFrame":
    return read_table(paths.plots(analysis, *pair) / "curves.csv", stage=analysis)


if __name__ == "__main__":
    main()
