"""Everything is made from results that the stages computed, and known numbers look like them."""

import pytest
from results_on_disk import write_results

from earshift.report import headline, kim2019, summary
from earshift.report.figures import draw
from earshift.storage.tables import read_table

PAIR = ("mfcc", "gain")


def test_headline_numbers_are_those_of_the_analyses(computed):
    numbers = summary.summary(computed)["mfcc"]["gain"]
    cca, robustness = computed.cca[PAIR], computed.robustness[PAIR]
    assert numbers["heldout_r2"] == cca["global"]["heldout"]
    assert numbers["samplewise_null_r2_p95"] == cca["samplewise"]["null_p95"]
    assert numbers["effective_rank_low"] == computed.svd[PAIR]["overall"]["effective_rank_low"]
    assert numbers["turning_angle"] == computed.trajectories[PAIR]["overall"]["turning_angle"]
    assert numbers["roc_auc"] == robustness["original"]["roc_auc"]
    forward = {name: of["forward"]["area"] for name, of in robustness["methods"].items() if of["forward"]}
    assert numbers["ceiling_area"] == forward.pop("augmentation") and forward.pop("none") == 0
    assert numbers["best_area"] == forward[numbers["best_method"]] == max(forward.values())
    assert numbers["worst_drop"] == robustness["methods"]["none"]["forward"]["worst_drop"]
    assert numbers["within_cosine_high"] == computed.consistency[PAIR]["overall"]["within_cosine_high"]
    ranked = computed.comparison["measures"]["lsd_db"]["gain"]["mfcc"]
    assert (numbers["severity_slope"], numbers["severity_rank"]) == (ranked["slope"], ranked["rank"])
    assert len(numbers) >= 70  # none of them is missing
    both = [summary.headline(computed, pair)["heldout_r2"] for pair in computed.study.pairs]
    assert headline.headline(computed)["heldout_r2"] == pytest.approx(sum(both) / 2, rel=1e-3)


def test_tables_for_a_terminal(computed):
    lines = summary.tables(computed).splitlines()
    assert max(map(len, lines)) <= 112 and " - " not in "".join(lines)
    assert sum(line.startswith("musicnn  gain") for line in lines) == 4


def test_findings_of_kim2019(computed):
    found = {(check.title.partition(" (")[0], check.claim): check for check in kim2019.checks(computed)}
    check = found["Vectors, Euclidean: nearest is own", "MFCC above musicnn"]
    for encoder in ("mfcc", "musicnn"):
        mean = computed.consistency[encoder, "gain"]["overall"]["within_euclidean"]
        assert f"{mean:.3f}" in check.ours.partition("recordings: ")[2]
    assert "Of the study's transformations" not in kim2019.text(computed)  # gain is none of them


def test_every_picture_and_table(computed, tmp_path):
    pictures = draw.pictures(computed)
    assert {"marginal_means", "performance", "robustness_accuracy", "other_methods_musicnn"} <= pictures.keys()
    for name in ("cca_scatter", "minimum_magnitudes", "marginal_means", "pca_maps", "roc_auc_instrument", "tsne"):
        draw.draw(computed, tmp_path, name)
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000 and (tmp_path / f"{name}.svg").exists()
    for name, table in draw.tables(computed).items():
        assert set(table["encoder"]) == {"mfcc", "musicnn"} and not table["encoder"].isna().any(), name


def test_known_numbers_have_the_columns_of_computed_ones(computed_once, tmp_path):
    write_results(tmp_path, perturbations=("gain",))
    for path in sorted(tmp_path.glob("plots/*/**/*.csv")):
        name = path.relative_to(tmp_path)
        assert list(read_table(path)) == list(read_table(computed_once / name)), name
