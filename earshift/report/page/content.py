"""All results that the report page speaks about, read once.

Conventions
-----------
Pairs are (encoder, perturbation). Numbers that could not be computed are None, or missing from :attr:`Gathered.numbers`
as from metrics/summary.json. Distances are relative to the root mean square distance between two original training
clips of the same encoder. ROC AUC is that of classifiers trained on originals with nothing removed, mean over
instruments.
"""

import csv
from dataclasses import dataclass, field

from earshift.encoders.weights.record import RECORD
from earshift.pipeline import paths
from earshift.report import kim2019 as third_study
from earshift.report import results, summary
from earshift.report import verma2023 as second_study
from earshift.report.figures import panels, significance, subsets
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json
from earshift.storage.vectors import read_embeddings

_SEVERITY = ("strength", "snr_db", "loudness_lu", "lsd_db", "clips")


@dataclass(frozen=True)
class Gathered:
    """What the page is made from, except sound and pictures.

    content : dict, params.yaml
    clips : table as :func:`earshift.storage.clips.read_clips` returns
    encoders, perturbations : tuple of str
    numbers : dict {encoder: {perturbation: {name: number}}}, the headline numbers
    metrics : dict {analysis: {pair: dict}}, as the analyses wrote them
    comparison : dict, as ``comparison`` wrote it
    severity : dict {perturbation: {value: {measure: number}}}, in order of growing strength
    distances : dict {pair: {value: float}}, mean over instruments
    roc_auc : dict {pair: {value: float}}
    about : dict {encoder: dict}, attributes of its embeddings of the originals
    models : dict {name: dict}, the models that ``significance`` fitted
    checks : list of earshift.report.kim2019.Check
    notes : list of str, what ``significance`` warns of
    weights : dict {encoder: dict}, what its weights are
    subsets : pandas.DataFrame, as :func:`earshift.report.figures.subsets.table`, or None where the combination was not run
    classes : pandas.DataFrame, as :func:`earshift.report.figures.subsets.classes`, or None
    streams : list of earshift.report.kim2019.Check, the second study's
    """

    content: dict
    clips: object
    encoders: tuple
    perturbations: tuple
    numbers: dict
    metrics: dict
    comparison: dict
    severity: dict
    distances: dict
    roc_auc: dict
    about: dict
    models: dict = field(default_factory=dict)
    checks: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    weights: dict = field(default_factory=dict)
    subsets: object = None
    classes: object = None
    streams: list = field(default_factory=list)

    @property
    def pairs(self):
        """All pairs, encoder by encoder."""
        return [(e, p) for e in self.encoders for p in self.perturbations]

    def unit(self, perturbation):
        """Unit of a perturbation's values, "" where they have none."""
        return self.metrics["cca"][self.encoders[0], perturbation]["unit"]

    def values(self, perturbation):
        """Values of a perturbation as text, in order of growing strength."""
        return self.metrics["cca"][self.encoders[0], perturbation]["values"]

    def farthest(self, encoder, perturbation):
        """(value, distance) where the clips of a pair are farthest from their originals, or (None, None)."""
        far = {v: d for v, d in self.distances[encoder, perturbation].items() if d is not None}
        return max(far.items(), key=lambda item: item[1]) if far else (None, None)


def gathered(content):
    """:class:`Gathered` from what the stages left.

    Parameters
    ----------
    content : dict, params.yaml

    Raises
    ------
    UserError
        If anything is missing.
    """
    run = results.run(content)
    pairs = results.pairs(content)
    metrics = {a: {pair: results.metrics(a, *pair) for pair in pairs} for a in results.ANALYSES}
    rows = subsets.table() if subsets.run(content) else None
    return Gathered(
        content=content,
        clips=read_clips(paths.CLIPS),
        encoders=run.encoders,
        perturbations=run.perturbations,
        numbers=summary.summary(content),
        metrics=metrics,
        comparison=results.comparison(),
        severity={p: _severity(p) for p in run.perturbations},
        distances={pair: _distances(pair, metrics["trajectories"][pair]) for pair in pairs},
        roc_auc={pair: _roc_auc(pair) for pair in pairs},
        about={e: read_embeddings(results.existing(paths.originals(e))).attributes for e in run.encoders},
        models=significance.models(),
        checks=third_study.checks(content),
        notes=significance.notes(),
        weights={e: read_json(results.existing(paths.weights(e) / RECORD)) or {} for e in run.encoders},
        subsets=rows,
        classes=None if rows is None else subsets.classes(),
        streams=[] if rows is None else second_study.checks(rows),
    )


def _severity(perturbation):
    rows = sorted(_rows(paths.severity(perturbation)), key=lambda row: float(row["strength"]))
    return {row["value"]: {name: _number(row.get(name)) for name in _SEVERITY} for row in rows}


def _distances(pair, numbers):
    apart = numbers["distance_between_originals"]
    rows = _rows(paths.plots("trajectories", *pair) / "path.csv")
    far = {row["value"]: _number(row["distance_from_original"]) for row in rows if row["instrument"] == panels.OVERALL}
    return {value: d / apart if d is not None and apart else None for value, d in far.items()}


def _roc_auc(pair):
    wanted = {"instrument": panels.OVERALL, "method": "none", "direction": "forward"}
    rows = _rows(paths.plots("robustness", *pair) / "curves.csv")
    return {row["value"]: _number(row["roc_auc"]) for row in rows if all(row[k] == v for k, v in wanted.items())}


def _rows(path):
    """Rows of a CSV as dicts of text: values stay as they are written."""
    with open(results.existing(path), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _number(text):
    return float(text) if text else None
