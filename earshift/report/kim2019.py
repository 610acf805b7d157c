"""The third study's findings beside what came out here: ``python -m earshift.report.kim2019``.

Conventions
-----------
Kim et al. 2019, sections 5.1 to 5.4: :data:`MEANS` and :data:`MODELS` are its numbers. Every claim becomes checks, and
every check has a verdict: an order *agrees* or *disagrees* with the study only where intervals lie apart, and *cannot
be told* where they overlap or where something was not run. Corpus, clips, networks and grids differ from the study's
(:data:`CAVEAT`): a number beside a published one is no repetition of it.

Two kinds of intervals stand behind a mean: those of the model's marginal means (metrics/significance.json), whose
errors are what the smooth curves over the values leave, as in the study; and bootstraps over recordings
(metrics/consistency), which ask what other recordings would give. Of the latter the mean over perturbations has the
mean of their ends as its interval: all perturbations draw the same recordings, so that is the widest that it can be.
Where both are there both must lie apart.

*Near 1* is at least ``consistency.threshold``, with its interval. *Falls* compares the smallest value of a side with
the largest. *Flat* is all values, with their intervals, within :data:`FLAT`. Performance is standardised within a task
over all encoders and values, with the sign that makes more better, as in the study. Encoders that differ in nothing but
their trial are one, and have their mean.
"""

import argparse
import json
import textwrap
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from earshift import plugins as scan
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.report import results
from earshift.report.figures import consistency, performance
from earshift.report.page import text as wording
from earshift.storage.files import read_json

AGREES, DISAGREES, OPEN = "agrees", "disagrees", "cannot be told"
VERDICTS = (AGREES, DISAGREES, OPEN)
FLAT = 0.2  # of a share or a correlation
WIDTH = 112  # columns that the text may take

BASELINE = "mfcc"
NETWORKS = {"vgg_autotagging": "AT", "vgg_instruments": "IR", "vgg_separation": "VS", "vgg_autoencoder": "AE"}
TRANSFORMATIONS = ("pitch", "tempo", "pink_noise", "ambient_noise", "mp3")
TASKS = {"autoencoder": "AE", "autotagging": "AT", "instruments": "IR", "separation": "VS"}
CAVEAT = (
    "The study measured 1,000 excerpts of the Million Song Dataset with five transformations and networks of its own, "
    "five trainings each. Corpus, clips, networks and grids differ here, so orders are compared and not numbers; what "
    "other encoders do, the study does not say: they stand where it has its networks."
)

# Marginal means and their standard errors; None where it names no error
MEANS = {
    "within_euclidean": {
        "MFCC": (0.741, 0.014), "AT": (0.671, 0.007), "IR": (0.539, 0.008), "VS": (0.331, 0.007), "AE": (0.17, 0.006),
    },
    "between_agreement_simple_cosine": {"MFCC": (0.796, 0.015), "AT": (0.731, None), "AE": (0.273, None)},
    "between_spearman_dtw_euclidean": {
        "MFCC": (0.881, 0.004), "AE": (0.209, 0.005), "IR": (0.184, 0.003), "VS": (0.181, 0.002), "AT": (0.08, 0.003),
    },
    "performance": {"VGG": (0.84, 0.008), "MFCC": (-0.52, 0.009)},
}  # fmt: skip
# R2, and F with its degrees of freedom; the first term named is the larger one where the claim says so
MODELS = {
    "within_euclidean": (0.98, {"perturbation": (1087, 4, 1793), "encoder": (1066, 4, 1793)}),
    "within_cosine": (0.981, {"encoder": (1263, 4, 1794), "perturbation": (913, 4, 1794)}),
    "between_agreement_simple_cosine": (0.96, {"encoder": (440, 4, 1772), "perturbation": (285, 4, 1772)}),
    "between_spearman_dtw_euclidean": (0.96, {"encoder": (6549, 4, 1877)}),
    "performance": (0.98, {"encoder": (12898, 1, 3522), "task:perturbation": (466, 12, 3522),
                           "task:encoder": (210, 3, 3522)}),
}  # fmt: skip
_ORDERS = {  # of the networks; the study's text and its means have IR and VS the other way round in the last one
    "within_euclidean": (("AT", "IR"), ("IR", "VS"), ("VS", "AE")),
    "between_agreement_simple_cosine": (("AT", "IR"), ("IR", "VS"), ("VS", "AE")),
    "between_spearman_dtw_euclidean": (("AE", "IR"), ("AE", "VS"), ("IR", "AT"), ("VS", "AT")),
}
_ALPHA = 0.05
_TITLES = {
    "within_euclidean": "Vectors, Euclidean: nearest is own (5.2)",
    "within_cosine": "Vectors, cosine: nearest is own (5.2)",
    "between_agreement_simple_cosine": "Agreement of audio and vectors, SiMPle and cosine (5.3.1)",
    "between_spearman_dtw_euclidean": "Correlation of audio and vectors, DTW and Euclidean (5.3.2)",
    "performance": "Performance of the tasks (5.1)",
    "audio": "Audio: nearest is own (5.2)",
    "smallest": "The smallest transformations (5.4)",
}
_TERMS = {"perturbation": "transformation", "encoder": "encoder", "task:perturbation": "task x transformation",
          "task:encoder": "task x encoder"}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One claim of the study on one thing here.

    title : str, what it is about; checks of one title stand together
    claim : str, what the study found
    published, ours : str, numbers with errors or intervals, "" where there are none
    verdict : str, of :data:`VERDICTS`
    why : str, what else belongs to the verdict, or ""
    """

    title: str
    claim: str
    published: str
    ours: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Interval:
    """A number with its interval; NaN where it has none."""

    number: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def known(self):
        """Whether it has an interval."""
        return wording.known(self.low) and wording.known(self.high)

    def __str__(self):
        return wording.with_interval(self.number, self.low, self.high, _three)


def checks(content):
    """All checks, in the order of the study's sections.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    list of Check

    Raises
    ------
    UserError
        If results are missing.
    """
    here = Here(content)
    found = [*_performance(here), *_model(here, "performance")]
    for measure in ("within_euclidean", "within_cosine"):
        found += [*_orders(here, measure), *_model(here, measure)]
    found += _audio(here)
    for measure in ("between_agreement_simple_cosine", "between_spearman_dtw_euclidean"):
        found += [*_orders(here, measure), *_model(here, measure)]
    return [*found, *_flat_correlation(here), *_smallest(here)]


def counts(found):
    """How many checks have each verdict, as {verdict: int}."""
    return {verdict: sum(check.verdict == verdict for check in found) for verdict in VERDICTS}


def of_mfcc(found):
    """The checks of MFCC's within-space consistency against every other encoder."""
    return [c for c in found if c.title == _TITLES["within_euclidean"] and c.claim.startswith("MFCC above")]


def transformations(content):
    """Which of the study's transformations were run, in a sentence."""
    run = [p for p in results.run(content).perturbations if p in TRANSFORMATIONS]
    if not run:
        return "The study's transformations were not run: what is checked here is said of other ones."
    return f"Of the study's transformations {wording.listed(run)} {'was' if len(run) == 1 else 'were'} run."


class Here:
    """What was measured here, read when it is asked for.

    encoders, perturbations : tuple of str, as ``run`` selects them
    levels : dict {name: list of encoders}, encoders that differ only in their trial together
    """

    def __init__(self, content):
        run = results.run(content)
        self.encoders, self.perturbations = run.encoders, run.perturbations
        self.levels = levels(self.encoders, content)

    @cached_property
    def significance(self):
        """Content of metrics/significance.json."""
        return read_json(results.existing(paths.SIGNIFICANCE))["models"]

    @cached_property
    def consistency(self):
        """Metrics of consistency of every pair."""
        return {(e, p): results.metrics("consistency", e, p) for e in self.encoders for p in self.perturbations}

    @cached_property
    def threshold(self):
        return next(iter(self.consistency.values()))["threshold"]

    @cached_property
    def curves(self):
        """The measures of consistency along the grid of every pair."""
        return {pair: consistency.curves(*pair) for pair in self.consistency}

    @cached_property
    def performance(self):
        """All points of performance with level and perturbation, standardised so that more is better."""
        import pandas as pd

        parts = []
        for encoder, perturbation in self.consistency:
            tasks = performance.numbers(encoder, perturbation)["tasks"]
            table = performance.curves(encoder, perturbation).dropna(subset="number")
            if not len(table):  # an encoder without a task
                continue
            sign = [-1.0 if tasks[task]["better"] == "lower" else 1.0 for task in table["task"]]
            ends = table[["low", "high"]].mul(sign, axis=0)
            parts.append(table.assign(level=self._level[encoder], perturbation=perturbation,
                                      low=ends.min(axis=1, skipna=False), number=table["number"] * sign,
                                      high=ends.max(axis=1, skipna=False)))  # fmt: skip
        if not parts:
            return pd.DataFrame(columns=["task", "value", "strength", "number", "low", "high", "level", "perturbation"])
        table = pd.concat(parts, ignore_index=True)
        of_task = table.groupby("task")["number"]
        centre, spread = of_task.transform("mean"), of_task.transform("std").replace(0, 1).fillna(1)
        for name in ("low", "number", "high"):
            table[name] = (table[name] - centre) / spread
        return table

    @cached_property
    def _level(self):
        return {encoder: name for name, encoders in self.levels.items() for encoder in encoders}

    def modelled(self, measure, name):
        """Marginal mean of a level in the model of a measure, or None."""
        means = self.significance.get(measure, {}).get("means", {}).get("encoder", {})
        found = means.get(name)
        return None if found is None or found["mean"] is None else _interval(found, "mean", "low", "high")

    def resampled(self, measure, name):
        """Mean of a measure over perturbations and trials with its interval over recordings, or None."""
        overall = [self.consistency[e, p]["overall"] for e in self.levels[name] for p in self.perturbations]
        known = [_interval(of, measure, f"{measure}_low", f"{measure}_high") for of in overall
                 if wording.known(of.get(measure))]  # fmt: skip
        return _mean(known) if known else None


def levels(encoders, content):
    """Encoders that differ only in their trial together, as {name of the first: list of encoders}.

    As :func:`earshift.analysis.significance.levels`, without building an encoder.
    """
    known, found = scan.plugins("encoders"), {}
    for encoder in encoders:
        section = dict(content["encoders"].get(encoder) or {})
        if "trial" in section:
            cls = section.pop("class", None) or f"{known[encoder].__module__}:{known[encoder].__qualname__}"
            del section["trial"]
            alike = cls, json.dumps(section, sort_keys=True)
        else:
            alike = encoder
        found.setdefault(alike, []).append(encoder)
    return {group[0]: group for group in found.values()}


# ------------------------------------------------------------------------------------------------------------- verdicts


def above(first, second):
    """Whether one number is surely above another one."""
    if first.low > second.high:
        return AGREES
    return DISAGREES if first.high < second.low else OPEN


def joined(verdicts):
    """The verdict on a claim about several things: it agrees where all do, and disagrees where one does."""
    verdicts = set(verdicts)
    if DISAGREES in verdicts:
        return DISAGREES
    return AGREES if verdicts == {AGREES} else OPEN


def near(interval, threshold):
    """Whether a share is surely at least as high as the threshold."""
    if interval.low >= threshold:
        return AGREES
    return DISAGREES if interval.high < threshold else OPEN


def flat(intervals):
    """Whether numbers surely lie within :data:`FLAT`."""
    highest = max(intervals, key=lambda i: i.number)
    lowest = min(intervals, key=lambda i: i.number)
    if max(i.high for i in intervals) - min(i.low for i in intervals) <= FLAT:
        return AGREES
    return DISAGREES if highest.low - lowest.high > FLAT else OPEN


def _interval(numbers, name, low, high):
    ends = (numbers[key] if wording.known(numbers.get(key)) else float("nan") for key in (low, high))
    return Interval(numbers[name], *ends)


def _rows(table):
    return [Interval(*row) for row in zip(*(table[name].tolist() for name in ("number", "low", "high")), strict=True)]


def _mean(intervals):
    """The mean of numbers; its interval is the mean of their ends, the widest that it can be."""
    return Interval(*(float(np.mean([getattr(i, name) for i in intervals])) for name in ("number", "low", "high")))


def _three(number):
    return wording.fixed(number, 3)


# --------------------------------------------------------------------------------------------------- orders of encoders


def _orders(here, measure):
    """MFCC against every other encoder, and the study's networks against each other."""
    title, published = _TITLES[measure], MEANS.get(measure)
    if published is None:
        return
    others = [name for name in here.levels if name != BASELINE]
    if BASELINE not in here.levels or not others:
        why = "mfcc was not run" if BASELINE not in here.levels else "no other encoder was run"
        yield Check(title, "MFCC above the networks", _published(published, "MFCC", None), "", OPEN, why)
    else:
        for name in others:
            beside = _published(published, "MFCC", NETWORKS.get(name))
            yield _above(here, measure, title, f"MFCC above {_named(name)}", beside, BASELINE, name)
    known = {short: name for name, short in NETWORKS.items() if name in here.levels}
    for one, other in _ORDERS[measure]:
        claim = f"{one} above {other}"
        missing = [short for short in (one, other) if short not in known]
        if not missing:
            yield _above(here, measure, title, claim, _published(published, one, other), known[one], known[other])
    if len(known) < 2:
        order = ", ".join(dict.fromkeys(sum(_ORDERS[measure], ())))
        yield Check(title, f"order of the networks: {order}", "", "", OPEN,
                    "fewer than two of the study's networks were run")  # fmt: skip


def _above(here, measure, title, claim, published, one, other):
    """Whether one encoder lies above another one, in the model and over recordings."""
    kinds = []
    for label, of in (("model", here.modelled), ("recordings", here.resampled)):
        pair = of(measure, one), of(measure, other)
        if None not in pair:
            kinds.append((label, *pair))
    if not kinds:
        return Check(title, claim, published, "", OPEN, "the measure was not taken")
    ours = "; ".join(f"{label}: {first} and {second}" for label, first, second in kinds)
    sure = [kind for kind in kinds if kind[1].known and kind[2].known]
    verdicts = [above(first, second) for _, first, second in sure]
    if len(set(verdicts)) == 1:
        return _judged(title, claim, published, ours, verdicts[0])
    return Check(title, claim, published, ours, OPEN, _split(sure, verdicts) or "there are no intervals")


def _judged(title, claim, published, ours, verdict):
    """A check whose verdict rests on intervals alone."""
    return Check(title, claim, published, ours, verdict, "intervals overlap" if verdict == OPEN else "")


def _split(kinds, verdicts):
    """Why two kinds of intervals give no verdict together."""
    said = {AGREES: "lie apart", DISAGREES: "lie apart the other way round", OPEN: "overlap"}
    of = {"model": "of the model", "recordings": "over recordings"}
    parts = [f"{of[label]} {said[verdict]}" for (label, *_), verdict in zip(kinds, verdicts, strict=True)]
    return f"intervals {' and those '.join(parts)}" if parts else ""


def _named(name):
    return f"{NETWORKS[name]} ({name})" if name in NETWORKS else name


def _published(means, *names):
    """Published means of the given names; of an encoder that the study does not have, the networks' range."""
    shown = []
    for name in names:
        if name in means:
            number, error = means[name]
            shown.append(f"{name} {_three(number)}" + (f" \N{PLUS-MINUS SIGN} {error:.3f}" if error else ""))
        elif name is None:
            of = [number for key, (number, _) in means.items() if key != "MFCC"]
            shown.append(f"networks {_three(min(of))} to {_three(max(of))}")
        else:
            shown.append(f"{name} without a number")
    return " and ".join(shown)


# --------------------------------------------------------------------------------------------------------------- models


def _model(here, measure):
    """Whether the terms that the study found are there, and the larger one of two larger here too."""
    title, (published_r2, published) = _TITLES[measure], MODELS[measure]
    model = here.significance.get(measure)
    if model is None:
        claim = f"effects of {wording.listed(_TERMS[name] for name in published)}"
        yield Check(title, claim, f"R\N{SUPERSCRIPT TWO} {published_r2:g}", "", OPEN, "there is no such model here")
        return
    terms = {_canonical(name): of for name, of in (model.get("terms") or {}).items()}
    fit = f"R\N{SUPERSCRIPT TWO} {wording.fixed(model.get('r2'), 2)}"
    for name, (f, df, residual) in published.items():
        claim = f"effect of {_TERMS[name]}"
        beside = f"F({df}, {residual:,}) = {f:,}, R\N{SUPERSCRIPT TWO} {published_r2:g}"
        term = terms.get(_canonical(name))
        if term is None or not wording.known(term.get("p")):
            yield Check(title, claim, beside, "", OPEN, "the model here does not have this term")
            continue
        there = term["p"] < _ALPHA
        yield Check(title, claim, beside, f"{_f(term)}, {fit}", AGREES if there else OPEN,
                    "" if there else "no effect that these data show")  # fmt: skip
    if measure.startswith("between") or measure == "within_cosine":
        yield _larger(title, terms, published)


def _larger(title, terms, published):
    numbers = [terms.get(name) for name in ("encoder", "perturbation")]
    claim = "encoder explains more than transformation"
    beside = "F " + " and ".join(f"{of[0]:,}" for of in published.values())
    if len(published) < 2:
        beside += ", that of transformation two orders smaller"
    if not all(term and wording.known(term.get("f")) for term in numbers):
        return Check(title, claim, beside, "", OPEN, "the model here does not have both terms")
    encoder, perturbation = (term["f"] for term in numbers)
    ours = f"F {_large(encoder)} and {_large(perturbation)}"
    if all(term["p"] >= _ALPHA for term in numbers):
        return Check(title, claim, beside, ours, OPEN, "neither has an effect that these data show")
    return Check(title, claim, beside, ours, AGREES if encoder > perturbation else DISAGREES, "F has no interval")


def _canonical(term):
    """An interaction's name with its factors in one order."""
    return ":".join(sorted(term.split(":"))) if ":" in term else term


def _large(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _f(term):
    return f"F({term['df']:.3g}, {term['residual_df']:,.0f}) = {_large(term['f'])}, {wording.p_value(term['p'])}"


# ---------------------------------------------------------------------------------------------------------------- audio


def _audio(here):
    """Audio consistency: near 1 at the smallest values, falling with magnitude, but for tempo."""
    title, first = _TITLES["audio"], here.encoders[0]
    for perturbation in (p for p in here.perturbations if p in TRANSFORMATIONS):
        numbers, table = here.consistency[first, perturbation], here.curves[first, perturbation]
        small, far = {}, {}
        for name in numbers["audio"]:
            within = _by_value(consistency.of(table, "within", name))
            sides = [side["values"] for side in numbers["sides"].values()]
            small[name] = [within[values[0]] for values in sides if values[0] in within]
            whole = [values for values in sides if len(values) > 1 and {values[0], values[-1]} <= within.keys()]
            far[name] = [(within[values[0]], within[values[-1]], [within[v] for v in values if v in within])
                         for values in whole]  # fmt: skip
        yield _judged(title, f"near 1 at the smallest {perturbation}", "about 1", _sides(small),
                      joined(near(i, here.threshold) for of in small.values() for i in of))  # fmt: skip
        if perturbation == "tempo":
            chosen = {"dtw": far["dtw"]} if "dtw" in far else far
            verdict = joined(flat(along) for of in chosen.values() for *_, along in of)
            claim, beside = "flat along tempo, DTW above all", "flat"
        else:
            chosen, beside = far, "falls"
            verdict = joined(_falls(a, b, here.threshold) for of in chosen.values() for a, b, _ in of)
            claim = f"falling along {perturbation}"
        ends = "; ".join(f"{consistency.NAMES[name]} {', '.join(f'{a} to {b}' for a, b, _ in of)}"
                         for name, of in chosen.items() if of)  # fmt: skip
        if ends:
            yield _judged(title, claim, beside, ends, verdict)
        else:
            yield Check(title, claim, beside, "", OPEN, "no side has two values")
    missing = [p for p in TRANSFORMATIONS if p not in here.perturbations]
    if missing:
        beside = "all fall from about 1, but for tempo, which is flat"
        yield Check(title, f"the way of {wording.listed(missing)}", beside, "", OPEN, "not run")


def _falls(first, last, threshold):
    """Whether a share surely falls; it surely does not where it is near 1 at the end."""
    if above(first, last) == AGREES:
        return AGREES
    return DISAGREES if last.low >= threshold or above(last, first) == AGREES else OPEN


def _by_value(rows):
    known = rows.dropna(subset=["number"])
    return dict(zip(known["value"], _rows(known), strict=True))


def _sides(found):
    return "; ".join(f"{consistency.NAMES[name]} {', '.join(map(str, of))}" for name, of in found.items() if of)


# ---------------------------------------------------------------------------------------------- correlation, smallest


def _flat_correlation(here):
    """Whether the correlation of spaces stays as it is along the grids."""
    title = _TITLES["between_spearman_dtw_euclidean"]
    for name, encoders in here.levels.items():
        along = {
            (e, p): _rows(consistency.of(here.curves[e, p], "between_spearman", "dtw", "euclidean").dropna())
            for e in encoders
            for p in here.perturbations
        }
        along = {pair: of for pair, of in along.items() if of}
        ours = "; ".join(f"{p} {_three(min(i.number for i in of))} to {_three(max(i.number for i in of))}"
                         for (_, p), of in along.items())  # fmt: skip
        claim = f"flat in magnitude: {_named(name)}"
        if along:
            yield _judged(title, claim, "flat", ours, joined(map(flat, along.values())))
        else:
            yield Check(title, claim, "flat", "", OPEN, "the measure was not taken")


def _smallest(here):
    """Medians of within-space consistency at the smallest transformations."""
    for name, encoders in here.levels.items():
        short = "MFCC" if name == BASELINE else NETWORKS.get(name)
        if short is None:
            continue
        numbers = [
            _by_value(consistency.of(here.curves[e, p], "within", "", "euclidean")).get(side["smallest"])
            for e in encoders
            for p in here.perturbations
            for side in here.consistency[e, p]["sides"].values()
        ]
        numbers = [i for i in numbers if i is not None]
        low = short in ("VS", "AE")
        claim, beside = (f"{short} low", "low") if low else (f"{short} near 1", "median near 1")
        if not numbers:
            yield Check(_TITLES["smallest"], claim, beside, "", OPEN, "the measure was not taken")
            continue
        median = Interval(*(float(np.median([getattr(i, end) for i in numbers])) for end in ("number", "low", "high")))
        verdict = near(median, here.threshold)
        if low:
            verdict = {AGREES: DISAGREES, DISAGREES: AGREES, OPEN: OPEN}[verdict]
        yield _judged(_TITLES["smallest"], claim, beside, f"median {median}", verdict)
    missing = [short for name, short in {BASELINE: "MFCC", **NETWORKS}.items() if name not in here.levels]
    if missing:
        yield Check(_TITLES["smallest"], f"medians of {wording.listed(missing)}", "", "", OPEN, "not run")


# ---------------------------------------------------------------------------------------------------------- performance


def _performance(here):
    """Networks above MFCC, where the gap is largest and smallest, and what single transformations do."""
    title, table, gaps = _TITLES["performance"], here.performance, {}
    beside = _published(MEANS["performance"], "VGG", "MFCC")
    vgg, mfcc = (here.modelled("performance", name) for name in ("vgg", BASELINE))
    if vgg and mfcc:
        yield _judged(title, "VGG above MFCC over all tasks", beside, f"model: {vgg} and {mfcc}", above(vgg, mfcc))
    for task in performance.ordered(set(table["task"])):
        rows = table[table["task"] == task]
        means = {name: _mean(_rows(of)) for name, of in rows.groupby("level", sort=False)}
        if BASELINE in means:
            for name, mean in means.items():
                if name != BASELINE:
                    yield _judged(title, f"{name} above MFCC in {_task(task)}", beside,
                                  f"{mean} and {means[BASELINE]}", above(mean, means[BASELINE]))  # fmt: skip
                    gaps[task] = Interval(mean.number - means[BASELINE].number, mean.low - means[BASELINE].high,
                                          mean.high - means[BASELINE].low)  # fmt: skip
    if not gaps:
        why = "no task was trained both above MFCC and in a network"
        yield Check(title, "VGG above MFCC", beside, "", OPEN, why)
    yield _extreme(title, gaps, "autoencoder", "largest", "AE (in the study's code with errors in two units)")
    yield _extreme(title, gaps, "separation", "smallest", "VS")
    yield from _pitch(here, title, table)
    noisy = table[(table["task"] == "autoencoder") & (table["perturbation"] == "ambient_noise")]
    if noisy.empty:
        yield Check(title, "AE improves as ambient noise grows", "improves", "", OPEN,
                    "no auto-encoder was run under ambient_noise")  # fmt: skip
    for name, rows in noisy.groupby("level", sort=False):
        ends = (rows[rows["strength"] == strength] for strength in (rows["strength"].min(), rows["strength"].max()))
        weakest, strongest = (_mean(_rows(of)) for of in ends)
        yield _judged(title, f"AE improves as ambient noise grows: {name}", "improves", f"{weakest} to {strongest}",
                      above(strongest, weakest))  # fmt: skip


def _extreme(title, gaps, task, which, published):
    """Whether the gap of one task is the largest, or the smallest, of all."""
    claim = f"{which} gap to MFCC in {_task(task)}"
    if task not in gaps or len(gaps) < 2:
        return Check(title, claim, published, "", OPEN, "fewer than two tasks have both, or this one has not")
    sides = [(gaps[task], other) if which == "largest" else (other, gaps[task])
             for name, other in gaps.items() if name != task]  # fmt: skip
    verdict = joined(above(*side) for side in sides)
    ours = ", ".join(f"{_task(name)} {gap}" for name, gap in gaps.items())
    return _judged(title, claim, published, ours, verdict)


def _task(task):
    return TASKS.get(task, task)


def _pitch(here, title, table):
    """At the smallest values: whether pitch costs most."""
    claim = "pitch costs most at the smallest values"
    if "pitch" not in here.perturbations or len(here.perturbations) < 2 or table.empty:
        why = "no task was run" if table.empty else "pitch was not run, or nothing beside it"
        yield Check(title, claim, "pitch", "", OPEN, why)
        return
    first = here.encoders[0]
    for (name, task), rows in table.groupby(["level", "task"], sort=False):
        worst = {}
        for p in here.perturbations:
            values = [side["smallest"] for side in here.consistency[first, p]["sides"].values()]
            at = rows[(rows["perturbation"] == p) & rows["value"].isin(values)]
            points = [_mean(_rows(of)) for _, of in at.groupby("value")]
            if points:
                worst[p] = min(points, key=lambda i: i.number)
        if "pitch" not in worst or len(worst) < 2:
            continue
        verdict = joined(above(other, worst["pitch"]) for p, other in worst.items() if p != "pitch")
        ours = ", ".join(f"{p} {of}" for p, of in worst.items())
        yield _judged(title, f"{claim}: {_task(task)}, {name}", "pitch", ours, verdict)


# ------------------------------------------------------------------------------------------------------------- the text


def text(content):
    """All checks as text of at most :data:`WIDTH` columns.

    Parameters
    ----------
    content : dict, params.yaml
    """
    return worded(checks(content), f"{CAVEAT} {transformations(content)}")


def worded(found, before):
    """Checks as text, with the sentences `before` them."""
    lines = [*textwrap.wrap(before, WIDTH), ""]
    for title in dict.fromkeys(check.title for check in found):
        lines += [title, "-" * len(title)]
        for check in (c for c in found if c.title == title):
            said = check.verdict + (f" ({check.why})" if check.why else "")
            lines += _wrapped(f"{check.claim}: {said}", "  ")
            if check.published:
                lines += _wrapped(f"study: {check.published}", "      ")
            if check.ours:
                lines += _wrapped(f"here:  {check.ours}", "      ")
        lines.append("")
    return "\n".join([*lines, summed(found)])


def summed(found):
    """How many claims agree, in a sentence."""
    of = counts(found)
    return (f"Of {len(found)} checks {of[AGREES]} agree with the study, {of[DISAGREES]} do not, and {of[OPEN]} "
            "cannot be told.")  # fmt: skip


def _wrapped(line, indent):
    line = line.replace(wording.GLUE, " ")
    return textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False)


@command
def main(arguments=None):
    """Print the checks."""
    parser = argparse.ArgumentParser(prog="python -m earshift.report.kim2019", description=__doc__.partition("\n")[0])
    parser.parse_args(arguments)
    print(text(results.document()))


if __name__ == "__main__":
    main()
