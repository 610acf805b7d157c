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
from results_on_disk import dump, with_study, write_comparison, write_params

from earshift.errors import UserError
from earshift.pipeline import report_inputs
from earshift.report.figures import directions, overview, style
from stages import figures

REPOSITORY = Path(__file__).parents[2]
NAMES = (
    "headline", "cca_scatter", "samplewise_r2", "svd_spectra", "severity", "umap_maps", "pca_maps", "paths",
    "roc_auc_mfcc", "other_methods_mfcc", "roc_auc_instrument", "gains", "ranking", "consistency", "minimum_magnitudes",
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
        results = Path("plots/figures", name).read_bytes()
        assert len(results) > 5000
        assert b"dc:date" not in results and b"Matplotlib v" not in results


def test_tables_for_dvc_plots(results):
    headline = overview.headline_table(results)
    assert headline.to_dict("list") == {
        "encoder": ["mfcc", "mfcc", "musicnn", "musicnn"],
        "perturbation": ["gain", "reverb", "gain", "reverb"],
        "heldout_r2": [0.25, 0.375, 0.5, 0.625],
        "low": [0.125, 0.25, 0.375, 0.5],
        "high": [0.375, 0.5, 0.625, 0.75],
        "null_p95": [0.046875] * 4,
        "colour": [style.PALETTE[0]] * 2 + [style.PALETTE[5]] * 2,
    }
    spectra = directions.spectra_table(results)
    assert len(spectra) == 4 * 24 and list(spectra) == [
        "encoder", "perturbation", "rank", "directions", "null", "originals"
    ]  # fmt: skip
    np.testing.assert_allclose(spectra.directions[:24], np.exp(-np.arange(24) / 4), rtol=1e-5)


def test_headline_shows_number_interval_and_null(results):
    (axes,) = overview.headline(results).axes
    colours = [to_hex(style.PALETTE[place]) for place in (0, 0, 5, 5)]  # of mfcc and musicnn
    marks = [(to_hex(line.get_color()), line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_ydata()) == 1]
    assert marks == list(zip(colours, [0.25, 0.375, 0.5, 0.625], strict=True))
    ends = [segment[:, 1].tolist() for lines in axes.collections for segment in lines.get_segments()]
    assert ends == [[0.125, 0.375], [0.25, 0.5], [0.375, 0.625], [0.5, 0.75]]
    assert {bar.get_height() for bar in axes.patches} == {0.046875} and len(axes.patches) == 4


def test_headline_without_a_value_says_so(results, world):
    path = world / "metrics/cca/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["global"] = dict.fromkeys(numbers["global"])
    dump(path, numbers)
    (axes,) = overview.headline(results).axes
    assert [t.get_text() for t in axes.texts] == ["no value"]


def grid(figure):
    return {(i // 2, i % 2): axes for i, axes in enumerate(figure.axes)}  # (perturbation, encoder)


def test_scatter_shows_every_point_of_the_instrument(results, world):
    axes = grid(directions.cca_scatter(with_study(results, instrument="cello")))[1, 0]
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


def test_scatter_of_an_instrument_that_is_not_there(results):
    figure = directions.cca_scatter(with_study(results, instrument="theremin"))
    assert figure.get_suptitle().startswith("cello") and "has no theremin" in figure.get_suptitle()


def test_scatter_without_labels(results, world):
    for path in world.glob("plots/cca/*/*/scatter.csv"):
        table = pd.read_csv(path)
        table["instrument"] = "all"
        table.to_csv(path, index=False)
    for path in world.glob("metrics/cca/*/*.json"):
        numbers = json.loads(path.read_text())
        dump(
            path, {**numbers, "instruments": {"all": {**numbers["instruments"]["cello"], "global": numbers["global"]}}}
        )
    figure = directions.cca_scatter(with_study(results, instrument="cello"))
    assert figure.get_suptitle().startswith("all clips")
    assert grid(figure)[0, 0].get_title() == "R² published 0.81, unseen clips 0.12"


def test_histograms_hold_every_clip(results, world):
    axes = grid(directions.samplewise_r2(results))[0, 1]
    table = pd.read_csv(world / "plots/cca/musicnn/gain/samplewise_r2.csv")
    published, heldout = (patch.get_data().values for patch in axes.patches)
    assert published.tolist() == [0.0] * 19 + [100.0]
    np.testing.assert_allclose(heldout, 100 * np.histogram(table.heldout, 20, (0, 1))[0] / 36)
    assert any("100 %" in t.get_text() for t in axes.texts), "the bar that is cut off says how high it is"


def test_histograms_with_reversed_orders_go_down_to_minus_one(results, world):
    path = world / "plots/cca/musicnn/gain/samplewise_r2.csv"
    table = pd.read_csv(path)
    table.loc[0, "heldout"] = -0.97
    table.loc[1, "heldout"] = np.nan
    table.to_csv(path, index=False)
    axes = grid(directions.samplewise_r2(results))[0, 1]
    heldout = axes.patches[1].get_data().values
    assert len(heldout) == 40 and heldout[0] == pytest.approx(100 / 35) and axes.get_xlim() == (-1, 1)


def test_spectra(results):
    axes = grid(directions.svd_spectra(results))[0, 0]
    originals, null, own = (line.get_ydata() for line in axes.get_lines())
    rank = np.arange(24)
    np.testing.assert_allclose(own, np.exp(-rank / 4))
    np.testing.assert_allclose(null, (rank + 1) ** -0.25)
    np.testing.assert_allclose(originals, np.exp(-rank / 9), atol=1e-6)
    assert axes.get_yscale() == "log" and axes.get_title() == "gain: effective rank 5.2 of 24"


def test_severity(results):
    figure = overview.severity(results)
    snr, loudness, distance = figure.axes[0], figure.axes[2], figure.axes[4]
    for axes, at_full in ((snr, -5), (loudness, -3), (distance, 13)):
        assert axes.get_lines()[0].get_ydata()[-1] == at_full
    assert [a.get_ylabel().replace("\n", " ") for a in (snr, loudness, distance)] == [
        "SNR (dB)", "loudness difference (LU)", "log-spectral distance (dB)"
    ]  # fmt: skip
    assert distance.get_xlabel() == "gain (dB)"
    assert [t.get_text() for t in distance.get_xticklabels()][0] == "\N{MINUS SIGN}40"


def test_every_panel_is_labelled_and_every_figure_has_its_legend(results):
    for picture in (directions.samplewise_r2, directions.svd_spectra, directions.cca_scatter):
        figure = picture(results)
        assert all(axes.get_xlabel() for axes in figure.axes) and figure.get_supylabel() and figure.legends
        assert [t.get_text() for axes in figure.axes[:2] for t in axes.texts if t.get_weight() == "bold"] == [
            "mfcc", "musicnn"
        ]  # fmt: skip


def test_an_encoder_keeps_its_colour(results, world):
    before = to_hex(grid(directions.svd_spectra(results))[0, 1].get_lines()[2].get_color())
    write_params(world, ("musicnn",), ("gain",))
    alone = report_inputs.results()
    assert to_hex(directions.svd_spectra(alone).axes[0].get_lines()[2].get_color()) == before == "#56b4e9"
    assert to_hex(overview.headline(alone).axes[0].get_lines()[0].get_color()) == before


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
    axes = style.new_figure(3, 2).add_subplot()
    strengths = np.linspace(0, 1, count).tolist()
    style.value_axis(axes, strengths, [f"{v:.10g}" for v in np.geomspace(18333.333, 1600, count)], "lowpass (Hz)")
    labels = [t.get_text() for t in axes.get_xticklabels()]
    assert labels[0] == "18333" and labels[-1] == "1600" and 2 <= len(labels) <= 8
    assert np.diff(axes.get_xticks()).min() > 0.08


def test_a_missing_table_is_named(world, results):
    (world / "data/perturbed/reverb/severity.csv").unlink()
    with pytest.raises(UserError, match="data/perturbed/reverb/severity.csv is missing; `dvc repro`"):
        overview.severity(results)
