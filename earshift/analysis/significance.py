"""What encoder and perturbation do to the measures, tested: ``python -m stages.significance``, for all pairs.

Conventions
-----------
The third study's statistics (Kim et al. 2019, section 5): an additive model per measure (:mod:`earshift.analysis.gam`),
Wald tests of its factors and interactions, estimated marginal means. An observation is one number of curves.csv: one
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

import numpy as np

from earshift.analysis import gam
from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import read_json, write_json, write_table

PERFORMANCE = "performance"

_MEASURES = {"within": "Within-space consistency", "between_agreement": "Between-space agreement",
             "between_spearman": "Between-space correlation"}  # fmt: skip
_RESPONSES = {
    "within": "share of clips nearest to their own original",
    "between_agreement": "share of clips about which both spaces agree",
    "between_spearman": "Spearman's correlation of distances",
}
_SPACES = {"dtw": "DTW", "simple": "SiMPle", "euclidean": "Euclidean", "cosine": "cosine"}
_TEXTS = ("measure", "audio", "latent", "task", "metric", "value")  # as written: a task may be called NA
_NUMBERS = ("strength", "number", "low", "high", "clips")
_ROUNDING = 1e-9  # a range smaller than this share of the largest number is none

NOTES = (
    "The observations are values of one corpus and one grid: all encoders hear the same clips, and neighbouring values "
    "have nearly the same numbers. p says what noise around smooth curves could bring about on this grid, not what "
    "another corpus would show; intervals of the measures themselves resample recordings.",
    "Without trials that noise is what the smooths miss.",
)


def levels(loaded):
    """The level of the factor encoder that each selected encoder belongs to.

    Parameters
    ----------
    loaded : earshift.pipeline.config.Params

    Returns
    -------
    dict of encoder to the first selected encoder that equals it but for the option ``trial``, its own or of its heads
    """
    known = {}
    return {name: known.setdefault(_identity(name, loaded.encoders[name]), name) for name in loaded.run.encoders}


def _identity(name, encoder):
    options = dataclasses.asdict(encoder)
    others = _without_trial(options)
    return name if others == options else (type(encoder), repr(others))


def _without_trial(options):
    if not isinstance(options, dict):
        return options
    return {key: _without_trial(value) for key, value in options.items() if key != "trial"}


def of_vectors(loaded):
    """Selected encoders that enter consistency: of those whose networks above the vectors alone are trained anew, one.

    Parameters
    ----------
    loaded : earshift.pipeline.config.Params

    Returns
    -------
    list of str
    """
    return [name for name, level in levels(loaded).items() if name == level or hasattr(loaded.encoders[name], "trial")]


def family(level, task):
    """The level of the factor encoder in the model of performance: vgg for vgg_autotagging at autotagging."""
    return level.removesuffix(f"_{task}")


# ----------------------------------------------------------------------------------------------------------- the tables


def consistency_tables(curves):
    """The observations of every model of consistency.

    Parameters
    ----------
    curves : pandas.DataFrame
        plots/consistency/ENCODER/PERTURBATION/curves.csv of all pairs (measure, audio, latent, value, strength,
        number), with columns encoder (a level) and perturbation.

    Returns
    -------
    dict of name to (title, response, factors, pandas.DataFrame)
        Tables have the columns of the factors, and encoder, perturbation, value, magnitude and response.
    """
    curves = curves.rename(columns={"strength": "magnitude", "number": "response"})
    models = {}
    for measure in _MEASURES:
        of_measure = curves[curves["measure"] == measure]
        for (audio, latent), rows in of_measure.groupby(["audio", "latent"], sort=False):
            name = "_".join(part for part in (measure, audio, latent) if part)
            spaces = " and ".join(_SPACES.get(part, part) for part in (audio, latent) if part)
            factors = ("encoder", "perturbation")
            if latent == "":
                factors, rows = ("perturbation",), rows.drop_duplicates(["perturbation", "value"])
            models[name] = f"{_MEASURES[measure]}, {spaces}", _RESPONSES[measure], factors, rows
    # those of distances between vectors first, as in the study
    return {name: model for audio in (False, True) for name, model in models.items() if (len(model[2]) == 1) == audio}


def performance_table(curves, better):
    """The observations of the model of performance, standardised within tasks.

    Parameters
    ----------
    curves : pandas.DataFrame
        plots/performance/ENCODER/PERTURBATION/curves.csv of all pairs (task, value, strength, number), with columns
        encoder (a level) and perturbation.
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
        sign = -1 if better[task] == "lower" else 1
        table.loc[numbers.index, "response"] = sign * (numbers - known.mean()) / known.std(ddof=1)
    return table, notes


def _constant(numbers):
    return len(numbers) < 2 or np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max()


# ----------------------------------------------------------------------------------------------------------- the models


def analyse(consistency, performance, better, options):
    """All numbers and plot data.

    Parameters
    ----------
    consistency : pandas.DataFrame, see :func:`consistency_tables`
    performance : pandas.DataFrame or None, see :func:`performance_table`
    better : dict of task to "higher" or "lower"
    options : earshift.pipeline.config.Significance

    Returns
    -------
    dict
        Content of metrics/significance.json.
    pandas.DataFrame
        Estimated marginal means (model, factor, level, mean, se, low, high).
    pandas.DataFrame
        The fitted curves (model, encoder, task, perturbation, value, observed, fitted, low, high); trials at one value
        are one row, `observed` their mean.
    """
    import pandas as pd

    models, means, fitted = {}, [], []
    for name, (title, response, factors, table) in consistency_tables(consistency).items():
        pairs = [factors] if len(factors) > 1 else []
        models[name], *rows = _model(title, response, table, factors, pairs, options)
        _add(name, rows, means, fitted)
    if performance is not None and len(performance):
        table, notes = performance_table(performance, better)
        factors = ("task", "encoder", "perturbation")
        pairs = [("task", "encoder"), ("task", "perturbation"), ("encoder", "perturbation")]
        title, response = "Performance", "performance, standardised within its task, more is better"
        models[PERFORMANCE], *rows = _model(title, response, table, factors, pairs, options)
        models[PERFORMANCE]["notes"] = notes + models[PERFORMANCE]["notes"]
        _add(PERFORMANCE, rows, means, fitted)
    return (
        {"confidence": options.confidence, "models": models, "notes": list(NOTES)},
        pd.DataFrame(means, columns=["model", "factor", "level", "mean", "se", "low", "high"]),
        pd.DataFrame(
            fitted,
            columns=["model", "encoder", "task", "perturbation", "value", "observed", "fitted", "low", "high"],
        ),
    )


def _add(name, rows, means, fitted):
    for table, found in zip((means, fitted), rows, strict=True):
        table += [(name, *row) for row in found]


def _model(title, response, table, factors, interactions, options):
    """One model: its metrics, and its rows of both tables of plot data."""
    kept = table[np.isfinite(table["response"]) & np.isfinite(table["magnitude"])]
    notes, numbers = [], kept["response"].to_numpy(dtype=np.float64)
    if len(kept) < len(table):
        notes.append(f"{len(table) - len(kept)} of {len(table)} observations have no number and are left out.")
    result = {"title": title, "response": response, "observations": len(kept), "r2": None, "edf": None,
              "residual_df": None, "scale": None, "terms": {}, "means": {}, "notes": notes}  # fmt: skip
    if not len(kept):
        notes.append("No observation has a number.")
        return result, [], []
    if _constant(numbers):
        notes.append(f"All observations are {numbers[0]:.6g}: nothing to explain, no tests.")
        return result, [], []
    labels = {factor: kept[factor].to_numpy() for factor in factors}
    fit = gam.fit(numbers, kept["magnitude"].to_numpy(), labels, interactions, basis=options.basis)
    notes += _notes(fit)
    result |= {"r2": fit.r2, "edf": fit.edf, "residual_df": fit.residual_df, "scale": fit.scale}
    result["terms"] = {
        ":".join(term): {"f": f, "df": df, "residual_df": fit.residual_df, "p": p}
        for term, (f, df, p) in fit.anova().items()
    }
    reach, means = fit.reach(options.confidence), []
    for factor in factors:
        if (factor,) not in fit.terms and len(fit.levels[factor]) > 1:
            continue
        rows = list(zip(fit.levels[factor], *(of.tolist() for of in fit.means(factor)), strict=True))
        rows = [(level, mean, se, mean - reach * se, mean + reach * se) for level, mean, se in rows]
        result["means"][factor] = {level: dict(zip(("mean", "se", "low", "high"), row, strict=True))
                                   for level, *row in rows}  # fmt: skip
        means += [(factor, *row) for row in rows]
    return result, means, _fitted(kept, factors, numbers, fit, reach)


def _notes(fit):
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


def _fitted(kept, factors, numbers, fit, reach):
    errors = reach * np.sqrt(fit.variance * fit.scale)
    columns = [kept[name] if name in factors else [""] * len(kept) for name in ("encoder", "task", "perturbation")]
    rows = {}
    for *key, observed, value, error in zip(*columns, kept["value"], numbers, fit.fitted, errors, strict=True):
        rows.setdefault(tuple(key), ([], value, value - error, value + error))[0].append(observed)
    return [(*key, float(np.mean(observed)), *rest) for key, (observed, *rest) in rows.items()]


# ------------------------------------------------------------------------------------------------------------ the files


def read_curves(analysis, pairs, level):
    """plots/ANALYSIS/ENCODER/PERTURBATION/curves.csv of all pairs as one table.

    Parameters
    ----------
    analysis : str
    pairs : list of (encoder, perturbation)
    level : dict of encoder to what stands in the column encoder

    Raises
    ------
    UserError
        If one is missing.
    """
    import pandas as pd

    types = dict.fromkeys(_TEXTS, str) | dict.fromkeys(_NUMBERS, float)
    tables = []
    for encoder, perturbation in pairs:
        path = paths.plots(analysis, encoder, perturbation) / "curves.csv"
        try:
            table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=dict.fromkeys(_NUMBERS, [""]))
        except FileNotFoundError as error:
            raise UserError(
                f"{path} is missing; `dvc repro {analysis}@{encoder}-{perturbation}` computes it, `dvc pull` fetches it"
            ) from error
        tables.append(table.assign(encoder=level[encoder], perturbation=perturbation))
    return pd.concat(tables, ignore_index=True)


def read_better(pairs):
    """Whether more is better, by task, from metrics/performance/ENCODER/PERTURBATION.json.

    Raises
    ------
    UserError
        If a file is missing or not whole.
    """
    better = {}
    for encoder, perturbation in pairs:
        path = paths.metrics(PERFORMANCE, encoder, perturbation)
        numbers = read_json(path)
        if numbers is None:
            raise UserError(
                f"{path} is missing or not whole; `dvc repro {PERFORMANCE}@{encoder}-{perturbation}` makes it"
            )
        better |= {task: of["better"] for task, of in numbers["tasks"].items()}
    return better


@command
def main():
    """Test what all selected encoders and perturbations do."""
    loaded = params.load()
    level = levels(loaded)
    pairs = [(encoder, perturbation) for encoder in loaded.run.encoders for perturbation in loaded.run.perturbations]
    performance, better = None, {}
    if any((paths.plots(PERFORMANCE, *pair) / "curves.csv").exists() for pair in pairs):
        performance, better = read_curves(PERFORMANCE, pairs, level), read_better(pairs)
    consistent = [pair for pair in pairs if pair[0] in of_vectors(loaded)]
    consistency = read_curves("consistency", consistent, level)
    result, means, fitted = analyse(consistency, performance, better, loaded.significance)
    write_table(paths.SIGNIFICANCE_PLOTS / "means.csv", means)
    write_table(paths.SIGNIFICANCE_PLOTS / "fitted.csv", fitted)
    write_json(paths.SIGNIFICANCE, result)


if __name__ == "__main__":
    main()
