"""Stage ``figures``: the pictures and the tables behind them.

Conventions
-----------
Panels stand perturbations down, encoders across. R2 is a squared Spearman correlation, the held-out one with the sign
of the correlation. Strength grows to the right and is marked with the perturbation's values in their unit. Writes
plots/figures/NAME.png and .svg, and for ``dvc plots`` plots/{headline,spectra,roc_auc,robustness,ranking}.csv in long
form. Those of robustness are in :mod:`earshift.report.figures.curves`, those that compare in :mod:`earshift.report.figures.ranking`, the
trajectories in :mod:`earshift.report.figures.maps`, consistency in :mod:`earshift.report.figures.consistency`, its models in
:mod:`earshift.report.figures.significance`, the smallest values in :mod:`earshift.report.figures.tsne`, tasks in
:mod:`earshift.report.figures.performance`. Models are drawn where one could be fitted, tasks where an encoder of the run has one.

- :func:`headline`: held-out R2 with interval and null of every pair
- :func:`cca_scatter`: one instrument's clips along the global direction (after the study's CCA figure)
- :func:`samplewise_r2`: sample-wise R2 as published and held out (after its histograms)
- :func:`svd_spectra`: how many directions the clips' own directions span (after its SVD figure)
- :func:`severity`: what each value did to the audio
"""

from dataclasses import replace

import numpy as np

from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.progress import Progress
from earshift.report import results, summary
from earshift.report.figures import (  # fmt: skip
    accuracy,
    consistency,
    curves,
    maps,
    panels,
    performance,
    ranking,
    significance,
    style,
    subsets,
    tsne,
)
from earshift.storage.files import write_table

HEADLINE_TABLE = paths.PLOTS / "headline.csv"
SPECTRA_TABLE = paths.PLOTS / "spectra.csv"
ROC_AUC_TABLE = paths.PLOTS / "roc_auc.csv"
ROBUSTNESS_TABLE = paths.PLOTS / "robustness.csv"
RANKING_TABLE = paths.PLOTS / "ranking.csv"
_BINS = 20  # as in the study's histograms


def headline(content, numbers):
    """Held-out R2 of every pair: marker, bootstrap interval, and the null up to its 95th percentile behind it.

    Parameters
    ----------
    content : dict, params.yaml
    numbers : dict, as :func:`earshift.report.summary.summary` returns

    Returns
    -------
    matplotlib Figure
    """
    encoders, perturbations = list(numbers), results.run(content).perturbations
    made = style.figure(max(panels.NARROWEST, 1.6 * len(perturbations) + 1.6), 3.4)
    axes = made.add_subplot()
    step = 0.8 / len(encoders)
    for i, encoder in enumerate(encoders):
        colour, marker = style.encoder_look(encoder, content["encoders"])
        x = np.arange(len(perturbations)) + (i - (len(encoders) - 1) / 2) * step
        y, low, high, null = (
            np.array([numbers[encoder][p].get(name, np.nan) for p in perturbations])
            for name in ("heldout_r2", "heldout_r2_low", "heldout_r2_high", "null_r2_p95")
        )
        axes.bar(x, null, 0.86 * step, color=style.FAINT, label="null, up to its 95th percentile" if i == 0 else None)
        axes.vlines(x, low, high, color=colour, linewidth=1.6)
        axes.plot(x, y, marker, color=colour, markersize=5, label=encoder)
        for place in x[np.isnan(y)]:
            axes.text(place, 0.02, "no value", rotation=90, color=style.word(colour), ha="center", va="bottom",
                      fontsize=7)  # fmt: skip
    axes.set_xticks(range(len(perturbations)), perturbations)
    axes.set_xlim(-0.5, len(perturbations) - 0.5)
    for edge in np.arange(0.5, len(perturbations) - 1):
        axes.axvline(edge, color=style.FAINT, linewidth=0.6)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.02)
    axes.set_xlabel("perturbation")
    axes.set_ylabel("held-out R² (signed, at most 1)")
    axes.grid(axis="y")
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].startswith("null"))  # the encoders first
    made.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=5)
    made.suptitle("How far unseen recordings follow one direction (lines: bootstrap interval over recordings)")
    return made


def cca_scatter(content, instrument):
    """Projection on the global direction against the perturbation's value, one point per clip of one instrument.

    Parameters
    ----------
    content : dict, params.yaml
    instrument : str
        Where a corpus has no such instrument, its first one is drawn and the title says so.

    Returns
    -------
    matplotlib Figure
    """
    made, grid = panels.panels(content)
    drawn = None
    for (encoder, perturbation), axes in grid.items():
        table = panels.text_values(paths.plots("cca", encoder, perturbation) / "scatter.csv")
        numbers = results.metrics("cca", encoder, perturbation)
        present = list(dict.fromkeys(table["instrument"]))
        drawn = instrument if instrument in present or not present else present[0]
        points = table[table["instrument"] == drawn]
        colour, _ = style.encoder_look(encoder, content["encoders"])
        strengths, texts = panels.values(table)
        space = 0.5 / max(len(texts) - 1, 1)
        for split, tone, side in (("train", 0.62, -0.28), ("test", -0.35, 0.28)):
            chosen = points[points["split"] == split]
            axes.scatter(chosen["strength"] + side * space, chosen["projection"], s=5, linewidths=0,
                         color=style.shade(colour, tone), rasterized=True)  # fmt: skip
        r2 = numbers["instruments"].get(drawn, {}).get("global") or numbers["global"]
        # what is drawn is the published direction, so its own held-out number belongs here, not that of the ridged one
        published, unseen = panels.two(r2["published"]), panels.two(r2["heldout_unregularised"])
        axes.set_title(f"R² published {published}, unseen clips {unseen}")
        style.value_axis(axes, strengths, texts, style.axis_label(perturbation, numbers["unit"]))
        axes.grid(axis="y")
    note = "" if drawn == instrument else f"\n(the corpus has no {instrument}, which figures.instrument names)"
    subject = "all clips" if drawn == panels.OVERALL else drawn
    made.suptitle(f"{subject}: projections of clips on the published global CCA direction{note}")
    made.supylabel("projection (embedding units)", fontsize=8)
    light = ("train clips, light: the direction was fitted on them", style.shade(style.INK, 0.62))
    panels.legend(made, [light, ("test clips, dark", style.INK)])
    return made


def samplewise_r2(content):
    """Histograms of sample-wise R2 over clips: the published in-sample value and the held-out one.

    Returns
    -------
    matplotlib Figure
    """
    made, grid = panels.panels(content, sharey=True)
    tables = {pair: results.table(paths.plots("cca", *pair) / "samplewise_r2.csv") for pair in grid}
    signed = any((table["heldout"] < 0).any() for table in tables.values())  # a held-out order may come out reversed
    edges = np.linspace(-1 if signed else 0, 1, (2 if signed else 1) * _BINS + 1)
    shares = {
        (pair, name): _shares(table[name], edges) for pair, table in tables.items() for name in ("published", "heldout")
    }
    highest = max(max(shares[pair, "heldout"], default=0) for pair in grid) or 100
    top = min(1.25 * highest, 105)  # per cent, and room for the line at 100
    for (encoder, perturbation), axes in grid.items():
        colour, _ = style.encoder_look(encoder, content["encoders"])
        published, heldout = shares[(encoder, perturbation), "published"], shares[(encoder, perturbation), "heldout"]
        axes.stairs(published, edges, fill=True, facecolor=style.FAINT, edgecolor=style.MUTED, linewidth=0.8)
        glass = (*style.shade(colour, 0), 0.55)
        axes.stairs(heldout, edges, fill=True, facecolor=glass, edgecolor=colour, linewidth=0.8)
        peak = int(np.argmax(published))
        if published[peak] > top:  # often: the published value is 1 by construction
            axes.annotate(f"published: {published[peak]:.0f} % \N{UPWARDS ARROW}", (edges[peak], top), (-3, -2),
                          textcoords="offset points", ha="right", va="top", fontsize=7)  # fmt: skip
        mean = results.metrics("cca", encoder, perturbation)["samplewise"]["heldout"]
        axes.set_title(f"{perturbation}: held-out R² {panels.two(mean)}")
        axes.set_xlim(edges[0], 1)
        axes.set_ylim(0, top)
        axes.grid(axis="y")
        axes.set_xlabel(f"sample-wise R² ({panels.MINUS if signed else ''}{abs(edges[0]):.0f} to 1)")
    made.suptitle("One direction per clip: in-sample R² is 1 wherever values are fewer than dimensions")
    made.supylabel("clips (%)", fontsize=8)
    panels.legend(made, [("published (in-sample)", style.FAINT),
                        ("held-out, in the encoder's colour", style.MUTED)])  # fmt: skip
    return made


def svd_spectra(content):
    """Relative singular values of the stacked sample-wise directions, of their null and of the centred originals.

    Returns
    -------
    matplotlib Figure
    """
    made, grid = panels.panels(content, sharey=True)
    for (encoder, perturbation), axes in grid.items():
        table = _overall_spectrum(encoder, perturbation)
        numbers = results.metrics("svd", encoder, perturbation)["overall"]
        colour, _ = style.encoder_look(encoder, content["encoders"])
        for name, look in (
            ("originals", {"color": style.INK, "linestyle": (0, (1, 1.2)), "linewidth": 1.2}),
            ("null", {"color": style.MUTED, "linestyle": (0, (4, 2)), "linewidth": 1.0}),
            ("directions", {"color": colour, "linewidth": 1.6}),
        ):
            drawn = table[table[name] > 1e-6]  # below lies rounding, and a logarithm has no zero
            axes.plot(drawn["rank"], drawn[name], **look)
        axes.set_yscale("log")
        rank = numbers["effective_rank"]
        shown = "-" if rank is None else f"{rank:.1f}"
        axes.set_title(f"{perturbation}: effective rank {shown} of {numbers['directions']}")
        axes.set_xlabel("rank of the singular value")
        axes.grid()
    made.suptitle("Singular values of the sample-wise directions: a steep fall means few directions serve all clips")
    made.supylabel("singular value relative to the first", fontsize=8)
    from matplotlib.lines import Line2D

    made.legend(
        [Line2D([], [], color=style.MUTED, linewidth=1.6),
         Line2D([], [], color=style.MUTED, linestyle=(0, (4, 2)), linewidth=1.0),
         Line2D([], [], color=style.INK, linestyle=(0, (1, 1.2)), linewidth=1.2)],
        ["directions (in the encoder's colour)", "null (strengths shuffled within clips)", "centred originals"],
        loc="outside lower center", ncols=3,
    )  # fmt: skip
    return made


_MEASURES = (
    ("snr_db", "SNR (dB)"),
    ("loudness_lu", "loudness\ndifference (LU)"),
    ("lsd_db", "log-spectral\ndistance (dB)"),
)


def severity(perturbations):
    """What each value did to the audio, in three measures that all perturbations share.

    Parameters
    ----------
    perturbations : sequence of str

    Returns
    -------
    matplotlib Figure
    """
    made = style.figure(max(panels.NARROWEST, 2.5 * len(perturbations) + 0.8), 5.2)
    grid = made.subplots(len(_MEASURES), len(perturbations), squeeze=False, sharey="row", sharex="col")
    for column, perturbation in enumerate(perturbations):
        table = panels.text_values(paths.severity(perturbation)).sort_values("strength")
        unit = table["unit"].dropna()
        strengths, texts = panels.values(table)
        for row, (measure, label) in enumerate(_MEASURES):
            axes = grid[row, column]
            axes.plot(table["strength"], table[measure], "o-", color=style.INK, markersize=3, linewidth=1.2)
            axes.grid(axis="y")
            if column == 0:
                axes.set_ylabel(label)
        style.value_axis(axes, strengths, texts, style.axis_label(perturbation, unit.iloc[0] if len(unit) else ""))
        grid[0, column].set_title(perturbation)
    made.align_ylabels(grid[:, 0])
    made.suptitle("What each value does to the audio (median over clips; strength grows to the right)")
    return made


# ----------------------------------------------------------------------------------------------------------- the tables


def headline_table(numbers):
    """One row per pair: encoder, perturbation, heldout_r2, low, high, null_p95."""
    import pandas as pd

    return pd.DataFrame([
        {"encoder": e, "perturbation": p, "heldout_r2": n.get("heldout_r2"), "low": n.get("heldout_r2_low"),
         "high": n.get("heldout_r2_high"), "null_p95": n.get("null_r2_p95")}
        for e, of_encoder in numbers.items() for p, n in of_encoder.items()
    ])  # fmt: skip


def coloured(table, content):
    """The table with a column colour: the encoder's in all figures."""
    return table.assign(colour=[style.encoder_look(e, content["encoders"])[0] for e in table["encoder"]])


def spectra_table(content):
    """Overall spectra of all pairs: encoder, perturbation, rank, directions, null, originals."""
    import pandas as pd

    parts = []
    for encoder, perturbation in results.pairs(content):
        part = _overall_spectrum(encoder, perturbation)
        part.insert(0, "encoder", encoder)
        part.insert(1, "perturbation", perturbation)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


# ---------------------------------------------------------------------------------------------------------- small parts


def _shares(values, edges):
    """Per cent of the clips in each bin; clips without a value are left out."""
    counts, _ = np.histogram(values.dropna().clip(edges[0], edges[-1]), edges)
    return 100 * counts / max(counts.sum(), 1)


def _overall_spectrum(encoder, perturbation):
    table = panels.text_values(paths.plots("svd", encoder, perturbation) / "spectrum.csv")
    table = table[table["instrument"] == panels.OVERALL].drop_duplicates("rank")
    return table[["rank", "directions", "null", "originals"]]


def pictures(content):
    """All pictures by name, as (function, arguments)."""
    instrument = check(params.Figures, content.get("figures"), "figures").instrument
    selected, numbers = results.run(content), summary.summary(content)
    return {
        "headline": (headline, content, numbers),
        "cca_scatter": (cca_scatter, content, instrument),
        "samplewise_r2": (samplewise_r2, content),
        "svd_spectra": (svd_spectra, content),
        "severity": (severity, selected.perturbations),
        "umap_maps": (maps.umap_maps, content, instrument),
        "pca_maps": (maps.pca_maps, content, instrument),
        "paths": (maps.path_figure, content),
        **{f"roc_auc_{encoder}": (curves.roc_auc, content, encoder) for encoder in selected.encoders},
        **{f"beyond_{encoder}": (curves.beyond, content, encoder) for encoder in selected.encoders},
        "roc_auc_instrument": (curves.roc_auc_of_instrument, content, instrument),
        "gains": (ranking.gains, content),
        "ranking": (ranking.ranking, content),
        "consistency": (consistency.consistency, content),
        "minimum_magnitudes": (consistency.minimum_magnitudes, content),
        "originals_correlation": (consistency.originals_correlation, content),
        "tsne": (tsne.tsne, content),
        **(
            {"marginal_means": (significance.marginal_means, content)}
            if significance.kinds(significance.means())
            else {}
        ),
        **({"performance": (performance.performance, content)} if performance.tasks(content) else {}),
        **(
            {"robustness_accuracy": (accuracy.robustness_accuracy, content)}
            if len(accuracy.encoders(results.comparison())) > 1
            else {}
        ),
        **({"subsets": (subsets.subsets, content)} if subsets.run(content) else {}),
    }


def _drawn(name, function, *arguments):
    with style.styled():
        style.save(function(*arguments), name)


@command
def main():
    """Draw everything."""
    content = results.document()
    compute = check(params.Compute, content.get("compute"), "compute")
    drawn = [(name, *picture) for name, picture in pictures(content).items()]
    with Progress("figures", len(drawn), unit="pictures") as progress:
        for _ in ordered_map(_drawn, drawn, replace(compute, scheduler=None)):  # no work for a cluster
            progress.advance(1)
    for path, table in (
        (HEADLINE_TABLE, coloured(headline_table(summary.summary(content)), content)),
        (SPECTRA_TABLE, spectra_table(content)),
        (ROC_AUC_TABLE, curves.table(content)),
        (ROBUSTNESS_TABLE, ranking.gains_table(content)),
        (RANKING_TABLE, coloured(ranking.table(), content)),
    ):
        write_table(path, table)
    print(f"figures: {len(drawn)} pictures in {paths.FIGURES}/")


if __name__ == "__main__":
    main()
