"""Stage ``comparison``: which of the selected encoders loses least under the selected perturbations.

Writes metrics/comparison.json and, under plots/comparison/, ranking.csv and drops.csv.
"""

from earshift.analysis.comparison import (
    OVERALL,
    Comparison,
    ComparisonResult,
    Drops,
    compare,
    drops_of,
    severities,
)
from earshift.analysis.drops import RobustnessResult
from earshift.options import check
from earshift.pipeline import config, paths
from earshift.pipeline.command import command
from earshift.storage.files import write_table
from earshift.storage.results import read_result, write_result
from earshift.storage.tables import read_parquet, read_table


@command
def main() -> None:
    """Compare all selected encoders."""
    content = config.read()  # not parsed as a whole: that imports every encoder
    run = check(config.Run, content.get("run"), "run")
    options = check(Comparison, content.get("comparison"), "comparison")
    drops = {(encoder, perturbation): _drops(encoder, perturbation)
             for encoder in run.encoders for perturbation in run.perturbations}  # fmt: skip
    severity = {perturbation: severities(read_table(paths.severity(perturbation), stage=f"perturb@{perturbation}"))
                for perturbation in run.perturbations}  # fmt: skip
    result, ranking, points = compare(drops, severity, options)
    write_table(paths.COMPARISON_PLOTS / "ranking.csv", ranking)
    write_table(paths.COMPARISON_PLOTS / "drops.csv", points)
    overall = write_result(paths.COMPARISON, ComparisonResult, result)["measures"][options.severity][OVERALL]
    ranked = sorted((of["rank"], encoder) for encoder, of in overall.items() if of["rank"] is not None)
    order = ", ".join(f"{encoder} {rank:.2f}" for rank, encoder in ranked) or "no encoder has a rank"
    print(f"comparison: mean rank over perturbations, drop per {options.severity}: {order}")


def _drops(encoder: str, perturbation: str) -> Drops:
    stage, folder = "robustness", paths.plots("robustness", encoder, perturbation)
    return drops_of(
        read_result(paths.metrics("robustness", encoder, perturbation), RobustnessResult, stage=stage),
        read_table(folder / "curves.csv", stage=stage),
        read_parquet(folder / "draws.parquet", stage=stage),
    )


if __name__ == "__main__":
    main()
