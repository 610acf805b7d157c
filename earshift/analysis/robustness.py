"""What the movement costs a classifier, and whether removing it helps.

``python -m stages.robustness ENCODER PERTURBATION``

Conventions
-----------
One instrument against the rest (:mod:`earshift.analysis.classify`), for every instrument with training clips. Before that
a method takes out of all vectors what it thinks the perturbation adds (:mod:`earshift.analysis.desensitise`), estimated
from the training clips of the instrument alone. Test clips come from other recordings. Where clips have tags and no
labels an instrument is a tag, the rest is every clip without it, and a clip may be positive for several classifiers;
a mean over instruments is then one over tags.

Conditions, as in the study (Deng et al., ICASSP 2025, desensitize_classif.py): clips are ``original``, at one value,
or each at a value of its own that is drawn at random (``random``; here with a seed). Trained and tested are

- *forward*: on originals, on each condition; one classifier serves all tests, where the study trains it anew for each,
- *backward*: on each condition, on originals,
- *matched*: on each condition, on the same.

*augmentation* removes nothing: it is trained on originals and all values together (``all``), the versions of a clip in
one fold and together as heavy as one clip. What it gains forward is what a linear classifier can gain from knowing the
perturbation, a ceiling for the methods; *matched* is the one for a perturbation of known strength.

A *drop* is the ROC AUC of the untouched classifier on untouched clips (none, original, original) less that of a method
under a condition: what the perturbation costs, what removing costs included. The *area* is that between the curves of
a method and of none over strength from 0 to 1, positive where the method helps. Numbers are means over the instruments
that have them all. Intervals resample test recordings, directions and classifiers fixed
(:func:`earshift.analysis.statistics.bootstrap_interval`); p is of the area, from the same resamples, centred, two-sided,
and p_holm is corrected for the number of methods (Holm).

Writes metrics/robustness/ENCODER/PERTURBATION.json and, under plots/robustness/ENCODER/PERTURBATION/, scores.parquet
(every classifier under every test), curves.csv (ROC AUC along the grid) and draws.parquet (resampled ROC AUC of none,
forward: what encoders are compared with). A killed run goes on at the last whole instrument.
"""

import json
import shutil
import sys
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass, replace

import numpy as np

from earshift.analysis import classify, data, desensitise, drops
from earshift.analysis.classify import SCORES, Classifier
from earshift.analysis.data import ORIGINAL
from earshift.analysis.desensitise import AUGMENTATION, Material
from earshift.analysis.ranking import resampled_roc_auc
from earshift.analysis.statistics import group_bootstrap
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.progress import Progress
from earshift.storage import provenance
from earshift.storage.files import replacing, write_json, write_parquet, write_table
from earshift.storage.hdf5 import read_fingerprint

RANDOM, ALL = "random", "all"  # conditions beside the original and the values
_WITH_THRESHOLD = "samplewise_cca_svd"
_COLUMNS = (*SCORES, "penalty")


@dataclass(frozen=True)
class Method:
    """One thing to remove: its name in the results, what it is among :data:`desensitise.METHODS`, and its threshold."""

    name: str
    kind: str
    threshold: float | None = None


def methods(options):
    """The methods that the parameters select; ``none`` is always there, since all are compared with it.

    Parameters
    ----------
    options : earshift.pipeline.config.Robustness

    Returns
    -------
    list of Method, in the order of :data:`desensitise.METHODS`
    """
    threshold, found = options.svd_threshold, []
    for kind in desensitise.METHODS:
        if kind != "none" and kind not in options.methods:
            continue
        if kind == _WITH_THRESHOLD and isinstance(threshold, tuple):
            found += [Method(f"{kind}_{each:g}", kind, each) for each in threshold]
        else:
            found.append(Method(kind, kind, threshold if kind == _WITH_THRESHOLD else None))
    return found


@dataclass(frozen=True)
class Conditions:
    """Trajectories under the conditions that classifiers are trained and tested on.

    trajectories : earshift.analysis.data.Trajectories
    mixed : int [shape=(clips,)], place of the value that each clip has under ``random``
    positives : int or None, how many a training set has at most, where instruments are tags
    """

    trajectories: data.Trajectories
    mixed: np.ndarray
    positives: int | None = None

    @property
    def names(self):
        """All conditions but ``all``."""
        return (ORIGINAL, *self.trajectories.values, RANDOM)

    def place(self, condition, clips):
        """Of the clips' values along the trajectories: one for all, one for each, or None."""
        if condition in (ORIGINAL, ALL):
            return None
        return self.mixed[clips] if condition == RANDOM else self.trajectories.values.index(condition)

    def vectors(self, condition, clips):
        """float32 [shape=(clips, dim)], or for ``all`` [shape=(clips, 1 + values, dim)]."""
        t = self.trajectories
        if condition == ALL:
            return np.concatenate([t.originals[clips, None], t.vectors[clips]], axis=1)
        return t.originals[clips] if condition == ORIGINAL else t.vectors[clips, self.place(condition, clips)]

    def training_set(self, instrument):
        """Positions of the clips that an instrument's classifiers are trained on, and which of them are positive."""
        t, train = self.trajectories, self.trajectories.indices("train")
        if t.tagged is None:
            chosen, positive = classify.training_set(t.instrument[train], instrument)
        else:
            chosen, positive = classify.training_set_of_tag(t.members(instrument)[train], self.positives)
        return train[chosen], positive

    def trained(self, method):
        """Conditions that a method is trained on."""
        return (ALL,) if method.kind == AUGMENTATION else self.names

    def tests(self, method):
        """Conditions (trained, tested) of a method, in the order of the table."""
        steps = self.names[1:]
        if method.kind == AUGMENTATION:
            return [(ALL, step) for step in self.names]
        forward, backward = [(ORIGINAL, step) for step in steps], [(step, ORIGINAL) for step in steps]
        return [(ORIGINAL, ORIGINAL), *forward, *backward, *((step, step) for step in steps)]

    def lines(self, method):
        """For every direction, the tests at the original and along the grid."""
        values = self.trajectories.values
        if method.kind == AUGMENTATION:
            return {"forward": [(ALL, step) for step in (ORIGINAL, *values)]}
        start = (ORIGINAL, ORIGINAL)
        return {
            "forward": [start, *((ORIGINAL, value) for value in values)],
            "backward": [start, *((value, ORIGINAL) for value in values)],
            "matched": [start, *((value, value) for value in values)],
        }


def conditions(trajectories, seed, positives=None):
    """:class:`Conditions` with values mixed by a seed."""
    rng = np.random.default_rng((seed, 0))
    return Conditions(trajectories, rng.integers(len(trajectories.values), size=len(trajectories.clip)), positives)


# ----------------------------------------------------------------------------------------------------- one instrument


@dataclass(frozen=True)
class Outcome:
    """What one method gave for one instrument.

    scores : float64 [shape=(tests, 8)], classify.SCORES and the penalty; NaN where there is none
    notes : list of str, by test: why there is no score, or what to know about it
    draws : float32 [shape=(tests, resamples)], resampled ROC AUC; no resamples with a single test recording
    removed : int, directions taken out
    """

    scores: np.ndarray
    notes: list
    draws: np.ndarray
    removed: int


def trained(vectors, positive, removal, place):
    """A classifier trained after a removal.

    Parameters
    ----------
    vectors : float [shape=(clips, dim)], or [shape=(clips, versions, dim)] where nothing is removed
    positive : bool [shape=(clips,)]
    removal : earshift.analysis.desensitise.Removal
    place : int, int [shape=(clips,)] or None, of the vectors' value along the trajectories; None for originals

    Returns
    -------
    earshift.analysis.classify.Classifier
        Of vectors that nothing was removed from, but for ``removal.shift`` of their value.
    """
    if removal.problem:
        return Classifier(problem=removal.problem)
    found = classify.fit(removal.applied(vectors, place), positive, scale=np.abs(vectors).max())
    if found.problem:
        return found
    weights, intercept = removal.absorbed(found.weights, found.intercept)
    return replace(found, weights=weights, intercept=intercept)


def outcomes(c, instrument, wanted, reference, counts, compute, progress):
    """The :class:`Outcome` of every method for one instrument, by the method's name.

    Parameters
    ----------
    c : Conditions
    instrument : str
    wanted : list of Method
    reference : float64 or None, see :class:`earshift.analysis.desensitise.Material`
    counts : float32 [shape=(resamples, test clips)], how often each occurs
    compute : earshift.pipeline.config.Compute
    progress : earshift.pipeline.compute.Progress, over classifiers
    """
    t, test = c.trajectories, c.trajectories.indices("test")
    chosen, positive = c.training_set(instrument)
    own = chosen[positive]
    materials = ((m.kind, Material(t.originals[own], t.vectors[own], reference, m.threshold)) for m in wanted)
    removals = list(ordered_map(desensitise.removal, materials, compute, threads=True))
    classifiers = _classifiers(c, chosen, positive, wanted, removals, compute, progress)
    decisions = _decisions(c, test, wanted, removals, classifiers)
    truth = t.members(instrument)[test]
    found = {}
    for method, removal in zip(wanted, removals, strict=True):
        own = {condition: classifiers[method.name, condition] for condition in c.trained(method)}
        found[method.name] = _outcome(c.tests(method), own, decisions[method.name], truth, counts, removal)
    return found


def _classifiers(c, clips, positive, wanted, removals, compute, progress):
    """Classifiers by (method, condition); methods that remove the same have the same ones."""
    tasks, shared = {}, {}
    for method, removal in zip(wanted, removals, strict=True):
        for condition in c.trained(method):
            key = shared.setdefault((removal.key, condition), (method.name, condition))
            tasks[method.name, condition] = key, removal
    distinct = [(key, removal) for name, (key, removal) in tasks.items() if name == key]
    arguments = ((c.vectors(key[1], clips), positive, removal, c.place(key[1], clips)) for key, removal in distinct)
    serves = Counter(key for key, _ in tasks.values())
    found = {}
    for (key, _), classifier in zip(distinct, ordered_map(trained, arguments, compute, threads=True), strict=True):
        found[key] = classifier
        progress.advance(serves[key])
    return {name: found[key] for name, (key, _) in tasks.items()}


def _decisions(c, test, wanted, removals, classifiers):
    """Decisions on the test clips by method and (trained, tested), where there is a classifier."""
    found = {method.name: {} for method in wanted}
    for tested in c.names:
        asked = [
            (method.name, removal, trained_on, classifiers[method.name, trained_on])
            for method, removal in zip(wanted, removals, strict=True)
            for trained_on, other in c.tests(method)
            if other == tested and not classifiers[method.name, trained_on].problem
        ]
        if not asked:
            continue
        weights = np.array([classifier.weights for *_, classifier in asked])
        decisions = c.vectors(tested, test).astype(np.float64) @ weights.T
        for (name, removal, trained_on, classifier), column in zip(asked, decisions.T, strict=True):
            shift = removal.shift(c.place(tested, test))
            moved = 0.0 if shift is None else shift @ classifier.weights
            found[name][trained_on, tested] = column + classifier.intercept - moved
    return found


def _outcome(tests, classifiers, decisions, truth, counts, removal):
    from scipy.special import expit

    scores = np.full((len(tests), len(_COLUMNS)), np.nan)
    draws = np.full((len(tests), len(counts)), np.nan, dtype=np.float32)
    scores[:, SCORES.index("support")] = truth.sum()
    present = [place for place, test in enumerate(tests) if test in decisions]
    if present:
        known = np.array([decisions[tests[place]] for place in present])
        scores[present, : len(SCORES)] = np.column_stack(list(classify.evaluations(known, truth).values()))
        scores[present, -1] = [classifiers[tests[place][0]].penalty for place in present]
        draws[present] = resampled_roc_auc(expit(known), truth, counts)
    lacking = next((kind for kind, some in (("positive", truth), ("negative", ~truth)) if not some.any()), None)
    notes = [
        classifiers[trained_on].problem or (f"no {lacking} test clips" if lacking else classifiers[trained_on].note)
        for trained_on, _ in tests
    ]
    return Outcome(scores, notes, draws, len(removal.directions))


# ---------------------------------------------------------------------------------------------------- all instruments


def analyse(trajectories, options, compute, kept=None):
    """All numbers and tables of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    options : earshift.pipeline.config.Robustness
    compute : earshift.pipeline.config.Compute
    kept : Kept, optional
        Where finished instruments are found and left.

    Returns
    -------
    dict
        Content of metrics/robustness/ENCODER/PERTURBATION.json.
    dict of str to pandas.DataFrame
        scores (instrument, method, train, test, the study's scores, penalty, note), curves (instrument, method,
        direction, value, strength, roc_auc, low, high) and draws (draw, value, roc_auc).
    """
    c, wanted = conditions(trajectories, options.seed, options.positives), methods(options)
    counts = _counts(trajectories, options)
    train, needed = trajectories.indices("train"), any(method.kind == "pca_normalised" for method in wanted)
    reference = desensitise.reference_variances(trajectories.originals[train]) if needed else None
    names = trajectories.instruments
    if trajectories.tagged is None:
        names = classify.study_order(trajectories.instrument[train])
    each = sum(len(c.trained(method)) for method in wanted)
    found = {name: kept.read(name) for name in names} if kept else dict.fromkeys(names)
    reused = sum(outcome is not None for outcome in found.values())
    label = f"robustness {trajectories.encoder}-{trajectories.perturbation}"
    with Progress(label, each * len(names), each * reused, unit="classifiers") as progress:
        for name in names:
            if found[name] is None:
                found[name] = outcomes(c, name, wanted, reference, counts, compute, progress)
                if kept:
                    kept.write(name, found[name])
    lines = {method.name: c.lines(method) for method in wanted}
    tests = {method.name: c.tests(method) for method in wanted}
    result, curves, draws = drops.summarised(trajectories, found, tests, lines, options.confidence)
    return result, {"scores": _score_table(found, tests), "curves": curves, "draws": draws}


def _counts(t, options):
    """How often each test clip occurs in each resample of recordings [shape=(resamples, clips)]."""
    test = t.indices("test")
    rng = np.random.default_rng((options.seed, 1))
    counts = group_bootstrap(rng, t.group[test], options.bootstrap, lambda counts: counts.astype(np.float32))
    return np.empty((0, len(test)), dtype=np.float32) if counts is None else counts


def _score_table(found, tests):
    import pandas as pd

    rows = [
        (instrument, method, *test, *scores, note)
        for instrument, of_instrument in found.items()
        for method, outcome in of_instrument.items()
        for test, scores, note in zip(tests[method], outcome.scores.tolist(), outcome.notes, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["instrument", "method", "train", "test", *_COLUMNS, "note"])
    return table.astype({"support": "int64"})


class Kept:
    """Outcomes of finished instruments, so that a killed run need not repeat them.

    Parameters
    ----------
    folder : pathlib.Path
    fingerprint : str
        Of all that determines the outcomes; what was left under another one does not count.
    """

    def __init__(self, folder, fingerprint):
        self._folder, self._fingerprint = folder, fingerprint

    def _path(self, instrument):
        return self._folder / f"{provenance.fingerprint(instrument=instrument)[:16]}.npz"

    def read(self, instrument):
        """Outcomes by method, or None."""
        try:
            with np.load(self._path(instrument), allow_pickle=False) as file:
                said = json.loads(str(file["said"]))
                if said["fingerprint"] != self._fingerprint:
                    return None
                return {
                    method: Outcome(file[f"{i}.scores"], notes, file[f"{i}.draws"], removed)
                    for i, (method, notes, removed) in enumerate(said["methods"])
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # missing or broken: it is computed again

    def write(self, instrument, outcomes):
        """Leave the outcomes of an instrument."""
        said = [(method, outcome.notes, outcome.removed) for method, outcome in outcomes.items()]
        arrays = {"said": np.array(json.dumps({"fingerprint": self._fingerprint, "methods": said}))}
        for i, outcome in enumerate(outcomes.values()):
            arrays |= {f"{i}.scores": outcome.scores, f"{i}.draws": outcome.draws}
        with replacing(self._path(instrument)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def clear(self):
        """Remove everything."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _kept(encoder, perturbation, options):
    files = [paths.originals(encoder), *sorted(paths.embeddings(encoder, perturbation).glob("*.h5"))]
    fingerprint = provenance.fingerprint(
        files=[(path.name, read_fingerprint(path) or provenance.file_sha256(path)) for path in files],
        clips=provenance.file_sha256(paths.CLIPS),
        options=asdict(replace(options, confidence=0)),
        code=provenance.source_sha256(classify, data, desensitise, sys.modules[__name__]),
        versions=provenance.versions("numpy", "scipy", "scikit-learn", "numba"),
    )
    return Kept(paths.SCRATCH / "robustness" / f"{encoder}-{perturbation}", fingerprint)


@command
def main(arguments=None):
    """Write metrics and tables of one encoder under one perturbation."""
    encoder, perturbation = data.arguments("robustness", __doc__.partition("\n")[0], arguments)
    loaded = params.load()
    kept = _kept(encoder, perturbation, loaded.robustness)
    t = data.load(encoder, perturbation, classes=loaded.classes.tags)
    result, tables = analyse(t, loaded.robustness, loaded.compute, kept)
    folder = paths.plots("robustness", encoder, perturbation)
    write_parquet(folder / "scores.parquet", tables["scores"])
    write_table(folder / "curves.csv", tables["curves"])
    write_parquet(folder / "draws.parquet", tables["draws"])
    write_json(paths.metrics("robustness", encoder, perturbation), result)
    kept.clear()


if __name__ == "__main__":
    main()
