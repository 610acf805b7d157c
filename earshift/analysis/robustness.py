"""What the movement costs a classifier, and whether removing it helps.

Conventions
-----------
One instrument against the rest (:mod:`earshift.analysis.classify`), for every instrument with training clips. Before
classification a method takes out of all vectors what it attributes to the perturbation
(:mod:`earshift.analysis.desensitise`), estimated from the training clips of the instrument alone. Test clips come from
other recordings. Where clips have tags and no labels an instrument is a tag, the rest is every clip without it, and a
clip may be positive for several classifiers; a mean over instruments is then a mean over tags.

Conditions, as in the study (Deng et al., ICASSP 2025, desensitize_classif.py): clips are ``original``, at one value,
or each at a value of its own that is drawn at random (``random``; here with a seed). Classifiers are trained and tested

- *forward*: on originals, on each condition; one classifier serves all tests, where the study trains it anew for each,
- *backward*: on each condition, on originals,
- *matched*: on each condition, on the same.

*augmentation* removes nothing: it is trained on originals and all values together (``all``), the versions of a clip in
one fold and together as heavy as one clip. Its gain in the forward direction is what a linear classifier can gain from
knowing the perturbation, an upper limit for the methods; *matched* is the limit for a perturbation of known strength.

A *drop* is the ROC AUC of the untouched classifier on untouched clips (none, original, original) less that of a method
under a condition: the cost of the perturbation, including the cost of the removal. The *area* is that between the
curves of a method and of none over strength from 0 to 1, positive where the method helps. Numbers are means over the
instruments that have them all. Intervals resample test recordings, with directions and classifiers fixed
(:func:`earshift.analysis.statistics.bootstrap_interval`); p is of the area, from the same resamples, centred,
two-sided, and p_holm is corrected for the number of methods (Holm).

:func:`analyse` computes one encoder under one perturbation; :class:`Experiment` has its parts, and
:mod:`earshift.analysis.drops` the summary over instruments and the model of the result.
"""

from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from earshift.analysis import classify, desensitise, drops
from earshift.analysis.classify import SCORES, Classifier
from earshift.analysis.data import ORIGINAL, Trajectories
from earshift.analysis.desensitise import AUGMENTATION, Method, Place, Removal, TrainingClips
from earshift.analysis.drops import ALL, RANDOM, Outcome, RobustnessResult, Test
from earshift.analysis.statistics import group_bootstrap
from earshift.options import Confidence, Interval, Known, Names, Options, Seed, problem
from earshift.protocols import Advance, Map, ignore, serial

if TYPE_CHECKING:
    import pandas as pd

_WITH_THRESHOLD = "samplewise_cca_svd"
_COLUMNS = (*SCORES, "penalty")

Key = tuple[str, str]  # method, and the condition that its classifier is trained on


def _thresholds(value: object) -> float | tuple[float, ...]:
    several: list[Any] = value if isinstance(value, list) else [value]
    good = [isinstance(v, int | float) and not isinstance(v, bool) and 0 < v <= 1 for v in several]
    if not several or not all(good) or len(set(several)) < len(several):
        wanted = "a number above 0, up to 1, or a list of different ones"
        raise problem("is {value}; it must be {wanted}", value=repr(value), wanted=wanted)
    return tuple(float(v) for v in several) if isinstance(value, list) else float(several[0])


@dataclass(frozen=True)
class Robustness(Options):
    """``svd_threshold`` is one number, or a list of them: the method is then evaluated at each.

    ``positives``: the most clips of a tag that its classifier is trained on.
    """

    methods: Annotated[Names, Known(*desensitise.METHODS)]
    svd_threshold: Annotated[float | tuple[float, ...], BeforeValidator(_thresholds)]
    positives: Annotated[int, Interval(ge=3, le=1_000_000)]
    seed: Seed
    bootstrap: Annotated[int, Interval(ge=1, le=100_000)]
    confidence: Confidence


@dataclass(frozen=True)
class Experiment:
    """Classifiers of one encoder under one perturbation: conditions, training sets and tests.

    trajectories : earshift.analysis.data.Trajectories
    options : Robustness
    """

    trajectories: Trajectories
    options: Robustness

    @cached_property
    def methods(self) -> list[Method]:
        """The methods that the options select, in the order of :data:`desensitise.METHODS`.

        ``none`` is always among them, because all others are compared with it.
        """
        threshold = self.options.svd_threshold
        found = []
        for kind in desensitise.METHODS:
            if kind != "none" and kind not in self.options.methods:
                continue
            if kind != _WITH_THRESHOLD:
                found.append(Method(kind, kind))
            elif isinstance(threshold, tuple):
                found += [Method(f"{kind}_{each:g}", kind, each) for each in threshold]
            else:
                found.append(Method(kind, kind, threshold))
        return found

    @cached_property
    def instruments(self) -> list[str]:
        """The instruments that have training clips, in the study's order; tags by name."""
        t = self.trajectories
        return t.instruments if t.tagged is not None else classify.study_order(t.instrument[t.indices("train")])

    @cached_property
    def mixed(self) -> NDArray[np.int64]:
        """Place of the value that each clip has under ``random`` [shape=(clips,)]."""
        t = self.trajectories
        return np.random.default_rng((self.options.seed, 0)).integers(len(t.values), size=len(t.clip))

    @cached_property
    def counts(self) -> NDArray[np.float32]:
        """How often each test clip occurs in each resample of recordings [shape=(resamples, test clips)].

        No resamples with a single test recording.
        """
        groups = self.trajectories.group[self.trajectories.indices("test")]
        rng = np.random.default_rng((self.options.seed, 1))
        counts = group_bootstrap(rng, groups, self.options.bootstrap, lambda counts: counts.astype(np.float32))
        return np.empty((0, len(groups)), dtype=np.float32) if counts is None else counts

    @cached_property
    def reference(self) -> NDArray[np.float64] | None:
        """Variances of the components of all original training vectors, where a method needs them."""
        t = self.trajectories
        needed = any(method.kind == "pca_normalised" for method in self.methods)
        return desensitise.reference_variances(t.originals[t.indices("train")]) if needed else None

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions but ``all``."""
        return (ORIGINAL, *self.trajectories.values, RANDOM)

    def place(self, condition: str, clips: NDArray[np.intp]) -> Place:
        """Of the clips' values along the trajectories: one for all, one for each, or None."""
        if condition in (ORIGINAL, ALL):
            return None
        return self.mixed[clips] if condition == RANDOM else self.trajectories.values.index(condition)

    def vectors(self, condition: str, clips: NDArray[np.intp]) -> NDArray[np.float32]:
        """float32 [shape=(clips, dim)], or for ``all`` [shape=(clips, 1 + values, dim)]."""
        t, place = self.trajectories, self.place(condition, clips)
        if condition == ALL:
            return np.concatenate([t.originals[clips, None], t.vectors[clips]], axis=1)
        return np.asarray(t.originals[clips] if place is None else t.vectors[clips, place])

    def training_set(self, instrument: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Positions of the clips that an instrument's classifiers are trained on, and which of them are positive."""
        t, train = self.trajectories, self.trajectories.indices("train")
        if t.tagged is None:
            chosen, positive = classify.training_set(t.instrument[train], instrument)
        else:
            chosen, positive = classify.training_set_of_tag(t.members(instrument)[train], self.options.positives)
        return train[chosen], positive

    def training_conditions(self, method: Method) -> tuple[str, ...]:
        """Conditions that a method is trained on."""
        return (ALL,) if method.kind == AUGMENTATION else self.conditions

    def tests(self, method: Method) -> list[Test]:
        """Tests of a method, in the order of the table, the one at the original first."""
        start = self.training_conditions(method)[0]
        steps = self.conditions[1:]
        return [
            (start, ORIGINAL),
            *(drops.test_at(d, step, start) for d in drops.directions_of(start) for step in steps),
        ]

    @cached_property
    def classifiers_of_each(self) -> int:
        """How many classifiers one instrument has; methods that remove the same share them."""
        return sum(len(self.training_conditions(method)) for method in self.methods)


# ----------------------------------------------------------------------------------------------------- one instrument


class Training(NamedTuple):
    """What a classifier is trained on, and what is removed before.

    vectors : float [shape=(clips, dim)], or [shape=(clips, versions, dim)] where nothing is removed
    positive : bool [shape=(clips,)]
    removal : earshift.analysis.desensitise.Removal
    place : of the vectors' values along the trajectories; None for originals
    """

    vectors: NDArray[np.floating]
    positive: NDArray[np.bool_]
    removal: Removal
    place: Place = None


def train(training: Training) -> Classifier:
    """A classifier trained after a removal.

    Returns
    -------
    earshift.analysis.classify.Classifier
        Of vectors that nothing was removed from, but for ``removal.shift`` of their value.
    """
    vectors, positive, removal, place = training
    if removal.problem:
        return Classifier.missing(removal.problem)
    found = classify.fit(removal.apply(vectors, place), positive, scale=float(np.abs(vectors).max()))
    if found.problem:
        return found
    weights, intercept = removal.absorb(found.weights, found.intercept)
    return replace(found, weights=weights, intercept=intercept)


def outcomes(
    experiment: Experiment, instrument: str, *, map: Map = serial, advance: Advance = ignore
) -> dict[str, Outcome]:
    """The :class:`Outcome` of every method for one instrument, by the method's name.

    Parameters
    ----------
    experiment : Experiment
    instrument : str
    map : over methods, and over classifiers
    advance : called with the number of classifiers that were trained
    """
    t = experiment.trajectories
    chosen, positive = experiment.training_set(instrument)
    own = chosen[positive]
    clips = TrainingClips(t.originals[own], t.vectors[own], experiment.reference)
    removals = dict(
        zip(experiment.methods, map(partial(desensitise.estimate_removal, clips), experiment.methods), strict=True)
    )
    classifiers = _classifiers(experiment, chosen, positive, removals, map, advance)
    decisions = _decisions(experiment, removals, classifiers)
    truth = t.members(instrument)[t.indices("test")]
    return {
        method.name: _outcome(experiment, method, classifiers, decisions[method.name], truth, len(removal.directions))
        for method, removal in removals.items()
    }


def _classifiers(
    experiment: Experiment,
    clips: NDArray[np.intp],
    positive: NDArray[np.bool_],
    removals: dict[Method, Removal],
    map: Map,
    advance: Advance,
) -> dict[Key, Classifier]:
    """Classifiers by method and condition; methods that remove the same share theirs."""
    shared: dict[object, Key] = {}
    serving: dict[Key, Key] = {}  # whose classifier is whose
    distinct: dict[Key, Removal] = {}
    for method, removal in removals.items():
        for condition in experiment.training_conditions(method):
            key = method.name, condition
            serving[key] = shared.setdefault((removal.key, condition), key)
            if serving[key] == key:
                distinct[key] = removal
    trainings = (
        Training(experiment.vectors(condition, clips), positive, removal, experiment.place(condition, clips))
        for (_, condition), removal in distinct.items()
    )
    times, found = Counter(serving.values()), {}
    for key, classifier in zip(distinct, map(train, trainings), strict=True):
        found[key] = classifier
        advance(times[key])
    return {key: found[first] for key, first in serving.items()}


def _decisions(
    experiment: Experiment, removals: dict[Method, Removal], classifiers: dict[Key, Classifier]
) -> dict[str, dict[Test, NDArray[np.float64]]]:
    """Decisions on the test clips by method and test, where there is a classifier."""
    test = experiment.trajectories.indices("test")
    found: dict[str, dict[Test, NDArray[np.float64]]] = {method.name: {} for method in removals}
    for condition in experiment.conditions:
        wanted = [
            (method, of, classifiers[method.name, of[0]])
            for method in removals
            for of in experiment.tests(method)
            if of[1] == condition and not classifiers[method.name, of[0]].problem
        ]
        if not wanted:
            continue
        weights = np.array([classifier.weights for *_, classifier in wanted])
        decisions = experiment.vectors(condition, test).astype(np.float64) @ weights.T
        for (method, of, classifier), column in zip(wanted, decisions.T, strict=True):
            shift = removals[method].shift(experiment.place(condition, test))
            moved = 0.0 if shift is None else shift @ classifier.weights
            found[method.name][of] = column + classifier.intercept - moved
    return found


def _outcome(
    experiment: Experiment,
    method: Method,
    classifiers: dict[Key, Classifier],
    decisions: dict[Test, NDArray[np.float64]],
    truth: NDArray[np.bool_],
    removed: int,
) -> Outcome:
    from scipy.special import expit

    from earshift.analysis.ranking import resampled_roc_auc

    tests, counts = experiment.tests(method), experiment.counts
    used = [classifiers[method.name, trained_on] for trained_on, _ in tests]
    scores = np.full((len(tests), len(_COLUMNS)), np.nan)
    draws = np.full((len(tests), len(counts)), np.nan, dtype=np.float32)
    scores[:, SCORES.index("support")] = truth.sum()
    present = [place for place, test in enumerate(tests) if test in decisions]
    if present:
        known = np.array([decisions[tests[place]] for place in present])
        scores[present, : len(SCORES)] = np.column_stack(list(classify.evaluate(known, truth).values()))
        scores[present, -1] = [used[place].penalty for place in present]
        draws[present] = resampled_roc_auc(expit(known), truth, counts)
    absent = next((kind for kind, some in (("positive", truth), ("negative", ~truth)) if not some.any()), None)
    notes = [each.problem or (f"no {absent} test clips" if absent else each.note) for each in used]
    return Outcome(scores, notes, draws, removed)


# ---------------------------------------------------------------------------------------------------- all instruments


def analyse(
    trajectories: Trajectories,
    options: Robustness,
    *,
    map: Map = serial,
    advance: Advance = ignore,
    finished: MutableMapping[str, dict[str, Outcome]] | None = None,
) -> "tuple[RobustnessResult, dict[str, pd.DataFrame]]":
    """All numbers and tables of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    options : Robustness
    map : over the methods and the classifiers of an instrument
    advance : called with the number of classifiers that were trained
    finished : outcomes by instrument, optional
        Instruments that are in it are not computed again; the others are added as soon as they are computed.

    Returns
    -------
    RobustnessResult
    dict of str to pandas.DataFrame
        scores (instrument, method, train, test, the study's scores, penalty, note), curves (instrument, method,
        direction, value, strength, roc_auc, low, high) and draws (draw, value, roc_auc).
    """
    experiment, finished = Experiment(trajectories, options), {} if finished is None else finished
    for name in experiment.instruments:
        if name not in finished:
            finished[name] = outcomes(experiment, name, map=map, advance=advance)
    found = {name: finished[name] for name in experiment.instruments}
    tests = {method.name: experiment.tests(method) for method in experiment.methods}
    result, curves, draws = drops.summarise(trajectories, found, tests, options.confidence)
    return result, {"scores": _score_table(found, tests), "curves": curves, "draws": draws}


def _score_table(found: drops.Outcomes, tests: dict[str, list[Test]]) -> "pd.DataFrame":
    import pandas as pd

    rows = [
        (instrument, method, *test, *scores, note)
        for instrument, of_instrument in found.items()
        for method, outcome in of_instrument.items()
        for test, scores, note in zip(tests[method], outcome.scores.tolist(), outcome.notes, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["instrument", "method", "train", "test", *_COLUMNS, "note"])
    return table.astype({"support": "int64"})
