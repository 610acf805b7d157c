from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from earshift.analysis import svd
from earshift.analysis.statistics import effective_rank
from earshift.analysis.svd import analyse
from earshift.pipeline import paths
from earshift.storage import scratch
from earshift.storage.files import read_json, round_floats
from stages import svd as stage

KEYS = {
    "directions", "effective_rank", "effective_rank_low", "effective_rank_high", "rank_at_energy",
    "null_effective_rank", "originals_effective_rank", "originals_rank_at_energy", "spectrum", "originals_spectrum",
}  # fmt: skip


def moving(rng, along, values=6, jitter=0.0):
    """Clips that move along given directions [shape=(clips, dim)], each from a start of its own."""
    start = rng.normal(size=(len(along), 1, along.shape[1]))
    steps = np.linspace(0, 5, values)[:, None] * along[:, None]
    return start + steps + jitter * rng.normal(size=steps.shape)


def all_train(trajectories, vectors, **options):
    return trajectories(vectors, split=["train"] * len(vectors), **options)


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("jitter", [0, 1e-3])
def test_planted_spread_is_found(rng, trajectories, svd_options, rank, jitter):
    clips, dim = 96, 2000
    axes = np.linalg.qr(rng.normal(size=(dim, rank)))[0].T
    vectors = moving(rng, axes[np.arange(clips) % rank], jitter=jitter)
    overall = analyse(all_train(trajectories, vectors), svd_options())[0]["overall"]
    # A fit that interpolates takes (values - 2) / dim of its energy from jitter, however small that is.
    assert overall["effective_rank"] == pytest.approx(rank, rel=0.06 if jitter else 1e-6)
    assert overall["rank_at_energy"] == rank
    if not jitter:
        np.testing.assert_allclose(overall["spectrum"], np.arange(50) < rank, atol=1e-6)
        assert not any(overall["spectrum"][rank:])  # rounding is not printed
    assert overall["effective_rank_low"] <= overall["effective_rank"] <= overall["effective_rank_high"]
    assert overall["effective_rank_high"] - overall["effective_rank_low"] < 0.2 * rank
    if jitter:
        assert overall["null_effective_rank"] > 3 * rank  # shuffled strengths ask for what jitter happens to offer


@pytest.mark.parametrize("clips, dim", [(20, 50), (160, 12), (12, 12)])
def test_numbers_are_the_same_where_little_is_held_at_a_time(
    rng, trajectories, svd_options, monkeypatch, tmp_path, clips, dim
):
    vectors = moving(rng, rng.normal(size=(clips, dim)), jitter=0.3)
    vectors[3] = vectors[3, :1]
    t = trajectories(vectors, instruments=2, originals=rng.normal(2, 1, (clips, dim)).astype(np.float32))
    result, table = analyse(t, svd_options(permutations=5))
    for module, name, value in [(svd, "_ELEMENTS", 5 * dim), (svd, "_HELD", 1), (scratch, "_IN_MEMORY", 0)]:
        monkeypatch.setattr(module, name, value)
    with ThreadPoolExecutor(2) as pool:
        again, same_table = analyse(t, svd_options(permutations=5), map=pool.map, scratch=tmp_path)
    assert not list(tmp_path.iterdir())
    assert round_floats(again) == round_floats(result)
    for column in ("directions", "null", "originals"):
        np.testing.assert_allclose(same_table[column], table[column], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("clips, dim", [(20, 50), (60, 12)])
def test_spectra_are_those_of_the_plain_decomposition(rng, trajectories, svd_options, clips, dim):
    vectors = moving(rng, rng.normal(size=(clips, dim)) * np.geomspace(1, 0.05, dim), jitter=0.3)
    originals = rng.normal(2, 1, (clips, dim)).astype(np.float32)
    t = trajectories(vectors, instruments=2, originals=originals)
    result, table = analyse(t, svd_options(energy=0.8))
    for name in ("all", *t.instruments):
        own = t.indices("train", None if name == "all" else name)
        stacked = [CCA(n_components=1, scale=False).fit(clip, np.arange(6)).x_weights_[:, 0] for clip in vectors[own]]
        singular = np.linalg.svd(stacked, compute_uv=False)
        centred = np.linalg.svd(originals[own] - originals[own].astype(float).mean(axis=0), compute_uv=False)
        numbers = result["overall"] if name == "all" else result["instruments"][name]
        assert set(numbers) == KEYS and numbers["directions"] == len(own)
        np.testing.assert_allclose(numbers["spectrum"], singular[:50] / singular[0], atol=1e-6)
        np.testing.assert_allclose(numbers["originals_spectrum"], (centred / centred[0])[:50], atol=1e-6)
        assert numbers["effective_rank"] == pytest.approx(effective_rank(singular**2), rel=1e-6)
        assert numbers["originals_effective_rank"] == pytest.approx(effective_rank(centred**2), rel=1e-6)
        held = np.cumsum(singular**2) / np.sum(singular**2)
        assert numbers["rank_at_energy"] == 1 + np.flatnonzero(held >= 0.8)[0]
        rows = table[table["instrument"] == name]
        assert rows["rank"].tolist() == list(range(1, 1 + min(len(own), dim)))
        np.testing.assert_allclose(rows["directions"], singular / singular[0], atol=1e-6)
        np.testing.assert_allclose(rows["directions_energy"], held, atol=1e-6)
        np.testing.assert_allclose(rows["originals_energy"], np.cumsum(centred**2) / np.sum(centred**2), atol=1e-6)
        assert rows["null"].iloc[0] == 1 and (np.diff(rows["null"]) <= 1e-12).all()


@pytest.mark.parametrize("clips, dim", [(20, 50), (60, 12)])
def test_interval_is_the_jackknife_over_groups(rng, trajectories, svd_options, clips, dim):
    import scipy.stats

    vectors = moving(rng, rng.normal(size=(clips, dim)), jitter=0.2)
    t = all_train(trajectories, vectors)
    overall = analyse(t, svd_options(confidence=0.8))[0]["overall"]
    stacked = np.array([CCA(n_components=1, scale=False).fit(c, np.arange(6)).x_weights_[:, 0] for c in vectors])
    groups = np.unique(t.group)
    left = [effective_rank(np.linalg.svd(stacked[t.group != g], compute_uv=False) ** 2) for g in groups]
    error = np.sqrt((len(groups) - 1) * np.var(left))
    reach = scipy.stats.t.ppf(0.9, len(groups) - 1) * error
    whole = effective_rank(np.linalg.svd(stacked, compute_uv=False) ** 2)
    expected = [max(1, whole - reach), whole + reach]
    assert [overall["effective_rank_low"], overall["effective_rank_high"]] == pytest.approx(expected, rel=1e-5)


def test_interval_begins_at_one(rng, trajectories, svd_options):
    """Two recordings along one axis and one along another: shares 2/3 and 1/3, and 1, 2, 2 without one of them."""
    axes = np.eye(3)[[0, 0, 1]]
    overall = analyse(all_train(trajectories, moving(rng, axes), group=list("abc")), svd_options())[0]["overall"]
    assert overall["effective_rank"] == pytest.approx(3 / 2 ** (2 / 3))
    assert overall["effective_rank_low"] == 1
    assert overall["effective_rank_high"] == pytest.approx(3 / 2 ** (2 / 3) + 4.302653 * 2 / 3)


def test_interval_covers_the_expected_rank(rng, trajectories, svd_options):
    """95 % nominal, 24 recordings in 6 dimensions that are used unevenly."""
    intervals, ranks = [], []
    for _ in range(60):
        along = rng.normal(size=(24, 6)) * [3, 2, 2, 1, 1, 0.5]
        group = np.arange(24)
        t = all_train(trajectories, moving(rng, along), group=group)
        overall = analyse(t, svd_options(permutations=1))[0]["overall"]
        ranks.append(overall["effective_rank"])
        intervals.append((overall["effective_rank_low"], overall["effective_rank_high"]))
    truth = np.mean(ranks)
    assert 0.85 <= np.mean([low <= truth <= high for low, high in intervals]) <= 1
    assert 0.7 < np.mean([high - low for low, high in intervals]) / (2 * 2.07 * np.std(ranks)) < 1.5


def test_many_groups_are_deleted_in_blocks(rng, trajectories, svd_options, monkeypatch):
    t = all_train(trajectories, moving(rng, rng.normal(size=(40, 9)), jitter=0.2))
    single = analyse(t, svd_options())[0]
    monkeypatch.setattr(svd, "_DELETED", 10)
    blocks = analyse(t, svd_options())[0]
    assert blocks["overall"]["effective_rank"] == single["overall"]["effective_rank"]
    width = [r["overall"]["effective_rank_high"] - r["overall"]["effective_rank_low"] for r in (single, blocks)]
    assert 0.3 < width[1] / width[0] < 3
    assert "The overall interval leaves out one of 10 blocks of the 20 recordings at a time." in blocks["notes"]


def test_rank_is_the_same_in_every_frame(rng, trajectories, svd_options):
    vectors = moving(rng, rng.normal(size=(24, 10)), jitter=0.3).astype(np.float64)
    turn, order = np.linalg.qr(rng.normal(size=(10, 10)))[0], rng.permutation(24)
    names = np.array([f"g{i // 2}" for i in range(24)])
    frames = [(vectors, names), (vectors @ turn, names), (40 * vectors + 7, names), (vectors[:, ::-1], names),
              (vectors[order], names[order])]  # fmt: skip
    found = []
    for moved, group in frames:
        overall = analyse(all_train(trajectories, moved, group=group), svd_options())[0]["overall"]
        found.append([overall[name] for name in ("effective_rank", "effective_rank_low", "effective_rank_high")])
    for numbers in found:
        assert numbers == pytest.approx(found[0], rel=1e-6)


def test_null_follows_the_seed(rng, trajectories, svd_options):
    t = all_train(trajectories, moving(rng, rng.normal(size=(24, 30)), jitter=0.3))
    ranks = [analyse(t, svd_options(seed=seed))[0]["overall"]["null_effective_rank"] for seed in (0, 0, 1)]
    assert ranks[0] == ranks[1] != ranks[2]
    assert ranks[0] == pytest.approx(ranks[2], rel=0.05)


def test_shuffles_that_leave_clips_without_direction(trajectories, svd_options):
    step = np.array([0, 0, 1, 1])[:, None] * np.eye(3)[:, None]
    overall = analyse(all_train(trajectories, np.repeat(step, 8, axis=0)), svd_options(permutations=9))[0]["overall"]
    assert overall["effective_rank"] == pytest.approx(3) and 2 < overall["null_effective_rank"] < 3


def test_clips_that_do_not_move_are_left_out(rng, trajectories, svd_options):
    vectors = moving(rng, rng.normal(size=(12, 20)))
    vectors[4] = vectors[4, :1]
    result = analyse(all_train(trajectories, vectors, instruments=2), svd_options())[0]
    assert result["overall"]["directions"] == 11
    assert sum(numbers["directions"] for numbers in result["instruments"].values()) == 11
    assert "1 training clips without a direction are left out: their vectors do not move." in result["notes"]


def test_an_encoder_that_does_not_react(trajectories, svd_options):
    result, table = analyse(all_train(trajectories, np.ones((8, 3, 5), dtype=np.float32), instruments=2), svd_options())
    for numbers in (result["overall"], *result["instruments"].values()):
        assert numbers["directions"] == 0 and len(numbers["spectrum"]) == 0
        left = KEYS - {"directions", "spectrum", "originals_spectrum"}
        assert all(numbers[key] is None or np.isnan(numbers[key]) for key in left)
    assert len(table) == 0


def test_one_clip_and_one_group_have_no_interval(rng, trajectories, svd_options):
    vectors = moving(rng, rng.normal(size=(5, 20)))
    t = all_train(trajectories, vectors, instrument=["cello"] * 4 + ["flute"], group=list("aabbc"))
    result = analyse(t, svd_options())[0]
    flute = result["instruments"]["flute"]
    assert flute["effective_rank"] == 1 and flute["spectrum"] == [1]
    assert flute["effective_rank_low"] is None and np.isnan(flute["originals_effective_rank"])
    assert result["instruments"]["cello"]["effective_rank_low"] >= 1
    assert "No interval for flute: it takes two recordings." in result["notes"]


def test_a_corpus_without_labels_is_drawn_once(rng, trajectories, svd_options):
    result, table = analyse(all_train(trajectories, moving(rng, rng.normal(size=(6, 20)))), svd_options())
    assert list(result["instruments"]) == ["all"]
    assert result["overall"]["effective_rank"] == result["instruments"]["all"]["effective_rank"]
    assert table["instrument"].tolist() == ["all"] * 6


def test_stage_writes_the_same_bytes_twice(rng, on_disk, computed_twice):
    on_disk(moving(rng, rng.normal(size=(8, 20)), jitter=0.2), [1, 2, 3, 4, 5, 6])
    written = computed_twice(stage.main)
    spectrum = "plots/svd/mfcc/gain/spectrum.csv"
    assert set(written) == {"metrics/svd/index.json", "metrics/svd/mfcc/gain.json", spectrum}
    names = b"instrument,rank,directions,null,originals,directions_energy,originals_energy\n"
    assert written[spectrum].startswith(names + b"all,1,1,")


def test_stage_of_a_still_encoder_writes_nulls(on_disk):
    on_disk(np.ones((4, 3, 5), dtype=np.float32), [1, 2, 3])
    stage.main([])
    overall = read_json(paths.metrics("svd", "mfcc", "gain"))["overall"]
    assert overall["directions"] == 0 and overall["effective_rank"] is None and overall["spectrum"] == []


def test_stage_computes_one_pair_into_the_store(rng, on_disk, capsys):
    on_disk(moving(rng, rng.normal(size=(8, 20)), jitter=0.2), [1, 2, 3])
    stage.main(["--only", "mfcc/gain"])
    assert not paths.METRICS.exists() and not paths.PLOTS.exists()
    capsys.readouterr()
    stage.main([])
    assert "svd: computed 0 of 1 pairs, reused 1" in capsys.readouterr().out
    assert paths.metrics("svd", "mfcc", "gain").exists()


@pytest.mark.parametrize(
    "name, kind", [("mfc/gain", "encoder 'mfc'"), ("mfcc", "perturbation ''"), ("mfcc/gian", "perturbation 'gian'")]
)
def test_stage_names_a_pair_that_is_not_configured(workspace, name, kind):
    with pytest.raises(SystemExit, match=f"--only {name}: no {kind}; params.yaml configures "):
        stage.main(["--only", name])


def test_options_recompute_and_those_of_before_are_there_still(rng, on_disk, edited, capsys):
    on_disk(moving(rng, rng.normal(size=(8, 20)), jitter=0.2), [1, 2, 3])
    results = []
    for energy, computed in ((0.9, 1), (0.5, 1), (0.9, 0), (0.5, 0)):
        edited({"svd.energy": energy})
        stage.main([])
        assert f"svd: computed {computed} of 1 pairs" in capsys.readouterr().out
        results.append(paths.metrics("svd", "mfcc", "gain").read_bytes())
    assert results[:2] == results[2:] and results[0] != results[1]
