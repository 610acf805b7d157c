"""The headline numbers of every encoder under every perturbation: metrics/summary.json, and a table for the terminal.

Conventions
-----------
R2 is a squared Spearman correlation. ``heldout`` was fitted on some recordings and scored on others and keeps the sign
of the correlation, so that noise averages 0; ``null`` is the same procedure with the strengths shuffled within clips,
``published`` is the studies' own in-sample value. Numbers that could not be computed are left out of summary.json and
shown as "-".

``python -m stages.report.summary`` writes the file, ``--show`` prints the table and writes nothing.
"""

import argparse

from stages import paths, store
from stages.errors import command
from stages.report import results

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
}


def headline(encoder, perturbation):
    """The headline numbers of one pair, by name; those that are null are left out.

    Raises
    ------
    UserError
        If an analysis has not been run for the pair.
    """
    content = {analysis: results.metrics(analysis, encoder, perturbation) for analysis in results.ANALYSES}
    numbers = {name: content[analysis][part][key] for name, (analysis, part, key) in _SOURCES.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def summary(content):
    """Headline numbers of all selected pairs: {encoder: {perturbation: {name: number}}}."""
    selected = results.run(content)
    return {e: {p: headline(e, p) for p in selected.perturbations} for e in selected.encoders}


def table(content):
    """The final table and how to read it, as text of at most :data:`WIDTH` columns."""
    rows = [_row(encoder, perturbation) for encoder, perturbation in results.pairs(content)]
    limit = max(len(name) for row in [*_HEAD, *rows] for name in row[:2])
    lines = _aligned(rows, limit)
    while max(map(len, lines)) > WIDTH and limit > 8:
        limit -= 1
        lines = _aligned(rows, limit)
    return "\n".join([*lines, "", *_READING])


_HEAD = (
    ("", "", "held-out R2", "null R2", "publ.", "sample-wise R2", "effective rank [low, high]"),
    ("encoder", "perturbation", "[low, high]", "mean, p95", "R2", "publ., held, p95", "of N directions (originals)"),
)
_READING = (
    "Held-out R2 above the null's p95: recordings the direction was not fitted on move along it as strength grows.",
    "Published R2 is in-sample: 1 by construction with no more points than dimensions, so read held-out against null.",
    "",
    f"Plots: {paths.FIGURES}/   Numbers: {paths.SUMMARY}   Compare runs in MLflow: make ui",
)


def _aligned(rows, limit):
    """Head and rows as lines, columns aligned, names of more than `limit` letters cut."""
    cut = [
        tuple(name if len(name) <= limit else name[: limit - 1] + mark for name in row[:2]) + row[2:]
        for block, mark in ((_HEAD, "."), (rows, "~"))
        for row in block
    ]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cut]
    return [*lines[: len(_HEAD)], "-" * max(map(len, lines)), *lines[len(_HEAD) :]]


def _row(encoder, perturbation):
    n = headline(encoder, perturbation)
    directions = results.metrics("svd", encoder, perturbation)["overall"]["directions"]
    return (
        encoder,
        perturbation,
        f"{_r2(n, 'heldout_r2')} [{_r2(n, 'heldout_r2_low')}, {_r2(n, 'heldout_r2_high')}]",
        f"{_r2(n, 'null_r2_mean')}, {_r2(n, 'null_r2_p95')}",
        _r2(n, "published_r2"),
        ", ".join(_r2(n, f"samplewise_{name}") for name in ("published_r2", "heldout_r2", "null_r2_p95")),
        f"{_rank(n, 'effective_rank')} [{_rank(n, 'effective_rank_low')}, {_rank(n, 'effective_rank_high')}]"
        f" of {'-' if directions is None else directions} ({_rank(n, 'originals_effective_rank')})",
    )


def _r2(numbers, name):
    return f"{numbers[name]:.2f}".replace("-0.00", "0.00") if name in numbers else "-"


def _rank(numbers, name):
    if name not in numbers:
        return "-"
    return f"{numbers[name]:.{1 if numbers[name] < 100 else 0}f}"


@command
def main(arguments=None):
    """Write metrics/summary.json, or print the table."""
    parser = argparse.ArgumentParser(prog="python -m stages.report.summary", description=__doc__.partition("\n")[0])
    parser.add_argument("--show", action="store_true", help="print the table and write nothing")
    show = parser.parse_args(arguments).show
    content = results.document()
    if show:
        print(table(content))
    else:
        store.write_json(paths.SUMMARY, summary(content))


if __name__ == "__main__":
    main()
