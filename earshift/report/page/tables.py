"""The tables of the report page, as rows of text.

Conventions
-----------
Numbers are those of metrics/summary.json and of the analyses' files, worded by :mod:`earshift.report.page.text`; an
interval or what else belongs to a number is the *note* below it. Rows may stand in groups with a heading each.
Everything is plain text, to be escaped.

- :func:`headline`: all pairs
- :func:`of_encoder`, :func:`of_perturbation`: one encoder, or perturbation, against the other side
- :func:`neighbours`: whether clips stay nearest to their own original under one perturbation
- :func:`third_study`: what the third study found, beside what came out here
- :func:`second_study`, :func:`of_subsets`, :func:`of_classes`: the second study's streams, their subsets, every class
- :func:`along_grid`: what every value of a perturbation did to the audio, and to the embeddings
"""

from dataclasses import dataclass, field

from earshift.report import methods
from earshift.report.figures import consistency, ranking, subsets
from earshift.report.page import text as wording
from earshift.report.page.text import auc, interval, r2, rank


@dataclass(frozen=True)
class Cell:
    """A number as text, and what stands below it."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    name : str, unique on the page
    caption : str
    corner : str, over the headings of the rows
    columns : list of Cell
    groups : list of (heading or "", list of (heading of the row, list of Cell))
    spans : list of (heading, number of columns), a first row of headings, or empty
    """

    name: str
    caption: str
    corner: str
    columns: list
    groups: list
    spans: list = field(default_factory=list)

    @property
    def width(self):
        """Number of columns, the headings of the rows included."""
        return len(self.columns) + 1


def headline(g):
    """The headline numbers of all pairs, encoder by encoder.

    Parameters
    ----------
    g : earshift.report.page.content.Gathered
    """
    sure = f"[{confidence(g, 'cca')} interval]"
    columns = [
        Cell("farthest", "at value"), Cell("held-out R²", sure), Cell("null R²", "95th percentile"),
        Cell("published R²", "of shuffled strengths"), Cell("effective rank", sure),
        Cell("ROC AUC of originals", sure), Cell("mean drop", sure),
        Cell("worst drop", f"at value, {sure}"), Cell("best removal", "gained AUC, p"),
    ]  # fmt: skip
    spans = [("distance", 1), ("one direction", 3), ("dimensions", 1), ("cost for a classifier", 3), ("removal", 1)]
    groups = [(e, [(p, _headline_row(g, e, p)) for p in g.perturbations]) for e in g.encoders]
    return Table("headline", "The headline numbers of every encoder under every perturbation", "perturbation", columns,
                 groups, spans)  # fmt: skip


def _headline_row(g, encoder, perturbation):
    n, unit = g.numbers[encoder][perturbation], g.unit(perturbation)
    directions = g.metrics["svd"][encoder, perturbation]["overall"]["directions"]
    published_null = g.metrics["cca"][encoder, perturbation]["global"].get("published_null_mean")
    value, distance = g.farthest(encoder, perturbation)
    worst = f" at {wording.with_unit(n['worst_value'], unit)}" if "worst_value" in n else ""
    return [
        Cell(r2(distance), wording.with_unit(value, unit) if value else ""),
        Cell(r2(n.get("heldout_r2")), _between(n, "heldout_r2", r2)),
        Cell(r2(n.get("null_r2_mean")), r2(n.get("null_r2_p95"))),
        Cell(r2(n.get("published_r2")), r2(published_null)),
        Cell(rank(n.get("effective_rank")), f"{_between(n, 'effective_rank', rank)} of {directions:,}".strip()),
        Cell(auc(n.get("roc_auc")), _between(n, "roc_auc", auc)),
        Cell(auc(n.get("mean_drop")), _between(n, "mean_drop", auc)),
        Cell(f"{auc(n.get('worst_drop'))}{worst}", _between(n, "worst_drop", auc)),
        _removal(n, "best"),
    ]


def of_encoder(g, encoder):
    """What else there is to one encoder, perturbation by perturbation."""
    unit = ranking.MEASURES[g.comparison["severity"]][1]
    sure = f"[{confidence(g, 'trajectories')} interval]"
    columns = [
        Cell("sample-wise held-out R²", "null, 95th percentile"),
        Cell("effective rank", "of originals, of the null"),
        Cell("straightness", sure), Cell("turning angle", sure), Cell("monotonicity", sure),
        Cell("worst removal", "gained AUC, p"), Cell("trained on all values", "gained AUC"),
        Cell(f"AUC lost per {unit}", sure), Cell("rank", "among encoders"),
    ]  # fmt: skip
    rows = []
    for perturbation in g.perturbations:
        n = g.numbers[encoder][perturbation]
        rows.append((perturbation, [
            Cell(r2(n.get("samplewise_heldout_r2")), r2(n.get("samplewise_null_r2_p95"))),
            Cell(rank(n.get("effective_rank")),
                 f"{rank(n.get('originals_effective_rank'))}, {rank(n.get('null_effective_rank'))}"),
            Cell(r2(n.get("straightness")), _between(n, "straightness", r2)),
            Cell(_degrees(n.get("turning_angle")), _between(n, "turning_angle", _degrees)),
            Cell(r2(n.get("monotonicity")), _between(n, "monotonicity", r2)),
            _removal(n, "worst"),
            Cell(_signed(n.get("ceiling_area")), _between(n, "ceiling_area", _signed)),
            Cell(wording.short(n.get("severity_slope")), _between(n, "severity_slope", wording.short)),
            Cell(f"{n['severity_rank']:.3g}" if "severity_rank" in n else wording.MISSING),
        ]))  # fmt: skip
    return Table(f"encoder-{g.encoders.index(encoder)}", f"{encoder}, perturbation by perturbation", "perturbation",
                 columns, [("", rows)])  # fmt: skip


def of_perturbation(g, perturbation):
    """The encoders under one perturbation, in the order in which they lose."""
    lines = g.comparison["measures"][g.comparison["severity"]].get(perturbation, {})
    unit = ranking.MEASURES[g.comparison["severity"]][1]
    sure = f"[{confidence(g, 'comparison')} interval]"
    columns = [
        Cell("held-out R²", sure), Cell("effective rank", sure), Cell("mean drop", sure),
        Cell(f"AUC lost per {unit}", sure), Cell("rank", sure), Cell("first", "of resamples"),
    ]  # fmt: skip
    rows = []
    for encoder in sorted(g.encoders, key=lambda e: _known_first(lines.get(e, {}).get("rank"))):
        n, line = g.numbers[encoder][perturbation], lines.get(encoder, {})
        rows.append((encoder, [
            Cell(r2(n.get("heldout_r2")), _between(n, "heldout_r2", r2)),
            Cell(rank(n.get("effective_rank")), _between(n, "effective_rank", rank)),
            Cell(auc(n.get("mean_drop")), _between(n, "mean_drop", auc)),
            Cell(wording.short(line.get("slope")), _between(line, "slope", wording.short)),
            Cell(_rank(line.get("rank")), _between(line, "rank", _rank)),
            Cell(wording.per_cent(line.get("first"))),
        ]))  # fmt: skip
    return Table(f"perturbation-{g.perturbations.index(perturbation)}", f"The encoders under {perturbation}, in the "
                 "order in which they lose", "encoder", columns, [("", rows)])  # fmt: skip


def neighbours(g, perturbation):
    """Consistency in the audio and between the vectors of every encoder under one perturbation."""
    sure, unit = f"[{confidence(g, 'consistency')} interval]", g.unit(perturbation)
    first = g.metrics["consistency"][g.encoders[0], perturbation]
    a, _ = consistency.chosen(first, "dtw", "euclidean")
    columns = [
        Cell("distance"), Cell("nearest is own", f"share of clips, {sure}"), Cell("at the smallest", "value"),
        Cell(f"below {first['threshold']:g}", f"first value{f', {unit}' if unit else ''}"),
        Cell(f"agreement with {consistency.NAMES[a]}", sure), Cell(f"correlation with {consistency.NAMES[a]}", sure),
    ]  # fmt: skip
    rows = [("audio", _neighbours(g, g.encoders[0], perturbation, name, a)) for name in first["audio"]]
    rows += [(e, _neighbours(g, e, perturbation, name, a)) for e in g.encoders for name in first["latent"]]
    return Table(f"neighbours-{g.perturbations.index(perturbation)}", f"Who stays nearest to its own original under "
                 f"{perturbation}, mean over the values", "between", columns, [("", rows)])  # fmt: skip


def _neighbours(g, encoder, perturbation, name, audio):
    numbers = g.metrics["consistency"][encoder, perturbation]
    overall, sides = numbers["overall"], numbers["sides"].values()
    smallest = ", ".join(wording.value(side["smallest"]) for side in sides)
    within, agreement = f"within_{name}", f"between_agreement_{audio}_{name}"
    correlation = f"between_spearman_{audio}_{name}"
    return [
        Cell(consistency.NAMES[name]),
        Cell(r2(overall[within]), _between(overall, within, r2)),
        Cell(", ".join(r2(side["at_smallest"][name]) for side in sides), smallest),
        Cell(", ".join(consistency.fall(side, name) for side in sides)),
        Cell(r2(overall.get(agreement)), _between(overall, agreement, r2)),
        Cell(r2(overall.get(correlation)), _between(overall, correlation, r2)),
    ]


def third_study(g):
    """Every check of the third study's findings, its sections as groups."""
    return _study("third-study", "What Kim et al. (2019) found, and whether it is so here", g.checks)


def second_study(g):
    """Every check of the second study's findings."""
    return _study("second-study", "What Verma (2023) found, and whether it is so here", g.streams)


def _study(name, caption, checks):
    columns = [Cell("the study"), Cell("here"), Cell("verdict")]
    groups = [
        (title, [(c.claim, [Cell(c.published or wording.MISSING), Cell(c.ours or wording.MISSING),
                            Cell(c.verdict, c.why)]) for c in checks if c.title == title])
        for title in dict.fromkeys(check.title for check in checks)
    ]  # fmt: skip
    return Table(name, caption, "finding", columns, groups)


def of_subsets(g):
    """Every subset of streams, best first."""
    sure = f"[{confidence(g, 'diverse')} interval]"
    columns = [Cell("streams"), *(Cell(label, sure) for label in subsets.METRICS.values())]
    rows = [
        (subsets.title(row["subset"]), [
            Cell(f"{row['streams']}"),
            *(Cell(auc(row[name]), _between(row, name, auc)) for name in subsets.METRICS),
        ])
        for _, row in g.subsets.iterrows()
    ]  # fmt: skip
    first = g.subsets.iloc[0]
    size = f"{wording.counted(int(first['clips']), 'test clip')}, {wording.counted(int(first['chunks']), 'chunk')}"
    return Table("subsets", f"A linear model on every subset of streams: {size}, chance mAP {auc(first['chance_map'])}",
                 "subset", columns, [("", rows)])  # fmt: skip


def of_classes(g):
    """Average precision of every class by each stream alone and by all, best known by all first."""
    wide = g.classes.pivot(index=["tag", "positives"], columns="subset", values="average_precision").reset_index()
    names = [name for name in (*subsets.STREAMS, subsets.ALL) if name in wide]
    wide = wide.sort_values([names[-1], "tag"], ascending=[False, True], kind="stable")
    columns = [Cell("test clips"), *(Cell(subsets.title(name)) for name in names)]
    rows = [(row["tag"], [Cell(f"{row['positives']:,}"), *(Cell(r2(row[name])) for name in names)])
            for _, row in wide.iterrows()]  # fmt: skip
    return Table("classes", "Average precision of every class, by streams alone and together", "class", columns,
                 [("", rows)])  # fmt: skip


def along_grid(g, perturbation):
    """Severity of every value, and beside it how far embeddings move and what ROC AUC is left."""
    columns = [Cell("SNR", "dB"), Cell("loudness", "LU, difference"), Cell("spectrum", "dB, log-spectral distance")]
    spans = [("the audio", len(columns))]
    for encoder in g.encoders:
        columns += [Cell("distance", "1: two clips"), Cell("ROC AUC")]
        spans.append((encoder, 2))
    unit, rows = g.unit(perturbation), []
    for value, of in g.severity[perturbation].items():
        cells = [Cell(wording.fixed(of[name], 1)) for name in ("snr_db", "loudness_lu", "lsd_db")]
        for encoder in g.encoders:
            pair = (encoder, perturbation)
            cells += [Cell(r2(g.distances[pair].get(value))), Cell(auc(g.roc_auc[pair].get(value)))]
        rows.append((wording.with_unit(value, unit), cells))
    original = [Cell(wording.MISSING)] * 3
    for encoder in g.encoders:
        original += [Cell("0"), Cell(auc(g.roc_auc[encoder, perturbation].get("original")))]
    count = next((of["clips"] for of in g.severity[perturbation].values()), None)
    measured = f", the audio measured on {count:.0f} clips (medians)" if count else ""
    return Table(f"grid-{g.perturbations.index(perturbation)}", f"{perturbation}, value by value{measured}", "value",
                 columns, [("", [("original", original), *rows])], spans)  # fmt: skip


def confidence(g, section):
    """Confidence of the intervals of one analysis, as per cent."""
    return f"{100 * g.content[section]['confidence']:.3g}{wording.GLUE}%"


def _between(numbers, name, how):
    return interval(numbers.get(f"{name}_low"), numbers.get(f"{name}_high"), how)


def _removal(n, label):
    """The best or the worst removal."""
    if f"{label}_method" not in n:
        return Cell(wording.MISSING)
    p = wording.p_value(n.get(f"{label}_area_p"))
    return Cell(methods.short(n[f"{label}_method"]), f"{_signed(n[f'{label}_area'])}, {p}")


def _signed(number):
    return auc(number, sign=True)


def _degrees(number):
    return f"{wording.fixed(number, 0)}°" if wording.known(number) else wording.MISSING


def _rank(number):
    return f"{number:.3g}" if wording.known(number) else wording.MISSING


def _known_first(number):
    return (number is None, number or 0)
