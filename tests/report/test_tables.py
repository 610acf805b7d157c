"""The tables of the page: their numbers are those of the summary and of the analyses' files."""

from page_on_disk import change
from reading import Table
from test_findings import put, put_estimate

from earshift.pipeline.report_inputs import results
from earshift.report import formats
from earshift.report.page.content import read_content
from earshift.report.page.page import make_page

HEADLINE = ("farthest", "held-out R²", "null R²", "published R²", "effective rank", "ROC AUC of originals", "mean drop",
            "worst drop", "best removal")  # fmt: skip


def table(name):
    return Table(make_page(results()).html, name)


def plain(text):
    return text.replace("\xa0", " ")


def test_headline_says_what_the_summary_says(inputs):
    shown, g = table("headline"), read_content(results())
    assert [(group, row) for group, row, _ in shown.rows] == g.pairs
    assert tuple(text for text, _ in shown.columns) == HEADLINE
    for encoder, perturbation in g.pairs:
        n, row = g.numbers[encoder][perturbation], shown.row(perturbation, encoder)
        notes = shown.row(perturbation, encoder, notes=True)
        for column, name, how in (("held-out R²", "heldout_r2", formats.r2), ("mean drop", "mean_drop", formats.auc),
                                  ("ROC AUC of originals", "roc_auc", formats.auc)):  # fmt: skip
            assert row[column] == how(n.get(name))
            number = formats.estimate(n, name)
            assert notes[column] == plain(formats.interval(number.low, number.high, how))
        assert (row["null R²"], notes["null R²"]) == (formats.r2(n["null_r2_mean"]), formats.r2(n["null_r2_p95"]))
        cca = g.results.cca[encoder, perturbation]["global"]
        assert (row["published R²"], notes["published R²"]) == (
            formats.r2(n["published_r2"]), formats.r2(cca["published_null_mean"])
        )  # fmt: skip
        assert row["effective rank"] == formats.rank(n["effective_rank"])
        assert notes["effective rank"].endswith(f" of {g.results.svd[encoder, perturbation]['overall']['directions']}")
        worst = plain(formats.with_unit(n["worst_value"], g.unit(perturbation)))
        assert row["worst drop"] == f"{formats.auc(n['worst_drop'])} at {worst}"
        value, distance = g.farthest(encoder, perturbation)
        assert row["farthest"] == formats.r2(distance)
        assert notes["farthest"] == plain(formats.with_unit(value, g.unit(perturbation)))
        assert notes["best removal"] == plain(
            f"{formats.gain(n['best_area'])}, {formats.p_value(n.get('best_area_p'))}"
        )
    assert sum(width for width, _ in shown.spans) == len(shown.columns)


def test_what_is_missing_is_a_dash(inputs):
    encoder, perturbation = pair = results().study.pairs[0]
    put("cca", pair, *(("global", name, None) for name in ("heldout", "heldout_low")))
    put("trajectories", pair, ("distance_between_originals", None))
    put("robustness", pair, ("original", "roc_auc", None))
    shown = table("headline")
    row = shown.row(perturbation, encoder)
    assert row["held-out R²"] == row["farthest"] == row["ROC AUC of originals"] == "–"
    assert shown.row(perturbation, encoder, notes=True)["held-out R²"] == ""


def test_one_encoder(inputs):
    g = read_content(results())
    encoder, perturbation = g.pairs[-1]
    n, shown = g.numbers[encoder][perturbation], table(f"encoder-{len(g.encoders) - 1}")
    row, notes = shown.row(perturbation), shown.row(perturbation, notes=True)
    assert row["straightness"] == formats.r2(n["straightness"])
    assert row["turning angle"] == f"{n['turning_angle']:.0f}°"
    assert row["sample-wise held-out R²"] == formats.r2(n.get("samplewise_heldout_r2"))
    assert row["rank"] == f"{n['severity_rank']:.3g}"
    assert notes["worst removal"].startswith(formats.gain(n["worst_area"]))
    ceiling = formats.estimate(n, "ceiling_area")
    assert row["trained on all values"] == formats.gain(ceiling.number)
    assert notes["trained on all values"] == plain(formats.interval(ceiling.low, ceiling.high, formats.gain))


def test_encoders_under_a_perturbation_stand_in_the_order_of_their_losses(inputs):
    one, other = results().study.encoders
    path, perturbation = results().folders.metrics / "comparison.json", results().study.perturbations[0]
    place = ("measures", results().comparison["severity"], perturbation)
    for first, second in ((one, other), (other, one)):
        change(path, (*place, first, "rank", 1.0), (*place, first, "first", 0.75), (*place, second, "rank", 2.0))
        shown = table("perturbation-0")
        assert [row for _, row, _ in shown.rows] == [first, second]
        assert (shown.row(first)["rank"], shown.row(first)["first"]) == ("1", "75 %")
    change(path, (*place, other, "rank", None))
    assert [row for _, row, _ in table("perturbation-0").rows] == [one, other]


def test_neighbours_of_audio_and_encoders(inputs):
    g = read_content(results())
    pair = encoder, perturbation = g.pairs[0]
    put_estimate("consistency", pair, ["overall"], "within_euclidean", 0.75, 0.02)
    shown, of = table("neighbours-0"), g.results.consistency[pair]
    assert [(name, cells[0][0]) for _, name, cells in shown.rows] == [
        ("audio", "DTW"), ("audio", "SiMPle"), *((e, d) for e in g.encoders for d in ("Euclidean", "cosine"))
    ]  # fmt: skip
    (cells,) = [cells for _, name, cells in shown.rows if name == encoder and cells[0][0] == "Euclidean"]
    sides = of["sides"].values()
    assert cells[1] == ("0.75", "[0.73, 0.77]")
    assert cells[2] == (", ".join(formats.r2(side["at_smallest"]["euclidean"]) for side in sides),
                        ", ".join(formats.value(side["smallest"]) for side in sides))  # fmt: skip
    assert cells[5][0] == formats.r2(of["overall"]["between_spearman_dtw_euclidean"])
    assert len(shown.columns) == len(cells) and [text for text, _ in shown.rows[0][2][-2:]] == ["–", "–"]


def test_severity_stands_beside_what_it_does(inputs):
    g = read_content(results())
    perturbation = g.perturbations[0]
    shown, values = table("grid-0"), g.values(perturbation)
    texts = [plain(formats.with_unit(value, g.unit(perturbation))) for value in values]
    assert [row for _, row, _ in shown.rows] == ["original", *texts]
    last, severity = [text for text, _ in shown.rows[-1][2]], g.severity[perturbation][values[-1]]
    assert last[:3] == [formats.fixed(severity[name], 1) for name in ("snr_db", "loudness_lu", "lsd_db")]
    assert last[3:] == [
        how(of[e, perturbation][values[-1]]) for e in g.encoders
        for how, of in ((formats.r2, g.distances), (formats.auc, g.roc_auc))
    ]  # fmt: skip
    assert shown.spans == [(3, "the audio"), *((2, encoder) for encoder in g.encoders)]
    assert f"{severity['clips']:.0f} clips" in shown.caption


def test_kim2019(inputs):
    shown, checks = table("kim2019"), read_content(results()).checks
    titles = dict.fromkeys(check.title for check in checks)
    checks = [check for title in titles for check in checks if check.title == title]
    assert [(group, row) for group, row, _ in shown.rows] == [
        (" ".join(check.title.split()), " ".join(check.claim.split())) for check in checks
    ]
    assert [cells[2][0] for _, _, cells in shown.rows] == [check.verdict for check in checks]
