"""``earshift merge``: what either side of a merge has computed is in the store, whichever dvc.lock is taken."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import artifacts, config
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.merge import fill, merge
from earshift.storage.files import write_json
from earshift.storage.hashes import digest

# A stage of two outputs: metrics in git, plots in DVC's cache, and an index over both
STAGE = """
import json, pathlib, sys
names = json.loads(pathlib.Path("params.yaml").read_text())["names"]
for name in names:
    for place in (f"metrics/a/{name}.json", f"plots/a/{name}/points.csv"):
        pathlib.Path(place).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(place).write_text(name)
pathlib.Path("metrics/a/index.json").write_text(pathlib.Path("index.json").read_text())
"""
PIPELINE = """
stages:
  a:
    cmd: {python} stage.py
    deps: [stage.py, index.json]
    outs: [plots/a]
    metrics:
      - metrics/a: {{cache: false}}
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def key(name: str) -> str:
    return make_key("a", contents={}, options=name, code=[]).sha256


def compute(*names: str) -> None:
    """Run the stage for these names, and commit."""
    Path("params.yaml").write_text(json.dumps({"names": names}))
    places = {name: [f"metrics/a/{name}.json", f"plots/a/{name}/points.csv"] for name in names}
    for name in names:
        Path("content").write_text(name)
        entry = {"key": key(name), "basis": key(name), "files": dict.fromkeys(places[name], digest("content"))}
        places[name] = entry  # type: ignore[assignment]
    write_json("index.json", {"artifacts": places})
    run("dvc", "repro", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", " ".join(names))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A repository with two branches, main with x and y, other with x and z, and nothing in the store."""
    folder = tmp_path_factory.mktemp("merge") / "repository"
    folder.mkdir()
    with contextlib.chdir(folder):
        run("git", "init", "-q", "-b", "main")
        run("git", "config", "user.name", "somebody")
        run("git", "config", "user.email", "somebody@example.org")
        run("dvc", "init", "-q")
        run("dvc", "remote", "add", "-q", "-d", "there", "there")
        Path(".gitignore").write_text("/plots\n/.earshift\n/content\n/there\n")
        Path("stage.py").write_text(STAGE)
        Path("dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
        compute("x")
        run("git", "switch", "-qc", "other")
        compute("x", "z")
        run("git", "switch", "-q", "main")
        run("dvc", "checkout", "-q", "--force")
        compute("x", "y")
    return folder


@pytest.fixture
def repository(built, tmp_path, monkeypatch):
    """A copy of it to work in."""
    shutil.copytree(built, tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setattr(config, "load", lambda: None)


def in_store() -> list[str]:
    return [name for name in "xyz" if key(name) in artifacts.store()]


@pytest.mark.usefixtures("repository")
def test_a_commit_fills_the_store_from_cache_and_git():
    assert fill("other") == 2
    assert in_store() == ["x", "z"]
    manifest = artifacts.store().restore(key("z"), root=Path("elsewhere"))
    assert manifest is not None
    assert {Path("elsewhere", path).read_text() for path in manifest.files} == {"z"}
    assert fill("other") == 0
    assert Path("params.yaml").read_text() == '{"names": ["x", "y"]}'  # the workspace stays as it is


@pytest.mark.usefixtures("repository")
def test_what_the_cache_lacks_comes_from_the_remote():
    run("git", "switch", "-q", "other")
    run("dvc", "push", "-q")
    run("git", "switch", "-q", "main")
    shutil.rmtree(".dvc/cache")
    assert fill("other") == 2
    assert in_store() == ["x", "z"]


@pytest.mark.usefixtures("repository")
def test_what_nobody_has_is_left_out():
    shutil.rmtree(".dvc/cache")
    assert fill("other") == 0
    assert in_store() == []


@pytest.mark.usefixtures("repository")
def test_conflicts_of_lock_and_metrics_are_resolved(capsys):
    assert subprocess.run(["git", "merge", "-q", "other"], capture_output=True).returncode
    with pytest.raises(UserError, match=r"resolve .*params\.yaml.* first"):
        merge(None)
    for name in ("params.yaml", "index.json"):
        run("git", "checkout", "-q", "--ours", "--", name)
        run("git", "add", "--", name)
    merge(None)
    assert in_store() == ["x", "y", "z"]
    assert not run("git", "diff", "--name-only", "--diff-filter=U")
    assert "<<<<" not in Path("dvc.lock").read_text()
    assert "`dvc repro` computes what neither side has" in capsys.readouterr().out


@pytest.mark.usefixtures("repository")
def test_the_other_side_must_be_known():
    with pytest.raises(UserError, match="no merge is under way"):
        merge(None)
    with pytest.raises(UserError, match="git knows no commit nobody"):
        merge("nobody")
