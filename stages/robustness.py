"""Stage ``robustness``: what a perturbation costs a classifier, and whether removing it helps.

Writes metrics/robustness/ENCODER/PERTURBATION.json and, under plots/robustness/ENCODER/PERTURBATION/, scores.parquet
(every classifier under every test), curves.csv (ROC AUC along the grid) and draws.parquet (resampled ROC AUC of none,
forward: what encoders are compared with). A killed run goes on at the last whole instrument.
"""

from earshift.pipeline import robustness
from earshift.pipeline.pairs import Pair, pair_stage


def analyse(pair: Pair) -> None:
    """Write metrics and tables of every encoder under every perturbation."""
    robustness.analyse(pair)


main = pair_stage("robustness", analyse, options=lambda pair: [pair.params.robustness, pair.params.classes])

if __name__ == "__main__":
    main()
