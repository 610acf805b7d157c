"""The findings of kim2019 beside the results here.

Conventions
-----------
Kim et al. 2019, sections 5.1 to 5.4: :data:`MEANS` and :data:`MODELS` are its numbers. Every claim becomes checks, and
every check has a verdict (:mod:`earshift.report.verdicts`). Corpus, clips, networks and grids differ from the study's
(:data:`CAVEAT`): a number beside a published one is no repetition of it. Where a mean has both kinds of intervals
(:mod:`earshift.report.measured`), both must lie apart.

*Near 1* is at least ``consistency.threshold``, with its interval. *Falls* compares the smallest value of a side with
the largest. *Flat* is all values, with their intervals, within :data:`FLAT`. Performance is standardised within a task
over all encoders and values, with the sign that makes more better, as in the study.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from earshift.analysis.significance import Term
from earshift.report import formats, verdicts
from earshift.report.figures.consistency import NAMES
from earshift.report.figures.performance import ordered
from earshift.report.measured import Measured, intervals
from earshift.report.results import Results, Study
from earshift.report.verdicts import AGREES, DISAGREES, OPEN, Check, Interval, above, combine, join, judge, near

if TYPE_CHECKING:
    import pandas as pd

FLAT = 0.2  # of a share or a correlation

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
MEANS: dict[str, dict[str, tuple[float, float | None]]] = {
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
_R2 = "R\N{SUPERSCRIPT TWO}"
_flat = partial(verdicts.flat, within=FLAT)
_mean = partial(combine, np.mean)


def checks(results: Results) -> list[Check]:
    """All checks, in the order of the study's sections.

    Raises
    ------
    UserError
        If results are missing.
    """
    here = Measured(results)
    found = [*_performance(here), *_model(here, "performance")]
    for measure in ("within_euclidean", "within_cosine"):
        found += [*_orders(here, measure), *_model(here, measure)]
    found += _audio(here)
    for measure in ("between_agreement_simple_cosine", "between_spearman_dtw_euclidean"):
        found += [*_orders(here, measure), *_model(here, measure)]
    return [*found, *_flat_correlation(here), *_smallest(here)]


def text(results: Results) -> str:
    """All checks as text of at most :data:`earshift.report.verdicts.WIDTH` columns."""
    return verdicts.text(checks(results), f"{CAVEAT} {transformations(results.study)}")


def of_mfcc(found: Sequence[Check]) -> list[Check]:
    """The checks of MFCC's within-space consistency against every other encoder."""
    return [c for c in found if c.title == _TITLES["within_euclidean"] and c.claim.startswith("MFCC above")]


def transformations(study: Study) -> str:
    """Which of the study's transformations were run, in a sentence."""
    run = [p for p in study.perturbations if p in TRANSFORMATIONS]
    if not run:
        return "The study's transformations were not run: what is checked here is said of other ones."
    return f"Of the study's transformations {formats.listed(run)} {'was' if len(run) == 1 else 'were'} run."


# --------------------------------------------------------------------------------------------------- orders of encoders


def _orders(here: Measured, measure: str) -> Iterator[Check]:
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
            yield _above(here, measure, f"MFCC above {_named(name)}", beside, BASELINE, name)
    known = {short: name for name, short in NETWORKS.items() if name in here.levels}
    for one, other in _ORDERS[measure]:
        if one in known and other in known:
            beside = _published(published, one, other)
            yield _above(here, measure, f"{one} above {other}", beside, known[one], known[other])
    if len(known) < 2:
        order = ", ".join(dict.fromkeys(name for pair in _ORDERS[measure] for name in pair))
        yield Check(title, f"order of the networks: {order}", "", "", OPEN,
                    "fewer than two of the study's networks were run")  # fmt: skip


def _above(here: Measured, measure: str, claim: str, published: str, one: str, other: str) -> Check:
    """Whether one encoder lies above another one, in the model and over recordings."""
    title, kinds = _TITLES[measure], []
    for label, of in (("model", here.modelled), ("recordings", here.resampled)):
        first, second = of(measure, one), of(measure, other)
        if first is not None and second is not None:
            kinds.append((label, first, second))
    if not kinds:
        return Check(title, claim, published, "", OPEN, "the measure was not taken")
    ours = "; ".join(f"{label}: {first} and {second}" for label, first, second in kinds)
    found = {label: above(first, second) for label, first, second in kinds if first.known and second.known}
    if len(set(found.values())) == 1:
        return judge(title, claim, published, ours, next(iter(found.values())))
    relation = {AGREES: "lie apart", DISAGREES: "lie apart the other way round", OPEN: "overlap"}
    of_kind = {"model": "of the model", "recordings": "over recordings"}
    parts = [f"{of_kind[label]} {relation[verdict]}" for label, verdict in found.items()]
    why = f"intervals {' and those '.join(parts)}" if parts else "there are no intervals"
    return Check(title, claim, published, ours, OPEN, why)


def _named(name: str) -> str:
    return f"{NETWORKS[name]} ({name})" if name in NETWORKS else name


def _published(means: Mapping[str, tuple[float, float | None]], *names: str | None) -> str:
    """Published means of the given names; of an encoder that the study does not have, the networks' range."""
    shown = []
    for name in names:
        if name is None:
            of = [number for key, (number, _) in means.items() if key != "MFCC"]
            shown.append(f"networks {formats.auc(min(of))} to {formats.auc(max(of))}")
        elif name in means:
            number, error = means[name]
            shown.append(f"{name} {formats.auc(number)}" + (f" \N{PLUS-MINUS SIGN} {error:.3f}" if error else ""))
        else:
            shown.append(f"{name} without a number")
    return " and ".join(shown)


# --------------------------------------------------------------------------------------------------------------- models


def _model(here: Measured, measure: str) -> Iterator[Check]:
    """Whether the terms that the study found are there, and the larger one of two larger here too."""
    title, (published_r2, published), model = _TITLES[measure], MODELS[measure], here.models.get(measure)
    if model is None:
        claim = f"effects of {formats.listed(_TERMS[name] for name in published)}"
        yield Check(title, claim, f"{_R2} {published_r2:g}", "", OPEN, "there is no such model here")
        return
    terms = {_canonical(name): of for name, of in model["terms"].items()}
    for name, (f, df, residual) in published.items():
        claim = f"effect of {_TERMS[name]}"
        beside = f"F({df}, {residual:,}) = {f:,}, {_R2} {published_r2:g}"
        term = terms.get(_canonical(name))
        if term is None or term["p"] is None:
            yield Check(title, claim, beside, "", OPEN, "the model here does not have this term")
            continue
        ours = f"{_f(term)}, {_R2} {formats.r2(model['r2'])}"
        there = term["p"] < _ALPHA
        yield Check(title, claim, beside, ours, AGREES if there else OPEN,
                    "" if there else "no effect that these data show")  # fmt: skip
    if measure.startswith("between") or measure == "within_cosine":
        yield _larger(title, terms, published)


def _larger(title: str, terms: Mapping[str, Term], published: Mapping[str, tuple[int, int, int]]) -> Check:
    encoder, perturbation = terms.get("encoder"), terms.get("perturbation")
    claim = "encoder explains more than transformation"
    beside = "F " + " and ".join(f"{of[0]:,}" for of in published.values())
    if len(published) < 2:
        beside += ", that of transformation two orders smaller"
    numbers = [(term["f"], term["p"]) for term in (encoder, perturbation) if term]
    known = [(f, p) for f, p in numbers if f is not None and p is not None]
    if len(known) < 2:
        return Check(title, claim, beside, "", OPEN, "the model here does not have both terms")
    (first, _), (second, _) = known
    ours = f"F {_large(first)} and {_large(second)}"
    if all(p >= _ALPHA for _, p in known):
        return Check(title, claim, beside, ours, OPEN, "neither has an effect that these data show")
    return Check(title, claim, beside, ours, AGREES if first > second else DISAGREES, "F has no interval")


def _canonical(term: str) -> str:
    """An interaction's name with its factors in one order."""
    return ":".join(sorted(term.split(":")))


def _large(number: float | None) -> str:
    if number is None:
        return formats.MISSING
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _f(term: Term) -> str:
    return f"F({term['df']:.3g}, {term['residual_df']:,.0f}) = {_large(term['f'])}, {formats.p_value(term['p'])}"


# ---------------------------------------------------------------------------------------------------------------- audio


def _audio(here: Measured) -> Iterator[Check]:
    """Audio consistency: near 1 at the smallest values, falling with magnitude, but for tempo."""
    title, first = _TITLES["audio"], here.encoders[0]
    for perturbation in (p for p in here.perturbations if p in TRANSFORMATIONS):
        numbers = here.consistency[first, perturbation]
        small: dict[str, list[Interval]] = {}
        far: dict[str, list[list[Interval]]] = {}
        for name in numbers["audio"]:
            within = here.along((first, perturbation), "within", name)
            sides = [side["values"] for side in numbers["sides"].values()]
            small[name] = [within[values[0]] for values in sides if values[0] in within]
            whole = [values for values in sides if len(values) > 1 and {values[0], values[-1]} <= within.keys()]
            far[name] = [[within[value] for value in values if value in within] for values in whole]
        ours = "; ".join(f"{NAMES[name]} {', '.join(map(str, of))}" for name, of in small.items() if of)
        verdict = join(near(i, here.threshold) for of in small.values() for i in of)
        yield judge(title, f"near 1 at the smallest {perturbation}", "about 1", ours, verdict)
        if perturbation == "tempo":
            chosen = {"dtw": far["dtw"]} if "dtw" in far else far
            verdict = join(_flat(along) for of in chosen.values() for along in of)
            claim, beside = "flat along tempo, DTW above all", "flat"
        else:
            chosen, beside, claim = far, "falls", f"falling along {perturbation}"
            verdict = join(verdicts.falls(along[0], along[-1], here.threshold) for of in far.values() for along in of)
        ends = "; ".join(f"{NAMES[name]} {', '.join(f'{along[0]} to {along[-1]}' for along in of)}"
                         for name, of in chosen.items() if of)  # fmt: skip
        if ends:
            yield judge(title, claim, beside, ends, verdict)
        else:
            yield Check(title, claim, beside, "", OPEN, "no side has two values")
    missing = [p for p in TRANSFORMATIONS if p not in here.perturbations]
    if missing:
        beside = "all fall from about 1, but for tempo, which is flat"
        yield Check(title, f"the way of {formats.listed(missing)}", beside, "", OPEN, "not run")


# ---------------------------------------------------------------------------------------------- correlation, smallest


def _flat_correlation(here: Measured) -> Iterator[Check]:
    """Whether the correlation of spaces stays as it is along the grids."""
    title = _TITLES["between_spearman_dtw_euclidean"]
    for name, encoders in here.levels.items():
        every = [(p, list(here.along((e, p), "between_spearman", "dtw", "euclidean").values()))
                 for e in encoders for p in here.perturbations]  # fmt: skip
        along = [(p, known) for p, of in every if (known := [i for i in of if i.known])]
        numbers = [(p, [i.number for i in of]) for p, of in along]
        ours = "; ".join(f"{p} {formats.auc(min(of))} to {formats.auc(max(of))}" for p, of in numbers)
        claim = f"flat in magnitude: {_named(name)}"
        if along:
            yield judge(title, claim, "flat", ours, join(_flat(of) for _, of in along))
        else:
            yield Check(title, claim, "flat", "", OPEN, "the measure was not taken")


def _smallest(here: Measured) -> Iterator[Check]:
    """Medians of within-space consistency at the smallest transformations."""
    shorts = {BASELINE: "MFCC", **NETWORKS}
    for name, encoders in here.levels.items():
        if name not in shorts:
            continue
        short, low = shorts[name], shorts[name] in ("VS", "AE")
        numbers = [
            within[side["smallest"]]
            for e in encoders
            for p in here.perturbations
            for within in [here.along((e, p), "within", "", "euclidean")]
            for side in here.consistency[e, p]["sides"].values()
            if side["smallest"] in within
        ]
        claim, beside = (f"{short} low", "low") if low else (f"{short} near 1", "median near 1")
        if not numbers:
            yield Check(_TITLES["smallest"], claim, beside, "", OPEN, "the measure was not taken")
            continue
        median = combine(np.median, numbers)
        verdict = near(median, here.threshold)
        if low:
            verdict = {AGREES: DISAGREES, DISAGREES: AGREES, OPEN: OPEN}[verdict]
        yield judge(_TITLES["smallest"], claim, beside, f"median {median}", verdict)
    missing = [short for name, short in shorts.items() if name not in here.levels]
    if missing:
        yield Check(_TITLES["smallest"], f"medians of {formats.listed(missing)}", "", "", OPEN, "not run")


# ---------------------------------------------------------------------------------------------------------- performance


def _performance(here: Measured) -> Iterator[Check]:
    """Networks above MFCC, where the gap is largest and smallest, and what single transformations do."""
    title, table, gaps = _TITLES["performance"], here.performance, {}
    beside = _published(MEANS["performance"], "VGG", "MFCC")
    vgg, mfcc = (here.modelled("performance", name) for name in ("vgg", BASELINE))
    if vgg and mfcc:
        yield judge(title, "VGG above MFCC over all tasks", beside, f"model: {vgg} and {mfcc}", above(vgg, mfcc))
    for task in ordered(set(table["task"])):
        rows = table[table["task"] == task]
        means = {str(name): _mean(intervals(of)) for name, of in rows.groupby("level", sort=False)}
        if BASELINE not in means:
            continue
        low = means.pop(BASELINE)
        for name, mean in means.items():
            ours = f"{mean} and {low}"
            yield judge(title, f"{name} above MFCC in {_task(task)}", beside, ours, above(mean, low))
            gaps[task] = Interval(mean.number - low.number, mean.low - low.high, mean.high - low.low)
    if not gaps:
        why = "no task was trained both above MFCC and in a network"
        yield Check(title, "VGG above MFCC", beside, "", OPEN, why)
    yield _extreme(title, gaps, "autoencoder", "largest", "AE (in the study's code with errors in two units)")
    yield _extreme(title, gaps, "separation", "smallest", "VS")
    yield from _pitch(here, title, table)
    noisy = table[(table["task"] == "autoencoder") & (table["perturbation"] == "ambient_noise")]
    claim = "AE improves as ambient noise grows"
    if noisy.empty:
        yield Check(title, claim, "improves", "", OPEN, "no auto-encoder was run under ambient_noise")
    for level, rows in noisy.groupby("level", sort=False):
        weakest, strongest = (
            _mean(intervals(rows[rows["strength"] == strength]))
            for strength in (rows["strength"].min(), rows["strength"].max())
        )
        yield judge(title, f"{claim}: {level}", "improves", f"{weakest} to {strongest}", above(strongest, weakest))


def _extreme(title: str, gaps: Mapping[str, Interval], task: str, which: str, published: str) -> Check:
    """Whether the gap of one task is the largest, or the smallest, of all."""
    claim = f"{which} gap to MFCC in {_task(task)}"
    if task not in gaps or len(gaps) < 2:
        return Check(title, claim, published, "", OPEN, "fewer than two tasks have both, or this one has not")
    sides = [(gaps[task], other) if which == "largest" else (other, gaps[task])
             for name, other in gaps.items() if name != task]  # fmt: skip
    ours = ", ".join(f"{_task(name)} {gap}" for name, gap in gaps.items())
    return judge(title, claim, published, ours, join(above(*side) for side in sides))


def _task(task: str) -> str:
    return TASKS.get(task, task)


def _pitch(here: Measured, title: str, table: "pd.DataFrame") -> Iterator[Check]:
    """At the smallest values: whether pitch costs most."""
    claim = "pitch costs most at the smallest values"
    if "pitch" not in here.perturbations or len(here.perturbations) < 2 or table.empty:
        why = "no task was run" if table.empty else "pitch was not run, or nothing beside it"
        yield Check(title, claim, "pitch", "", OPEN, why)
        return
    for (name, task), rows in table.groupby(["level", "task"], sort=False):
        worst = {}
        for p in here.perturbations:
            at = rows[(rows["perturbation"] == p) & rows["value"].isin(here.smallest(p))]
            points = [_mean(intervals(of)) for _, of in at.groupby("value")]
            if points:
                worst[p] = min(points, key=lambda i: i.number)
        if "pitch" not in worst or len(worst) < 2:
            continue
        verdict = join(above(other, worst["pitch"]) for p, other in worst.items() if p != "pitch")
        ours = ", ".join(f"{p} {of}" for p, of in worst.items())
        yield judge(title, f"{claim}: {_task(str(task))}, {name}", "pitch", ours, verdict)
