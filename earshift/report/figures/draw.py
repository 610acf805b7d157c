"""All pictures and the tables behind them.

Conventions
-----------
A picture has a name. Those of models, tasks, accuracy and streams are there only where a run has them. Tables are in
long form, for ``dvc plots``.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from earshift.report.figures import (
    accuracy,
    consistency,
    curves,
    directions,
    maps,
    overview,
    performance,
    ranking,
    significance,
    style,
    subsets,
    tsne,
)
from earshift.report.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def pictures(results: Results) -> "dict[str, Callable[[Results], Figure]]":
    """What draws each picture, by its name."""
    encoders = results.study.encoders
    return {
        "headline": overview.headline,
        "cca_scatter": directions.cca_scatter,
        "samplewise_r2": directions.samplewise_r2,
        "svd_spectra": directions.svd_spectra,
        "severity": overview.severity,
        "umap_maps": maps.umap_maps,
        "pca_maps": maps.pca_maps,
        "paths": maps.paths,
        **{f"roc_auc_{encoder}": partial(curves.roc_auc, encoder=encoder) for encoder in encoders},
        **{f"other_methods_{encoder}": partial(curves.other_methods, encoder=encoder) for encoder in encoders},
        "roc_auc_instrument": curves.roc_auc_of_instrument,
        "gains": ranking.gains,
        "ranking": ranking.ranking,
        "consistency": consistency.consistency,
        "minimum_magnitudes": consistency.minimum_magnitudes,
        "originals_correlation": consistency.originals_correlation,
        "tsne": tsne.tsne,
        **({"marginal_means": significance.marginal_means} if significance.kinds(results) else {}),
        **({"performance": performance.performance} if performance.tasks(results) else {}),
        **({"robustness_accuracy": accuracy.robustness_accuracy} if len(accuracy.encoders(results.comparison)) > 1
           else {}),
        **({"subsets": subsets.subsets} if subsets.present(results.study) else {}),
    }  # fmt: skip


def tables(results: Results) -> "dict[str, pd.DataFrame]":
    """Tables of all pairs, by name."""
    return {
        "headline": overview.headline_table(results),
        "spectra": directions.spectra_table(results),
        "roc_auc": curves.table(results),
        "robustness": ranking.gains_table(results),
        "ranking": ranking.table(results),
    }


def draw(results: Results, folder: Path, name: str) -> None:
    """Write one picture, FOLDER/NAME.png and .svg, in this project's style."""
    with style.styled():
        style.save(pictures(results)[name](results), folder, name)
