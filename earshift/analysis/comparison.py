"""Which encoder loses least under perturbations.

Conventions
-----------
*drop* is the ROC AUC of the original clips minus that of the clips at a value, classifiers trained on originals and
nothing removed, mean over instruments; above 0 is worse. *severity* says what a value did to the audio, in a measure
that all perturbations share (data/perturbed/PERTURBATION/severity.csv), 0 without change and growing:

- ``lsd_db``: log-spectral distance (dB)
- ``loudness_lu``: size of the difference in loudness (LU), louder and softer alike
- ``snr_db``: noise-to-signal amplitude ratio 10^(-SNR/20); 1 is a difference as strong as the signal. The SNR itself is
  infinite without change, so no drop could be related to it.

The *slope*, AUC per unit of severity, is that of the least-squares line through zero: no change, no drop. The
*residual* is the root mean square of what the line misses, in AUC. It has the unit of the drop, so that a reader sees
how well the line describes the drops, and it is defined for an encoder that loses nothing, where R2 is not. Severe
values weigh more, as s^2. All encoders process the same audio: within a perturbation the severity decides how much each
value weighs, and between perturbations it makes slopes comparable. An encoder whose classifiers separate little has
little to lose: at an AUC of 0.5 it is robust to everything, so compare a rank with the AUC of originals.

Intervals and ranks are computed from the bootstrap draws of robustness, the same recordings for every encoder and
perturbation. Slope draws are shifted so that their mean is the estimate, as in
:func:`earshift.analysis.statistics.bootstrap_interval`, and ranked draw by draw; the interval of a rank ends at ranks
that occurred. Rank 1 is the smallest slope, ties share their mean rank. ``overall`` is the mean rank over
perturbations, among the encoders that all perturbations rank.

*accuracy* compares the costs of perturbations with the ROC AUC of originals: the drop is its mean over a grid and then
over perturbations, whatever their severity. Differences of two encoders are taken draw by draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import TypedDict

from earshift.analysis.data import ORIGINAL
from earshift.analysis.drops import RobustnessResult
from earshift.analysis.statistics import bootstrap_interval, with_interval
from earshift.errors import UserError
from earshift.options import Confidence, Options

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Measure = Literal["lsd_db", "loudness_lu", "snr_db"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
OVERALL = "overall"

_SILENT, _UNCHANGED = -120.0, 120.0  # dB, where severity.csv cuts the SNR of silence and of an unchanged clip
_POINTS = ("perturbation", "encoder", "measure", "value", "severity", "drop", "low", "high")


@dataclass(frozen=True)
class Comparison(Options):
    """``severity``: the measure that the report shows first."""

    severity: Measure
    confidence: Confidence


class Ranked(TypedDict):
    """One encoder under one perturbation: its slope, and its rank among the encoders that have one.

    Under :data:`OVERALL` there are ranks only. ``problem`` says why there is no rank; "" where there is one.
    """

    slope: float | None
    slope_low: float | None
    slope_high: float | None
    residual: float | None
    rank: float | None
    rank_low: float | None
    rank_high: float | None
    first: float | None
    problem: str


class Accuracy(TypedDict):
    """ROC AUC of originals and mean drop of one encoder under one perturbation; ``problem`` says why there is none."""

    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None
    mean_drop: float | None
    mean_drop_low: float | None
    mean_drop_high: float | None
    problem: str


class Pair(TypedDict):
    """Two encoders."""

    first: str
    second: str


class Difference(Pair, Accuracy):
    """The numbers of the encoder ``first`` less those of ``second``, over all perturbations."""


class Accuracies(TypedDict):
    """``perturbations``: by perturbation (and :data:`OVERALL`) and encoder."""

    perturbations: dict[str, dict[str, Accuracy]]
    differences: list[Difference]


class ComparisonResult(TypedDict):
    """Content of metrics/comparison.json; ``measures``: by measure, perturbation (and :data:`OVERALL`) and encoder."""

    severity: Measure
    confidence: float
    measures: dict[Measure, dict[str, dict[str, Ranked]]]
    accuracy: Accuracies


@dataclass(frozen=True)
class Drops:
    """What one perturbation costs one encoder.

    values : tuple of str, in order of growing strength
    drops : float64 [shape=(values,)], AUC; NaN where there is none
    draws : float64 [shape=(resamples, values)], or None where nothing could be resampled
    problem : str, why there is no drop at all, or ""
    original : float, ROC AUC of the original clips
    original_draws : float64 [shape=(resamples,)], or None
    """

    values: tuple[str, ...]
    drops: Floats
    draws: Floats | None = None
    problem: str = ""
    original: float = float("nan")
    original_draws: Floats | None = None


Severities = dict[Measure, dict[str, float]]  # by measure and value
Pairs = Mapping[tuple[str, str], Drops]  # by encoder and perturbation, encoders in the order of the report


def drops_of(result: RobustnessResult, curves: "pd.DataFrame", draws: "pd.DataFrame") -> Drops:
    """The drops of one encoder under one perturbation, from the results of robustness.

    Parameters
    ----------
    result : RobustnessResult
    curves, draws : pandas.DataFrame, curves.csv and draws.parquet of the same pair
    """
    values = tuple(result["values"])
    original, untouched = result["original"]["roc_auc"], result["methods"].get("none")
    if untouched is None or original is None or untouched["forward"] is None:
        problem = untouched["problem"] or "no instrument has numbers" if untouched else ""
        return Drops(values, np.full(len(values), np.nan), problem=problem or "robustness.methods leaves out none")
    chosen = (curves["instrument"] == "all") & (curves["method"] == "none") & (curves["direction"] == "forward")
    auc = curves[chosen].set_index("value")["roc_auc"].reindex(values).to_numpy(dtype=np.float64)
    steps = draws.pivot(index="draw", columns="value", values="roc_auc").reindex(columns=[ORIGINAL, *values])
    if not len(steps):
        return Drops(values, original - auc, original=original)
    drawn = steps.to_numpy(dtype=np.float64)
    return Drops(values, original - auc, drawn[:, :1] - drawn[:, 1:], original=original, original_draws=drawn[:, 0])


def severities(table: "pd.DataFrame") -> Severities:
    """Severity of every value in every measure.

    Parameters
    ----------
    table : pandas.DataFrame, severity.csv with ``value`` as text

    Returns
    -------
    dict of measure to dict of value to float
        0 where a value changes nothing, NaN where the measure is not defined (loudness of silence or of short clips).
    """
    snr, lsd, loudness = (table[name].to_numpy(dtype=np.float64) for name in ("snr_db", "lsd_db", "loudness_lu"))
    found: dict[Measure, Floats] = {
        "lsd_db": lsd,
        "loudness_lu": np.abs(loudness),
        "snr_db": np.where(snr > _SILENT, 10 ** (-snr / 20), np.nan),
    }
    changed = ~((snr >= _UNCHANGED) | (lsd == 0))
    return {
        name: dict(zip(table["value"], np.where(changed, numbers, 0.0).tolist(), strict=True))
        for name, numbers in found.items()
    }


def slope(severity: ArrayLike, drops: ArrayLike) -> tuple[Floats, Floats]:
    """Slope of the least-squares line through zero, and the root mean square of what it misses.

    Parameters
    ----------
    severity : float [shape=(values,)], finite
    drops : float [shape=(..., values)]

    Returns
    -------
    (float64 [shape=(...)], float64 [shape=(...)])
        AUC per unit of severity, and AUC; NaN where every severity is 0.
    """
    severity, drops = (np.asarray(of, dtype=np.float64) for of in (severity, drops))
    energy = severity @ severity
    if not energy > 0:
        return np.full(drops.shape[:-1], np.nan), np.full(drops.shape[:-1], np.nan)
    fitted = np.asarray(drops @ severity / energy)
    return fitted, np.sqrt(np.mean((drops - fitted[..., None] * severity) ** 2, axis=-1))


def compare(
    drops: Pairs, severity: Mapping[str, Severities], options: Comparison
) -> "tuple[ComparisonResult, pd.DataFrame, pd.DataFrame]":
    """All numbers and tables.

    Parameters
    ----------
    drops : by encoder and perturbation
    severity : by perturbation, see :func:`severities`
    options : Comparison

    Returns
    -------
    ComparisonResult
    pandas.DataFrame
        Its measures as rows (measure, perturbation, encoder, slope, ..., problem).
    pandas.DataFrame
        What the slopes are fitted to (perturbation, encoder, measure, value, severity, drop, low, high).

    Raises
    ------
    UserError
        If a severity table does not have a value.
    """
    import pandas as pd

    measures: dict[Measure, dict[str, dict[str, Ranked]]] = {}
    for measure in MEASURES:
        lines = {pair: _line(of, severity[pair[1]][measure], pair, options) for pair, of in drops.items()}
        perturbations = {p: {e: line for (e, of), line in lines.items() if of == p} for _, p in drops}
        measures[measure] = {p: _rank_lines(fitted, options.confidence) for p, fitted in perturbations.items()}
        measures[measure][OVERALL] = _overall(perturbations, options.confidence)
    ranking = [
        {"measure": measure, "perturbation": perturbation, "encoder": encoder, **numbers}
        for measure, of_measure in measures.items()
        for perturbation, of_perturbation in of_measure.items()
        for encoder, numbers in of_perturbation.items()
    ]
    result: ComparisonResult = {
        "severity": options.severity,
        "confidence": options.confidence,
        "measures": measures,
        "accuracy": accuracy(drops, options.confidence),
    }
    return result, pd.DataFrame(ranking), _points(drops, severity, options.confidence)


# ------------------------------------------------------------------------------------------------------------- accuracy

Estimate = tuple[Floats, Floats | None]  # ROC AUC of originals and mean drop [shape=(2,)], and their draws


def accuracy(drops: Pairs, confidence: float) -> Accuracies:
    """What perturbations cost each encoder on average, and how well it does on originals.

    Parameters
    ----------
    drops : by encoder and perturbation
    confidence : float

    Returns
    -------
    Accuracies
        ``overall`` is the mean over the perturbations under which any encoder has numbers, of the encoders that have
        them under all of these. ``differences``: of each two such encoders ``first`` less ``second``.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for (encoder, perturbation), of in drops.items():
        found.setdefault(perturbation, {})[encoder] = _estimate(of)
    sections = {
        p: {e: _accuracy(numbers, confidence, drops[e, p].problem) for e, numbers in of.items()}
        for p, of in found.items()
    }
    counted = [p for p, of in found.items() if any(np.isfinite(estimate).all() for estimate, _ in of.values())]
    overall, kept = {}, dict[str, Estimate]()
    for encoder in dict.fromkeys(encoder for encoder, _ in drops):
        missing = [p for p in counted if not np.isfinite(found[p][encoder][0]).all()]
        if counted and not missing:
            kept[encoder] = _mean([found[p][encoder] for p in counted])
        problem = "" if encoder in kept else f"no numbers under {', '.join(missing) or 'any perturbation'}"
        overall[encoder] = _accuracy(kept.get(encoder, (np.full(2, np.nan), None)), confidence, problem)
    differences: list[Difference] = []
    for (first, (one, ones)), (second, (other, others)) in combinations(kept.items(), 2):
        draws = None if ones is None or others is None or ones.shape != others.shape else ones - others
        numbers = _accuracy((one - other, draws), confidence, "", lowest=-1)
        differences.append({"first": first, "second": second, **numbers})
    return {"perturbations": {**sections, OVERALL: overall}, "differences": differences}


def _estimate(of: Drops) -> Estimate:
    draws = None
    if of.draws is not None and of.original_draws is not None:
        draws = np.stack([of.original_draws, of.draws.mean(axis=1)])
    return np.array([of.original, of.drops.mean()]), draws


def _mean(numbers: Sequence[Estimate]) -> Estimate:
    """The mean of several estimates, without draws where these do not belong together."""
    return np.mean([estimate for estimate, _ in numbers], axis=0), _mean_draws([draws for _, draws in numbers])


def _mean_draws(draws: Sequence[Floats | None]) -> Floats | None:
    """Mean over draws, None where one has none or not as many as the others."""
    known = [of for of in draws if of is not None]
    if len(known) < len(draws) or len({of.shape for of in known}) != 1:
        return None
    return np.asarray(np.mean(known, axis=0))


def _accuracy(numbers: Estimate, confidence: float, problem: str, *, lowest: float = 0) -> Accuracy:
    estimate, draws = numbers
    level, cost = (None, None) if draws is None else draws
    row = {
        **with_interval("roc_auc", estimate[0], level, confidence, (lowest, 1)),
        **with_interval("mean_drop", estimate[1], cost, confidence, (-1, 1)),
        "problem": problem,
    }
    return cast(Accuracy, row)


# ------------------------------------------------------------------------------------------------------ lines and ranks


@dataclass(frozen=True)
class _Line:
    slope: float = float("nan")
    low: float | None = None
    high: float | None = None
    residual: float = float("nan")
    draws: Floats | None = None  # of the slope, shifted so that their mean is the estimate
    problem: str = ""


def _line(of: Drops, severity: Mapping[str, float], pair: tuple[str, str], options: Comparison) -> _Line:
    unknown = [value for value in of.values if value not in severity]
    if unknown:
        encoder, perturbation = pair
        raise UserError(
            f"severity.csv of {perturbation} does not have the value {unknown[0]}, at which {encoder} was tested; "
            f"run `dvc repro perturb@{perturbation}`"
        )
    known = np.array([severity[value] for value in of.values], dtype=np.float64)
    used = np.isfinite(known) & np.isfinite(of.drops)
    if of.problem or not used.any():
        return _Line(problem=of.problem or "no value has both a drop and a severity")
    if not (known[used] > 0).any():
        return _Line(problem="no value has a severity above 0")
    fitted, residual = (float(number) for number in slope(known[used], of.drops[used]))
    if of.draws is None:
        return _Line(fitted, residual=residual)
    draws, _ = slope(known[used], of.draws[:, used])
    low, high = bootstrap_interval(fitted, draws, options.confidence, bounds=(-np.inf, np.inf))
    finite = draws[np.isfinite(draws)]
    return _Line(fitted, low, high, residual, draws + (fitted - finite.mean() if len(finite) else np.nan))


def _entry(problem: str, **numbers: float | None) -> Ranked:
    """The numbers of one encoder, None where they are not given."""
    return cast(Ranked, {**dict.fromkeys(Ranked.__annotations__), **numbers, "problem": problem})


def _rank_lines(lines: dict[str, _Line], confidence: float) -> dict[str, Ranked]:
    """Numbers of every encoder under one perturbation, those without a slope unranked."""
    ranks, draws = _ranks({encoder: line for encoder, line in lines.items() if not line.problem})
    standing = _standing(ranks, draws, confidence)
    return {
        encoder: _entry(
            line.problem, slope=line.slope, slope_low=line.low, slope_high=line.high, residual=line.residual,
            **standing.get(encoder, {}),
        )
        for encoder, line in lines.items()
    }  # fmt: skip


def _overall(perturbations: dict[str, dict[str, _Line]], confidence: float) -> dict[str, Ranked]:
    """Mean rank over the perturbations that rank any encoder, among the encoders that all of these rank."""
    ranking = {p: lines for p, lines in perturbations.items() if any(not line.problem for line in lines.values())}
    missing = {
        encoder: [p for p, lines in ranking.items() if lines[encoder].problem]
        for lines in perturbations.values()
        for encoder in lines
    }
    kept = [encoder for encoder, unranked in missing.items() if ranking and not unranked]
    ranked = [_ranks({encoder: lines[encoder] for encoder in kept}) for lines in ranking.values()]
    ranks = {encoder: float(np.mean([of[encoder] for of, _ in ranked])) for encoder in kept}
    standing = _standing(ranks, _mean_draws([draws for _, draws in ranked]), confidence)
    return {
        encoder: _entry(
            "" if encoder in kept else f"not ranked under {', '.join(unranked) or 'any perturbation'}",
            **standing.get(encoder, {}),
        )
        for encoder, unranked in missing.items()
    }


def _ranks(lines: dict[str, _Line]) -> tuple[dict[str, float], Floats | None]:
    """Rank of each encoder's slope, {encoder: rank}, and draw by draw [shape=(resamples, encoders)] or None.

    A draw in which one encoder has no slope ranks no encoder: its row is NaN.
    """
    from scipy.stats import rankdata

    ranks = dict(zip(lines, rankdata([line.slope for line in lines.values()]).tolist(), strict=True))
    draws = [line.draws for line in lines.values() if line.draws is not None]
    if not draws or len(draws) < len(lines) or len({len(of) for of in draws}) > 1:
        return ranks, None
    return ranks, rankdata(np.stack(draws, axis=1), axis=1)


def _standing(ranks: dict[str, float], draws: Floats | None, confidence: float) -> dict[str, dict[str, float | None]]:
    """Rank with its interval, and the share of draws in which an encoder is first; encoders that tie share the draw."""
    rows: dict[str, dict[str, float | None]] = {encoder: {"rank": rank} for encoder, rank in ranks.items()}
    draws = None if draws is None else draws[np.isfinite(draws).all(axis=1)]
    if draws is None or not len(draws):
        return rows
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(draws, levels, axis=0, method="inverted_cdf")
    leads = draws == draws.min(axis=1, keepdims=True)
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    for place, row in enumerate(rows.values()):
        row |= {"rank_low": low[place], "rank_high": high[place], "first": first[place]}
    return rows


def _points(drops: Pairs, severity: Mapping[str, Severities], confidence: float) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for (encoder, perturbation), of in drops.items():
        for place, (value, drop) in enumerate(zip(of.values, of.drops, strict=True)):
            draws = None if of.draws is None or not np.isfinite(drop) else of.draws[:, place]
            interval = bootstrap_interval(drop, draws, confidence, bounds=(-1, 1))
            rows += [
                (perturbation, encoder, measure, value, severity[perturbation][measure][value], drop, *interval)
                for measure in MEASURES
            ]
    return pd.DataFrame(rows, columns=_POINTS)
