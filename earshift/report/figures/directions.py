"""Directions of movement as pictures: clips along the global direction, R2 of every clip, spectra.

Conventions
-----------
Panels stand perturbations down, encoders across. R2 is a squared Spearman correlation, the held-out one with the sign
of the correlation. Strength grows to the right and is marked with the perturbation's values in their unit.

- :func:`cca_scatter`: one instrument's clips along the global direction (after deng2025's CCA figure)
- :func:`samplewise_r2`: sample-wise R2 as published and held out (after its histograms)
- :func:`svd_spectra`: how many directions the clips' own directions span (after its SVD figure)
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earshift.report import formats
from earshift.report.figures import panels, style
from earshift.report.results import Pair, Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_BINS = 20  # as in the study's histograms


def cca_scatter(results: Results) -> "Figure":
    """Projection on the global direction against the perturbation's value, one point per clip of one instrument.

    Where a corpus lacks the instrument that is asked for, its first one is drawn and the title says so.
    """
    figure, grid = panels.grid_of_pairs(results.study)
    drawn = wanted = results.study.instrument
    for (encoder, perturbation), axes in grid.items():
        table = results.table("cca", (encoder, perturbation), "scatter")
        numbers = results.cca[encoder, perturbation]
        drawn = panels.drawn_instrument(table, wanted)
        points = table[table["instrument"] == drawn]
        colour, _ = panels.look(results.study, encoder)
        space = 0.5 / max(len(panels.values(table)[0]) - 1, 1)
        for split, tone, side in (("train", 0.62, -0.28), ("test", -0.35, 0.28)):
            chosen = points[points["split"] == split]
            axes.scatter(chosen["strength"] + side * space, chosen["projection"], s=5, linewidths=0,
                         color=style.shade(colour, tone), rasterized=True)  # fmt: skip
        instrument = numbers["instruments"].get(drawn)
        r2 = instrument["global"] if instrument and instrument["global"] else numbers["global"]
        # what is drawn is the published direction, so its own held-out number belongs here, not that of the ridged one
        published, unseen = formats.r2(r2["published"]), formats.r2(r2["heldout_unregularised"])
        axes.set_title(f"R² published {published}, unseen clips {unseen}")
        panels.value_axis(axes, table, perturbation, numbers["unit"])
        axes.grid(axis="y")
    subject = "all clips" if drawn == panels.OVERALL else drawn
    note = panels.instrument_note(drawn, wanted)
    figure.suptitle(f"{subject}: projections of clips on the published global CCA direction{note}")
    figure.supylabel("projection (embedding units)", fontsize=8)
    light = ("train clips, light: the direction was fitted on them", style.shade(style.INK, 0.62))
    panels.legend(figure, [light, ("test clips, dark", style.INK)])
    return figure


def samplewise_r2(results: Results) -> "Figure":
    """Histograms of sample-wise R2 over clips: the published in-sample value and the held-out one."""
    figure, grid = panels.grid_of_pairs(results.study, sharey=True)
    tables = {pair: results.table("cca", pair, "samplewise_r2") for pair in grid}
    signed = any((table["heldout"] < 0).any() for table in tables.values())  # a held-out order may come out reversed
    edges = np.linspace(-1 if signed else 0, 1, (2 if signed else 1) * _BINS + 1)
    shares = {(pair, name): _shares(table[name], edges) for pair, table in tables.items()
              for name in ("published", "heldout")}  # fmt: skip
    highest = max(max(shares[pair, "heldout"], default=0) for pair in grid) or 100
    top = min(1.25 * highest, 105)  # per cent, and room for the line at 100
    for pair, axes in grid.items():
        colour, _ = panels.look(results.study, pair[0])
        published, heldout = shares[pair, "published"], shares[pair, "heldout"]
        axes.stairs(published, edges, fill=True, facecolor=style.FAINT, edgecolor=style.MUTED, linewidth=0.8)
        glass = (*style.shade(colour, 0), 0.55)
        axes.stairs(heldout, edges, fill=True, facecolor=glass, edgecolor=colour, linewidth=0.8)
        peak = int(np.argmax(published))
        if published[peak] > top:  # often: the published value is 1 by construction
            axes.annotate(f"published: {published[peak]:.0f} % \N{UPWARDS ARROW}", (edges[peak], top), (-3, -2),
                          textcoords="offset points", ha="right", va="top", fontsize=7)  # fmt: skip
        axes.set_title(f"{pair[1]}: held-out R² {formats.r2(results.cca[pair]['samplewise']['heldout'])}")
        axes.set_xlim(edges[0], 1)
        axes.set_ylim(0, top)
        axes.grid(axis="y")
        axes.set_xlabel(f"sample-wise R² ({formats.MINUS if signed else ''}{abs(edges[0]):.0f} to 1)")
    figure.suptitle("One direction per clip: in-sample R² is 1 wherever values are fewer than dimensions")
    figure.supylabel("clips (%)", fontsize=8)
    colours = [("published (in-sample)", style.FAINT), ("held-out, in the encoder's colour", style.MUTED)]
    panels.legend(figure, colours)
    return figure


def svd_spectra(results: Results) -> "Figure":
    """Relative singular values of the stacked sample-wise directions, of their null and of the centred originals."""
    figure, grid = panels.grid_of_pairs(results.study, sharey=True)
    looks: dict[str, dict[str, Any]] = {
        "originals": {"color": style.INK, "linestyle": style.DOTTED, "linewidth": 1.2},
        "null": {"color": style.MUTED, "linestyle": style.DASHED, "linewidth": 1.0},
        "directions": {"linewidth": 1.6},
    }
    for pair, axes in grid.items():
        table, numbers = _overall_spectrum(results, pair), results.svd[pair]["overall"]
        for name, look in looks.items():
            drawn = table[table[name] > 1e-6]  # below lies rounding, and a logarithm has no zero
            axes.plot(drawn["rank"], drawn[name], **{"color": panels.look(results.study, pair[0])[0], **look})
        axes.set_yscale("log")
        rank = numbers["effective_rank"]
        axes.set_title(f"{pair[1]}: effective rank {formats.fixed(rank, 1)} of {numbers['directions']}")
        axes.set_xlabel("rank of the singular value")
        axes.grid()
    figure.suptitle("Singular values of the sample-wise directions: a steep fall means few directions serve all clips")
    figure.supylabel("singular value relative to the first", fontsize=8)
    panels.legend(figure, [
        style.handle("directions (in the encoder's colour)", linewidth=1.6),
        style.handle("null (strengths shuffled within clips)", linestyle=style.DASHED, linewidth=1.0),
        style.handle("centred originals", style.INK, linestyle=style.DOTTED, linewidth=1.2),
    ])  # fmt: skip
    return figure


def spectra_table(results: Results) -> "pd.DataFrame":
    """Overall spectra of all pairs: encoder, perturbation, rank, directions, null, originals."""
    return panels.stacked({pair: _overall_spectrum(results, pair) for pair in results.study.pairs})


def _shares(values: "pd.Series[float]", edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per cent of the clips in each bin; clips without a value are left out."""
    counts, _ = np.histogram(values.dropna().clip(edges[0], edges[-1]), edges)
    return np.asarray(100 * counts / max(counts.sum(), 1), dtype=np.float64)


def _overall_spectrum(results: Results, pair: Pair) -> "pd.DataFrame":
    table = results.table("svd", pair, "spectrum")
    table = table[table["instrument"] == panels.OVERALL].drop_duplicates("rank")
    return table[["rank", "directions", "null", "originals"]]
