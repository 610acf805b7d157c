"""The headline numbers of every encoder under every perturbation, and the tables of them for a terminal.

Conventions
-----------
R2 is a squared Spearman correlation. ``heldout`` was fitted on some recordings and scored on others and keeps the sign
of the correlation, so that noise averages 0; ``null`` is the same procedure with the strengths shuffled within clips,
``published`` is the studies' own in-sample value. ROC AUC is that of classifiers trained on original clips, mean over
instruments; *drops* are from the originals' with nothing removed, an *area* is the AUC that a method gains on ``none``
over the grid. ``best`` and ``worst`` are by area, among methods that remove something; the ceiling, augmentation, does
not. Severities are those of :mod:`earshift.analysis.comparison`. *Within*, *between* and ``originals_spearman`` are the
consistency of distances (:mod:`earshift.analysis.consistency`), means over the grid. Numbers that do not exist are left
out, and shown as "-".
"""

import textwrap
from collections.abc import Mapping, Sequence

from earshift.analysis.comparison import ComparisonResult, Ranked
from earshift.analysis.drops import MethodResult
from earshift.report import formats, methods, templates
from earshift.report.formats import Format, estimate
from earshift.report.results import ANALYSES, Pair, Results

Numbers = dict[str, float | str]  # of methods and values: their names

WIDTH = 112  # columns that the tables may take

# name in summary.json -> where the number stands in metrics/ANALYSIS/ENCODER/PERTURBATION.json
_PLACES = {
    "heldout_r2": ("cca", "global", "heldout"),
    "heldout_r2_low": ("cca", "global", "heldout_low"),
    "heldout_r2_high": ("cca", "global", "heldout_high"),
    "null_r2_mean": ("cca", "global", "null_mean"),
    "null_r2_p95": ("cca", "global", "null_p95"),
    "published_r2": ("cca", "global", "published"),
    "samplewise_published_r2": ("cca", "samplewise", "published"),
    "samplewise_heldout_r2": ("cca", "samplewise", "heldout"),
    "samplewise_null_r2_p95": ("cca", "samplewise", "null_p95"),
    "effective_rank": ("svd", "overall", "effective_rank"),
    "effective_rank_low": ("svd", "overall", "effective_rank_low"),
    "effective_rank_high": ("svd", "overall", "effective_rank_high"),
    "originals_effective_rank": ("svd", "overall", "originals_effective_rank"),
    "null_effective_rank": ("svd", "overall", "null_effective_rank"),
    **{
        f"{name}{end}": ("trajectories", "overall", f"{name}{end}")
        for name in ("straightness", "turning_angle", "monotonicity")
        for end in ("", "_low", "_high")
    },
    **{f"roc_auc{end}": ("robustness", "original", f"roc_auc{end}") for end in ("", "_low", "_high")},
}
# of consistency; agreement and correlation by the pairs of distances that kim2019 reports most about
CONSISTENCY = ("within_dtw", "within_simple", "within_euclidean", "within_cosine", "between_agreement_dtw_euclidean",
               "between_agreement_simple_cosine", "between_spearman_dtw_euclidean",
               "originals_spearman_dtw_euclidean")  # fmt: skip
_DROPS = (*(f"{name}_drop{end}" for name in ("mean", "worst") for end in ("", "_low", "_high")), "worst_value")


def headline(results: Results, pair: Pair) -> Numbers:
    """The headline numbers of one pair, by name; those that do not exist are left out.

    Raises
    ------
    UserError
        If an analysis has not been run for the pair.
    """
    content = {analysis: results.by_analysis[analysis][pair] for analysis in ANALYSES}
    numbers = {name: content[analysis][part][key] for name, (analysis, part, key) in _PLACES.items()}
    numbers |= _of_methods(results.robustness[pair]["methods"])
    consistency = results.consistency[pair]["overall"] | results.consistency[pair]["originals"]
    numbers |= {name + end: consistency.get(name + end) for name in CONSISTENCY for end in ("", "_low", "_high")}
    of_severity = results.comparison["measures"][results.comparison["severity"]]
    ranked = of_severity.get(pair[1], {}).get(pair[0])
    if ranked is not None:
        numbers |= {f"severity_{name}": ranked[name] for name in ("slope", "slope_low", "slope_high", "rank")}
    return {name: number for name, number in numbers.items() if number is not None}


def _of_methods(by_method: Mapping[str, MethodResult]) -> dict[str, object]:
    """Drops with nothing removed, the best and the worst removal, and the ceiling."""
    forward = {name: methods.direction(of, "forward") for name, of in by_method.items()}
    none, ceiling = forward.pop("none", {}), forward.pop(methods.CEILING, {})
    numbers = {name: none.get(name) for name in _DROPS}
    areas = {name: area for name, of in forward.items() if (area := estimate(of, "area").number) is not None}
    for label, choose in (("best", max), ("worst", min)) if areas else ():
        name = choose(areas, key=areas.__getitem__)
        numbers |= {f"{label}_method": name, f"{label}_area": areas[name]}
        numbers |= {f"{label}_area_p": forward[name].get("p_holm")}
    return numbers | {f"ceiling_{name}": ceiling.get(name) for name in ("area", "area_low", "area_high")}


def summary(results: Results) -> dict[str, dict[str, Numbers]]:
    """Headline numbers of all selected pairs, by encoder and perturbation."""
    study = results.study
    return {e: {p: headline(results, (e, p)) for p in study.perturbations} for e in study.encoders}


# ----------------------------------------------------------------------------------------------------------- the tables

UNITS = {
    "lsd_db": "dB of log-spectral distance", "loudness_lu": "LU of loudness difference",
    "snr_db": "unit of noise-to-signal amplitude ratio",
}  # fmt: skip
_NAMES = ("\nencoder", "\nperturbation")
_MOVEMENT = ("held-out R2\n[low, high]", "null R2\nmean, p95", "publ.\nR2", "sample-wise R2\npubl., held, p95",
             "effective rank [low, high]\nof N directions (originals)")  # fmt: skip
_COST = ("ROC AUC of originals\n[low, high]", "mean drop\n[low, high]", "worst drop\n[low, high] at value")
_REMOVAL = ("best removal:\ngained AUC, p", "worst removal:\ngained AUC, p",
            "ceiling: trained on\nall values [low, high]")  # fmt: skip
_NEIGHBOURS = ("nearest is own:\naudio, DTW", "vectors,\nEuclidean [low, high]", "vectors,\ncosine",
               "agreement:\nSiMPle, cosine", "correlation:\nDTW, Euclidean")  # fmt: skip
_PLAIN = str.maketrans({formats.MINUS: "-", formats.MISSING: "-", formats.GLUE: " "})


def show(results: Results) -> None:
    """Print the tables."""
    print(tables(results))


def tables(results: Results) -> str:
    """The tables that end a run and how to read them, as plain text of at most :data:`WIDTH` columns."""
    numbers = {pair: headline(results, pair) for pair in results.study.pairs}
    directions = {pair: results.svd[pair]["overall"]["directions"] for pair in numbers}
    return templates.render(
        "summary.txt.j2",
        movement=_aligned(_MOVEMENT, {pair: _movement(n, directions[pair]) for pair, n in numbers.items()}),
        cost=_aligned(_COST, {pair: _cost(n) for pair, n in numbers.items()}),
        removal=_aligned(_REMOVAL, {pair: _removal(n) for pair, n in numbers.items()}),
        neighbours=_aligned(_NEIGHBOURS, {pair: _neighbours(n) for pair, n in numbers.items()}),
        ranking=_ranking(results.comparison),
        unit=UNITS[results.comparison["severity"]],
        folders=results.folders,
    )


def _aligned(heads: Sequence[str], rows: Mapping[Pair, Sequence[str]]) -> str:
    """A table; names are cut until it fits."""
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=Box("\n".join(("    ", "    ", " -- ", *["    "] * 5))), show_edge=False, padding=(0, 1, 0, 0))
    for head in _NAMES:
        table.add_column(head, overflow="ellipsis")
    for head in heads:
        table.add_column(head, no_wrap=True)
    for pair, cells in rows.items():
        table.add_row(*pair, *(cell.translate(_PLAIN) for cell in cells))
    console = Console(width=WIDTH, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _movement(n: Numbers, directions: int) -> tuple[str, ...]:
    samplewise = (f"samplewise_{name}" for name in ("published_r2", "heldout_r2", "null_r2_p95"))
    return (
        _interval(n, "heldout_r2", formats.r2),
        f"{_one(n, 'null_r2_mean', formats.r2)}, {_one(n, 'null_r2_p95', formats.r2)}",
        _one(n, "published_r2", formats.r2),
        ", ".join(_one(n, name, formats.r2) for name in samplewise),
        f"{_interval(n, 'effective_rank', formats.rank)} of {directions} "
        f"({_one(n, 'originals_effective_rank', formats.rank)})",
    )


def _cost(n: Numbers) -> tuple[str, ...]:
    auc, drop, worst = (_interval(n, name, formats.auc) for name in ("roc_auc", "mean_drop", "worst_drop"))
    return auc, drop, f"{worst} at {n.get('worst_value', formats.MISSING)}"


def _removal(n: Numbers) -> tuple[str, ...]:
    return _method(n, "best"), _method(n, "worst"), _interval(n, "ceiling_area", formats.gain)


def _neighbours(n: Numbers) -> tuple[str, ...]:
    names = ("within_cosine", "between_agreement_simple_cosine", "between_spearman_dtw_euclidean")
    vectors = _interval(n, "within_euclidean", formats.r2)
    return _one(n, "within_dtw", formats.r2), vectors, *(_one(n, name, formats.r2) for name in names)


def _method(n: Numbers, label: str) -> str:
    name, p = n.get(f"{label}_method"), estimate(n, f"{label}_area_p").number
    if name is None:
        return formats.MISSING
    shown = f"p {formats.MISSING}" if p is None else "p < 0.001" if p < 0.001 else f"p {p:.3f}"
    return f"{methods.short(str(name))} {_one(n, f'{label}_area', formats.gain)}, {shown}"


def _one(n: Numbers, name: str, how: Format) -> str:
    return how(estimate(n, name).number)


def _interval(n: Numbers, name: str, how: Format) -> str:
    number, low, high = estimate(n, name)
    return f"{how(number)} [{how(low)}, {how(high)}]"


def _ranking(comparison: ComparisonResult) -> list[str]:
    """Lines with the encoders of every perturbation in order; an encoder and its numbers stay on one line."""
    of_measure = comparison["measures"][comparison["severity"]]
    longest, lines = max(map(len, of_measure)), []
    for perturbation, of in of_measure.items():
        text = "   ".join(_standing(encoder, of[encoder]) for encoder in methods.sort_by_rank(of))
        begin, gap = f"  {perturbation:{longest}}  ", " " * (longest + 4)
        lines += textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=gap, break_on_hyphens=False)
    return [line.translate(_PLAIN) for line in lines]


def _standing(encoder: str, of: Ranked) -> str:
    if of["rank"] is None:
        return f"- {encoder} ({of['problem']})"
    number = f"{encoder} {of['slope']:.2g}" if of["slope"] is not None else encoder
    first = "" if of["first"] is None else f" ({100 * of['first']:.0f} %)"
    return f"{of['rank']:.3g} {number}{first}".replace(" ", formats.GLUE)
