"""The pictures: what is drawn, that it is labelled, and that it is the same twice."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from results_on_disk import dump, write_comparison, write_params

from earshift.errors import UserError
from earshift.report import results, summary
from earshift.report.figures import draw as figures
from earshift.report.figures import style

REPOSITORY = Path(__file__).parents[2]
NAMES = (
    "headline", "cca_scatter", "samplewise_r2", "svd_spectra", "severity", "umap_maps", "pca_maps", "paths",
    "roc_auc_mfcc", "beyond_mfcc", "roc_auc_instrument", "gains", "ranking", "consistency", "minimum_magnitudes",
    "originals_correlation", "tsne", "marginal_means",
)  # fmt: skip
PICTURES = [f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
TABLES = [f"plots/{name}.csv" for name in ("headline", "spectra", "roc_auc", "robustness", "ranking")]


def drawn_hashes():
    return {name: hashlib.sha256(Path("plots/figures", name).read_bytes()).hexdigest() for name in PICTURES}


def test_same_bytes_twice_whatever_the_users_settings(world):
    write_params(world, ("mfcc",), ("gain",))
    write_comparison(world)
    for path in Path("plots/figures").iterdir():
        path.unlink()  # DVC does so before it runs the stage
    figures.main()
    first = drawn_hashes()
    assert {path.name for path in Path("plots/figures").iterdir()} == set(PICTURES)
    tables = {name: Path(name).read_bytes() for name in TABLES}
    (world / "matplotlibrc").write_text("figure.facecolor: red\nfont.size: 20\nsavefig.bbox: tight\n")
    run = subprocess.run(
        [sys.executable, "-m", "stages.figures"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "5"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert drawn_hashes() == first
    assert tables == {name: Path(name).read_bytes() for name in tables}
    for name in PICTURES:
        content = Path("plots/figures", name).read_bytes()
        assert len(content) > 5000
        assert b"dc:date" not in content and b"Matplotlib v" not in content


def test_tables_for_dvc_plots(content):
    headline = figures.headline_table(summary.summary(content))
    assert headline.to_dict("list") == {
        "encoder": ["mfcc", "mfcc", "musicnn", "musicnn"],
        "perturbation": ["gain", "reverb", "gain", "reverb"],
        "heldout_r2": [0.25, 0.375, 0.5, 0.625],
        "low": [0.125, 0.25, 0.375, 0.5],
        "high": [0.375, 0.5, 0.625, 0.75],
        "null_p95": [0.046875] * 4,
    }
    spectra = figures.spectra_table(content)
    assert len(spectra) == 4 * 24 and list(spectra) == [
        "encoder", "perturbation", "rank", "directions", "null", "originals"
    ]  # fmt: skip
    np.testing.assert_allclose(spectra.directions[:24], np.exp(-np.arange(24) / 4), rtol=1e-5)


def test_headline_shows_number_interval_and_null(content):
    (axes,) = figures.headline(content, summary.summary(content)).axes
    markers = {line.get_label(): line for line in axes.get_lines()}
    assert markers["mfcc"].get_ydata().tolist() == [0.25, 0.375]
    assert markers["musicnn"].get_ydata().tolist() == [0.5, 0.625]
    (first, second) = (c.get_segments() for c in axes.collections)
    assert [s[:, 1].tolist() for s in [*first, *second]] == [[0.125, 0.375], [0.25, 0.5], [0.375, 0.625], [0.5, 0.75]]
    assert {bar.get_height() for bar in axes.patches} == {0.046875} and len(axes.patches) == 4


def test_headline_without_a_value_says_so(content, world):
    path = world / "metrics/cca/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["global"] = dict.fromkeys(numbers["global"])
    dump(path, numbers)
    (axes,) = figures.headline(content, summary.summary(content)).axes
    assert [t.get_text() for t in axes.texts] == ["no value"]


def panels(figure):
    return {(i // 2, i % 2): axes for i, axes in enumerate(figure.axes)}  # (perturbation, encoder)


def test_scatter_shows_every_point_of_the_instrument(content, world):
    axes = panels(figures.cca_scatter(content, "cello"))[1, 0]
    table = pd.read_csv(world / "plots/cca/mfcc/reverb/scatter.csv")
    cello = table[table.instrument == "cello"]
    for collection, split in zip(axes.collections, ("train", "test"), strict=True):
        drawn = sorted(collection.get_offsets()[:, 1].tolist())
        assert drawn == sorted(cello[cello.split == split].projection.tolist()) and drawn
    assert axes.get_title() == "R² published 0.75, unseen clips 0.19"
    assert axes.get_xlabel() == "reverb (room size)"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.01", "0.22", "0.4", "0.61", "0.79", "1"]
    light, dark = (np.mean(c.get_facecolor()[0][:3]) for c in axes.collections)
    assert light > dark + 0.3


def test_scatter_of_an_instrument_that_is_not_there(content):
    figure = figures.cca_scatter(content, "theremin")
    assert figure.get_suptitle().startswith("cello") and "has no theremin" in figure.get_suptitle()


def test_scatter_without_labels(content, world):
    for path in world.glob("plots/cca/*/*/scatter.csv"):
        table = pd.read_csv(path)
        table["instrument"] = "all"
        table.to_csv(path, index=False)
    for path in world.glob("metrics/cca/*/*.json"):
        numbers = json.loads(path.read_text())
        dump(path, {**numbers, "instruments": {"all": {"global": numbers["global"]}}})
    figure = figures.cca_scatter(content, "cello")
    assert figure.get_suptitle().startswith("all clips")
    assert panels(figure)[0, 0].get_title() == "R² published 0.81, unseen clips 0.12"


def test_histograms_hold_every_clip(content, world):
    axes = panels(figures.samplewise_r2(content))[0, 1]
    table = pd.read_csv(world / "plots/cca/musicnn/gain/samplewise_r2.csv")
    published, heldout = (patch.get_data().values for patch in axes.patches)
    assert published.tolist() == [0.0] * 19 + [100.0]
    np.testing.assert_allclose(heldout, 100 * np.histogram(table.heldout, 20, (0, 1))[0] / 36)
    assert any("100 %" in t.get_text() for t in axes.texts), "the bar that is cut off says how high it is"


def test_histograms_with_reversed_orders_go_down_to_minus_one(content, world):
    path = world / "plots/cca/musicnn/gain/samplewise_r2.csv"
    table = pd.read_csv(path)
    table.loc[0, "heldout"] = -0.97
    table.loc[1, "heldout"] = np.nan
    table.to_csv(path, index=False)
    axes = panels(figures.samplewise_r2(content))[0, 1]
    heldout = axes.patches[1].get_data().values
    assert len(heldout) == 40 and heldout[0] == pytest.approx(100 / 35) and axes.get_xlim() == (-1, 1)


def test_spectra(content):
    axes = panels(figures.svd_spectra(content))[0, 0]
    originals, null, directions = (line.get_ydata() for line in axes.get_lines())
    rank = np.arange(24)
    np.testing.assert_allclose(directions, np.exp(-rank / 4))
    np.testing.assert_allclose(null, (rank + 1) ** -0.25)
    np.testing.assert_allclose(originals, np.exp(-rank / 9), atol=1e-6)
    assert axes.get_yscale() == "log" and axes.get_title() == "gain: effective rank 5.2 of 24"


def test_severity(content):
    figure = figures.severity(["gain", "reverb"])
    snr, loudness, distance = figure.axes[0], figure.axes[2], figure.axes[4]
    for axes, at_full in ((snr, -5), (loudness, -3), (distance, 13)):
        assert axes.get_lines()[0].get_ydata()[-1] == at_full
    assert [a.get_ylabel().replace("\n", " ") for a in (snr, loudness, distance)] == [
        "SNR (dB)", "loudness difference (LU)", "log-spectral distance (dB)"
    ]  # fmt: skip
    assert distance.get_xlabel() == "gain (dB)"
    assert [t.get_text() for t in distance.get_xticklabels()][0] == "\N{MINUS SIGN}40"


def test_every_panel_is_labelled_and_every_figure_has_its_legend(content):
    for draw in (figures.samplewise_r2, figures.svd_spectra, lambda c: figures.cca_scatter(c, "cello")):
        figure = draw(content)
        assert all(axes.get_xlabel() for axes in figure.axes) and figure.get_supylabel() and figure.legends
        assert [t.get_text() for axes in figure.axes[:2] for t in axes.texts if t.get_weight() == "bold"] == [
            "mfcc", "musicnn"
        ]  # fmt: skip


def test_an_encoder_keeps_its_colour(content, world):
    before = to_hex(panels(figures.svd_spectra(content))[0, 1].get_lines()[2].get_color())
    write_params(world, ("musicnn",), ("gain",))
    alone = results.document()
    assert to_hex(figures.svd_spectra(alone).axes[0].get_lines()[2].get_color()) == before == "#d55e00"
    assert to_hex(figures.headline(alone, summary.summary(alone)).axes[0].get_lines()[0].get_color()) == before


def test_colours_differ_in_lightness_or_hue_for_every_kind_of_eye():
    """Machado et al. 2009, severity 1: no two of the first six colours come close (sum of RGB differences)."""
    eyes = {
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    }
    for matrix in eyes.values():
        seen = np.array([np.dot(matrix, to_rgb(colour)) for colour in style.PALETTE[:6]])
        apart = np.abs(seen[:, None] - seen[None]).sum(-1)
        assert apart[np.triu_indices(6, 1)].min() > 0.15


@pytest.mark.parametrize("count", [2, 6, 12, 31, 34])
def test_value_axis_stays_readable(count):
    axes = style.figure(3, 2).add_subplot()
    strengths = np.linspace(0, 1, count).tolist()
    style.value_axis(axes, strengths, [f"{v:.10g}" for v in np.geomspace(18333.333, 1600, count)], "lowpass (Hz)")
    labels = [t.get_text() for t in axes.get_xticklabels()]
    assert labels[0] == "18333" and labels[-1] == "1600" and 2 <= len(labels) <= 8
    assert np.diff(axes.get_xticks()).min() > 0.08


def test_a_missing_table_is_named(world):
    (world / "data/perturbed/reverb/severity.csv").unlink()
    with pytest.raises(UserError, match="data/perturbed/reverb/severity.csv is missing; `dvc repro`"):
        figures.severity(["gain", "reverb"])
