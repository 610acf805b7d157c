"""What a tracker shall show of the results on disk, in plain terms: one parent record and one per pair.

Conventions
-----------
A record is made from files alone, so a stage that DVC skipped, restored or pulled looks like one that ran. Its
``digest`` changes exactly when something that it would show changes. ``key`` names the state of the repository that the
records stand for. Grids are never parameters: they lie in params.yaml and grid.json. Other lists, of an analysis, are
joined by spaces.

What the stages took (:mod:`earshift.pipeline.profile`) is shown beside the results and is none of them: it is left out
of the digest, so the same results in another time are the same run. Stages compute several pairs together, so the
parent has the profiles of all that ran to the end in this folder with this params.yaml. A stage that DVC skipped,
restored or pulled took nothing here: it has no profile, or that of its own last run.

Metrics are few, and named GROUP/NAME after what a person compares: ``cca``, ``svd``, ``trajectories``, ``roc_auc``,
``gain``, ``consistency``. The numbers are those of :mod:`earshift.report.summary`; the rest lies in the files
beside them. Curves over the values are metrics whose step is the rank of the value, from 1; spectra have the rank of
the singular value.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from earshift.analysis.consistency import ConsistencyResult
from earshift.analysis.drops import RobustnessResult
from earshift.analysis.svd import SvdResult
from earshift.analysis.trajectories import TrajectoriesResult
from earshift.errors import UserError
from earshift.pipeline import paths, profile
from earshift.report import summary
from earshift.report.results import ANALYSES, Pair, PerformanceResult, Results, Study, existing
from earshift.storage import provenance
from earshift.storage.results import read_result

PARENT: Pair = ("", "")  # the pair of the parent record
_SCALARS = (str, int, float, bool, type(None))
Metric = tuple[str, float, int]
Row = dict[str, str]


@dataclass(frozen=True)
class Record:
    """One run as a tracker shall show it.

    pair : (encoder, perturbation), or :data:`PARENT`
    tags, params : dict of str to str
    metrics : list of (name, value, step)
    files : list of (folder, path), artifacts: the file at `path` is copied into `folder`
    grid : dict or None, the values of the perturbation, of the parent those of all
    dataset : dict with ``name``, ``digest`` and ``source`` of the corpus
    profiles : dict of stage to what it took, as :func:`earshift.pipeline.profile.read_profiles` returns
    """

    pair: Pair
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[Metric] = field(default_factory=list)
    files: list[tuple[str, Path]] = field(default_factory=list)
    grid: dict[str, Any] | None = None
    dataset: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that is shown of results. What matters of params.yaml and dvc.lock is in ``key`` and
        ``params``; their bytes are left out, as a comment, a number of workers or the entry of `track` itself changes
        no result."""
        hashed = [(folder, path) for folder, path in self.files if path not in (paths.PARAMS, paths.LOCK)]
        return provenance.fingerprint(
            pair=self.pair, tags=self.tags, params=self.params, metrics=self.metrics, grid=self.grid,
            dataset=self.dataset, files=[(folder, path.name, provenance.file_sha256(path)) for folder, path in hashed],
        )  # fmt: skip

    @property
    def costs(self) -> list[Metric]:
        """What the stages took, as metrics profile/STAGE_WHAT without steps."""
        metrics: list[Metric] = []
        for stage, of in self.profiles.items():
            name = stage.replace("@", ".")
            metrics += _numbers("profile", {f"{name}_{what}": of.get(what) for what in _TAKEN})
            for unit, counted in of.get("counted", {}).items():
                metrics += _numbers("profile", {f"{name}_{unit}_{what}": counted.get(what) for what in _COUNTED})
        return metrics


_TAKEN = ("seconds", "peak_mib", "worker_peak_mib", "gpu_peak_mib")
_COUNTED = ("computed", "reused", "per_second")


def locked_stages(study: Study) -> dict[str, Any]:
    """The stages in dvc.lock that the results of params.yaml rest on.

    `track` is left out: while it runs, its own entry is missing or that of the run before. So are items of encoders and
    perturbations that are configured but not selected: DVC keeps their entries, which would make two states of one.

    Raises
    ------
    UserError
        If dvc.lock is missing or broken.
    """
    import yaml  # with libyaml many times faster than ruamel.yaml, and this runs in every `dvc repro`

    try:
        text = existing(paths.LOCK).read_text(encoding="utf-8")
        stages = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise UserError(f"{paths.LOCK} is broken; restore it (git checkout {paths.LOCK}) or run `dvc repro`") from error
    configured = {*study.configured_encoders, *study.configured_perturbations}
    unused = configured - {*study.encoders, *study.perturbations}
    return {name: entry for name, entry in stages.items() if name != "track" and name.partition("@")[2] not in unused}


def lock_sha256(stages: Mapping[str, Any]) -> str:
    """SHA-256 over the content of :func:`locked_stages`."""
    return provenance.fingerprint(stages=stages)


def key(experiment: str, lock: str) -> str:
    """Name of a state: the DVC experiment ("" outside of one) and the hash of dvc.lock."""
    return provenance.fingerprint(experiment=experiment, lock=lock)


def make_records(results: Results, stages: Mapping[str, Any]) -> list[Record]:
    """The parent :class:`Record` and one per selected pair.

    Parameters
    ----------
    results : Results
    stages : dict, as :func:`locked_stages` returns

    Raises
    ------
    UserError
        If a file of metrics, plots or figures is missing.
    """
    dataset = {
        "name": results.study.corpus, "digest": _corpus_digest(stages), "source": paths.CLIPS.as_posix()
    }  # fmt: skip
    return [
        _parent(results, dataset, _profiles(stages)),
        *(_child(results, dataset, pair) for pair in results.study.pairs),
    ]


def _profiles(stages: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Profiles of those of `stages` that ran to their end with the params.yaml that is here."""
    params = profile.params_sha256()
    return {
        name: of
        for name, of in profile.read_profiles().items()
        if name in stages and of.get("exit") == profile.OK and of.get("params") == params
    }


def _parent(results: Results, dataset: dict[str, str], profiles: dict[str, dict[str, Any]]) -> Record:
    study = results.study
    params = {
        **_settings(study),
        "run.encoders": " ".join(study.encoders),
        "run.perturbations": " ".join(study.perturbations),
        **_flat("comparison", study.parameters.get("comparison")),
    }
    pictures = sorted(p for p in existing(paths.FIGURES).iterdir() if p.suffix in (".png", ".svg"))
    files = [("figures", path) for path in pictures]
    files += [("", existing(path)) for path in (paths.SUMMARY, paths.PARAMS, paths.LOCK, paths.PAGE)]
    files.append(("metrics", existing(paths.COMPARISON)))
    files += [("plots/comparison", path) for path in _tables(paths.COMPARISON_PLOTS)]
    metrics = _numbers("headline", read_result(paths.HEADLINE, dict[str, float])) + _comparison(results)
    metrics += _training(study.encoders)
    grids = {name: _grid(results, (study.encoders[0], name)) for name in study.perturbations}
    return Record(PARENT, tags={**_tags(study), "kind": "state"}, params=params, metrics=metrics, files=files,
                  grid=grids, dataset=dataset, profiles=profiles)  # fmt: skip


def _child(results: Results, dataset: dict[str, str], pair: Pair) -> Record:
    study, (encoder, perturbation) = results.study, pair
    params = {**_settings(study), "encoder": encoder, "perturbation": perturbation}
    params |= _flat("encoder", study.parameters["encoders"].get(encoder))
    params |= _flat("perturbation", study.parameters["perturbations"].get(perturbation))
    metrics, files = _headline(summary.headline(results, pair)), []
    for analysis, found in results.by_analysis.items():
        folder = existing(paths.plots(analysis, encoder, perturbation))
        metrics += _MORE[analysis](found[pair], folder) if analysis in _MORE else []
        files.append((f"metrics/{analysis}", paths.metrics(analysis, encoder, perturbation)))
        files += [(f"plots/{analysis}", path) for path in _tables(folder)]
    params |= {"dim": str(results.cca[pair]["dim"]), "unit": results.cca[pair]["unit"]}
    tags = {**_tags(study), "kind": "pair", "encoder": encoder, "perturbation": perturbation}
    grid = _grid(results, pair)
    return Record(pair, tags=tags, params=params, metrics=metrics, files=files, grid=grid, dataset=dataset)


def _grid(results: Results, pair: Pair) -> dict[str, Any]:
    numbers = results.cca[pair]
    return {"perturbation": numbers["perturbation"], "unit": numbers["unit"], "values": numbers["values"]}


def _tables(folder: Path) -> list[Path]:
    """The tables in a folder of plot data."""
    return sorted(path for path in existing(folder).iterdir() if path.suffix in (".csv", ".parquet"))


def _tags(study: Study) -> dict[str, str]:
    return {"corpus": study.corpus, "fidelity": study.fidelity}


def _settings(study: Study) -> dict[str, str]:
    """Parameters that parent and children share."""
    corpus = study.parameters["corpus"]
    flat = {"fidelity": study.fidelity, "corpus.name": corpus["name"], "corpus.on_bad_clip": corpus["on_bad_clip"]}
    flat |= _flat("corpus.split", corpus["split"])
    flat |= _flat(f"corpus.{corpus['name']}", corpus.get(corpus["name"]))
    for section in ("perturb", *ANALYSES):
        flat |= _flat(section, study.parameters.get(section), lists=True)
    return flat


def _flat(prefix: str, section: Mapping[str, Any] | None, *, lists: bool = False) -> dict[str, str]:
    """Entries of a section as text, {prefix.name: text}: scalars, and with `lists` lists joined by spaces."""
    found = {}
    for name, value in (section or {}).items():
        if isinstance(value, _SCALARS):
            found[f"{prefix}.{name}"] = value if isinstance(value, str) else json.dumps(value)
        elif lists and isinstance(value, list):
            found[f"{prefix}.{name}"] = " ".join(map(str, value))
    return found


# ------------------------------------------------------------------------------------------------------------- metrics

# group -> {name in MLflow: name in the headline}; those in _INTERVALS with their ends
_GROUPS = {
    "cca": {
        name: name
        for name in ("heldout_r2", "null_r2_mean", "null_r2_p95", "published_r2", "samplewise_published_r2",
                     "samplewise_heldout_r2", "samplewise_null_r2_p95")
    },
    "svd": {name: name for name in ("effective_rank", "originals_effective_rank", "null_effective_rank")},
    "trajectories": {name: name for name in ("straightness", "turning_angle", "monotonicity")},
    "roc_auc": {"original": "roc_auc", "mean_drop": "mean_drop", "worst_drop": "worst_drop",
                "drop_per_severity": "severity_slope", "rank": "severity_rank"},
    "consistency": {name: name for name in summary.CONSISTENCY if name.startswith("within")},
}  # fmt: skip


def _headline(numbers: Mapping[str, Any]) -> list[Metric]:
    """Headline numbers, and the ends of their intervals where they have one, by group."""
    metrics: list[Metric] = []
    for group, names in _GROUPS.items():
        ends = {shown + end: numbers.get(name + end) for shown, name in names.items() for end in ("", "_low", "_high")}
        metrics += _numbers(group, ends)
    return metrics


def _spectra(numbers: SvdResult, folder: Path) -> list[Metric]:
    """Overall singular values over their rank."""
    overall = numbers["overall"]
    spectra = {"spectrum": overall["spectrum"], "originals_spectrum": overall["originals_spectrum"]}
    return [
        (f"svd/{name}", float(value), rank)
        for name, values in spectra.items()
        for rank, value in enumerate(values, start=1)
        if value is not None
    ]


def _paths(numbers: TrajectoriesResult, folder: Path) -> list[Metric]:
    """How far from the original clips are, and how their paths turn, at every value; means over instruments."""
    rows = [("trajectories", row) for row in _overall(folder / "path.csv")]
    return _stepped(rows, {"distance_from_original": "distance_at_value", "turning_angle": "turn_at_value"},
                    numbers["values"])  # fmt: skip


def _roc_auc(numbers: RobustnessResult, folder: Path) -> list[Metric]:
    """Curves of ROC AUC by method, trained on originals, and what each method gains on ``none`` over the grid."""
    metrics: list[Metric] = []
    for row in _overall(folder / "curves.csv"):
        if row["direction"] == "forward":
            metrics += _stepped([("roc_auc", row)], {"roc_auc": row["method"]}, numbers["values"])
    removals = {method: of["forward"] for method, of in numbers["methods"].items() if method != "none"}
    return metrics + _numbers("gain", {method: of and of["area"] for method, of in removals.items()})


def _consistency(numbers: ConsistencyResult, folder: Path) -> list[Metric]:
    """What two spaces have in common, and within-space consistency at every value."""
    between = [name for name in summary.CONSISTENCY if name.startswith("between")]
    metrics = _numbers("consistency", {name: numbers["overall"].get(name) for name in between})
    for row in _rows(folder / "curves.csv"):
        name = row["audio"] or row["latent"]
        if row["measure"] == "within" and name in ("dtw", "euclidean"):
            metrics += _stepped([("consistency", row)], {"number": f"within_{name}_at_value"}, numbers["values"])
    return metrics


def _performance(numbers: PerformanceResult, folder: Path) -> list[Metric]:
    """How well networks that were trained here do their tasks: on originals, on average, at every value."""
    metrics: list[Metric] = []
    for task, of in numbers["tasks"].items():
        metrics += _numbers("performance", {task: of["mean"], f"{task}_original": of["original"]})
        rows = [("performance", row) for row in _rows(folder / "curves.csv") if row["task"] == task]
        metrics += _stepped(rows, {"number": f"{task}_at_value"}, numbers["values"])
    return metrics


_MORE: dict[str, Callable[[Any, Path], list[Metric]]] = {
    "svd": _spectra,
    "trajectories": _paths,
    "robustness": _roc_auc,
    "consistency": _consistency,
    "performance": _performance,
}


def _training(encoders: Iterable[str]) -> list[Metric]:
    """Losses of all networks that were trained here, the step being the epoch."""
    metrics: list[Metric] = []
    for encoder in encoders:
        for path in sorted(existing(paths.model(encoder)).glob("*.csv")):
            for row in _rows(path):
                metrics += [
                    (f"training/{encoder}.{path.stem}.{name}", float(row[name]), int(row["epoch"]))
                    for name in row
                    if "epoch" in row and name != "epoch" and row[name]
                ]
    return metrics


def _comparison(results: Results) -> list[Metric]:
    """Ranks of the encoders in the measure of the headline, over all perturbations and by perturbation."""
    metrics: list[Metric] = []
    numbers = results.comparison
    for perturbation, of in numbers["measures"][numbers["severity"]].items():
        metrics += _numbers(f"rank/{perturbation}", {encoder: line["rank"] for encoder, line in of.items()})
    return metrics


def _stepped(rows: Iterable[tuple[str, Row]], columns: Mapping[str, str], values: Sequence[str]) -> list[Metric]:
    """Columns of (group, row) as metrics {column: name}, the step being the rank of the row's value; empty cells are
    left out."""
    steps = {value: rank for rank, value in enumerate(values, start=1)}
    return [
        (f"{group}/{name}", float(row[column]), steps[row["value"]])
        for column, name in columns.items()
        for group, row in rows
        if row["value"] in steps and row.get(column)
    ]


def _overall(path: Path) -> list[Row]:
    """Rows of a CSV over all instruments."""
    return [row for row in _rows(path) if row["instrument"] == "all"]


def _rows(path: Path) -> list[Row]:
    """Rows of a CSV as dicts of text; every `dvc repro` runs this, and pandas imports slowly."""
    with open(existing(path), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _numbers(prefix: str, section: Mapping[str, Any] | None) -> list[Metric]:
    """Numbers of a section as metrics without steps; null, text and lists are left out."""
    return [
        (f"{prefix}/{_word(name)}", float(value), 0)
        for name, value in (section or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _word(name: str) -> str:
    """A name as part of a metric's name: trackers take letters, digits and a few signs."""
    return re.sub(r"[^\w.\- ]", "_", name)[:200]


def _corpus_digest(stages: Mapping[str, Any]) -> str:
    """Short hash of the corpus as DVC knows it.

    Raises
    ------
    UserError
        If dvc.lock does not know the corpus.
    """
    folder = paths.CORPUS.as_posix()
    outs = {
        out["path"]: str(out["md5"])
        for entry in stages.values()
        for out in entry.get("outs", ())
        if "md5" in out and Path(out["path"]).is_relative_to(folder)
    }
    if not outs:
        raise UserError(f"{paths.LOCK} does not know {folder}; run `dvc repro`")
    return outs[folder][:8] if folder in outs else provenance.fingerprint(outs=outs)[:8]
