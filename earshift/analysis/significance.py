"""What encoder and perturbation do to the measures, tested over all pairs.

Conventions
-----------
The statistics of kim2019 (Kim et al. 2019, section 5): an additive model per measure (:mod:`earshift.analysis.gam`),
Wald tests of its factors and interactions, estimated marginal means. An observation is one number of a curves.csv: one
measure of one encoder under one perturbation at one value. Its *magnitude* is its strength, the rank of the value along
its grid from 0 to 1. Decibels, hertz and semitones have no axis in common; two-sided perturbations (gain, pitch, tempo)
run from one side through their neutral value to the other.

Models
- within_L, between_agreement_A_L, between_spearman_A_L: factors encoder, perturbation and their interaction; a smooth
  of magnitude for every encoder and perturbation. A is a distance in the audio, L one between vectors.
- within_A: factor perturbation; the distance knows no encoder. Its numbers are those of the first encoder of the run.
- performance: factors task, encoder, perturbation and their three interactions of two; a smooth for every combination.
  The response is standardised within its task (mean 0, standard deviation 1 over all encoders, perturbations and
  values) with the sign that makes more better. So tasks do not differ by construction, and have no main effect.

Encoders that differ in their option ``trial`` alone are one level of the factor encoder, named after the first of
them, and its replicates; where it is the trial of networks above the same vectors, in ``performance`` only. There an
encoder that is named after the task it was trained for goes by the rest of its name: vgg_autotagging and
vgg_instruments are the level vgg at two tasks, as in the study.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis import gam
from earshift.options import Confidence, Interval, Options

if TYPE_CHECKING:
    import pandas as pd

PERFORMANCE = "performance"

_MEASURES = {"within": "Within-space consistency", "between_agreement": "Between-space agreement",
             "between_spearman": "Between-space correlation"}  # fmt: skip
_RESPONSES = {
    "within": "share of clips nearest to their own original",
    "between_agreement": "share of clips about which both spaces agree",
    "between_spearman": "Spearman's correlation of distances",
}
_SPACES = {"dtw": "DTW", "simple": "SiMPle", "euclidean": "Euclidean", "cosine": "cosine"}
_MEANS = ("model", "factor", "level", "mean", "se", "low", "high")
_FITTED = ("model", "encoder", "task", "perturbation", "value", "observed", "fitted", "low", "high")
_ROUNDING = 1e-9  # a range smaller than this share of the largest number is none

NOTES = (
    "The observations are values of one corpus and one grid: all encoders process the same clips, and neighbouring "
    "values have nearly the same numbers. p is the probability that noise around smooth curves on this grid gives at "
    "least such an effect; it does not say what another corpus would show. Intervals of the measures themselves "
    "resample recordings.",
    "Without trials that noise is what the smooths miss.",
)


@dataclass(frozen=True)
class Significance(Options):
    """``basis``: the most functions of a smooth of magnitude, its constant among them."""

    basis: Annotated[int, Interval(ge=3, le=100)]
    confidence: Confidence


class Term(TypedDict):
    """Wald test of a factor or an interaction; None where there is no noise to test against."""

    f: float | None
    df: int
    residual_df: float
    p: float | None


class Mean(TypedDict):
    """Estimated marginal mean of one level of a factor, its standard error and its interval."""

    mean: float
    se: float | None
    low: float | None
    high: float | None


class ModelResult(TypedDict):
    """One model. ``terms``: by factors joined by ":"; ``means``: by factor and level.

    ``edf``: effective degrees of freedom; ``scale``: variance of the noise. None, and no terms, where nothing can be
    fitted; ``notes`` say why.
    """

    title: str
    response: str
    observations: int
    r2: float | None
    edf: float | None
    residual_df: float | None
    scale: float | None
    terms: dict[str, Term]
    means: dict[str, dict[str, Mean]]
    notes: list[str]


class SignificanceResult(TypedDict):
    """Content of metrics/significance.json; ``models``: by name, as in the conventions above."""

    confidence: float
    models: dict[str, ModelResult]
    notes: list[str]


class Observations(NamedTuple):
    """What one model is fitted to.

    title, response : str
    factors : names of the factors, which are columns of the table
    table : pandas.DataFrame, also with columns encoder, perturbation, value, magnitude and response
    """

    title: str
    response: str
    factors: tuple[str, ...]
    table: "pd.DataFrame"


# ---------------------------------------------------------------------------------------------------------- the factors


def levels(encoders: Mapping[str, Any]) -> dict[str, str]:
    """The level of the factor encoder that each encoder belongs to.

    Parameters
    ----------
    encoders : options of the selected encoders, dataclasses, by name in their order

    Returns
    -------
    dict of encoder to the first encoder that equals it but for the option ``trial``, its own or of its heads
    """
    known: dict[object, str] = {}
    return {name: known.setdefault(_without_trials(name, encoder), name) for name, encoder in encoders.items()}


def _without_trials(name: str, encoder: Any) -> object:
    """What encoders of one level have in common."""
    options = dataclasses.asdict(encoder)
    others = _without_trial(options)
    return name if others == options else (type(encoder), repr(others))


def _without_trial(options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    return {key: _without_trial(value) for key, value in options.items() if key != "trial"}


def of_vectors(encoders: Mapping[str, Any]) -> list[str]:
    """Encoders that enter consistency: of those that only train networks above the same vectors anew, the first.

    Parameters
    ----------
    encoders : as for :func:`levels`
    """
    return [name for name, level in levels(encoders).items() if name == level or hasattr(encoders[name], "trial")]


def family(level: str, task: str) -> str:
    """The level of the factor encoder in the model of performance: vgg for vgg_autotagging at autotagging."""
    return level.removesuffix(f"_{task}")


# ----------------------------------------------------------------------------------------------------------- the tables


def join_curves(tables: "Mapping[tuple[str, str], pd.DataFrame]", level: Mapping[str, str]) -> "pd.DataFrame":
    """The curves.csv of several pairs as one table, with columns encoder (a level) and perturbation.

    Parameters
    ----------
    tables : by encoder and perturbation
    level : see :func:`levels`
    """
    import pandas as pd

    return pd.concat(
        [table.assign(encoder=level[encoder], perturbation=p) for (encoder, p), table in tables.items()],
        ignore_index=True,
    )


def consistency_tables(curves: "pd.DataFrame") -> dict[str, Observations]:
    """The observations of every model of consistency, by the model's name.

    Parameters
    ----------
    curves : pandas.DataFrame
        plots/consistency/ENCODER/PERTURBATION/curves.csv of all pairs (measure, audio, latent, value, strength,
        number), as :func:`join_curves` returns them.
    """
    curves = curves.rename(columns={"strength": "magnitude", "number": "response"})
    models = {}
    for measure, title in _MEASURES.items():
        for (audio, latent), rows in curves[curves["measure"] == measure].groupby(["audio", "latent"], sort=False):
            parts = [str(part) for part in (audio, latent) if part]
            factors: tuple[str, ...] = ("encoder", "perturbation")
            if latent == "":
                factors, rows = ("perturbation",), rows.drop_duplicates(["perturbation", "value"])
            title_of_spaces = f"{title}, {' and '.join(_SPACES.get(part, part) for part in parts)}"
            models["_".join([measure, *parts])] = Observations(title_of_spaces, _RESPONSES[measure], factors, rows)
    # those of distances between vectors first, as in the study
    return dict(sorted(models.items(), key=lambda model: len(model[1].factors), reverse=True))


def performance_table(curves: "pd.DataFrame", better: Mapping[str, str]) -> "tuple[pd.DataFrame, list[str]]":
    """The observations of the model of performance, standardised within tasks.

    Parameters
    ----------
    curves : pandas.DataFrame
        plots/performance/ENCODER/PERTURBATION/curves.csv of all pairs (task, value, strength, number), as
        :func:`join_curves` returns them.
    better : dict of task to "higher" or "lower"

    Returns
    -------
    pandas.DataFrame (task, encoder, perturbation, value, magnitude, response)
    list of str
        What a reader must know.
    """
    table = curves.rename(columns={"strength": "magnitude", "number": "response"})
    table["encoder"] = [family(*pair) for pair in zip(table["encoder"], table["task"], strict=True)]
    notes = []
    for task, numbers in table.groupby("task", sort=False)["response"]:
        known = numbers.to_numpy(dtype=np.float64)
        known = known[np.isfinite(known)]
        if _constant(known):
            notes.append(f"The task {task} is left out: its numbers are all the same, or fewer than two.")
            table = table[table["task"] != task]
            continue
        sign = -1 if better[str(task)] == "lower" else 1
        table.loc[numbers.index, "response"] = sign * (numbers - known.mean()) / known.std(ddof=1)
    return table, notes


def _constant(numbers: NDArray[np.float64]) -> bool:
    return len(numbers) < 2 or bool(np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max())


# ----------------------------------------------------------------------------------------------------------- the models


def analyse(
    consistency: "pd.DataFrame",
    performance: "pd.DataFrame | None",
    better: Mapping[str, str],
    options: Significance,
) -> "tuple[SignificanceResult, pd.DataFrame, pd.DataFrame]":
    """All numbers and plot data.

    Parameters
    ----------
    consistency : pandas.DataFrame, see :func:`consistency_tables`
    performance : pandas.DataFrame or None, see :func:`performance_table`
    better : dict of task to "higher" or "lower"
    options : Significance

    Returns
    -------
    SignificanceResult
    pandas.DataFrame
        Estimated marginal means (model, factor, level, mean, se, low, high).
    pandas.DataFrame
        The fitted curves (model, encoder, task, perturbation, value, observed, fitted, low, high); trials at one value
        are one row, `observed` their mean.
    """
    import pandas as pd

    observations, notes = consistency_tables(consistency), {}
    if performance is not None and len(performance):
        table, notes[PERFORMANCE] = performance_table(performance, better)
        response = "performance, standardised within its task, more is better"
        factors = ("task", "encoder", "perturbation")
        observations[PERFORMANCE] = Observations("Performance", response, factors, table)
    models: dict[str, ModelResult] = {}
    means: list[tuple[object, ...]] = []
    fitted: list[tuple[object, ...]] = []
    for name, of in observations.items():
        models[name], curves = _model(of, notes.get(name, []), options)
        fitted += [(name, *row) for row in curves]
        means += [
            (name, factor, level, *numbers.values())
            for factor, by_level in models[name]["means"].items()
            for level, numbers in by_level.items()
        ]
    result: SignificanceResult = {"confidence": options.confidence, "models": models, "notes": list(NOTES)}
    return result, pd.DataFrame(means, columns=_MEANS), pd.DataFrame(fitted, columns=_FITTED)


def _model(
    observations: Observations, notes: list[str], options: Significance
) -> tuple[ModelResult, list[tuple[object, ...]]]:
    """One model: its numbers, and the rows of its fitted curves."""
    title, response, factors, table = observations
    kept = table[np.isfinite(table["response"]) & np.isfinite(table["magnitude"])]
    numbers = kept["response"].to_numpy(dtype=np.float64)
    if len(kept) < len(table):
        notes = [*notes, f"{len(table) - len(kept)} of {len(table)} observations have no number and are left out."]
    result: ModelResult = {"title": title, "response": response, "observations": len(kept), "r2": None, "edf": None,
                           "residual_df": None, "scale": None, "terms": {}, "means": {}, "notes": notes}  # fmt: skip
    if not len(kept) or _constant(numbers):
        known = f"All observations are {numbers[0]:.6g}: nothing to explain, no tests." if len(kept) else ""
        return {**result, "notes": [*notes, known or "No observation has a number."]}, []
    labels = {factor: kept[factor].to_numpy() for factor in factors}
    interactions = list(combinations(factors, 2))
    fit = gam.fit(numbers, kept["magnitude"].to_numpy(), labels, interactions, basis=options.basis)
    reach = fit.reach(options.confidence)
    result |= {"r2": fit.r2, "edf": fit.edf, "residual_df": fit.residual_df, "scale": fit.scale}
    result["notes"] = [*notes, *_notes(fit)]
    result["terms"] = {
        ":".join(term): {"f": f, "df": df, "residual_df": fit.residual_df, "p": p}
        for term, (f, df, p) in fit.anova().items()
    }
    result["means"] = {
        factor: {
            level: {"mean": mean, "se": se, "low": mean - reach * se, "high": mean + reach * se}
            for level, mean, se in zip(fit.levels[factor], *(of.tolist() for of in fit.means(factor)), strict=True)
        }
        for factor in factors
        if (factor,) in fit.terms or len(fit.levels[factor]) == 1
    }
    return result, _fitted(kept, factors, numbers, fit, reach)


def _notes(fit: gam.Fit) -> Iterator[str]:
    """What a reader must know about a fit, one sentence each."""
    for term, reason in fit.left_out:
        yield f"{':'.join(term)} is left out: {reason}."
    stiff = int((fit.smooth_edf == 0).sum())
    if stiff:
        yield f"{stiff} of {len(fit.smooth_edf)} curves have too few values for a smooth of magnitude."
    if fit.exact:
        yield "The model leaves nothing of its observations unexplained: no noise to test against, no intervals."
    elif not fit.testable:
        yield "The model has as many parameters as there are observations: no tests, no intervals."


def _fitted(
    kept: "pd.DataFrame", factors: tuple[str, ...], numbers: NDArray[np.float64], fit: gam.Fit, reach: float
) -> list[tuple[object, ...]]:
    errors = reach * np.sqrt(fit.variance * fit.scale)
    columns = [kept[name] if name in factors else [""] * len(kept) for name in ("encoder", "task", "perturbation")]
    rows: dict[tuple[object, ...], tuple[list[float], float, float, float]] = {}
    for *key, observed, value, error in zip(*columns, kept["value"], numbers, fit.fitted, errors, strict=True):
        rows.setdefault(tuple(key), ([], value, value - error, value + error))[0].append(observed)
    return [(*key, float(np.mean(observed)), *rest) for key, (observed, *rest) in rows.items()]
