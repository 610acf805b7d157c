"""The ROC AUC figure of deng2025, and the same numbers computed here.

Conventions
-----------
A panel of the figure is one instrument under one encoder and one perturbation. Classifiers
(:mod:`earshift.analysis.classify`) are trained on original and tested on perturbed clips, and the other way round, with
the directions of every drawn method (:mod:`earshift.analysis.desensitise`) projected out. One classifier serves all
tests of one training set.

The published numbers lie in earshift/analysis/deng2025_roc_auc.csv: 1,140 points read from the path coordinates of the
vector figure in the study's notebook 4_classification_performance.ipynb. Every one, times positives times negatives of
the study's test set, is a whole or half number, so they are exact to the six digits given. Points outside the drawn
axes are missing there. ``param`` is the value of the perturbation; the point without effect stands where the study drew
it (gain 0 dB, reverb 0, low-pass 22,500 Hz) and has ``is_orig`` 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis import classify, robustness
from earshift.analysis.classify import Classifier
from earshift.analysis.data import ORIGINAL, Trajectories
from earshift.analysis.desensitise import Method, Removal, TrainingClips, estimate_removal
from earshift.options import value_text
from earshift.protocols import Advance, Map, ignore, serial

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = Path(__file__).with_name("deng2025_roc_auc.csv")
FORWARD, BACKWARD = "orig->effected", "effected->orig"  # train -> test, as the reference writes it
OFF_GRID = "not on this grid"
COLUMNS = ("panel", "direction", "method", "param", "original", "published", "ours", "difference", "note")

Row = dict[str, Any]  # of the table of points, by COLUMNS
Key = tuple[str, str, str]  # method, value trained on, value tested on; ORIGINAL stands for no effect
Found = dict[Key, tuple[float, str]]  # ROC AUC, NaN with a note where there is no number


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
    def name(self) -> str:
        """Its name in files and tables."""
        return f"{self.encoder}-{self.perturbation}-{self.instrument}"


PANELS = (
    Panel("openl3", "reverb", "cello", "cello", 512, 100),
    Panel("panns", "gain", "organ", "organ", 2048, 164),
    Panel("clap", "lowpass", "guitar_acc", "gac", 1024, 157),
)
TEST_CLIPS = 1666  # of the study's split

# The curves of a panel, by their name in the reference
METHODS = {
    "none": Method("none", "none"),
    "avgdir": Method("average_displacement", "average_displacement"),
    "pca_nn": Method("pca", "pca"),
    **{f"svd{t}": Method(f"samplewise_cca_svd_{t}", "samplewise_cca_svd", t) for t in (0.3, 0.4, 0.5)},
}


class CurveNumbers(TypedDict):
    """Means over the points that both sides have, of one method in one direction; gains are from the method none."""

    points: int
    published: float | None
    ours: float | None
    difference: float | None
    largest_difference: float | None
    original_published: float | None
    original_ours: float | None
    gain_published: float | None
    gain_ours: float | None


class Note(TypedDict):
    """Why so many points of these methods have no number, or what to know about them."""

    note: str
    methods: list[str]
    points: int


class PanelResult(TypedDict):
    """One panel. ``deviations``: what differs from the study; ``removed``: directions, by method; ``methods``: by
    method and direction; ``fingerprint``: of what the numbers were computed from.
    """

    encoder: str
    perturbation: str
    instrument: str
    unit: str
    train_clips: int
    test_clips: int
    deviations: list[str]
    removed: dict[str, int]
    notes: list[Note]
    methods: dict[str, dict[str, CurveNumbers]]
    fingerprint: str


class PublishedResult(TypedDict):
    """Content of metrics/published.json.

    ``skipped``: panels that cannot be computed, and why; ``unfinished``: fingerprints of those that a killed run was
    at; ``curves``: SHA-256 of the table that belongs to it.
    """

    panels: dict[str, PanelResult]
    skipped: dict[str, str]
    unfinished: NotRequired[dict[str, str]]
    curves: str


# ------------------------------------------------------------------------------------------------------- the reference


def reference() -> "pd.DataFrame":
    """The published points as a pandas table: panel, direction, method, param, original, published."""
    import pandas as pd

    table = pd.read_csv(REFERENCE)
    panels = {(p.encoder, p.perturbation, p.published_instrument): p.name for p in PANELS}
    return pd.DataFrame({
        "panel": [panels[key] for key in zip(table["embedding"], table["effect"], table["instrument"], strict=True)],
        "direction": table["direction"],
        "method": table["method"].map({name: method.name for name, method in METHODS.items()}),
        "param": table["param"].map(value_text),
        "original": table["is_orig"],
        "published": table["roc_auc"],
    })  # fmt: skip


def side_by_side(
    published: "pd.DataFrame", panel: Panel, values: Sequence[str], found: Mapping[Key, tuple[float, str]]
) -> list[Row]:
    """All points of one panel, those that were published and those of the grid on disk.

    Parameters
    ----------
    published : pandas.DataFrame, as :func:`reference` returns
    panel : Panel
    values : sequence of str, the canonical texts of the grid
    found : known points, see :class:`Curves`

    Returns
    -------
    list of dict
        Rows of the table on disk, by direction and method, the point without effect first, then by value.
    """
    own = published[published["panel"] == panel.name]
    where = own.loc[own["original"] == 1, "param"].iloc[0]
    rows = []
    for direction in (FORWARD, BACKWARD):
        for method in METHODS.values():
            # Without effect both directions are the same point, drawn inside the axes of at least one of them
            drawn = own[((own["direction"] == direction) | (own["original"] == 1)) & (own["method"] == method.name)]
            columns = (drawn[name].tolist() for name in ("original", "param", "published"))
            known: dict[tuple[int, str], float] = {(o, param): area for o, param, area in zip(*columns, strict=True)}
            wanted = {(1, where), *((0, value) for value in values), *known}
            for original, param in sorted(wanted, key=lambda point: (-point[0], float(point[1]))):
                theirs = known.get((original, param), np.nan)
                on_grid = original or param in values
                row = dict(zip(COLUMNS, (panel.name, direction, method.name, param, original, theirs), strict=False))
                ours, note = found.get(key_of(row), (np.nan, "" if on_grid else OFF_GRID))
                rows.append(row | {"ours": ours, "difference": round(ours - theirs, 6), "note": note})
    return rows


def key_of(row: Row) -> Key:
    """Method, training set and test set of a point."""
    value = ORIGINAL if row["original"] else row["param"]
    ends = (ORIGINAL, value) if row["direction"] == FORWARD else (value, ORIGINAL)
    return (row["method"], *ends)


def has_reason(row: Row) -> bool:
    """Whether the note of a row is about a point of this grid."""
    return row["note"] not in ("", OFF_GRID)


# -------------------------------------------------------------------------------------------------------------- curves


@dataclass(frozen=True)
class Curves:
    """The ROC AUC of one instrument for every method, training set and test set of the figure.

    trajectories : earshift.analysis.data.Trajectories
    instrument : str, one that has training clips
    found : known points; :meth:`compute` adds the missing ones
    rows : int [shape=(clips,)] or None
        Where each clip stands in the table that gave the split; without it training clips stand as in clips.csv.
    """

    trajectories: Trajectories
    instrument: str
    found: Found
    rows: NDArray[np.intp] | None = None

    @cached_property
    def removals(self) -> dict[str, Removal]:
        """What every method removes."""
        t, own = self.trajectories, self.trajectories.indices("train", self.instrument)
        clips = TrainingClips(t.originals[own], t.vectors[own])
        return {method.name: estimate_removal(clips, method) for method in METHODS.values()}

    @cached_property
    def trainings(self) -> list[tuple[list[str], str]]:
        """Training sets as (methods, value): methods that remove the same directions share their classifiers."""
        shared: dict[object, list[str]] = {}
        for name, removal in self.removals.items():
            shared.setdefault(removal.key, []).append(name)
        return [(names, value) for names in shared.values() for value in (ORIGINAL, *self.trajectories.values)]

    def missing(self) -> list[tuple[list[str], str]]:
        """The training sets of which a point is not known."""
        return [training for training in self.trainings if any(key not in self.found for key in self._keys(*training))]

    def compute(self, *, map: Map = serial, advance: Advance = ignore) -> None:
        """Add all missing points to ``found``; `map` is over classifiers, `advance` counts those that were trained."""
        t = self.trajectories
        train, test = t.indices("train"), t.indices("test")
        if self.rows is not None:
            train = train[np.argsort(self.rows[train], kind="stable")]
        chosen, positive = classify.training_set(t.instrument[train], self.instrument)
        chosen, truth = train[chosen], t.instrument[test] == self.instrument
        wanted = self.missing()
        trainings = (
            robustness.Training(self._vectors(value)[chosen], positive, self.removals[names[0]])
            for names, value in wanted
        )
        for (names, value), classifier in zip(wanted, map(robustness.train, trainings), strict=True):
            for other in self._tests(value):
                area = _roc_auc(classifier, self._vectors(other)[test], truth)
                note = classifier.problem or classifier.note
                self.found.update(((name, value, other), (area, note)) for name in names)
            advance(1)

    def _keys(self, names: Sequence[str], value: str) -> Iterable[Key]:
        return ((name, value, other) for name in names for other in self._tests(value))

    def _tests(self, value: str) -> tuple[str, ...]:
        """What a classifier trained at a value is tested on."""
        return (ORIGINAL, *self.trajectories.values) if value == ORIGINAL else (ORIGINAL,)

    def _vectors(self, value: str) -> NDArray[np.floating]:
        """Vectors of all clips at a value [shape=(clips, dim)]."""
        t = self.trajectories
        return np.asarray(t.originals if value == ORIGINAL else t.vectors[:, t.values.index(value)])


def _roc_auc(classifier: Classifier, vectors: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """To six digits as the files hold it, so that what was read back and what was computed give the same means."""
    if classifier.problem:
        return float("nan")
    return float(f"{classify.evaluate(classifier.decide(vectors)[None], truth)['roc_auc'][0]:.6g}")


# ------------------------------------------------------------------------------------------------------------- numbers


def headline(rows: Sequence[Row]) -> dict[str, dict[str, CurveNumbers]]:
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
    numbers: dict[str, dict[str, CurveNumbers]] = {}
    for method in (m.name for m in METHODS.values()):
        numbers[method] = {}
        for direction in (FORWARD, BACKWARD):
            pairs = {key[2]: pair for key, pair in both.items() if key[:2] == (method, direction)}
            gains = [
                np.subtract(pair, both["none", direction, param])
                for param, pair in pairs.items()
                if ("none", direction, param) in both
            ]
            published, ours = np.mean(list(pairs.values()) or [(np.nan, np.nan)], axis=0)
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


def notes(rows: Sequence[Row]) -> list[Note]:
    """What the rows of one panel say about points of the grid: [{note, methods, points}]."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if has_reason(row):
            found.setdefault(row["note"], []).append(row["method"])
    return [
        {"note": note, "methods": list(dict.fromkeys(methods)), "points": len(methods)}
        for note, methods in found.items()
    ]  # fmt: skip


def deviations(
    trajectories: Trajectories,
    panel: Panel,
    *,
    corpus: str,
    official_weights: bool,
    ordered: bool,
    corrected: Sequence[str],
) -> list[str]:
    """What differs from the study, one sentence each.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    panel : Panel
    corpus : str, its name
    official_weights : bool, whether the encoder's weights are the official ones
    ordered : bool, whether the clips' rows in the table that gave the split are known
    corrected : options that correct what the study published
    """
    t, found = trajectories, []
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
    if not official_weights:
        found.append(f"The weights of {panel.encoder} are not the official ones.")
    if t.dim != panel.dim:
        found.append(f"The vectors of {panel.encoder} have {t.dim} dimensions; in the study {panel.dim}.")
    if corrected:
        found.append(f"Corrected, not as published: {', '.join(corrected)} (fidelity: paper sets them).")
    return found
