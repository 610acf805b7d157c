"""All results that the report page shows, read once.

Conventions
-----------
A pair is (encoder, perturbation). Numbers that could not be computed are None or NaN, or missing from
:attr:`Content.numbers`. Distances are relative to the root mean square distance between two original training clips of
the same encoder. ROC AUC is that of classifiers trained on originals with nothing removed, mean over instruments.
Templates read this object as ``g``; what it says of itself are numbers, names and flags, never sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from earshift.report import kim2019, summary, verma2023
from earshift.report.figures import accuracy, consistency, panels, performance, ranking, significance, subsets
from earshift.report.formats import known
from earshift.report.results import Pair, Results, Study, existing
from earshift.report.verdicts import Check
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json
from earshift.storage.vectors import read_embeddings

if TYPE_CHECKING:
    import pandas as pd

PRIVATE = ("path", "root", "labels", "split_csv", "weights")  # options that say where files of the user lie


@dataclass(frozen=True)
class Note:
    """Warnings that several pairs share; `pairs` is None for those of the models of significance."""

    texts: list[str]
    pairs: list[Pair] | None

    @property
    def by_encoder(self) -> dict[str, list[str]]:
        """The perturbations of every encoder."""
        found: dict[str, list[str]] = {}
        for encoder, perturbation in self.pairs or []:
            found.setdefault(encoder, []).append(perturbation)
        return found


@dataclass(frozen=True)
class Classes:
    """Average precision of every class: `rows` have tag, positives, and one number per name in `subsets`."""

    subsets: list[str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Content:
    """What the page is made from, except sounds and pictures.

    results : Results
    clips : table as :func:`earshift.storage.clips.read_clips` returns
    numbers : dict {encoder: {perturbation: {name: number}}}, the headline numbers
    severity : dict {perturbation: {value: {measure: number}}}, in order of growing strength
    distances : dict {pair: {value: float}}, mean over instruments
    roc_auc : dict {pair: {value: float}}
    about : dict {encoder: dict}, attributes of its embeddings of the originals
    weights : dict {encoder: dict}, the record of its weights
    checks : list of Check
    subsets : list of dict, a row of :func:`subsets.table` each; empty where the combination was not run
    classes : Classes or None
    streams : list of Check, those of verma2023
    """

    results: Results
    clips: "pd.DataFrame"
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]]
    severity: dict[str, dict[str, dict[str, Any]]]
    distances: dict[Pair, dict[str, float]]
    roc_auc: dict[Pair, dict[str, float]]
    about: dict[str, Mapping[str, Any]]
    weights: dict[str, Mapping[str, Any]]
    checks: list[Check]
    subsets: list[dict[str, Any]] = field(default_factory=list)
    classes: Classes | None = None
    streams: list[Check] = field(default_factory=list)

    @property
    def study(self) -> Study:
        """What was asked for."""
        return self.results.study

    @property
    def encoders(self) -> tuple[str, ...]:
        """Encoders of the run."""
        return self.study.encoders

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Perturbations of the run."""
        return self.study.perturbations

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, encoder by encoder."""
        return self.study.pairs

    def unit(self, perturbation: str) -> str:
        """Unit of a perturbation's values, "" where they have none."""
        return self.results.unit(perturbation)

    def values(self, perturbation: str) -> list[str]:
        """Values of a perturbation as text, in order of growing strength."""
        return self.results.values(perturbation)

    def farthest(self, encoder: str, perturbation: str) -> tuple[str, float] | tuple[None, None]:
        """The value at which the clips of a pair are farthest from their originals, and how far."""
        far = {value: distance for value, distance in self.distances[encoder, perturbation].items() if known(distance)}
        return max(far.items(), key=lambda item: item[1]) if far else (None, None)

    def having(self, name: str) -> dict[Pair, float]:
        """A headline number of all pairs that have it."""
        return {(e, p): self.numbers[e][p][name] for e, p in self.pairs if name in self.numbers[e][p]}

    def confidence(self, section: str) -> str:
        """Confidence of the intervals of an analysis, such as "95 %"."""
        return f"{100 * self.study.confidence[section]:.3g}\N{NO-BREAK SPACE}%"

    @property
    def has_classifiers(self) -> bool:
        """Whether any classifier could be trained."""
        return bool(self.having("roc_auc"))

    @property
    def instrument(self) -> str:
        """What figures of one instrument show: the one of the options, or the first of the corpus."""
        present = list(self.results.trajectories[self.pairs[0]]["instruments"])
        name = self.study.instrument
        name = name if name in present or not present else present[0]
        return "all" if name == panels.OVERALL else name

    # ------------------------------------------------------------------------------------------------- options

    def options(self, kind: str, name: str) -> dict[str, Any]:
        """Options of an encoder or a perturbation that were set, without those that say where files lie."""
        left_out = (*PRIVATE, "grid") if kind == "perturbations" else PRIVATE
        options = self.study.parameters[kind].get(name) or {}
        return {key: value for key, value in options.items() if key not in left_out and value is not None}

    def parameters(self, section: str) -> dict[str, Any]:
        """Options of an analysis."""
        return self.study.parameters.get(section) or {}

    def is_built_in(self, encoder: str) -> bool:
        """Whether an encoder is one of this package."""
        return "class" not in (self.study.parameters["encoders"].get(encoder) or {})

    @property
    def methods(self) -> list[str]:
        """Methods of robustness that were asked for, without thresholds."""
        return ["none", *self.study.robustness.methods]

    @property
    def svd_thresholds(self) -> list[float]:
        """Thresholds of sample-wise CCA SVD."""
        threshold = self.study.robustness.svd_threshold
        return list(threshold) if isinstance(threshold, list | tuple) else [threshold]

    # ------------------------------------------------------------------------------------------------- analyses

    @cached_property
    def _distance_names(self) -> tuple[str, str]:
        return consistency.chosen(self.results.consistency[self.pairs[0]], "dtw", "euclidean")

    @property
    def audio_distance(self) -> str:
        """The distance in the audio that sentences use: DTW, or the one that was measured."""
        return self._distance_names[0]

    @property
    def latent_distance(self) -> str:
        """The distance between vectors that sentences use: Euclidean, or the one that was measured."""
        return self._distance_names[1]

    @property
    def severity_name(self) -> str:
        """The measure of severity that encoders are compared by."""
        return ranking.MEASURES[self.results.comparison["severity"]][0]

    @property
    def severity_unit(self) -> str:
        """Unit of a slope over that severity."""
        return ranking.MEASURES[self.results.comparison["severity"]][1]

    @property
    def severity_lines(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """The comparison by that severity: {perturbation, or "overall": {encoder: slope, rank, first}}."""
        lines: Mapping[str, Any] = self.results.comparison["measures"][self.results.comparison["severity"]]
        return lines

    def with_rank(self, place: str) -> list[str]:
        """Encoders that have a rank under a perturbation, or "overall", the smallest loss first."""
        ranks = {encoder: of["rank"] for encoder, of in self.severity_lines.get(place, {}).items()}
        return sorted((e for e, rank in ranks.items() if rank is not None), key=lambda e: ranks[e])

    def ranked(self, perturbation: str) -> list[str]:
        """All encoders, those with a rank first."""
        first = self.with_rank(perturbation)
        return [*first, *(encoder for encoder in self.encoders if encoder not in first)]

    @property
    def accuracy(self) -> dict[str, Mapping[str, Any]]:
        """Encoders that have both a mean ROC AUC of originals and a mean drop."""
        overall = self.results.comparison["accuracy"]["perturbations"][accuracy.OVERALL]
        return {encoder: of for encoder, of in overall.items() if accuracy.placed(of)}

    @property
    def models(self) -> Mapping[str, Any]:
        """The models of significance that could be fitted."""
        models: Mapping[str, Any] = self.results.significance["models"]
        return models

    @property
    def encoder_means(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Marginal means of the encoders in the first model of each kind, with the model's name."""
        found: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name, model in self.models.items():
            if means := model["means"].get("encoder"):
                title = significance.named(name)
                found.setdefault(title.partition(",")[0], (title, means))
        return list(found.values())

    @property
    def tasks(self) -> list[tuple[str, dict[str, float]]]:
        """Performance on originals: a task's name, and the number of every encoder that has it."""
        first = {e: self.results.performance[e, self.perturbations[0]]["tasks"] for e in self.encoders}
        every = performance.ordered({task for of in self.results.performance.values() for task in of["tasks"]})
        return [
            (performance.TASKS.get(task, task), {e: of[task]["original"] for e, of in first.items() if task in of})
            for task in every
        ]

    @property
    def notes(self) -> list[Note]:
        """The warnings of the analyses; those of the same pairs stand together."""
        said: dict[str, set[Pair]] = {}
        for analysis in self.results.by_analysis.values():
            for pair, numbers in analysis.items():
                for text in numbers.get("notes") or []:
                    said.setdefault(text, set()).add(pair)
        grouped: dict[frozenset[Pair], list[str]] = {}
        for text, pairs in said.items():
            grouped.setdefault(frozenset(pairs), []).append(text)
        found = [Note(texts, [pair for pair in self.pairs if pair in pairs]) for pairs, texts in grouped.items()]
        of_models = significance.notes(self.results.significance)
        return [*found, Note(of_models, None)] if of_models else found


def read_content(results: Results) -> Content:
    """Everything on the page except sounds and pictures.

    Raises
    ------
    UserError
        If anything is missing.
    """
    study, folders = results.study, results.folders
    rows = subsets.table(results) if subsets.present(study) else None
    return Content(
        results=results,
        clips=read_clips(folders.corpus / "clips.csv"),
        numbers=summary.summary(results),
        severity={p: {row["value"]: row for row in _records(results.severity(p))} for p in study.perturbations},
        distances={pair: _distances(results, pair) for pair in study.pairs},
        roc_auc={pair: _roc_auc(results, pair) for pair in study.pairs},
        about={e: read_embeddings(existing(folders.embeddings / e / "original.h5")).attributes for e in study.encoders},
        weights={e: read_json(existing(folders.weights / e / "weights.json")) or {} for e in study.encoders},
        checks=kim2019.checks(results),
        subsets=[] if rows is None else _records(rows),
        classes=None if rows is None else _classes(results),
        streams=[] if rows is None else verma2023.checks(rows),
    )


def _distances(results: Results, pair: Pair) -> dict[str, float]:
    apart = results.trajectories[pair]["distance_between_originals"]
    rows = results.table("trajectories", pair, "path")
    rows = rows[rows["instrument"] == panels.OVERALL]
    return dict(zip(rows["value"], rows["distance_from_original"] / (apart or float("nan")), strict=True))


def _roc_auc(results: Results, pair: Pair) -> dict[str, float]:
    rows = results.table("robustness", pair, "curves")
    wanted = (rows["instrument"] == panels.OVERALL) & (rows["method"] == "none") & (rows["direction"] == "forward")
    return dict(zip(rows[wanted]["value"], rows[wanted]["roc_auc"], strict=True))


def _classes(results: Results) -> Classes:
    """Average precision of every class by each stream alone and by all, the best by all first."""
    table = subsets.classes(results)
    wide = table.pivot(index=["tag", "positives"], columns="subset", values="average_precision").reset_index()
    names = [name for name in (*subsets.STREAMS, subsets.ALL) if name in wide]
    wide = wide.sort_values([names[-1], "tag"], ascending=[False, True], kind="stable")
    return Classes(names, _records(wide))


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
