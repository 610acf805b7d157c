"""MLflow shows what the files say: once, whole, wherever the pipeline runs."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from results_on_disk import dump, write_pair, write_params

from earshift.errors import UserError
from earshift.pipeline import paths, profile, report_inputs
from earshift.pipeline.tracking import experiments, records, track
from earshift.pipeline.tracking import runs as mlflow_runs

REPOSITORY = Path(__file__).parents[2]
PAIRS = [("mfcc", "gain"), ("mfcc", "reverb"), ("musicnn", "gain"), ("musicnn", "reverb")]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database without runs; making one takes MLflow seconds."""
    database = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow_runs._prepare()
    mlflow_runs._create(database)
    return database


@pytest.fixture
def ready(world, empty_database):
    """The world with MLflow's database already made."""
    shutil.copy(empty_database, world)
    return world


def client(root):
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs(root, filter_string=""):
    api = client(root)
    return api.search_runs([api.get_experiment_by_name("earshift").experiment_id], filter_string)


def process(root, *, code=None, **environment):
    """Run the stage as DVC would, or `code` instead."""
    arguments = ["-c", code] if code else ["-m", "stages.track"]
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )  # fmt: skip


def finished(started):
    out, err = started.communicate(timeout=1200)
    assert started.returncode == 0, err
    return out


def state(root):
    """All rows that a run of `track` could change."""
    with sqlite3.connect(root / "mlflow.db") as database:
        return {
            name: sorted(map(repr, database.execute(f"SELECT * FROM {name}")))
            for name in ("experiments", "runs", "tags", "params", "metrics", "inputs", "datasets")
        }


def test_everything_is_shown(ready, capsys, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "louder")
    track.track()
    assert "louder: 4 child runs created, 0 unchanged; `make ui`" in capsys.readouterr().out
    api = client(ready)
    (parent,) = runs(ready, "attributes.run_name = 'louder'")
    children = runs(ready, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {r.info.run_name for r in children} == {f"{' / '.join(pair)} @ louder" for pair in PAIRS}
    assert all(r.info.status == "FINISHED" for r in [parent, *children])
    for run in [parent, *children]:
        tags = run.data.tags
        assert tags["corpus"] == "general_midi" and tags["fidelity"] == "corrected"
        assert tags["dvc.experiment"] == "louder" and len(tags["dvc.lock"]) == 64
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("general_midi", "01234567")
        assert json.loads(used.dataset.source) == {"uri": "data/corpus/clips.csv"}
    assert not (ready / "mlruns").exists()

    (child,) = runs(ready, "tags.encoder = 'musicnn' and tags.perturbation = 'gain'")
    assert child.data.metrics["cca/heldout_r2"] == 0.5 and child.data.metrics["svd/effective_rank"] == 5.25
    assert child.data.params["encoder.model"] == "MSD_musicnn"
    spectrum = api.get_metric_history(child.info.run_id, "svd/spectrum")
    assert sorted(m.step for m in spectrum) == list(range(1, 25)) and {m.timestamp for m in spectrum} == {0}
    by_step = {m.step: m.value for m in spectrum}
    assert by_step[1] == 1 and by_step[5] == pytest.approx(0.367879)

    def artifacts(run, folder=None):
        found = api.list_artifacts(run.info.run_id, folder)
        return {f.path for f in found if not f.is_dir}.union(*(artifacts(run, f.path) for f in found if f.is_dir))

    assert artifacts(parent) == {
        "figures/headline.png", "figures/headline.svg", "summary.json", "params.yaml", "dvc.lock",
        "metrics/comparison.json", "plots/comparison/ranking.csv", "plots/comparison/drops.csv", "page.html",
        "grids.json",
    }  # fmt: skip
    assert parent.data.metrics["rank/overall/musicnn"] == 2 and parent.data.metrics["headline/heldout_r2"] == 0.5
    assert artifacts(child) == {
        "grid.json", "metrics/cca/gain.json", "metrics/svd/gain.json", "plots/cca/scatter.csv",
        "plots/cca/samplewise_r2.csv", "plots/svd/spectrum.csv", "metrics/trajectories/gain.json",
        "metrics/robustness/gain.json", "plots/trajectories/points.csv", "plots/trajectories/path.csv",
        "plots/robustness/curves.csv", "plots/robustness/draws.parquet", "plots/robustness/scores.parquet",
        "metrics/consistency/gain.json", "plots/consistency/curves.csv",
        "metrics/performance/gain.json", "plots/performance/curves.csv",
    }  # fmt: skip
    curve = api.get_metric_history(child.info.run_id, "roc_auc/none")
    assert {m.step: m.value for m in curve} == pytest.approx({step: 0.9375 - 0.05 * (step - 1) for step in range(1, 7)})
    grid = json.loads(Path(api.download_artifacts(child.info.run_id, "grid.json")).read_text())
    assert grid["values"][0] == "-40" and grid["unit"] == "dB"


def test_twice_changes_nothing(ready, capsys):
    track.track()
    before = state(ready)
    capsys.readouterr()
    track.track()
    assert "0 child runs created, 4 unchanged" in capsys.readouterr().out
    assert state(ready) == before
    wanted, state_now = now()
    assert mlflow_runs.upsert(mlflow_runs.find_store(), wanted, state_now) == 0, "the long way round, too"
    assert state(ready) == before


def now():
    results = report_inputs.results()
    stages = records.locked_stages(results.study)
    return records.make_records(results, stages), mlflow_runs.State("", "", records.lock_sha256(stages))


def test_nothing_to_do_needs_no_mlflow(ready):
    track.track()
    code = (
        "import sys; from earshift.pipeline.tracking import track; track.track();"
        "print({'mlflow', 'sqlalchemy', 'pandas', 'matplotlib', 'filelock', 'dvc'} & set(sys.modules))"
    )
    line, modules = finished(process(ready, code=code)).splitlines()
    assert "0 child runs created, 4 unchanged" in line and modules == "set()"


def test_a_deleted_store_is_rebuilt(world):
    track.track()
    shown = {r.info.run_name: (r.data.metrics, r.data.params) for r in runs(world)}
    other = world / "other"
    shutil.copytree(world, other, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts", ".dvc", "other"))
    (world / "mlflow.db").unlink()
    shutil.rmtree(world / "mlartifacts")
    (world / ".mlflow.db.new").write_bytes(b"left by a kill while the database was made")
    assert "4 child runs created, 0 unchanged" in finished(process(world))
    shutil.copy(world / "mlflow.db", other)  # MLflow keeps the deleted file open in this process
    assert {r.info.run_name: (r.data.metrics, r.data.params) for r in runs(other)} == shown and len(shown) == 5


def test_a_half_written_run_is_repaired(ready, monkeypatch, capsys):
    from mlflow.tracking import MlflowClient

    calls, whole = Counter(), MlflowClient.log_inputs

    def dies(self, *arguments, **options):
        calls["log"] += 1
        if calls["log"] == 3:  # the parent and one child are whole
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_inputs", dies)
        with pytest.raises(KeyboardInterrupt):
            track.track()
    assert sorted(r.info.status for r in runs(ready)) == ["FINISHED", "FINISHED", "RUNNING"]
    kept = {r.info.run_id for r in runs(ready) if r.info.status == "FINISHED"}
    capsys.readouterr()
    track.track()
    assert "3 child runs created, 1 unchanged" in capsys.readouterr().out
    after = runs(ready)
    assert len(after) == 5 and kept < {r.info.run_id for r in after}
    assert all(r.info.status == "FINISHED" and mlflow_runs.DIGEST in r.data.tags for r in after)


def test_one_that_ended_without_its_digest_is_repaired(ready, capsys):
    track.track()
    (victim,) = runs(ready, "tags.encoder = 'mfcc' and tags.perturbation = 'gain'")
    client(ready).delete_tag(victim.info.run_id, mlflow_runs.DIGEST)
    track.track()
    assert "1 child runs created, 3 unchanged" in capsys.readouterr().out
    assert len(runs(ready)) == 5 and victim.info.run_id not in {r.info.run_id for r in runs(ready)}


def test_what_stages_took_is_logged_once(ready):
    content = {"stage": "embed@mfcc", "exit": "ok", "seconds": 2.5, "counted": {}}
    dump(paths.profile("embed@mfcc"), {**content, "params": profile.params_sha256()})
    track.track()
    (run,) = runs(ready, "tags.kind = 'state'")
    assert run.data.metrics["profile/embed.mfcc_seconds"] == 2.5
    (artifact,) = ready.glob(f"mlartifacts/**/{run.info.run_id}/artifacts/profiles.json")
    assert json.loads(artifact.read_text())["embed@mfcc"]["seconds"] == 2.5
    before = state(ready)
    dump(paths.profile("embed@mfcc"), {**content, "seconds": 5.0, "params": profile.params_sha256()})
    track.track()  # the same results in another time are the same run
    assert state(ready) == before


def test_a_changed_number_replaces_its_child_alone(ready, capsys):
    track.track()
    before = {r.info.run_name: r.info.run_id for r in runs(ready)}
    write_pair(ready, "mfcc", "gain", 0.3)
    track.track()
    assert "1 child runs created, 3 unchanged" in capsys.readouterr().out
    after = {r.info.run_name: r.info.run_id for r in runs(ready)}
    (changed,) = {name for name in after if after[name] != before[name]}
    assert changed.startswith("mfcc / gain @ ")
    assert runs(ready, "metrics.`cca/heldout_r2` = 0.3")


def test_a_deleted_parent_comes_back_with_its_children(ready):
    track.track()
    (parent,) = [r for r in runs(ready) if "encoder" not in r.data.tags]
    client(ready).delete_run(parent.info.run_id)
    track.track()
    (again,) = [r for r in runs(ready) if "encoder" not in r.data.tags]
    assert {r.data.tags["mlflow.parentRunId"] for r in runs(ready, "tags.encoder LIKE '%'")} == {again.info.run_id}
    assert len(runs(ready)) == 5


def test_a_deleted_experiment_comes_back(ready):
    track.track()
    api = client(ready)
    api.delete_experiment(api.get_experiment_by_name("earshift").experiment_id)
    track.track()
    assert api.get_experiment_by_name("earshift").lifecycle_stage == "active" and len(runs(ready)) == 5


def test_only_the_selection_is_shown(ready):
    dump(ready / "metrics/cca/yamnet/gain.json", {"stale": True})
    write_params(ready, ("musicnn",), ("gain",))
    track.track()
    assert len(runs(ready, "tags.encoder = 'musicnn' and tags.perturbation = 'gain'")) == 1 and len(runs(ready)) == 2


def test_four_at_once_on_a_fresh_store(world):
    """Unguarded, processes break a new SQLite store for good (none of eight succeeds)."""
    write_params(world, ("mfcc",), ("gain",))
    names = ["one", "two"] * 2
    outputs = [finished(started) for started in [process(world, DVC_EXP_NAME=name) for name in names]]
    assert Counter("1 child runs created" in out for out in outputs) == {True: 2, False: 2}
    assert Counter(r.info.run_name for r in runs(world)) == {
        name: 1 for e in names for name in (e, f"mfcc / gain @ {e}")
    }  # fmt: skip
    assert len({r.data.tags["mlflow.parentRunId"] for r in runs(world, "tags.encoder = 'mfcc'")}) == 2


def test_the_experiment_queue_logs_to_the_parent_repository(world):
    """The queue works in a temporary copy that it deletes; DVC_ROOT names the repository."""
    temporary = world / ".dvc/tmp/exps/standalone/tmp1"
    shutil.copytree(world, temporary, ignore=shutil.ignore_patterns(".dvc"))
    finished(process(temporary, DVC_ROOT=str(world), DVC_EXP_NAME="queued"))
    assert not list(temporary.glob("ml*"))
    shutil.rmtree(temporary)
    assert {r.info.run_name for r in runs(world)} == {"queued", *(f"{' / '.join(p)} @ queued" for p in PAIRS)}
    (child,) = runs(world, "tags.encoder = 'mfcc' and tags.perturbation = 'gain'")
    assert (world / "mlartifacts" / child.info.run_id / "artifacts/metrics/cca/gain.json").exists()


def test_commit_and_lock_name_a_state_without_an_experiment(ready):
    commit_something = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(commit_something, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    track.track()
    (parent,) = [r for r in runs(ready) if "encoder" not in r.data.tags]
    assert parent.info.run_name == f"{commit[:7]} {parent.data.tags['dvc.lock'][:7]}"
    assert parent.data.tags["mlflow.source.git.commit"] == commit
    before = state(ready)
    subprocess.run(commit_something, check=True)
    track.track()
    assert state(ready) == before, "the same results under a later commit are the same run"


def test_a_server_that_does_not_answer(world, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError) as raised:
        track.track()
    message = str(raised.value)
    assert message.startswith("MLflow at http://127.0.0.1:9 cannot be used")
    assert "safe in metrics/" in message and "`earshift track`" in message
    assert "secret" not in message and "\n" not in message
    assert not (world / "mlflow.db").exists()


def test_a_server_that_is_silent(ready, monkeypatch, capfd):
    """It takes connections and never replies. As a stage, this ends soon and well, and catches up later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(UserError, match="cannot be used .*catch up with `earshift track`"):
            track.track()
        monkeypatch.setenv("DVC_STAGE", "track")
        start = time.monotonic()
        track.track()
        assert time.monotonic() - start < 20
    printed = capfd.readouterr().err
    assert printed.startswith("earshift: MLflow at http://127.0.0.1:") and "catch up with" in printed
    assert printed.count("\n") == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    track.track()
    assert len(runs(ready)) == 5


def test_how_long_a_silent_server_is_waited_for():
    """What MLflow itself takes its timeout and number of retries for, once it was prepared."""
    code = """
        from earshift.pipeline.tracking import runs
        runs._prepare()
        from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
        print(MLFLOW_HTTP_REQUEST_TIMEOUT.get() * (1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()))
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True,
                         env={**environment, "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert 0 < float(run.stdout) <= 30


def test_dvc_goes_on_without_a_server(ready):
    """All that was made stays, and `dvc repro` ends well: an experiment that failed in its last stage would be lost."""
    Path("dvc.yaml").write_text("stages:\n  track:\n    cmd: python -m stages.track\n    always_changed: true\n")
    Path(".dvc").mkdir(exist_ok=True)
    Path(".dvc/config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
    environment = {
        **os.environ, "PYTHONPATH": str(REPOSITORY), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    run = subprocess.run([sys.executable, "-m", "dvc", "repro"], env=environment, capture_output=True, text=True)
    assert run.returncode == 0 and "MLflow at http://127.0.0.1:9 cannot be used" in run.stderr, run.stderr
    track.track()
    assert len(runs(ready)) == 5


def test_a_database_that_was_left_half_made(world):
    with sqlite3.connect(world / "mlflow.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('84291f40a231')")
    with pytest.raises(UserError, match="cannot be used .* or move .*mlflow.db away to start a new one"):
        track.track()


def test_a_file_that_is_no_database(world):
    (world / "mlflow.db").write_text("not a database at all, " * 100)
    with pytest.raises(UserError, match="mlflow.db is not an MLflow database .*; move it away"):
        track.track()


def test_a_folder_that_cannot_be_written(world, monkeypatch):
    (world / ".dvc").write_text("a file where a folder belongs")
    with pytest.raises(UserError, match="cannot be used .*safe in metrics/"):
        track.track()


@pytest.mark.parametrize("uri, database", [
    ("", "mlflow.db"), ("sqlite:///runs.db", "runs.db"), ("http://127.0.0.1:5000", None),
    ("postgresql://me:pw@host/db", None),
])  # fmt: skip
def test_where_runs_go(world, monkeypatch, uri, database):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("DVC_ROOT", str(world / "root"))
    where = mlflow_runs.find_store()
    assert where.database == (database and world / "root" / database)
    assert where.artifacts == (database and (world / "root/mlartifacts").as_uri())


def test_the_browser_opens_where_runs_are(ready):
    """The view that the address printed by `make ui` asks for; one that somebody changed in the browser stays."""
    track.track()
    experiment = client(ready).get_experiment_by_name("earshift")
    assert "press *Compare*" in experiment.tags["mlflow.note.content"]
    view = json.loads(json.loads(experiment.tags["mlflow.sharedViewState.pairs"])["state"])
    assert view["searchFilter"] == "tags.kind = 'pair'"
    shown = runs(ready, view["searchFilter"])
    assert len(shown) == 4 and all(f"metrics.`{name}`" in view["selectedColumns"] for name in
                                   ("cca/heldout_r2", "svd/effective_rank", "roc_auc/mean_drop"))  # fmt: skip
    assert {name.split("`")[1] for name in view["selectedColumns"]} <= set(shown[0].data.metrics)
    client(ready).set_experiment_tag(experiment.experiment_id, "mlflow.sharedViewState.pairs", "mine")
    write_pair(ready, "mfcc", "gain", 0.3)
    track.track()
    assert client(ready).get_experiment_by_name("earshift").tags["mlflow.sharedViewState.pairs"] == "mine"


def test_a_run_says_where_it_comes_from(ready, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "louder")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "ab" * 20)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://me:secret@forge.example/lab/earshift.git"], check=True)
    track.track()
    (child,) = runs(ready, "tags.encoder = 'mfcc' and tags.perturbation = 'gain' and tags.kind = 'pair'")
    note = child.data.tags["mlflow.note.content"]
    assert "**mfcc** under **gain**, corpus general_midi, fidelity corrected, DVC experiment `louder` on" in note
    assert f"[abababa](https://forge.example/lab/earshift/commit/{'ab' * 20})" in note and "secret" not in note
    assert "    dvc exp apply louder" in note
    assert child.data.tags["mlflow.source.git.commit"] == "ab" * 20


def test_all_experiments_from_git_and_the_cache(ready, tmp_path_factory, monkeypatch, capsys):
    """Each as it was, whatever the working tree holds now; one that is not whole is named and stops nothing."""
    other = tmp_path_factory.mktemp("other")
    write_params(other, ("mfcc",), ("gain",))
    names = [experiments.Experiment(name, name * 40, "b" * 40) for name in ("a", "c", "d")]

    @contextlib.contextmanager
    def folder(experiment):
        if experiment.name == "c":
            raise UserError("experiment c is not whole here")
        root = tmp_path_factory.mktemp(experiment.name)
        shutil.copytree(ready, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("ml*", ".dvc"))
        if experiment.name == "d":
            write_params(root, ("mfcc",), ("gain",))
        yield root

    monkeypatch.setattr(experiments, "experiments", lambda: names)
    monkeypatch.setattr(experiments, "results_folder", folder)
    for _ in range(2):
        with pytest.raises(UserError, match="experiment c is not whole here"):
            track.track(all_experiments=True)
        found = Counter(r.info.run_name.partition(" @ ")[2] or r.info.run_name for r in runs(ready))
        (now_,) = set(found) - {"a", "d"}
        assert found == {now_: 5, "a": 5, "d": 2}
    (parent,) = runs(ready, "attributes.run_name = 'd'")
    assert parent.data.tags["mlflow.source.git.commit"] == "b" * 40
    assert "d: 0 child runs created, 1 unchanged" in capsys.readouterr().out


def test_what_another_clone_has_not_finished_is_left_alone(ready):
    wanted, state_now = now()
    tags = {mlflow_runs.KEY: state_now.key, mlflow_runs.WRITER: "another", **wanted[0].tags}
    home = mlflow_runs._experiment_id(client(ready), None)
    theirs = client(ready).create_run(home, tags=tags).info.run_id
    track.track()
    assert {r.info.run_id for r in runs(ready) if r.info.status == "RUNNING"} == {theirs} and len(runs(ready)) == 6


def test_another_clone_adds_the_data_set_first(ready, monkeypatch):
    """MLflow looks for it and adds it then; a writer in between gets an error about a constraint of the database."""
    from mlflow.exceptions import BAD_REQUEST, MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    real, refused = SqlAlchemyStore._log_inputs_impl, []

    def too_late(self, *arguments):
        real(self, *arguments)
        if not refused:
            refused.append(arguments)
            raise MlflowException("UNIQUE constraint failed: datasets.digest", BAD_REQUEST)

    monkeypatch.setattr(SqlAlchemyStore, "_log_inputs_impl", too_late)
    track.track()
    assert refused and all(len(run.inputs.dataset_inputs) == 1 for run in runs(ready)) and len(runs(ready)) == 5


def test_two_clones_and_one_server(world, tmp_path_factory):
    """The same results from two clones at once, neither of which sees the other's lock."""
    team = tmp_path_factory.mktemp("team")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = ["make", "-o", ".venv/.earshift", "ui", f"SERVER={team}", f"PORT={port}"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        _wait_for(f"{uri}/health")
        other = tmp_path_factory.mktemp("other")
        shutil.copytree(world, other, dirs_exist_ok=True)
        outputs = [finished(p) for p in [process(root, MLFLOW_TRACKING_URI=uri) for root in (world, other)]]
        assert all(f"see {uri}" in out for out in outputs)
        assert "0 child runs created, 4 unchanged" in finished(process(other, MLFLOW_TRACKING_URI=uri))
        from mlflow.tracking import MlflowClient

        api = MlflowClient(uri)
        there = api.search_runs([api.get_experiment_by_name("earshift").experiment_id])
        assert Counter(r.data.tags["kind"] for r in there) == {"state": 1, "pair": 4}
        assert all(r.info.status == "FINISHED" for r in there)
        (child,) = [r for r in there if (r.data.tags.get("encoder"), r.data.tags.get("perturbation")) == PAIRS[0]]
        assert {f.path for f in api.list_artifacts(child.info.run_id)} == {"grid.json", "metrics", "plots"}
        assert list((team / "mlartifacts").rglob("grid.json")) and not (world / "mlartifacts").exists()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _wait_for(address):
    deadline = time.monotonic() + 600
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5)
        except OSError:
            assert time.monotonic() < deadline, f"{address} does not reply"
            time.sleep(0.2)


def test_compare_drops_doubles_orphans_and_strangers(world):
    wanted, _ = now()
    parent, child = wanted[:2]

    def found(name, record, start=0, finished=True, **tags):
        own = {mlflow_runs.DIGEST: record.digest, "mlflow.parentRunId": "p", **record.tags, **tags}
        return mlflow_runs.Found(name, start, finished, own)

    runs = [
        found("late", child, 9), found("c", child, 5), found("p", parent, 3),
        found("running", wanted[2], finished=False), found("orphan", wanted[3], **{"mlflow.parentRunId": "gone"}),
        found("stranger", child, encoder="clap"),
    ]  # fmt: skip
    kept, wrong = mlflow_runs.compare(wanted, runs)
    assert kept == {parent.pair: "p", child.pair: "c"}
    assert set(wrong) == {"late", "running", "orphan", "stranger"}


def test_peek_cannot_tell(world):
    assert mlflow_runs.peek(world / "none.db", "key") is None
    (world / "empty.db").touch()
    assert mlflow_runs.peek(world / "empty.db", "key") is None
    (world / "text.db").write_text("x" * 2000)
    with pytest.raises(UserError, match="text.db is not an MLflow database"):
        mlflow_runs.peek(world / "text.db", "key")
