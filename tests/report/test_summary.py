"""The headline numbers and the table that ends a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from results_on_disk import dump, write_pair, write_params, write_results

from stages.report import summary

REPOSITORY = Path(__file__).parents[2]

# what results_on_disk writes for the first pair, spelled out
FIRST = {
    "heldout_r2": 0.25,
    "heldout_r2_low": 0.125,
    "heldout_r2_high": 0.375,
    "null_r2_mean": 0.0078125,
    "null_r2_p95": 0.046875,
    "published_r2": 0.8125,
    "samplewise_published_r2": 1.0,
    "samplewise_heldout_r2": 0.40625,
    "samplewise_null_r2_p95": 0.046875,
    "effective_rank": 5.25,
    "effective_rank_low": 4.75,
    "effective_rank_high": 5.75,
    "originals_effective_rank": 12.5,
    "null_effective_rank": 21.5,
}


def written(world):
    return json.loads((world / "metrics/summary.json").read_text())


def test_numbers(world):
    summary.main([])
    content = written(world)
    assert list(content) == ["mfcc", "musicnn"] and list(content["mfcc"]) == ["gain", "reverb"]
    assert content["mfcc"]["gain"] == FIRST
    assert [content[e][p]["heldout_r2"] for e in content for p in content[e]] == [0.25, 0.375, 0.5, 0.625]


def test_nulls_are_left_out_and_shown_as_a_dash(world, capsys):
    path = world / "metrics/cca/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["global"] = dict.fromkeys(content["global"])
    dump(path, content)
    summary.main([])
    assert set(FIRST) - set(written(world)["mfcc"]["gain"]) == {
        "heldout_r2", "heldout_r2_low", "heldout_r2_high", "null_r2_mean", "null_r2_p95", "published_r2"
    }  # fmt: skip
    summary.main(["--show"])
    row = capsys.readouterr().out.splitlines()[3]
    assert " ".join(row.split()) == "mfcc gain - [-, -] -, - - 1.00, 0.41, 0.05 5.2 [4.8, 5.8] of 24 (12.5)"


def test_table(world, capsys):
    (world / "metrics/summary.json").unlink()
    summary.main(["--show"])
    assert not (world / "metrics/summary.json").exists(), "--show writes nothing"
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "                       held-out R2        null R2     publ.  sample-wise R2    effective rank [low, high]",
        "encoder  perturbation  [low, high]        mean, p95   R2     publ., held, p95  of N directions (originals)",
        "-" * 106,
        "mfcc     gain          0.25 [0.12, 0.38]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "mfcc     reverb        0.38 [0.25, 0.50]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "musicnn  gain          0.50 [0.38, 0.62]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
        "musicnn  reverb        0.62 [0.50, 0.75]  0.01, 0.05  0.81   1.00, 0.41, 0.05  5.2 [4.8, 5.8] of 24 (12.5)",
    ]
    text = "\n".join(lines)
    assert "1 by construction" in text and "held-out against null" in text
    assert "plots/figures/" in text and "make ui" in text
    assert max(map(len, lines)) <= 112


def test_table_keeps_its_width_whatever_the_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path, encoders=("mfcc",), perturbations=("gain",))
    name = "an_encoder_with_a_name_that_takes_half_of_the_line"
    write_params(tmp_path, (name,), ("gain",))
    import results_on_disk

    monkeypatch.setitem(results_on_disk.DIM, name, 8)
    write_pair(tmp_path, name, "gain", 0.5)
    summary.main(["--show"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].startswith("an_encoder_w~  gain ") and lines[3].endswith("5.2 [4.8, 5.8] of 24 (12.5)")
    assert max(map(len, lines)) <= 112


def test_table_keeps_its_width_with_negative_numbers_and_high_ranks(world, capsys):
    for path in world.glob("metrics/cca/*/*.json"):
        content = json.loads(path.read_text())
        for part in ("global", "samplewise"):
            content[part] |= {"heldout": -0.25, "heldout_low": -0.5, "heldout_high": -0.125, "null_mean": -0.125}
        dump(path, content)
    for path in world.glob("metrics/svd/*/*.json"):
        content = json.loads(path.read_text())
        content["overall"] |= {"effective_rank": 15.5, "effective_rank_low": 14.5, "effective_rank_high": 16.5}
        dump(path, content)
    summary.main(["--show"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("encoder  perturb") and max(map(len, lines)) <= 112
    row = "musicnn reverb -0.25 [-0.50, -0.12] -0.12, 0.05 0.81 1.00, -0.25, 0.05 15.5 [14.5, 16.5] of 24 (12.5)"
    assert " ".join(lines[6].split()) == row


def test_only_the_selection_is_read(world):
    dump(world / "metrics/cca/yamnet/gain.json", {"stale": True})
    write_params(world, ("musicnn",), ("reverb",))
    summary.main([])
    assert written(world).keys() == {"musicnn"} and written(world)["musicnn"].keys() == {"reverb"}


@pytest.mark.parametrize("name", ["metrics/cca/mfcc/gain.json", "metrics/svd/musicnn/reverb.json"])
def test_a_missing_file_is_named(world, name):
    (world / name).unlink()
    with pytest.raises(SystemExit, match=rf"{name} is missing; `dvc repro` computes it"):
        summary.main([])


def test_a_broken_file_is_named(world):
    (world / "metrics/svd/mfcc/gain.json").write_text('{"overall": ')
    with pytest.raises(SystemExit, match="metrics/svd/mfcc/gain.json is not valid JSON"):
        summary.main([])


def test_imports_nothing_heavy(world):
    code = (
        "import sys; from stages.report import summary; summary.main(['--show']);"
        "print({'mlflow', 'matplotlib', 'pandas', 'torch', 'librosa'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert run.stdout.splitlines()[-1] == "set()", run.stderr
