"""What a tracker shall show of the results on disk, in plain terms: one parent record and one per pair.

Conventions
-----------
A record is made from files alone, so a stage that DVC skipped, restored or pulled looks like one that ran. Its
``digest`` changes exactly when something that it would show changes. ``key`` names the state of the repository that the
records stand for. Grids are never parameters: they lie in params.yaml and grid.json. Other lists, of an analysis, are
joined by spaces. Curves over the values are metrics whose step is the rank of the value, from 1; what belongs to the
original clips has no step.
"""

import csv
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stages import paths, provenance
from stages.errors import UserError
from stages.report import results

PARENT = ("", "")  # the pair of the parent record
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Record:
    """One run as a tracker shall show it.

    pair : (encoder, perturbation), or :data:`PARENT`
    tags, params : dict of str to str
    metrics : list of (name, value, step)
    files : list of (folder, path), artifacts: the file at `path` is copied into `folder`
    grid : dict or None, the values of the perturbation
    dataset : dict with ``name``, ``digest`` and ``source`` of the corpus
    """

    pair: tuple
    tags: dict
    params: dict
    metrics: list = field(default_factory=list)
    files: list = field(default_factory=list)
    grid: dict | None = None
    dataset: dict = field(default_factory=dict)

    @cached_property
    def digest(self):
        """SHA-256 over all that is shown. What matters of params.yaml and dvc.lock is in ``key`` and ``params``; their
        bytes are left out, as a comment, a number of workers or the entry of `track` itself changes no result."""
        hashed = [(folder, path) for folder, path in self.files if path not in (paths.PARAMS, paths.LOCK)]
        return provenance.fingerprint(
            pair=self.pair, tags=self.tags, params=self.params, metrics=self.metrics, grid=self.grid,
            dataset=self.dataset, files=[(folder, path.name, provenance.file_sha256(path)) for folder, path in hashed],
        )  # fmt: skip


def locked_stages(content):
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
        text = results.existing(paths.LOCK).read_text(encoding="utf-8")
        stages = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise UserError(f"{paths.LOCK} is broken; restore it (git checkout {paths.LOCK}) or run `dvc repro`") from error
    selected = results.run(content)
    unused = _items(content["encoders"], content["perturbations"]) - _items(selected.encoders, selected.perturbations)
    return {name: entry for name, entry in stages.items() if name != "track" and name.partition("@")[2] not in unused}


def _items(encoders, perturbations):
    """Names of all matrix items of these encoders and perturbations, as dvc.lock writes them after the @."""
    return {*encoders, *perturbations, *(f"{e}-{p}" for e in encoders for p in perturbations)}


def lock_sha256(stages):
    """SHA-256 over the content of :func:`locked_stages`."""
    return provenance.fingerprint(stages=stages)


def key(experiment, lock):
    """Name of a state: the DVC experiment ("" outside of one) and the hash of dvc.lock."""
    return provenance.fingerprint(experiment=experiment, lock=lock)


def records(content, stages):
    """The parent :class:`Record` and one per selected pair.

    Parameters
    ----------
    content : dict, params.yaml
    stages : dict, as :func:`locked_stages` returns

    Raises
    ------
    UserError
        If a file of metrics, plots or figures is missing.
    """
    dataset = {
        "name": content["corpus"]["name"], "digest": _corpus_digest(stages), "source": paths.CLIPS.as_posix()
    }  # fmt: skip
    return [_parent(content, dataset), *(_child(content, dataset, *pair) for pair in results.pairs(content))]


def _parent(content, dataset):
    selected = results.run(content)
    params = {
        **_settings(content),
        "run.encoders": " ".join(selected.encoders),
        "run.perturbations": " ".join(selected.perturbations),
    }
    pictures = sorted(p for p in results.existing(paths.FIGURES).iterdir() if p.suffix in (".png", ".svg"))
    files = [("figures", path) for path in pictures]
    files += [("", results.existing(path)) for path in (paths.SUMMARY, paths.PARAMS, paths.LOCK)]
    files.append(("metrics", results.existing(paths.COMPARISON)))
    files += [("plots/comparison", path) for path in _tables(paths.COMPARISON_PLOTS)]
    params |= _flat("comparison", content.get("comparison"))
    return Record(PARENT, tags=_tags(content), params=params, metrics=_comparison(results.comparison()), files=files,
                  dataset=dataset)  # fmt: skip


def _child(content, dataset, encoder, perturbation):
    params = {**_settings(content), "encoder": encoder, "perturbation": perturbation}
    params |= _flat("encoder", content["encoders"].get(encoder))
    params |= _flat("perturbation", content["perturbations"].get(perturbation))
    metrics, files = [], []
    for analysis in results.ANALYSES:
        numbers = results.metrics(analysis, encoder, perturbation)
        folder = results.existing(paths.plots(analysis, encoder, perturbation))
        metrics += _METRICS[analysis](numbers)
        metrics += _CURVES[analysis](folder, numbers["values"]) if analysis in _CURVES else []
        files.append((f"metrics/{analysis}", paths.metrics(analysis, encoder, perturbation)))
        files += [(f"plots/{analysis}", path) for path in _tables(folder)]
    grid = {name: numbers[name] for name in ("perturbation", "unit", "values")}
    params |= {"dim": str(numbers["dim"]), "unit": numbers["unit"]}
    tags = {**_tags(content), "encoder": encoder, "perturbation": perturbation}
    return Record((encoder, perturbation), tags=tags, params=params, metrics=metrics, files=files, grid=grid,
                  dataset=dataset)  # fmt: skip


def _tables(folder):
    """The tables in a folder of plot data."""
    return sorted(path for path in results.existing(folder).iterdir() if path.suffix in (".csv", ".parquet"))


def _tags(content):
    return {"corpus": content["corpus"]["name"], "fidelity": content["fidelity"]}


def _settings(content):
    """Parameters that parent and children share."""
    corpus = content["corpus"]
    flat = {"fidelity": content["fidelity"], "corpus.name": corpus["name"], "corpus.on_bad_clip": corpus["on_bad_clip"]}
    flat |= _flat("corpus.split", corpus["split"])
    flat |= _flat(f"corpus.{corpus['name']}", corpus.get(corpus["name"]))
    for section in ("perturb", *results.ANALYSES):
        flat |= _flat(section, content.get(section))
        flat |= _joined(section, content.get(section))
    return flat


def _flat(prefix, section):
    """Scalar entries of a section as text, {prefix.name: text}."""
    return {
        f"{prefix}.{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in (section or {}).items()
        if isinstance(value, _SCALARS)
    }


def _joined(prefix, section):
    """Lists of a section as text, {prefix.name: text}."""
    return {
        f"{prefix}.{name}": " ".join(map(str, value))
        for name, value in (section or {}).items()
        if isinstance(value, list)
    }


def _cca(numbers):
    metrics = []
    for part in ("global", "pooled", "samplewise"):
        metrics += _numbers(f"cca.{part}", numbers[part])
    heldout = {_word(name): of["global"]["heldout"] for name, of in numbers["instruments"].items() if of["global"]}
    return metrics + _numbers("cca.heldout", heldout)


def _svd(numbers):
    overall = numbers["overall"]
    metrics = _numbers("svd", overall)
    for name in ("spectrum", "originals_spectrum"):
        metrics += [(f"svd.{name}", float(v), rank) for rank, v in enumerate(overall[name], start=1) if v is not None]
    return metrics


def _trajectories(numbers):
    return _numbers("trajectories", numbers["overall"])


def _robustness(numbers):
    metrics = _numbers("robustness.original", numbers["original"])
    for method, of in numbers["methods"].items():
        if of["original"]:
            metrics += _numbers(f"robustness.{method}.original", {"roc_auc": of["original"].get("roc_auc")})
        for direction in ("forward", "backward", "matched"):
            shown = {name: (of[direction] or {}).get(name) for name in _SHOWN}
            metrics += _numbers(f"robustness.{method}.{direction}", shown)
        metrics += _numbers(f"robustness.{method}.random", of.get("random"))
    return metrics


_SHOWN = ("mean_auc", "mean_drop", "worst_drop", "area", "area_low", "area_high", "p_holm")


def _comparison(numbers):
    """Ranks and slopes in the measure of the headline."""
    metrics = []
    for perturbation, of in numbers["measures"][numbers["severity"]].items():
        for name in ("rank", "slope", "first"):
            shown = {encoder: line[name] for encoder, line in of.items()}
            metrics += _numbers(f"comparison.{perturbation}.{name}", shown)
    return metrics


def _roc_auc_curves(folder, values):
    """ROC AUC over the values, mean over instruments, by method and direction."""
    rows = [row for row in _rows(folder / "curves.csv") if row["instrument"] == "all"]
    named = [(f"robustness.{row['method']}.{row['direction']}", row) for row in rows]
    return _stepped(named, ("roc_auc",), values)


def _path_curves(folder, values):
    """What a path is like at every value, mean over instruments."""
    rows = [("trajectories.path", row) for row in _rows(folder / "path.csv") if row["instrument"] == "all"]
    columns = ("distance_from_original", "step_length", "step_share", "turning_angle")
    return _stepped(rows, columns, values)


def _stepped(rows, columns, values):
    """Columns of (prefix, row) as metrics, the step being the rank of the row's value; empty cells are left out."""
    steps = {value: rank for rank, value in enumerate(values, start=1)}
    return [
        (f"{prefix}.{column}", float(row[column]), steps[row["value"]])
        for column in columns
        for prefix, row in rows
        if row["value"] in steps and row.get(column)
    ]


def _rows(path):
    """Rows of a CSV as dicts of text: this runs in every `dvc repro`, and pandas takes a second to import."""
    with open(results.existing(path), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_METRICS = {"cca": _cca, "svd": _svd, "trajectories": _trajectories, "robustness": _robustness}
_CURVES = {"trajectories": _path_curves, "robustness": _roc_auc_curves}


def _numbers(prefix, section):
    """Numbers of a section as metrics without steps; null, text and lists are left out."""
    return [
        (f"{prefix}.{name}", float(value), 0)
        for name, value in (section or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def _word(name):
    """A label as part of a metric's name: trackers take letters, digits and a few signs."""
    return re.sub(r"[^\w.\- ]", "_", name)[:200]


def _corpus_digest(stages):
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
