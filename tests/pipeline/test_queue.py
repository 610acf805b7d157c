"""Experiments of a small repository, run by several of DVC's workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import queue

PIPELINE = """
stages:
  only:
    cmd: test ${value} -ne 13 && echo "${value}" > out.txt
    params: [value]
    outs:
      - out.txt: {cache: false}
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one quick stage, which 13 breaks; a function that runs a command there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setattr(queue, "_POLL_SECONDS", 0.3)

    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run("git", "init", "-q")
    for key, text in (("user.name", "a"), ("user.email", "a@b"), ("gc.auto", "0")):
        run("git", "config", key, text)
    run("dvc", "init", "-q")
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text("value: 1\n")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "one")
    return run


def _results(run):
    names = run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return sorted(ref.rpartition("/")[2] for ref in names if "/temp/" not in ref)


def test_all_run_even_after_workers_that_were_told_to_stop(repository, capsys):
    repository("dvc", "exp", "run", "--queue", "-S", "value=2,3,4")
    queue.run(2)
    repository("dvc", "exp", "run", "--queue", "-S", "value=5,6,7")
    repository("dvc", "queue", "stop")
    queue.run(2)
    assert len(_results(repository)) == 6
    assert capsys.readouterr().out.count("all 3 done") == 2


def test_what_ended_without_a_result_is_run_again_and_what_failed_is_not(repository):
    from dvc.repo import Repo

    repository("dvc", "exp", "run", "--queue", "-n", "good", "-S", "value=2")
    repository("dvc", "exp", "run", "--queue", "-n", "bad", "-S", "value=13")
    with pytest.raises(UserError, match=r"1 of 2 experiments have no result: bad \(failed\); `dvc queue logs bad`"):
        queue.run(1)
    assert _results(repository) == ["failed", "good"]
    (reference,) = repository("git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/good").split()
    shown = repository("git", "show", f"{reference}:params.yaml")
    repository("git", "update-ref", "-d", reference)
    with Repo() as repo:
        known = repo.experiments.celery_queue
        lost = {rev for rev, task in queue.tasks(known).items() if task.state == queue.LOST}
        (ended,) = queue.follow(known, 1, lost)
    assert (ended.name, ended.state) == ("good", queue.DONE)
    assert repository("git", "show", f"{reference}:params.yaml") == shown
    assert "bad" not in _results(repository)


def test_an_empty_queue_and_no_workers(repository, capsys):
    queue.run(2)
    assert "nothing is queued" in capsys.readouterr().out
    with pytest.raises(UserError, match="--jobs is 0; it must be at least 1"):
        queue.run(0)
