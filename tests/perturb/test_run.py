"""The perturb stage: what it writes, reuses, removes and survives."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages import paths, store
from stages.perturb.run import perturb

GRID = [-20, -10, 5]


def run(edited, grid=GRID, **changes):
    settings = {"perturbations.gain.grid": grid, "compute.workers": 1, "compute.chunk": 2}
    perturb(edited({**settings, **changes}), "gain")
    return {p.name: p.read_bytes() for p in paths.perturbed("gain").iterdir()}


def test_writes_one_packed_file_per_value(tiny_corpus, edited):
    files = run(edited)
    assert set(files) == {"-20.h5", "-20.json", "-10.h5", "-10.json", "5.h5", "5.json", "severity.csv"}
    with store.AudioReader(paths.AUDIO) as original, store.AudioReader("data/perturbed/gain/-20.h5") as perturbed:
        assert len(perturbed) == len(original) == len(tiny_corpus)
        for i in range(len(original)):
            np.testing.assert_allclose(perturbed[i][0], original[i][0] * 0.1, atol=1e-7)
            assert perturbed[i][1] == original[i][1]


def test_severity_table(tiny_corpus, edited):
    run(edited)
    table = pd.read_csv(paths.severity("gain"), dtype={"value": str})
    assert list(table.value) == ["-20", "-10", "5"]
    assert list(table.strength) == [0, 0.5, 1]
    assert list(table.distance_from_neutral) == [20, 10, 5]
    np.testing.assert_allclose(table.loudness_lu, [-20, -10, 5], atol=1e-2)
    assert (table.clips == tiny_corpus.valid.sum()).all()


def test_one_value_more_costs_one_value(tiny_corpus, edited, capsys):
    before = run(edited)
    stamps = {p: p.stat().st_mtime_ns for p in paths.perturbed("gain").glob("*.h5")}
    after = run(edited, [*GRID, -15])
    assert "computed 1 of 4 values (-15;" in capsys.readouterr().out
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())
    assert all(after[name] == before[name] for name in before if name != "severity.csv")


def test_values_that_left_the_grid_are_removed(tiny_corpus, edited):
    run(edited)
    assert set(run(edited, [-20, 5])) == {"-20.h5", "-20.json", "5.h5", "5.json", "severity.csv"}


def test_another_switch_recomputes(tiny_corpus, edited, capsys):
    run(edited)
    run(edited, **{"perturb.clip": True})
    assert "computed 3 of 3" in capsys.readouterr().out


def test_fused_keeps_only_recipes(tiny_corpus, edited):
    kept = run(edited)
    fused = run(edited, **{"perturb.keep_audio": False})
    assert set(fused) == {"-20.json", "-10.json", "5.json", "severity.csv"}
    assert all(fused[name] == kept[name] for name in fused)


def test_workers_write_the_same_bytes(tiny_corpus, edited):
    alone = run(edited)
    for path in paths.perturbed("gain").iterdir():
        path.unlink()
    assert run(edited, **{"compute.workers": 2}) == alone


def test_tail_follows_the_order_of_clips(tiny_corpus, edited):
    """With ``reverb_tail`` the second clip holds what the first one left, whatever the chunking."""
    changes = {"perturbations.reverb.grid": [0.5, 1.0], "perturb.reverb_tail": True, "compute.workers": 2}
    perturb(edited({**changes, "compute.chunk": 1}), "reverb")
    by_one = (paths.perturbed("reverb") / "1.h5").read_bytes()
    for path in paths.perturbed("reverb").iterdir():
        path.unlink()
    perturb(edited({**changes, "compute.chunk": 100}), "reverb")
    assert (paths.perturbed("reverb") / "1.h5").read_bytes() == by_one

    from pedalboard import Pedalboard, Reverb

    board = Pedalboard([Reverb(room_size=1.0)])
    with store.AudioReader(paths.AUDIO) as original, store.AudioReader(paths.perturbed("reverb") / "1.h5") as perturbed:
        for i in range(3):
            expected = board(original[i][0], original[i][1], reset=False)
            np.testing.assert_array_equal(perturbed[i][0], expected)


def test_leftovers_of_a_killed_run_are_removed_and_the_rest_is_kept(tiny_corpus, edited, capsys):
    run(edited)
    (paths.perturbed("gain") / ".-10.h5.77.tmp").write_bytes(b"half")
    (paths.perturbed("gain") / "-10.json").write_text("{half")
    assert ".-10.h5.77.tmp" not in run(edited)
    assert "computed 1 of 3 values (-10;" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="kills processes the POSIX way")
def test_kill_and_resume(tiny_corpus, edited):
    """kill -9 in the middle: whole values stay, the next run computes the others, and the bytes are the same."""
    grid = [round(-40 + 0.5 * i, 1) for i in range(60)]
    folder = paths.perturbed("gain")
    undisturbed = run(edited, grid)
    for path in folder.iterdir():
        path.unlink()
    script = "from stages import params; from stages.perturb.run import perturb; perturb(params.load(), 'gain')"
    root = str(Path(store.__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root})
    deadline = time.monotonic() + 60
    while len(list(folder.glob("[!.]*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    finished = {p: p.stat().st_mtime_ns for p in folder.glob("[!.]*.json")}
    assert 3 <= len(finished) < len(grid)
    assert run(edited, grid) == undisturbed
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())


def test_disk_too_small_is_said_before_the_work(tiny_corpus, edited, monkeypatch):
    from stages.errors import UserError

    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match=r"needs .* GiB and its disk has .* left; .*keep_audio: false"):
        run(edited)
    assert not list(paths.perturbed("gain").glob("*.h5"))
