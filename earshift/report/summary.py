"""The headline numbers of every encoder under every perturbation: metrics/summary.json, and a table for the terminal.

Conventions
-----------
R2 is a squared Spearman correlation. ``heldout`` was fitted on some recordings and scored on others and keeps the sign
of the correlation, so that noise averages 0; ``null`` is the same procedure with the strengths shuffled within clips,
``published`` is the studies' own in-sample value. ROC AUC is that of classifiers trained on original clips, mean over
instruments; *drops* are from the originals' with nothing removed, an *area* is the AUC that a method gains on ``none``
over the grid. ``best`` and ``worst`` are by area, among methods that remove something; the ceiling, augmentation, does
not. Severities are those of :mod:`earshift.analysis.comparison`. *Within*, *between* and ``originals_spearman`` are the
consistency of distances (:mod:`earshift.analysis.consistency`), means over the grid. Numbers that could not be computed
are left out of summary.json and shown as "-".

``python -m stages.summary`` writes the file, ``--show`` prints the table and writes nothing.
"""

import argparse
import textwrap

from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.report import methods, results
from earshift.storage.files import write_json

WIDTH = 112  # columns that the table may take

# name in summary.json -> where the number stands in metrics/ANALYSIS/ENCODER/PERTURBATION.json
_SOURCES = {
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
# of consistency; agreement and correlation by the pairs of distances that the third study tells most about
CONSISTENCY = ("within_dtw", "within_simple", "within_euclidean", "within_cosine", "between_agreement_dtw_euclidean",
               "between_agreement_simple_cosine", "between_spearman_dtw_euclidean",
               "originals_spearman_dtw_euclidean")  # fmt: skip
_DROPS = (*(f"{name}_drop{end}" for name in ("mean", "worst") for end in ("", "_low", "_high")), "worst_value")


def headline(encoder, perturbation):
    """The headline numbers of one pair, by name (of methods and values: their names); those that are null are left out.

    Raises
    ------
    UserError
        If an analysis has not been run for the pair.
    """
    content = {analysis: results.metrics(analysis, encoder, perturbation) for analysis in results.ANALYSES}
    numbers = {name: content[analysis][part][key] for name, (analysis, part, key) in _SOURCES.items()}
    numbers |= _robustness(content["robustness"]["methods"])
    consistency = content["consistency"]["overall"] | content["consistency"]["originals"]
    numbers |= {name + end: consistency.get(name + end) for name in CONSISTENCY for end in ("", "_low", "_high")}
    comparison = results.comparison()
    line = comparison["measures"][comparison["severity"]].get(perturbation, {}).get(encoder, {})
    numbers |= {f"severity_{name}": line.get(name) for name in ("slope", "slope_low", "slope_high", "rank")}
    return {name: number for name, number in numbers.items() if number is not None}


def _robustness(by_method):
    """Drops with nothing removed, the best and the worst removal, and the ceiling."""
    forward = {name: of["forward"] or {} for name, of in by_method.items()}
    none, ceiling = forward.pop("none", {}), forward.pop(methods.CEILING, {})
    numbers = {name: none.get(name) for name in _DROPS}
    known = {name: of for name, of in forward.items() if of.get("area") is not None}
    for label, choose in (("best", max), ("worst", min)) if known else ():
        name = choose(known, key=lambda name: known[name]["area"])
        numbers |= {f"{label}_method": name, f"{label}_area": known[name]["area"]}
        numbers |= {f"{label}_area_p": known[name].get("p_holm")}
    return numbers | {f"ceiling_{name}": ceiling.get(name) for name in ("area", "area_low", "area_high")}


def summary(content):
    """Headline numbers of all selected pairs: {encoder: {perturbation: {name: number}}}."""
    selected = results.run(content)
    return {e: {p: headline(e, p) for p in selected.perturbations} for e in selected.encoders}


def table(content):
    """The final tables and how to read them, as text of at most :data:`WIDTH` columns."""
    numbers = {pair: headline(*pair) for pair in results.pairs(content)}
    directions = {pair: results.metrics("svd", *pair)["overall"]["directions"] for pair in numbers}
    moved = [(*pair, *_movement(n, directions[pair])) for pair, n in numbers.items()]
    blocks = [
        [*_block(_MOVEMENT, moved), "", *_MOVEMENT_READING],
        [*_block(_COST, [(*pair, *_cost(n)) for pair, n in numbers.items()]), "", *_COST_READING],
        [*_block(_REMOVAL, [(*pair, *_removal(n)) for pair, n in numbers.items()]), "", *_REMOVAL_READING],
        _ranking(results.comparison()),
        [*_block(_NEIGHBOURS, [(*pair, *_neighbours(n)) for pair, n in numbers.items()]), "", *_NEIGHBOURS_READING],
        [f"Report: {paths.INDEX}   Plots: {paths.FIGURES}/   Numbers: {paths.SUMMARY}   MLflow: make ui"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


_MOVEMENT = (
    ("", "", "held-out R2", "null R2", "publ.", "sample-wise R2", "effective rank [low, high]"),
    ("encoder", "perturbation", "[low, high]", "mean, p95", "R2", "publ., held, p95", "of N directions (originals)"),
)
_MOVEMENT_READING = (
    "Held-out R2 above the null's p95: recordings the direction was not fitted on move along it as strength grows.",
    "Published R2 is in-sample: 1 by construction with no more points than dimensions, so read held-out against null.",
)
_COST = (
    ("", "", "ROC AUC of originals", "mean drop", "worst drop"),
    ("encoder", "perturbation", "[low, high]", "[low, high]", "[low, high] at value"),
)
_COST_READING = (
    "Drop: AUC of the original clips minus that of the perturbed ones, classifiers trained on originals; positive is",
    "worse. An interval that holds 0: no cost that these recordings can show. Who starts near 0.5 has little to lose.",
)
_REMOVAL = (
    ("", "", "best removal:", "worst removal:", "ceiling: trained on"),
    ("encoder", "perturbation", "gained AUC, p", "gained AUC, p", "all values [low, high]"),
)
_REMOVAL_READING = (
    "Gained: area between the AUC curves of a method and of nothing removed; p: paired bootstrap, Holm over methods.",
    "The best of several is best by luck, too: mind its p. Ceiling: linear classifiers trained on every value.",
)
_NEIGHBOURS = (
    ("", "", "nearest is own:", "vectors,", "vectors,", "agreement:", "correlation:"),
    ("encoder", "perturbation", "audio, DTW", "Euclidean [low, high]", "cosine", "SiMPle, cosine", "DTW, Euclidean"),
)
_NEIGHBOURS_READING = (
    "Nearest is own: share of clips nearer to their own original than to any other, mean over values. Agreement: of",
    "clips about which audio and vectors agree, right or wrong. Correlation: Spearman's, over all pairs of clips.",
)
_UNBROKEN = "\N{NO-BREAK SPACE}"  # an encoder and its numbers stay on one line
UNITS = {
    "lsd_db": "dB of log-spectral distance", "loudness_lu": "LU of loudness difference",
    "snr_db": "unit of noise-to-signal amplitude ratio",
}  # fmt: skip


def _block(head, rows):
    """Lines of a table; names are cut until it fits."""
    limit = max(len(name) for row in [*head, *rows] for name in row[:2])
    lines = _aligned(head, rows, limit)
    while max(map(len, lines)) > WIDTH and limit > 8:
        limit -= 1
        lines = _aligned(head, rows, limit)
    return lines


def _aligned(head, rows, limit):
    """Head and rows as lines, columns aligned, names of more than `limit` letters cut."""
    cut = [
        tuple(name if len(name) <= limit else name[: limit - 1] + mark for name in row[:2]) + tuple(row[2:])
        for block, mark in ((head, "."), (rows, "~"))
        for row in block
    ]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cut]
    return [*lines[: len(head)], "-" * max(map(len, lines)), *lines[len(head) :]]


def _movement(n, directions):
    return (
        f"{_r2(n, 'heldout_r2')} [{_r2(n, 'heldout_r2_low')}, {_r2(n, 'heldout_r2_high')}]",
        f"{_r2(n, 'null_r2_mean')}, {_r2(n, 'null_r2_p95')}",
        _r2(n, "published_r2"),
        ", ".join(_r2(n, f"samplewise_{name}") for name in ("published_r2", "heldout_r2", "null_r2_p95")),
        f"{_rank(n, 'effective_rank')} [{_rank(n, 'effective_rank_low')}, {_rank(n, 'effective_rank_high')}]"
        f" of {'-' if directions is None else directions} ({_rank(n, 'originals_effective_rank')})",
    )


def _cost(n):
    return (
        _interval(n, "roc_auc"),
        _interval(n, "mean_drop"),
        f"{_interval(n, 'worst_drop')} at {n.get('worst_value', '-')}",
    )


def _removal(n):
    ceiling = (
        f"{_auc(n, 'ceiling_area', '+')} [{_auc(n, 'ceiling_area_low', '+')}, {_auc(n, 'ceiling_area_high', '+')}]"
    )
    return (*(_method(n, label) for label in ("best", "worst")), ceiling)


def _neighbours(n):
    vectors = f"{_r2(n, 'within_euclidean')} [{_r2(n, 'within_euclidean_low')}, {_r2(n, 'within_euclidean_high')}]"
    return (
        _r2(n, "within_dtw"),
        vectors,
        _r2(n, "within_cosine"),
        _r2(n, "between_agreement_simple_cosine"),
        _r2(n, "between_spearman_dtw_euclidean"),
    )


def _method(n, label):
    if f"{label}_method" not in n:
        return "-"
    p = n.get(f"{label}_area_p")
    shown = "p -" if p is None else "p < 0.001" if p < 0.001 else f"p {p:.3f}"
    return f"{methods.short(n[f'{label}_method'])} {_auc(n, f'{label}_area', '+')}, {shown}"


def _ranking(comparison):
    """The encoders of every perturbation in order."""
    of_measure = comparison["measures"][comparison["severity"]]
    lines = [
        f"Drop of AUC per {UNITS[comparison['severity']]}, least first (%: how often first over resampled recordings):"
    ]
    longest = max(map(len, of_measure))
    for perturbation, of in of_measure.items():
        order = sorted(of, key=lambda encoder: (of[encoder]["rank"] is None, of[encoder]["rank"] or 0))
        text = "   ".join(_standing(encoder, of[encoder]) for encoder in order)
        begin, gap = f"  {perturbation:{longest}}  ", " " * (longest + 4)
        wrapped = textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=gap, break_on_hyphens=False)
        lines += [line.replace(_UNBROKEN, " ") for line in wrapped]
    return lines


def _standing(encoder, of):
    if of["rank"] is None:
        return f"- {encoder} ({of['problem']})"
    number = f"{encoder} {of['slope']:.2g}" if of["slope"] is not None else encoder
    first = "" if of["first"] is None else f" ({100 * of['first']:.0f} %)"
    return f"{of['rank']:.3g} {number}{first}".replace(" ", _UNBROKEN)


def _interval(n, name):
    return f"{_auc(n, name)} [{_auc(n, f'{name}_low')}, {_auc(n, f'{name}_high')}]"


def _auc(numbers, name, sign=""):
    return f"{numbers[name]:{sign}.3f}".replace("-0.000", f"{sign}0.000") if name in numbers else "-"


def _r2(numbers, name):
    return f"{numbers[name]:.2f}".replace("-0.00", "0.00") if name in numbers else "-"


def _rank(numbers, name):
    if name not in numbers:
        return "-"
    return f"{numbers[name]:.{1 if numbers[name] < 100 else 0}f}"


@command
def main(arguments=None):
    """Write metrics/summary.json, or print the table."""
    parser = argparse.ArgumentParser(prog="python -m stages.summary", description=__doc__.partition("\n")[0])
    parser.add_argument("--show", action="store_true", help="print the table and write nothing")
    show = parser.parse_args(arguments).show
    content = results.document()
    if show:
        print(table(content))
    else:
        write_json(paths.SUMMARY, summary(content))


if __name__ == "__main__":
    main()
