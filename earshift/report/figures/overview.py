"""The picture of the headline numbers, and what each value of a perturbation did to the audio."""

from typing import TYPE_CHECKING

from earshift.report import formats, summary
from earshift.report.figures import panels, style
from earshift.report.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MEASURES = (
    ("snr_db", "SNR (dB)"),
    ("loudness_lu", "loudness\ndifference (LU)"),
    ("lsd_db", "log-spectral\ndistance (dB)"),
)


def headline(results: Results) -> "Figure":
    """Held-out R2 of every pair: marker, bootstrap interval, and the null up to its 95th percentile behind it."""
    study, numbers = results.study, summary.summary(results)
    figure = style.new_figure(max(panels.NARROWEST, 1.6 * len(study.perturbations) + 1.6), 3.4)
    axes = figure.add_subplot()
    step = 0.8 / len(study.encoders)
    for i, (encoder, offset) in enumerate(zip(study.encoders, panels.offsets(len(study.encoders), step), strict=True)):
        colour, marker = panels.look(study, encoder)
        for column, perturbation in enumerate(study.perturbations):
            x, of = column + offset, numbers[encoder][perturbation]
            null = formats.estimate(of, "null_r2_p95").number
            axes.bar(x, null or 0, 0.86 * step, color=style.FAINT,
                     label="null, up to its 95th percentile" if i == column == 0 else None)  # fmt: skip
            if "heldout_r2" not in of:
                panels.say_no_value(axes, x, colour)
            panels.mark(axes, x, formats.estimate(of, "heldout_r2"), colour, marker)
    panels.categories(axes, study.perturbations)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.02)
    axes.set_xlabel("perturbation")
    axes.set_ylabel("held-out R² (signed, at most 1)")
    axes.grid(axis="y")
    encoders = panels.encoder_handles(study, study.encoders, linewidth=0, markersize=5)
    panels.legend(figure, [*encoders, ("null, up to its 95th percentile", style.FAINT)], most=5)
    figure.suptitle("How far unseen recordings follow one direction (lines: bootstrap interval over recordings)")
    return figure


def headline_table(results: Results) -> "pd.DataFrame":
    """One row per pair: encoder, perturbation, heldout_r2, low, high, null_p95, colour (that of the encoder)."""
    import pandas as pd

    rows = []
    for (encoder, perturbation), of in ((pair, summary.headline(results, pair)) for pair in results.study.pairs):
        names = {
            "heldout_r2": "heldout_r2",
            "low": "heldout_r2_low",
            "high": "heldout_r2_high",
            "null_p95": "null_r2_p95",
        }
        rows.append({"encoder": encoder, "perturbation": perturbation, **{n: of.get(key) for n, key in names.items()},
                     "colour": panels.look(results.study, encoder)[0]})  # fmt: skip
    return pd.DataFrame(rows)


def severity(results: Results) -> "Figure":
    """What each value did to the audio, in three measures that all perturbations share."""
    perturbations = results.study.perturbations
    figure = style.new_figure(max(panels.NARROWEST, 2.5 * len(perturbations) + 0.8), 5.2)
    grid = figure.subplots(len(_MEASURES), len(perturbations), squeeze=False, sharey="row", sharex="col")
    for column, perturbation in enumerate(perturbations):
        table = results.severity(perturbation)
        for row, (measure, label) in enumerate(_MEASURES):
            axes = grid[row, column]
            axes.plot(table["strength"], table[measure], "o-", color=style.INK, markersize=3, linewidth=1.2)
            axes.grid(axis="y")
            if column == 0:
                axes.set_ylabel(label)
        panels.value_axis(axes, table, perturbation, table["unit"].iloc[0])
        grid[0, column].set_title(perturbation)
    figure.align_ylabels(grid[:, 0])
    figure.suptitle("What each value does to the audio (median over clips; strength grows to the right)")
    return figure
