"""What stages leave about themselves: how long, how much, how much memory, and how they ended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module

import pytest
from clones import REPOSITORY, small_run

from earshift.errors import UserError
from earshift.pipeline import paths, profile
from earshift.pipeline.command import command
from earshift.pipeline.progress import Progress
from earshift.pipeline.stamp import write_index
from stages import perturb


@pytest.fixture
def stage(workspace, monkeypatch):
    """A folder in which DVC runs a stage."""
    monkeypatch.setenv("DVC_STAGE", "embed@mfcc")
    return workspace


def left():
    return json.loads(paths.profile("embed@mfcc").read_text())


def work(outcome=None):
    """A stage that counts something and ends as it is printed."""

    @command
    def main():
        with Progress("embed mfcc", 10, reused=4) as progress:
            progress.advance(6)
        with Progress("embed mfcc", 5, reused=5):
            pass
        with Progress("others", 3, unit="pairs") as progress:
            progress.advance(1)
            if outcome is not None:
                raise outcome

    main()


def test_what_a_stage_leaves(stage):
    profile.note(device="nobody keeps this")
    work()
    found = left()
    assert (found["stage"], found["exit"], found["device"], found["workers"]) == ("embed@mfcc", "ok", "cpu", 1)
    assert found["counted"]["clips"].items() >= {"computed": 6, "reused": 9}.items()
    assert found["counted"]["pairs"].items() >= {"computed": 1, "reused": 0}.items()
    clips = found["counted"]["clips"]
    assert clips["per_second"] == pytest.approx(6 / clips["seconds"], rel=1e-4)
    assert found["seconds"] >= clips["seconds"] and 10 < found["peak_mib"] < 100_000
    assert found["params"] == profile.params_sha256() and len(found["params"]) == 64


@pytest.mark.parametrize(
    ("outcome", "exit_"),
    [(UserError("no"), "failed"), (ValueError("bug"), "failed"), (KeyboardInterrupt(), "interrupted"),
     (SystemExit(0), "ok"), (SystemExit(2), "failed")],
)  # fmt: skip
def test_how_a_stage_ended(stage, outcome, exit_):
    with pytest.raises((SystemExit, ValueError)):
        work(outcome)
    assert left()["exit"] == exit_ and left()["counted"]["pairs"]["computed"] == 1
    assert profile.current() is None


def test_tools_and_stages_by_hand_leave_nothing(workspace, monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    work()
    assert not paths.PROFILES.exists()


def test_a_command_within_a_stage_is_part_of_it(stage):
    @command
    def main():
        profile.note(device="cuda", workers=2)
        with pytest.raises(SystemExit):
            command(write_index)()  # there is no page

    main()
    assert len(list(paths.PROFILES.glob("*.json"))) == 1
    assert (left()["exit"], left()["device"], left()["workers"]) == ("ok", "cuda", 2)


def test_a_profile_that_cannot_be_written_costs_no_result(stage, capsys):
    paths.PROFILES.parent.mkdir()
    paths.PROFILES.write_text("a file where the folder should be")
    work()
    assert capsys.readouterr().err.count("embed@mfcc: no profile: ") == 2


def test_stages_of_other_folders_have_a_file_name(workspace, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "sub/dvc.yaml:embed")
    work()
    assert list(profile.read_profiles()) == ["sub/dvc.yaml:embed"]
    assert profile.last_line("sub/dvc.yaml:embed").startswith("others: 1/3 pairs")


def test_what_is_not_whole_is_left_out(stage):
    work()
    paths.profile("torn").write_text('{"stage": "to')
    paths.profile("strange").write_text("[1]")
    assert list(profile.read_profiles()) == ["embed@mfcc"]


def test_the_log_is_that_of_the_last_run(stage):
    work()
    work()
    lines = paths.stage_log("embed@mfcc").read_text().splitlines()
    assert lines[0] == "embed mfcc: 4/10 clips, 4 reused" and len(lines) == 6
    assert re.fullmatch(r"embed mfcc: 10/10 clips, [\d.]+ clips/s, done after 0 s, 4 reused", lines[1])
    assert profile.last_line("nobody") == ""


CHILD = """
import subprocess, sys, time
import stages
from earshift.pipeline.command import command
@command
def main():
    held = bytearray(b"1") * (150 << 20)
    if "wait" in sys.argv:
        print("ready", flush=True)
        time.sleep(60)
    del held
    subprocess.run([sys.executable, "-c", "held = bytearray(b'1') * (250 << 20)"], check=True)
main()
"""


def process(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


def test_memory_is_that_of_the_stage_and_of_its_largest_worker(stage):
    before = time.monotonic()
    assert process(stage).wait() == 0
    assert 150 < left()["peak_mib"] < 240 and 250 < left()["worker_peak_mib"] < 340
    assert left()["cpu_seconds"] > 0 and 0 < left()["seconds"] <= time.monotonic() - before + 0.05


def test_no_worker_has_no_memory(stage):
    # the shell's own child counts as little as the `uname` that h5py calls
    stage_alone = "import earshift.storage; from earshift.pipeline.command import command; command(int)()"
    run = f"{sys.executable} -c pass; exec {sys.executable} -c '{stage_alone}'"
    subprocess.run(["sh", "-c", run], cwd=stage, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)
    assert left()["exit"] == "ok" and "worker_peak_mib" not in left()


def test_a_stage_that_was_killed_was_never_finished(stage):
    running = process(stage, "wait")
    assert running.stdout.readline() == "ready\n"
    assert left()["exit"] == "unfinished" and left()["process"] == running.pid and profile.runs(left())
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert left()["exit"] == "unfinished" and not profile.runs(left())
    work()
    assert left()["exit"] == "ok"


def test_a_stage_counts_what_it_computes_and_what_it_reuses(tiny_corpus, edited, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "perturb@gain")
    monkeypatch.setattr(sys, "argv", ["run", "gain"])
    for grid, computed, reused in (([-20, 5], 14, 0), ([-20, -10, 5], 7, 14)):
        edited({"perturbations.gain.grid": grid, "compute.workers": 1})
        perturb.main()
        found = profile.read_profiles()["perturb@gain"]
        assert found["exit"] == "ok"
        assert (found["counted"]["clips"]["computed"], found["counted"]["clips"]["reused"]) == (computed, reused)


def test_every_stage_of_the_pipeline_is_watched():
    modules = set(re.findall(r"python -m ([\w.]+)", (REPOSITORY / "dvc.yaml").read_text()))
    assert modules == {f"stages.{path.stem}" for path in REPOSITORY.glob("stages/[!_]*.py")}
    for module in modules:
        assert hasattr(import_module(module).main, "__wrapped__"), module


def test_a_pipeline_shows_its_profiles_in_mlflow(tmp_path_factory):
    clone = small_run(tmp_path_factory)
    found = {path.stem: json.loads(path.read_text()) for path in (clone.root / paths.PROFILES).glob("*.json")}
    locked = re.findall(r"^  ([\w@-]+):$", (clone.root / "dvc.lock").read_text(), re.M)
    assert set(found) == set(locked) and {of["exit"] for of in found.values()} == {"ok"}
    assert found["embed@mfcc"]["counted"]["clips"]["computed"] > 0
    (parent,) = clone.parents()
    shown = dict(clone.mlflow("select key, value from latest_metrics where run_uuid = ?", parent))
    assert shown["profile/embed.mfcc_seconds"] == found["embed@mfcc"]["seconds"]
    assert shown["profile/embed.mfcc_clips_per_second"] > 0 and shown["profile/embed.mfcc_clips_reused"] == 0
    assert shown["profile/cca_peak_mib"] > 10 and shown["profile/cca_pairs_computed"] == 4
    assert {"profile/corpus_seconds", "profile/perturb.gain_seconds", "profile/embed.yamnet_seconds"} <= shown.keys()
    assert not [name for name in clone.children(parent)["mfcc / gain"] if name.startswith("profile/")]
    artifact = clone.json(f"{paths.ARTIFACTS}/{parent}/artifacts/profiles.json")
    assert artifact["corpus"] == found["corpus"] and artifact["embed@mfcc"] == found["embed@mfcc"]
