"""The first study's ROC AUC figure, computed again beside it: ``python -m earshift.analysis.published``.

Conventions
-----------
A panel of the figure is one instrument under one encoder and one perturbation. Classifiers
(:mod:`earshift.analysis.classify`) are trained on original and tested on perturbed clips, and the other way round, with
the directions of every drawn method (:mod:`earshift.analysis.desensitise`) projected out. One classifier serves all tests
of one training set.

The published numbers lie in earshift/analysis/paper1_roc_auc.csv: 1,140 points read from the path coordinates of the
vector figure in the study's notebook 4_classification_performance.ipynb. Every one, times positives times negatives of
the study's test set, is a whole or half number, so they are exact to the six digits given. Points outside the drawn
axes are missing there. ``param`` is the value of the perturbation; the point without effect stands where the study drew
it (gain 0 dB, reverb 0, low-pass 22,500 Hz) and has ``is_orig`` 1.

Writes plots/published/roc_auc.csv (every point: published, ours, difference, and why there is none) and
metrics/published.json (means, and what differs from the study). What is finished is kept and used again as long as its
embeddings, its clips and this code stay what they were; a killed run goes on from there.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earshift.analysis import classify, data, desensitise, robustness
from earshift.analysis.data import ORIGINAL
from earshift.errors import UserError
from earshift.options import value_text
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.progress import Progress
from earshift.storage import provenance
from earshift.storage.files import read_json, write_json, write_table
from earshift.storage.hdf5 import read_fingerprint

REFERENCE = Path(__file__).with_name("paper1_roc_auc.csv")
TABLE = paths.PUBLISHED_PLOTS / "roc_auc.csv"
FORWARD, BACKWARD = "orig->effected", "effected->orig"  # train -> test, as the reference writes it
_SAVED_EVERY = 10.0  # seconds between two savings of a panel at work
_SUMMARY = __doc__.partition("\n")[0]
_OFF_GRID = "not on this grid"
_COLUMNS = ("panel", "direction", "method", "param", "original", "published", "ours", "difference", "note")


@dataclass(frozen=True)
class Panel:
    """One row of the study's figure.

    encoder, perturbation, instrument : str, as here
    published_instrument : str, as in the reference
    dim : int, length of the study's vectors
    positives : int, the instrument's clips in the study's test set
    """

    encoder: str
    perturbation: str
    instrument: str
    published_instrument: str
    dim: int
    positives: int

    @property
    def name(self):
        """Its name in files and tables."""
        return f"{self.encoder}-{self.perturbation}-{self.instrument}"


PANELS = (
    Panel("openl3", "reverb", "cello", "cello", 512, 100),
    Panel("panns", "gain", "organ", "organ", 2048, 164),
    Panel("clap", "lowpass", "guitar_acc", "gac", 1024, 157),
)
TEST_CLIPS = 1666  # of the study's split


@dataclass(frozen=True)
class Method:
    """A curve of a panel: what is projected out, its threshold if it has one, and its name in the reference."""

    name: str
    kind: str
    threshold: float | None
    reference: str


METHODS = (
    Method("none", "none", None, "none"),
    Method("average_displacement", "average_displacement", None, "avgdir"),
    Method("pca", "pca", None, "pca_nn"),
    Method("samplewise_cca_svd_0.3", "samplewise_cca_svd", 0.3, "svd0.3"),
    Method("samplewise_cca_svd_0.4", "samplewise_cca_svd", 0.4, "svd0.4"),
    Method("samplewise_cca_svd_0.5", "samplewise_cca_svd", 0.5, "svd0.5"),
)


# ------------------------------------------------------------------------------------------------------- the reference


def reference():
    """The published points as a pandas table: panel, direction, method, param, original, published."""
    import pandas as pd

    table = pd.read_csv(REFERENCE)
    panels = {(p.encoder, p.perturbation, p.published_instrument): p.name for p in PANELS}
    return pd.DataFrame({
        "panel": [panels[key] for key in zip(table["embedding"], table["effect"], table["instrument"], strict=True)],
        "direction": table["direction"],
        "method": table["method"].map({method.reference: method.name for method in METHODS}),
        "param": table["param"].map(value_text),
        "original": table["is_orig"],
        "published": table["roc_auc"],
    })  # fmt: skip


def side_by_side(published, panel, values, found):
    """All points of one panel, those that were published and those of the grid on disk.

    Parameters
    ----------
    published : pandas.DataFrame, as :func:`reference` returns
    panel : Panel
    values : sequence of str, the canonical texts of the grid
    found : dict, as :func:`curves` fills it

    Returns
    -------
    list of dict
        Rows of the table on disk, by direction and method, the point without effect first, then by value.
    """
    own = published[published["panel"] == panel.name]
    where = own.loc[own["original"] == 1, "param"].iloc[0]
    rows = []
    for direction in (FORWARD, BACKWARD):
        for method in METHODS:
            # Without effect both directions are the same point, drawn inside the axes of at least one of them
            drawn = own[((own["direction"] == direction) | (own["original"] == 1)) & (own["method"] == method.name)]
            known = {(row.original, row.param): row.published for row in drawn.itertuples()}
            wanted = {(1, where), *((0, value) for value in values), *known}
            for original, param in sorted(wanted, key=lambda point: (-point[0], float(point[1]))):
                theirs = known.get((original, param), np.nan)
                on_grid = original or param in values
                row = dict(zip(_COLUMNS, (panel.name, direction, method.name, param, original, theirs), strict=False))
                ours, note = found.get(_key_of(row), (np.nan, "" if on_grid else _OFF_GRID))
                rows.append(row | {"ours": ours, "difference": round(ours - theirs, 6), "note": note})
    return rows


def _key(method, direction, value):
    """Method, training set and test set of a point."""
    return (method, ORIGINAL, value) if direction == FORWARD else (method, value, ORIGINAL)


def _key_of(row):
    return _key(row["method"], row["direction"], ORIGINAL if row["original"] else row["param"])


def _says_why(row):
    """Whether a row says something about a point of this grid."""
    return row["note"] not in ("", _OFF_GRID)


# -------------------------------------------------------------------------------------------------------------- curves


def curves(trajectories, instrument, compute, found, *, rows=None, saved=None):
    """The ROC AUC of one instrument for every method, training set and test set of the figure.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    instrument : str, one that has training clips
    compute : earshift.pipeline.config.Compute
    found : dict
        (method, value trained on, value tested on) -> (ROC AUC, note), "original" standing for no effect. What is
        missing is added, NaN with a note where there is no number.
    rows : [shape=(clips,)], optional
        Where each clip stands in the table that gave the split; without it training clips stand as in clips.csv.
    saved : callable, optional
        Called without arguments when something has been added.

    Returns
    -------
    dict of str to earshift.analysis.desensitise.Removal, by method
    """
    t = trajectories
    train, test = t.indices("train"), t.indices("test")
    if rows is not None:
        train = train[np.argsort(rows[train], kind="stable")]
    chosen, positive = classify.training_set(t.instrument[train], instrument)
    chosen, truth = train[chosen], t.instrument[test] == instrument
    removals = _removals(t, t.indices("train", instrument))

    tasks, reused = [], 0
    for names, value in _trainings(removals, t.values):
        missing = [(name, value, other) not in found for name in names for other in _tests(t, value)]
        reused += not any(missing)
        problem = removals[names[0]].problem
        if problem:
            found.update(((name, value, other), (np.nan, problem)) for name in names for other in _tests(t, value))
        elif any(missing):
            tasks.append((names, value))
    label = f"published {t.encoder}-{t.perturbation}-{instrument}"
    trained = ordered_map(
        robustness.trained,
        ((_at(t, value)[chosen], positive, removals[names[0]], None) for names, value in tasks),
        compute,
        threads=True,
    )
    with Progress(label, len(tasks) + reused, reused, unit="classifiers") as progress:
        for (names, value), classifier in zip(tasks, trained, strict=True):
            for other in _tests(t, value):
                area = _six_digits(_roc_auc(classifier, _at(t, other)[test], truth))
                outcome = area, classifier.problem or classifier.note
                found.update(((name, value, other), outcome) for name in names)
            progress.advance(1)
            if saved is not None:
                saved()
    return removals


def _roc_auc(classifier, vectors, truth):
    if classifier.problem:
        return np.nan
    return float(classify.evaluations(classifier.decision(vectors)[None], truth)["roc_auc"][0])


def _six_digits(number):
    """As the files hold it, so that what was read back and what was just computed give the same means."""
    return float(f"{number:.6g}")


def _removals(t, own):
    originals, vectors = t.originals[own], t.vectors[own]
    return {
        m.name: desensitise.removal(m.kind, desensitise.Material(originals, vectors, threshold=m.threshold))
        for m in METHODS
    }


def _trainings(removals, values):
    """Training sets as (methods, value): methods that remove the same directions share their classifiers."""
    shared = {}
    for name, removal in removals.items():
        shared.setdefault(removal.key, []).append(name)
    return [(names, value) for names in shared.values() for value in (ORIGINAL, *values)]


def _tests(t, value):
    """What a classifier trained at a value is tested on."""
    return (ORIGINAL, *t.values) if value == ORIGINAL else (ORIGINAL,)


def _at(t, value):
    """Vectors of all clips at a value [shape=(clips, dim)]."""
    return t.originals if value == ORIGINAL else t.vectors[:, t.values.index(value)]


# ------------------------------------------------------------------------------------------------------------- numbers


def headline(rows):
    """Means over the points of one panel that both sides have, by method and direction.

    Parameters
    ----------
    rows : list of dict, as :func:`side_by_side` returns

    Returns
    -------
    dict
        {method: {direction: {points, published, ours, difference, largest_difference, original_published,
        original_ours, gain_published, gain_ours}}}. Gains are mean differences from the method none.
    """
    both = {
        (row["method"], row["direction"], row["param"]): (row["published"], row["ours"])
        for row in rows
        if not row["original"] and np.isfinite(row["difference"])
    }
    originals = {(row["method"], row["direction"]): row for row in rows if row["original"]}
    numbers = {}
    for method in (m.name for m in METHODS):
        numbers[method] = {}
        for direction in (FORWARD, BACKWARD):
            pairs = {key[2]: pair for key, pair in both.items() if key[:2] == (method, direction)}
            gains = [
                np.subtract(pair, both["none", direction, param])
                for param, pair in pairs.items()
                if ("none", direction, param) in both
            ]
            published, ours = np.mean(list(pairs.values()) or [[np.nan] * 2], axis=0)
            differences = [b - a for a, b in pairs.values()]
            gain_published, gain_ours = np.mean(gains or [[np.nan] * 2], axis=0)
            original = originals[method, direction]
            numbers[method][direction] = {
                "points": len(pairs),
                "published": published,
                "ours": ours,
                "difference": ours - published,
                "largest_difference": max(differences, key=abs, default=np.nan),
                "original_published": original["published"],
                "original_ours": original["ours"],
                "gain_published": gain_published,
                "gain_ours": gain_ours,
            }
    return numbers


def notes(rows):
    """What the rows of one panel say about points of the grid: [{note, methods, points}]."""
    found = {}
    for row in rows:
        if _says_why(row):
            found.setdefault(row["note"], []).append(row["method"])
    return [
        {"note": note, "methods": list(dict.fromkeys(methods)), "points": len(methods)}
        for note, methods in found.items()
    ]  # fmt: skip


def deviations(trajectories, panel, loaded, *, ordered):
    """What differs from the study, one sentence each, as far as the files tell.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    panel : Panel
    loaded : earshift.pipeline.config.Params
    ordered : bool, whether the clips' rows in the table that gave the split are known
    """
    t, found = trajectories, []
    source = read_json(paths.CORPUS_INPUTS) or {}
    corpus = source.get("corpus", "unknown")
    if corpus != "irmas":
        found.append(f"The corpus is {corpus}, not IRMAS.")
    test = t.indices("test")
    counts = int((t.instrument[test] == panel.instrument).sum()), len(test)
    if counts != (panel.positives, TEST_CLIPS):
        found.append(
            f"{counts[0]} of {counts[1]} test clips are {panel.instrument}; in the study {panel.positives} of "
            f"{TEST_CLIPS} (corpus.irmas.split_csv takes its table)."
        )
    elif not ordered:
        found.append("The order of the study's split table is not known, so other negatives are drawn.")
    weights = read_json(paths.weights(panel.encoder) / "weights.json") or {}
    if not weights.get("official"):
        found.append(f"The weights of {panel.encoder} are not the official ones.")
    if t.dim != panel.dim:
        found.append(f"The vectors of {panel.encoder} have {t.dim} dimensions; in the study {panel.dim}.")
    policy = getattr(loaded.encoders.get(panel.encoder), "policy", "paper")
    switched = [name for name, on in loaded.switches.items() if not on]
    if policy != "paper" or switched:
        names = [f"perturb.{name}" for name in switched]
        names += [f"encoders.{panel.encoder}.policy"] * (policy != "paper")
        found.append(f"Corrected, not as published: {', '.join(names)} (fidelity: paper sets them).")
    return found


# ------------------------------------------------------------------------------------------------------------ the files


class _Saved:
    """Content of the two files: that of the last run, replaced panel by panel.

    Panels in ``unfinished`` are the ones that a killed run was at. The table is written before the JSON, which holds
    its hash: two files that do not belong together count as none.
    """

    def __init__(self):
        content, rows = read_json(paths.PUBLISHED) or {}, []
        if TABLE.is_file() and content.get("curves") == provenance.file_sha256(TABLE):
            rows = _read_table()
        else:
            content = {}
        self.panels, self.unfinished = content.get("panels", {}), content.get("unfinished", {})
        self.skipped = {}
        self._rows = {panel.name: [row for row in rows if row["panel"] == panel.name] for panel in PANELS}
        self._written = time.monotonic()

    def found(self, panel, fingerprint):
        """What is known of a panel's points, for :func:`curves`, if it was computed from the same."""
        record = self.panels.get(panel.name, {}).get("fingerprint") or self.unfinished.get(panel.name)
        if record != fingerprint:
            return {}
        rows = [row for row in self._rows[panel.name] if np.isfinite(row["ours"]) or _says_why(row)]
        return {_key_of(row): (row["ours"], row["note"]) for row in rows}

    def drop(self, panel, reason):
        """Leave a panel out."""
        self._forget(panel)
        self.skipped[panel.name], self._rows[panel.name] = reason, []

    def keep(self, panel, rows, fingerprint):
        """Save a panel at work, unless that was done a moment ago."""
        if time.monotonic() - self._written < _SAVED_EVERY:
            return
        self._forget(panel)
        self.unfinished[panel.name], self._rows[panel.name] = fingerprint, rows()
        self.write()

    def finish(self, panel, rows, record):
        """Enter a panel that is complete."""
        self._forget(panel)
        self.panels[panel.name], self._rows[panel.name] = record, rows

    def _forget(self, panel):
        self.panels.pop(panel.name, None)
        self.unfinished.pop(panel.name, None)

    def write(self):
        """Write both files."""
        import pandas as pd

        table = pd.DataFrame([row for rows in self._rows.values() for row in rows], columns=_COLUMNS)
        write_table(TABLE, table)
        content = {
            "panels": {p.name: self.panels[p.name] for p in PANELS if p.name in self.panels},
            "skipped": self.skipped,
            **({"unfinished": self.unfinished} if self.unfinished else {}),
            "curves": provenance.file_sha256(TABLE),
        }
        write_json(paths.PUBLISHED, content)
        self._written = time.monotonic()


def _read_table():
    import pandas as pd

    table = pd.read_csv(TABLE, dtype={"param": str, "note": str})
    table["note"] = table["note"].fillna("")
    return table.to_dict("records")


def _absence(panel):
    """Why a panel cannot be computed, or None."""
    original = paths.originals(panel.encoder)
    if not original.is_file():
        return f"{original} is missing (`dvc repro original@{panel.encoder}`)"
    folder = paths.embeddings(panel.encoder, panel.perturbation)
    if not any(folder.glob("*.h5")):
        return f"{folder} holds no embeddings (`dvc repro embed@{panel.encoder}-{panel.perturbation}`)"
    return None


def _lack(trajectories, panel):
    """What the corpus lacks for a panel, or None."""
    for split in ("train", "test"):
        if not len(trajectories.indices(split, panel.instrument)):
            return f"the corpus has no {split} clips of {panel.instrument}"
    return None


def _fingerprint(panel, rows):
    """Of everything that determines the numbers of a panel, the order of its clips included."""
    folder = paths.embeddings(panel.encoder, panel.perturbation)
    files = [paths.originals(panel.encoder), *sorted(folder.glob("*.h5"))]
    return provenance.fingerprint(
        files=[(path.name, read_fingerprint(path) or provenance.file_sha256(path)) for path in files],
        clips=provenance.file_sha256(paths.CLIPS),
        rows=None if rows is None else rows.tolist(),
        reference=provenance.file_sha256(REFERENCE),
        code=provenance.source_sha256(classify, data, desensitise, robustness, sys.modules[__name__]),
        versions=provenance.versions("numpy", "scipy", "scikit-learn", "numba"),
    )


def _split_rows(trajectories):
    """The row of each clip in the table that gave the split; None without one, or where it does not name all clips."""
    import pandas as pd

    options = (read_json(paths.CORPUS_INPUTS) or {}).get("options") or {}
    path = Path(options.get("split_csv") or "").expanduser()
    if not path.is_file():
        return None
    names = pd.read_csv(path, dtype=str)["file_name"]
    rows = {re.sub(r"\.wav$", "", Path(name).name, flags=re.IGNORECASE): row for row, name in enumerate(names)}
    if not set(trajectories.clip) <= set(rows):
        return None
    return np.array([rows[clip] for clip in trajectories.clip])


def compare(loaded):
    """Bring both files up to date with the embeddings on disk.

    Parameters
    ----------
    loaded : earshift.pipeline.config.Params

    Raises
    ------
    UserError
        If no panel can be computed, or if embeddings are damaged.
    """
    published, saved = reference(), _Saved()
    for panel in PANELS:
        trajectories = None if (reason := _absence(panel)) else data.load(panel.encoder, panel.perturbation)
        reason = reason or _lack(trajectories, panel)
        if reason:
            saved.drop(panel, reason)
        else:
            _compared(panel, trajectories, published, saved, loaded)
    if not saved.panels:
        raise UserError(
            f"no panel of the published figure can be computed: {'; '.join(saved.skipped.values())}. "
            "`make paper` computes all of them"
        )
    for name, reason in saved.skipped.items():
        print(f"published: {name} is left out: {reason}")
    saved.write()


def _compared(panel, trajectories, published, saved, loaded):
    rows = _split_rows(trajectories)
    fingerprint = _fingerprint(panel, rows)
    found = saved.found(panel, fingerprint)

    def points():
        return side_by_side(published, panel, trajectories.values, found)

    removals = curves(
        trajectories, panel.instrument, loaded.compute, found, rows=rows,
        saved=lambda: saved.keep(panel, points, fingerprint),
    )  # fmt: skip
    record = {
        "encoder": panel.encoder,
        "perturbation": panel.perturbation,
        "instrument": panel.instrument,
        "unit": trajectories.unit,
        "train_clips": len(trajectories.indices("train")),
        "test_clips": len(trajectories.indices("test")),
        "deviations": deviations(trajectories, panel, loaded, ordered=rows is not None),
        "removed": {name: len(removal.directions) for name, removal in removals.items()},
        "notes": notes(points()),
        "methods": headline(points()),
        "fingerprint": fingerprint,
    }
    saved.finish(panel, points(), record)
    saved.write()


@command
def main(arguments=None):
    """Write metrics/published.json and plots/published/roc_auc.csv."""
    argparse.ArgumentParser("python -m earshift.analysis.published", description=_SUMMARY).parse_args(arguments)
    compare(params.load())


if __name__ == "__main__":
    main()
