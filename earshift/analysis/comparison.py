"""Which encoder loses least: ``python -m stages.comparison``, for all selected encoders and perturbations.

Conventions
-----------
*drop* is the ROC AUC of the original clips minus that of the clips at a value, classifiers trained on originals and
nothing removed, mean over instruments; above 0 is worse. *severity* says what a value did to the audio, in a measure
that all perturbations share (data/perturbed/PERTURBATION/severity.csv), made 0 without change and growing:

- ``lsd_db``: log-spectral distance (dB)
- ``loudness_lu``: size of the difference in loudness (LU), louder and softer alike
- ``snr_db``: noise-to-signal amplitude ratio 10^(-SNR/20); 1 is a difference as strong as the signal. The SNR itself is
  infinite without change, so no drop could be related to it.

The *slope*, AUC per unit of severity, is that of the least-squares line through the origin: no change costs nothing.
Beside it stands the *residual*, the root mean square of what the line misses, in AUC. It is in the unit of the drop, so
that a reader sees whether the line tells the story, and it has a value for the encoder that loses nothing, where R2 has
none. Severe values weigh more, as s^2. All encoders hear the same audio: within a perturbation the severity decides how
much each value weighs, and between perturbations it makes slopes comparable. Who tells little apart has little to lose:
an encoder at 0.5 is robust to everything, so read a rank beside the AUC of originals.

Intervals and ranks rest on the bootstrap draws that robustness made, the same recordings for every encoder and
perturbation. Slope draws are shifted to mean the estimate, as in :func:`earshift.analysis.statistics.bootstrap_interval`,
and ranked draw by draw; the interval of a rank ends at ranks that occurred. Rank 1 is the smallest slope, ties share
their mean rank. ``overall`` is the mean rank over perturbations, among the encoders that all perturbations rank.

*accuracy* sets what perturbations cost against what there is to lose: the ROC AUC of originals, and the drop, its mean
over a grid and then over perturbations, whatever their severity. Differences of two encoders are taken draw by draw.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from earshift.analysis.data import ORIGINAL
from earshift.analysis.statistics import bootstrap_interval, with_interval
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import read_json, write_json, write_table

MEASURES = ("lsd_db", "loudness_lu", "snr_db")
OVERALL = "overall"

_COLUMNS = ("strength", "roc_auc", "low", "high", "distance_from_neutral", *MEASURES)  # that hold numbers
_SILENT, _UNCHANGED = -120.0, 120.0  # dB, where severity.csv cuts the SNR of silence and of an unchanged clip
_NUMBERS = ("slope", "slope_low", "slope_high", "residual", "rank", "rank_low", "rank_high", "first")


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

    values: tuple
    drops: np.ndarray
    draws: np.ndarray | None = None
    problem: str = ""
    original: float = float("nan")
    original_draws: np.ndarray | None = None


def severities(table):
    """Severity of every value in every measure.

    Parameters
    ----------
    table : pandas.DataFrame, severity.csv with ``value`` as text

    Returns
    -------
    dict of measure to dict of value to float
        0 where a value changes nothing, NaN where the measure is not defined (loudness of silence or of short clips).
    """
    snr, lsd = (table[name].to_numpy(dtype=np.float64) for name in ("snr_db", "lsd_db"))
    found = {
        "lsd_db": lsd,
        "loudness_lu": np.abs(table["loudness_lu"].to_numpy(dtype=np.float64)),
        "snr_db": np.where(snr > _SILENT, 10 ** (-snr / 20), np.nan),
    }
    unchanged = (snr >= _UNCHANGED) | (lsd == 0)
    return {
        name: dict(zip(table["value"], np.where(unchanged, 0.0, found[name]).tolist(), strict=True))
        for name in MEASURES
    }


def slope(severity, drops):
    """Slope of the least-squares line through the origin, and the root mean square of what it misses.

    Parameters
    ----------
    severity : float [shape=(values,)], finite
    drops : float [shape=(..., values)]

    Returns
    -------
    (float64 [shape=(...)], float64 [shape=(...)])
        AUC per unit of severity, and AUC; NaN where every severity is 0.
    """
    severity = np.asarray(severity, dtype=np.float64)
    drops = np.asarray(drops, dtype=np.float64)
    energy = severity @ severity
    if not energy > 0:
        return np.full(drops.shape[:-1], np.nan), np.full(drops.shape[:-1], np.nan)
    fitted = drops @ severity / energy
    return fitted, np.sqrt(np.mean((drops - fitted[..., None] * severity) ** 2, axis=-1))


def compare(drops, severity, options):
    """All numbers and tables.

    Parameters
    ----------
    drops : dict of (encoder, perturbation) to Drops, encoders in the order of the report
    severity : dict of perturbation to what :func:`severities` returns
    options : earshift.pipeline.config.Comparison

    Returns
    -------
    dict
        Content of metrics/comparison.json: under ``measures``, by measure, perturbation (and ``overall``) and encoder;
        under ``accuracy`` what :func:`accuracy` returns.
    pandas.DataFrame
        The same as rows (measure, perturbation, encoder, slope, ..., problem).
    pandas.DataFrame
        What the slopes rest on (perturbation, encoder, measure, value, severity, drop, low, high).

    Raises
    ------
    UserError
        If severity.csv does not know a value.
    """
    measures = {}
    for measure in MEASURES:
        lines = {pair: _line(of, severity[pair[1]][measure], pair, options) for pair, of in drops.items()}
        perturbations = {p: {e: line for (e, of), line in lines.items() if of == p} for _, p in drops}
        of_measure = {p: _ranked(fitted, options.confidence) for p, fitted in perturbations.items()}
        of_measure[OVERALL] = _overall(perturbations, options.confidence)
        measures[measure] = of_measure
    result = {"severity": options.severity, "confidence": options.confidence, "measures": measures,
              "accuracy": accuracy(drops, options.confidence)}  # fmt: skip

    import pandas as pd

    ranking = [
        {"measure": measure, "perturbation": perturbation, "encoder": encoder, **numbers}
        for measure, of_measure in measures.items()
        for perturbation, of_perturbation in of_measure.items()
        for encoder, numbers in of_perturbation.items()
    ]
    return result, pd.DataFrame(ranking), _points(drops, severity, options.confidence)


def accuracy(drops, confidence):
    """What perturbations cost each encoder on average, and how well it does on originals.

    Parameters
    ----------
    drops : dict of (encoder, perturbation) to Drops
    confidence : float

    Returns
    -------
    dict
        ``perturbations``: by perturbation (and ``overall``) and encoder, roc_auc and mean_drop with their intervals,
        and problem. ``overall`` is the mean over the perturbations under which anyone has numbers, of the encoders
        that have them under all of these. ``differences``: of each two such encoders ``first`` less ``second``.
    """
    found = {}
    for (encoder, perturbation), of in drops.items():
        found.setdefault(perturbation, {})[encoder] = _level_and_cost(of)
    sections = {
        p: {e: _accuracy_row(*numbers, confidence, drops[e, p].problem) for e, numbers in of.items()}
        for p, of in found.items()
    }
    counted = [p for p, of in found.items() if any(np.isfinite(estimate).all() for estimate, _ in of.values())]
    overall, kept = {}, {}
    for encoder in dict.fromkeys(encoder for encoder, _ in drops):
        lacking = [p for p in counted if not np.isfinite(found[p][encoder][0]).all()]
        if counted and not lacking:
            kept[encoder] = _mean_of([found[p][encoder] for p in counted])
        numbers = kept.get(encoder, (np.full(2, np.nan), None))
        problem = "" if encoder in kept else f"no numbers under {', '.join(lacking) or 'any perturbation'}"
        overall[encoder] = _accuracy_row(*numbers, confidence, problem)
    differences = []
    for (first, (one, ones)), (second, (other, others)) in combinations(kept.items(), 2):
        paired = ones is not None and others is not None and ones.shape == others.shape
        row = _accuracy_row(one - other, ones - others if paired else None, confidence, "", lowest=-1)
        differences.append({"first": first, "second": second, **row})
    return {"perturbations": {**sections, OVERALL: overall}, "differences": differences}


def _level_and_cost(of):
    """ROC AUC of originals and mean drop [shape=(2,)], and their draws [shape=(2, resamples)] or None."""
    draws = None
    if of.draws is not None and of.original_draws is not None:
        draws = np.stack([of.original_draws, of.draws.mean(axis=1)])
    return np.array([of.original, of.drops.mean()]), draws


def _mean_of(numbers):
    """The mean of several pairs of estimates and draws, without draws where these do not belong together."""
    draws = [of for _, of in numbers]
    whole = all(of is not None for of in draws) and len({of.shape for of in draws}) == 1
    return np.mean([estimate for estimate, _ in numbers], axis=0), np.mean(draws, axis=0) if whole else None


def _accuracy_row(estimate, draws, confidence, problem, *, lowest=0):
    level, cost = (None, None) if draws is None else draws
    return {
        **with_interval("roc_auc", estimate[0], level, confidence, (lowest, 1)),
        **with_interval("mean_drop", estimate[1], cost, confidence, (-1, 1)),
        "problem": problem,
    }


# ------------------------------------------------------------------------------------------------------ lines and ranks


@dataclass(frozen=True)
class _Line:
    slope: float
    low: float | None
    high: float | None
    residual: float
    draws: np.ndarray | None  # of the slope, shifted to mean the estimate
    problem: str


def _line(of, severity, pair, options):
    known = _known(of, severity, pair)
    used = np.isfinite(known) & np.isfinite(of.drops)
    problem = of.problem
    if not problem and not used.any():
        problem = "no value has both a drop and a severity"
    elif not problem and not (known[used] > 0).any():
        problem = "no value has a severity above 0"
    if problem:
        return _Line(np.nan, None, None, np.nan, None, problem)
    fitted, residual = (float(number) for number in slope(known[used], of.drops[used]))
    if of.draws is None:
        return _Line(fitted, None, None, residual, None, "")
    draws, _ = slope(known[used], of.draws[:, used])
    low, high = bootstrap_interval(fitted, draws, options.confidence, bounds=(-np.inf, np.inf))
    finite = np.isfinite(draws)
    shift = fitted - draws[finite].mean() if finite.any() else np.nan
    return _Line(fitted, low, high, residual, draws + shift, "")


def _known(of, severity, pair):
    """Severities of the values that have drops [shape=(values,)]."""
    missing = [value for value in of.values if value not in severity]
    if missing:
        encoder, perturbation = pair
        raise UserError(
            f"{paths.severity(perturbation)} does not know {missing[0]}, at which {encoder} was tested; "
            f"run `dvc repro perturb@{perturbation}`"
        )
    return np.array([severity[value] for value in of.values], dtype=np.float64)


def _ranked(lines, confidence):
    """Numbers of every encoder under one perturbation, those without a slope unranked."""
    kept = {encoder: line for encoder, line in lines.items() if not line.problem}
    ranks, draws = _ranks(kept)
    standing = _standing(ranks, draws, confidence)
    return {
        encoder: {
            **dict.fromkeys(_NUMBERS),
            "slope": line.slope, "slope_low": line.low, "slope_high": line.high, "residual": line.residual,
            **standing.get(encoder, {}), "problem": line.problem,
        }
        for encoder, line in lines.items()
    }  # fmt: skip


def _overall(perturbations, confidence):
    """Mean rank over the perturbations that rank anyone, among the encoders that all of these rank."""
    ranking = {p: lines for p, lines in perturbations.items() if any(not line.problem for line in lines.values())}
    lacks = {
        encoder: [p for p, lines in ranking.items() if lines[encoder].problem]
        for lines in perturbations.values()
        for encoder in lines
    }
    kept = [encoder for encoder, missing in lacks.items() if ranking and not missing]
    both = [_ranks({encoder: lines[encoder] for encoder in kept}) for lines in ranking.values()]
    standing = {}
    if kept:
        ranks = {encoder: np.mean([of[encoder] for of, _ in both]) for encoder in kept}
        whole = all(draws is not None for _, draws in both) and len({draws.shape for _, draws in both}) == 1
        standing = _standing(ranks, np.mean([draws for _, draws in both], axis=0) if whole else None, confidence)
    reason = "not ranked under " if ranking else "not ranked under any perturbation"
    return {
        encoder: {
            **dict.fromkeys(_NUMBERS), **standing.get(encoder, {}),
            "problem": "" if encoder in kept else reason + ", ".join(missing),
        }
        for encoder, missing in lacks.items()
    }  # fmt: skip


def _ranks(lines):
    """Rank of each encoder's slope, {encoder: rank}, and draw by draw [shape=(resamples, encoders)] or None.

    A draw in which one encoder has no slope ranks no one: its row is NaN.
    """
    from scipy.stats import rankdata

    ranks = dict(zip(lines, rankdata([line.slope for line in lines.values()]).tolist(), strict=True))
    draws = [line.draws for line in lines.values()]
    if not draws or any(of is None for of in draws) or len({len(of) for of in draws}) > 1:
        return ranks, None
    return ranks, rankdata(np.stack(draws, axis=1), axis=1)


def _standing(ranks, draws, confidence):
    """Rank with its interval, and the share of draws in which an encoder is first; encoders that tie share the draw."""
    rows = {encoder: {"rank": rank, "rank_low": None, "rank_high": None, "first": None}
            for encoder, rank in ranks.items()}  # fmt: skip
    draws = None if draws is None else draws[np.isfinite(draws).all(axis=1)]
    if draws is None or not len(draws):
        return rows
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(draws, levels, axis=0, method="inverted_cdf")
    leads = draws == draws.min(axis=1, keepdims=True)
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    for place, encoder in enumerate(rows):
        rows[encoder] |= {"rank_low": low[place], "rank_high": high[place], "first": first[place]}
    return rows


def _points(drops, severity, confidence):
    import pandas as pd

    rows = []
    for (encoder, perturbation), of in drops.items():
        for place, (value, drop) in enumerate(zip(of.values, of.drops, strict=True)):
            draws = None if of.draws is None else of.draws[:, place]
            low, high = None, None
            if np.isfinite(drop):
                low, high = bootstrap_interval(drop, draws, confidence, bounds=(-1, 1))
            rows += [
                (perturbation, encoder, measure, value, severity[perturbation][measure][value], drop, low, high)
                for measure in MEASURES
            ]
    return pd.DataFrame(
        rows, columns=["perturbation", "encoder", "measure", "value", "severity", "drop", "low", "high"]
    )


# ----------------------------------------------------------------------------------------------------------- the files


def read_drops(encoder, perturbation):
    """:class:`Drops` of a pair, from what robustness wrote.

    Raises
    ------
    UserError
        If a file is missing or not whole.
    """
    path = paths.metrics("robustness", encoder, perturbation)
    numbers = read_json(path)
    if numbers is None:
        raise UserError(f"{path} is missing or not whole; `dvc repro robustness@{encoder}-{perturbation}` makes it")
    values = tuple(numbers["values"])
    original, untouched = numbers["original"]["roc_auc"], numbers["methods"].get("none")
    problem = ""
    if untouched is None:
        problem = "robustness.methods leaves out none"
    elif original is None or (untouched["forward"] or {}).get("mean_drop") is None:
        problem = untouched["problem"] or "no instrument has numbers"
    if problem:
        return Drops(values, np.full(len(values), np.nan), problem=problem)
    folder = paths.plots("robustness", encoder, perturbation)
    curves = _table(folder / "curves.csv", csv=True)
    chosen = (curves["instrument"] == "all") & (curves["method"] == "none") & (curves["direction"] == "forward")
    auc = curves[chosen].set_index("value")["roc_auc"].reindex(values).to_numpy(dtype=np.float64)
    draws = _table(folder / "draws.parquet").pivot(index="draw", columns="value", values="roc_auc")
    draws = draws.reindex(columns=[ORIGINAL, *values]).to_numpy(dtype=np.float64)
    if not len(draws):
        return Drops(values, original - auc, original=original)
    return Drops(values, original - auc, draws[:, :1] - draws[:, 1:], original=original, original_draws=draws[:, 0])


def read_severities(perturbation):
    """What :func:`severities` makes of a perturbation's table on disk.

    Raises
    ------
    UserError
        If there is none.
    """
    return severities(_table(paths.severity(perturbation), csv=True))


def _table(path, *, csv=False):
    import pandas as pd

    try:
        if csv:  # text as written: an instrument may be called NA
            types = dict.fromkeys(("value", "instrument"), str) | dict.fromkeys(_COLUMNS, float)
            return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=dict.fromkeys(_COLUMNS, [""]))
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it") from error


@command
def main():
    """Compare all selected encoders."""
    content = params.read()
    run = check(params.Run, content.get("run"), "run")
    options = check(params.Comparison, content.get("comparison"), "comparison")
    pairs = [(encoder, perturbation) for encoder in run.encoders for perturbation in run.perturbations]
    drops = {pair: read_drops(*pair) for pair in pairs}
    severity = {perturbation: read_severities(perturbation) for perturbation in run.perturbations}
    result, ranking, points = compare(drops, severity, options)
    write_table(paths.COMPARISON_PLOTS / "ranking.csv", ranking)
    write_table(paths.COMPARISON_PLOTS / "drops.csv", points)
    write_json(paths.COMPARISON, result)
    print(_line_of_text(result))


def _line_of_text(result):
    overall = result["measures"][result["severity"]][OVERALL]
    ranked = sorted((of["rank"], encoder) for encoder, of in overall.items() if of["rank"] is not None)
    order = ", ".join(f"{encoder} {rank:.2f}" for rank, encoder in ranked) or "no encoder has a rank"
    return f"comparison: mean rank over perturbations, drop per {result['severity']}: {order}"


if __name__ == "__main__":
    main()
