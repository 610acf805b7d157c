"""The tables of the page: their numbers are those of the summary and of the analyses' files."""

from page_on_disk import change
from results_on_disk import write_comparison, write_params

from earshift.report import results, summary
from earshift.report.page import tables
from earshift.report.page import text as wording
from earshift.report.page.content import gathered


def read():
    return gathered(results.document())


def cells(table, *, notes=False):
    """{(group, row): {heading: text}}, or notes instead of texts."""
    return {
        (group, row): {c.text: getattr(cell, "note" if notes else "text")
                       for c, cell in zip(table.columns, of, strict=True)}
        for group, rows in table.groups for row, of in rows
    }  # fmt: skip


def test_headline_says_what_the_summary_says(inputs):
    shown = cells(tables.headline(read()))
    numbers = summary.summary(results.document())
    assert list(shown) == [(e, p) for e in ("mfcc", "musicnn") for p in ("gain", "reverb")]
    for (encoder, perturbation), row in shown.items():
        n = numbers[encoder][perturbation]
        assert row["held-out R²"] == wording.r2(n["heldout_r2"])
        assert row["null R²"] == wording.r2(n["null_r2_mean"])
        assert row["published R²"] == wording.r2(n["published_r2"])
        assert row["effective rank"] == wording.rank(n["effective_rank"])
        assert row["ROC AUC of originals"] == wording.auc(n["roc_auc"])
        assert row["mean drop"] == wording.auc(n["mean_drop"])
        assert row["worst drop"].startswith(wording.auc(n["worst_drop"]) + " at ")
        assert row["best removal"] == "LEACE"


def test_headline_in_full(inputs):
    table = tables.headline(read())
    assert cells(table)["musicnn", "reverb"] == {
        "farthest": "2.00", "held-out R²": "0.62", "null R²": "0.01", "published R²": "0.81", "effective rank": "5.2",
        "ROC AUC of originals": "0.938", "mean drop": "0.156", "worst drop": "0.312 at room size 1",
        "best removal": "LEACE",
    }  # fmt: skip
    notes = {k: v.replace("\xa0", " ") for k, v in cells(table, notes=True)["musicnn", "reverb"].items()}
    assert notes == {
        "farthest": "room size 1", "held-out R²": "[0.50, 0.75]", "null R²": "0.05", "published R²": "0.31",
        "effective rank": "[4.8, 5.8] of 24", "ROC AUC of originals": "[0.906, 0.969]", "mean drop": "[0.141, 0.172]",
        "worst drop": "[0.281, 0.344]", "best removal": "+0.016, p = 0.020",
    }  # fmt: skip
    assert sum(columns for _, columns in table.spans) == len(table.columns) == table.width - 1


def test_what_is_missing_is_a_dash(inputs):
    change(inputs / "metrics/cca/mfcc/gain.json", *(("global", name, None) for name in ("heldout", "heldout_low")))
    change(inputs / "metrics/trajectories/mfcc/gain.json", ("distance_between_originals", None))
    change(inputs / "metrics/robustness/mfcc/gain.json", ("original", "roc_auc", None))
    row = cells(tables.headline(read()))["mfcc", "gain"]
    assert row["held-out R²"] == row["farthest"] == row["ROC AUC of originals"] == "–"
    assert cells(tables.headline(read()), notes=True)["mfcc", "gain"]["held-out R²"] == ""


def test_one_encoder(inputs):
    table = tables.of_encoder(read(), "musicnn")
    row = cells(table)["", "reverb"]
    assert row["straightness"] == "0.75" and row["turning angle"] == "36°" and row["worst removal"] == "LDA"
    assert row["sample-wise held-out R²"] == "0.41" and row["rank"] == "2"
    assert cells(table, notes=True)["", "reverb"]["trained on all values"] == "[+0.059,\xa0+0.066]"


def test_encoders_under_a_perturbation_stand_in_the_order_in_which_they_lose(inputs):
    table = tables.of_perturbation(read(), "gain")
    assert [row for _, row in cells(table)] == ["mfcc", "musicnn"]
    write_params(inputs, ("musicnn", "mfcc"), ("gain",))
    write_comparison(inputs)
    table = tables.of_perturbation(read(), "gain")
    assert [row for _, row in cells(table)] == ["mfcc", "musicnn"]
    assert cells(table)["", "mfcc"]["rank"] == "1" and cells(table)["", "mfcc"]["first"] == "100\xa0%"


def test_neighbours_of_audio_and_encoders(inputs):
    table = tables.neighbours(read(), "gain")
    (_, rows), = table.groups  # fmt: skip
    assert [(name, of[0].text) for name, of in rows] == [
        ("audio", "DTW"), ("audio", "SiMPle"), ("mfcc", "Euclidean"), ("mfcc", "cosine"), ("musicnn", "Euclidean"),
        ("musicnn", "cosine"),
    ]  # fmt: skip
    assert [cell.text for cell in rows[2][1]] == ["Euclidean", "0.75", "0.60, 0.50", "−4, 5", "0.81", "0.25"]
    assert [cell.note.replace("\xa0", " ") for cell in rows[2][1]] == [
        "", "[0.73, 0.77]", "−4, 5", "", "[0.80, 0.83]", "[0.23, 0.27]"
    ]  # fmt: skip
    assert [cell.text for cell in rows[0][1]] == ["DTW", "0.94", "0.90, 0.88", "never, 5", "–", "–"]
    assert len(table.columns) == len(rows[0][1])


def test_severity_stands_beside_what_it_does(inputs):
    table = tables.along_grid(read(), "gain")
    (_, rows), = table.groups  # fmt: skip
    assert [name for name, _ in rows] == ["original", "−40\xa0dB", "−31\xa0dB", "−22\xa0dB", "−13\xa0dB", "−4\xa0dB",
                                          "5\xa0dB"]  # fmt: skip
    last = [cell.text for cell in rows[-1][1]]
    # severity.csv, then distance and ROC AUC of mfcc, of musicnn
    assert last == ["−5.0", "−3.0", "13.0", "2.00", "0.812", "2.00", "0.688"]
    assert [cell.text for cell in rows[1][1]][0] == "–"  # no SNR is known there
    assert table.spans == [("the audio", 3), ("mfcc", 2), ("musicnn", 2)]
    assert "36 clips" in table.caption


def test_the_third_study(inputs):
    g = gathered(results.document())
    table = tables.third_study(g)
    groups = dict(table.groups)
    rows = dict(groups["Vectors, Euclidean: nearest is own (5.2)"])
    study, here, verdict = rows["MFCC above musicnn"]
    assert study.text == "MFCC 0.741 ± 0.014 and networks 0.170 to 0.671"
    assert here.text.startswith("model: 0.875 [0.844,\xa00.906] and 0.750") and verdict.text == "agrees"
    assert sum(map(len, groups.values())) == len(g.checks)
