"""Maps and paths of trajectories: what is drawn, and that it is labelled."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from results_on_disk import GRIDS, INSTRUMENTS, dump, with_study, write_params

from earshift.analysis.trajectories import TrajectoriesResult
from earshift.errors import UserError
from earshift.pipeline import report_inputs
from earshift.report.figures import maps, style
from earshift.storage.results import write_result

PAIRS = [("mfcc", "gain"), ("mfcc", "reverb"), ("musicnn", "gain"), ("musicnn", "reverb")]
APART = {"mfcc": 96.0, "musicnn": 12.0}


@pytest.fixture
def results(world):
    rng = np.random.default_rng(3)
    for encoder, perturbation in PAIRS:
        write_trajectories(world, encoder, perturbation, rng)
    return report_inputs.results()


def write_trajectories(root, encoder, perturbation, rng, instruments=INSTRUMENTS, clips=2):
    """Known numbers of one pair: two clips of every instrument at random places."""
    unit, values = GRIDS[perturbation]
    strength = np.linspace(0, 1, len(values))
    path = root / f"metrics/trajectories/{encoder}/{perturbation}.json"
    numbers = json.loads(path.read_text())
    known = {"straightness": 0.8125, "turning_angle": 43.7, "pca_explained": [0.625, 0.25, 0.0625]}
    instrument = next(iter(numbers["instruments"].values()))
    numbers["distance_between_originals"] = APART[encoder]
    numbers["overall"] |= known
    numbers["instruments"] = dict.fromkeys(instruments, {**instrument, **known})
    write_result(path, TrajectoriesResult, numbers)
    rows = [
        (name, f"{name}{i}", value, s, *rng.normal(size=4))
        for name in instruments for i in range(clips)
        for value, s in zip(["original", *values], [np.nan, *strength], strict=True)
    ]  # fmt: skip
    folder = root / f"plots/trajectories/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["instrument", "clip", "value", "strength", "umap_1", "umap_2", "pc_1", "pc_2"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "points.csv", index=False)
    pd.concat(
        pd.DataFrame({
            "instrument": name, "value": values, "strength": strength, "distance_from_original": 48 * strength,
            "step_length": [np.nan, *[9.6] * (len(values) - 1)], "step_share": 0.2,
            "turning_angle": [np.nan, *[100.0] * (len(values) - 2), np.nan],
        })
        for name in dict.fromkeys(["all", *instruments])
    ).to_csv(folder / "path.csv", index=False)  # fmt: skip


def panel(figure, encoder, perturbation):
    row, column = ["gain", "reverb"].index(perturbation), ["mfcc", "musicnn"].index(encoder)
    return figure.axes[2 * row + column]


def bars(figure):
    return figure.axes[4:6]


DRAWN = [(maps.umap_maps, "umap"), (maps.pca_maps, "pc")]


@pytest.mark.parametrize("draw, axis", DRAWN)
def test_every_point_of_the_instrument_is_there(results, world, draw, axis):
    figure = draw(with_study(results, instrument="flute"))
    for encoder, perturbation in PAIRS:
        table = pd.read_csv(world / f"plots/trajectories/{encoder}/{perturbation}/points.csv")
        flute = table[table["instrument"] == "flute"]
        axes = panel(figure, encoder, perturbation)
        dots, crosses = axes.collections
        for drawn, rows in (
            (dots, flute[flute["value"] != "original"]),
            (crosses, flute[flute["value"] == "original"]),
        ):
            np.testing.assert_allclose(drawn.get_offsets(), rows[[f"{axis}_1", f"{axis}_2"]])
        assert dots.get_array().tolist() == 2 * np.linspace(0, 1, 6).tolist() and dots.get_clim() == (0, 1)
        for line, (_, rows) in zip(axes.get_lines(), flute.groupby("clip"), strict=True):
            np.testing.assert_allclose(line.get_xydata(), rows[rows["value"] != "original"][[f"{axis}_1", f"{axis}_2"]])


@pytest.mark.parametrize("draw, axis", DRAWN)
def test_legend_bars_and_titles(results, draw, axis):
    figure = draw(results)
    assert figure.get_suptitle().startswith("cello, 2\xa0training clips: ")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "a clip at one value (colour: strength)", "the path of one clip", "the original, placed afterwards"
    ]  # fmt: skip
    assert [bar.get_ylabel() for bar in bars(figure)] == ["gain (dB)", "reverb (room size)"]
    gain, reverb = ([label.get_text() for label in bar.get_yticklabels()] for bar in bars(figure))
    minus = "\N{MINUS SIGN}"
    assert gain == [f"{minus}40", f"{minus}31", f"{minus}22", f"{minus}13", f"{minus}4", "5"]
    assert reverb == ["0.01", "0.22", "0.4", "0.61", "0.79", "1"]
    np.testing.assert_allclose(bars(figure)[0].get_yticks(), np.linspace(0, 1, 6))
    assert all(panel(figure, *pair).get_title() == "straightness 0.81, turn 44°" for pair in PAIRS)
    assert [t.get_text() for axes in figure.axes[:2] for t in axes.texts] == ["mfcc", "musicnn"]


def test_axes_say_what_they_are(results):
    axes = panel(maps.umap_maps(results), "mfcc", "gain")
    assert len(axes.get_xticks()) == len(axes.get_yticks()) == 0
    assert "axes have no units" in maps.umap_maps(results).get_suptitle()
    axes = panel(maps.pca_maps(results), "musicnn", "reverb")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("PC 1 (62 %)", "PC 2 (25 %)")
    assert axes.get_aspect() == 1


def test_colours_grow_darker_and_none_is_lost_on_white():
    colours = maps._colours()(np.linspace(0, 1, 50))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0).all()
    assert 1.05 / (luminance[0] + 0.05) > 2 and luminance[-1] < 0.05


def test_an_instrument_that_is_not_there(results):
    title = maps.umap_maps(with_study(results, instrument="theremin")).get_suptitle()
    assert title.startswith("cello, ") and "the corpus has no theremin" in title


def test_without_labels(results, world):
    for pair in PAIRS:
        write_trajectories(world, *pair, np.random.default_rng(0), instruments=["all"])
    assert maps.pca_maps(results).get_suptitle().startswith("any, 2\xa0training clips: ")
    assert len(maps.paths(results).axes[0].get_lines()) == 2


def test_a_map_that_could_not_be_made_says_why(results, world):
    path = world / "metrics/trajectories/mfcc/gain.json"
    numbers = json.loads(path.read_text())
    numbers["instruments"]["cello"] |= {"umap_problem": "vectors do not move", "pca_explained": [None] * 3,
                                        "straightness": None, "turning_angle": None}  # fmt: skip
    dump(path, numbers)
    path = world / "plots/trajectories/mfcc/gain/points.csv"
    table = pd.read_csv(path)
    table[["umap_1", "umap_2", "pc_1", "pc_2"]] = np.nan
    table.to_csv(path, index=False)
    for draw, _ in DRAWN:
        axes = panel(draw(results), "mfcc", "gain")
        assert "no map:\nvectors do not move" in [text.get_text() for text in axes.texts]
        assert axes.get_title() == "straightness –, turn –" and len(axes.get_xticks()) == 0


def test_paths(results):
    figure = maps.paths(results)
    far, turn = figure.axes[0], figure.axes[2]
    for encoder, line in zip(("mfcc", "musicnn"), far.get_lines(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), 48 * np.linspace(0, 1, 6) / APART[encoder])
    colours = [to_hex(line.get_color()) for line in far.get_lines()]
    assert colours == [style.encoder_look(e, results.study.configured_encoders)[0].lower() for e in ("mfcc", "musicnn")]
    references, curves = turn.get_lines()[:3], turn.get_lines()[3:]
    assert [line.get_ydata()[0] for line in references] == [120, 90, 0]
    assert [text.get_text() for text in figure.axes[3].texts] == [
        "values in\nno order",
        "random\nwalk",
        "straight\nline",
    ]
    assert all(np.nanmax(line.get_ydata()) == 100 for line in curves) and len(curves) == 2
    assert turn.get_xlabel() == "gain (dB)" and figure.axes[3].get_xlabel() == "reverb (room size)"
    assert far.get_ylabel().startswith("distance from the original") and "degrees" in turn.get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mfcc", "musicnn"]


def test_paths_of_constants_are_empty_not_infinite(results, world):
    path = world / "metrics/trajectories/mfcc/gain.json"
    dump(path, {**json.loads(path.read_text()), "distance_between_originals": 0.0})
    first, second = maps.paths(results).axes[0].get_lines()
    assert np.isnan(first.get_ydata()).all() and np.isfinite(second.get_ydata()).all()


@pytest.mark.parametrize("name, draw", [("umap_maps", maps.umap_maps),
                                        ("pca_maps", maps.pca_maps),
                                        ("paths", maps.paths)])  # fmt: skip
def test_same_bytes_twice(results, world, name, draw):
    found = []
    for _ in range(2):
        style.save(draw(results), world / "plots/figures", name)
        found.append([(world / f"plots/figures/{name}.{kind}").read_bytes() for kind in ("png", "svg")])
    assert found[0] == found[1]


def test_one_pair_is_enough(results, world):
    write_params(world, ("musicnn",), ("reverb",))
    alone = report_inputs.results()
    for figure in (maps.umap_maps(alone), maps.pca_maps(alone), maps.paths(alone)):
        assert len(figure.axes) == 2


def test_a_missing_file_is_named(results, world):
    (world / "plots/trajectories/mfcc/gain/points.csv").unlink()
    with pytest.raises(UserError, match="plots/trajectories/mfcc/gain/points.csv is missing; `dvc repro`"):
        maps.umap_maps(results)


def test_paths_show_the_farthest_whatever_column_it_is_in(results):
    path = results.folders.plots / "trajectories/musicnn/reverb/path.csv"
    table = pd.read_csv(path, dtype={"value": str})
    table["distance_from_original"] *= 10
    table.to_csv(path, index=False)
    apart = results.trajectories["musicnn", "reverb"]["distance_between_originals"]
    farthest = table["distance_from_original"].max() / apart
    assert maps.paths(results).axes[0].get_ylim()[1] > farthest
