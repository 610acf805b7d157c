"""The map of originals and of the smallest deformations."""

import shutil

import numpy as np
import pandas as pd
import pytest

from earshift.analysis import consistency, tsne
from earshift.analysis.consistency import Consistency, ConsistencyResult
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage.results import write_result
from stages import maps as stage

OPTIONS = tsne.Tsne(clips=6, perplexity=30, seed=0)


def apart(count=8, dim=3):
    """Clips far from each other, with values ever farther from the original [shape=(clips, values, dim)]."""
    place = 100 * np.arange(count)[:, None, None] * np.ones(dim)
    return (place + 0.01 * np.arange(3)[:, None]).astype(np.float32)


def test_originals_then_the_values_that_are_shown(trajectories):
    t = trajectories(apart(), originals=apart()[:, 0] - 5)
    table, vectors = tsne.points([(t, ["-1", "-2"])], 4)
    assert table["clip"].tolist() == 3 * ["clip000", "clip002", "clip004", "clip006"]
    assert table["perturbation"].tolist() == 4 * ["original"] + 8 * ["gain"]
    assert table["value"].tolist() == 4 * ["original"] + 4 * ["-1"] + 4 * ["-2"]
    np.testing.assert_array_equal(vectors[:4], t.originals[::2])
    np.testing.assert_array_equal(vectors[8:], t.vectors[::2, 2])


@pytest.mark.parametrize(
    "count, wanted, places", [(10, 5, [0, 2, 4, 6, 8]), (3, 5, [0, 1, 2]), (7, 1, [0]), (0, 4, [])]
)
def test_places_at_even_distances(count, wanted, places):
    assert tsne.spread_places(count, wanted).tolist() == places


def test_only_clips_that_every_perturbation_has(trajectories):
    first, second = trajectories(apart(8)), trajectories(apart(3))
    table, _ = tsne.points([(first, ["0"]), (second, ["0"])], 8)
    assert set(table["clip"]) == {"clip000", "clip001", "clip002"} and len(table) == 3 * 3
    other = trajectories(apart(2))
    object.__setattr__(other, "clip", np.array(["x", "y"]))
    with pytest.raises(UserError, match="no clip is valid for encoder under all of gain, gain"):
        tsne.points([(first, ["0"]), (other, ["0"])], 8)


def test_who_is_close_stays_close():
    rng = np.random.default_rng(0)
    centres = 50 * rng.normal(size=(12, 60))
    vectors = np.repeat(centres, 5, axis=0) + 0.01 * rng.normal(size=(60, 60))
    found = tsne.positions(vectors.astype(np.float32), OPTIONS)
    distance = np.linalg.norm(found[:, None] - found[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    member = np.repeat(np.arange(12), 5)
    assert (member[distance.argmin(axis=1)] == member).all()
    np.testing.assert_array_equal(tsne.positions(vectors.astype(np.float32), OPTIONS), found)


@pytest.mark.parametrize("shape", [(2, 5), (3, 1), (5, 2)])
def test_few_points_and_few_dimensions(shape):
    vectors = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = tsne.positions(vectors, OPTIONS)
    assert found.shape == (shape[0], 2) and np.isfinite(found).all()


def test_vectors_that_are_all_the_same_lie_in_one_place():
    assert not tsne.positions(np.full((6, 4), 3, dtype=np.float32), OPTIONS).any()


def test_the_stage(on_disk, edited, capsys):
    vectors = apart().repeat(2, axis=1)[:, :5]
    on_disk(vectors, [-30, -6, 3, 9], labels=["cello", "flute"] * 4, valid=[True] * 7 + [False])
    edited({"tsne.clips": 4, "tsne.perplexity": 30, "tsne.seed": 0})
    with pytest.raises(SystemExit, match="metrics/consistency/mfcc/gain.json is missing; `dvc repro consistency`"):
        stage.main()
    t, audio = read_trajectories("mfcc", "gain"), {"dtw": 1 - np.eye(7)}
    options = Consistency(latent=("cosine",), threshold=0.9, seed=0, bootstrap=2, confidence=0.9)
    sides = consistency.analyse(t, lambda value: audio, options, neutral=0)[0]
    write_result(paths.metrics("consistency", "mfcc", "gain"), ConsistencyResult, sides)
    stage.main()
    first = paths.tsne("mfcc").read_bytes()
    table = pd.read_csv(paths.tsne("mfcc"), dtype={"value": str})
    assert table.columns.tolist() == list(tsne.COLUMNS)
    assert table["value"].tolist() == 4 * ["original"] + 4 * ["-6"] + 4 * ["3"]
    assert table["clip"].tolist()[:4] == ["clip0", "clip1", "clip3", "clip5"]
    assert table["label"].tolist()[:4] == ["cello", "flute", "flute", "flute"]
    shutil.rmtree(paths.STORE)
    paths.tsne("mfcc").unlink()
    stage.main()
    assert paths.tsne("mfcc").read_bytes() == first
    edited({"tsne.seed": 1})
    stage.main()
    edited({"tsne.seed": 0})
    capsys.readouterr()
    stage.main()
    assert paths.tsne("mfcc").read_bytes() == first
    assert "computed 0 of 1 encoders" in capsys.readouterr().out
