"""Stage ``robustness``: what a perturbation costs a classifier, and whether removing it helps.

Writes metrics/robustness/ENCODER/PERTURBATION.json and, under plots/robustness/ENCODER/PERTURBATION/, scores.parquet
(every classifier under every test), curves.csv (ROC AUC along the grid) and draws.parquet (resampled ROC AUC of none,
forward: what encoders are compared with). A killed run goes on at the last whole instrument.
"""

from earshift.pipeline import robustness
from earshift.pipeline.pairs import Pair, pair_stage


@pair_stage("robustness")
def main(pair: Pair) -> None:
    """Write metrics and tables of one encoder under one perturbation."""
    robustness.analyse(pair)


if __name__ == "__main__":
    main()
