"""The page with the commit stamped in: what it says and never says, and that it is written only when it changes."""

import html
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline.report_inputs import results
from earshift.pipeline.stamp import write_index
from earshift.report.page import stamp
from earshift.report.page.page import make_page

REPOSITORY = Path(__file__).parents[2]
SHA = "0123456789abcdef0123456789abcdef01234567"


def git(*arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(world, monkeypatch):
    """A git repository with a page that has all marked places."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(world.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    Path("report/page.html").write_text(
        "".join(f"<!--stamp:{n}-->-<!--/stamp:{n}-->" for n in ("line", "provenance", "commands", "footer"))
    )
    git("init", "-q")
    git("add", "params.yaml", "metrics")
    git("commit", "-qm", "all")
    return world


def stamped():
    """What stamp makes of the page, as text."""
    write_index()
    return html.unescape(Path("report/index.html").read_text())


def test_commit_and_its_address(repository):
    git("remote", "add", "origin", "https://me:secret@forge.org/owner/repo.git")
    commit, text = git("rev-parse", "HEAD"), stamped()
    assert f'<a href="https://forge.org/owner/repo/commit/{commit}"><code>{commit[:10]}</code></a>' in text
    assert f"git clone https://forge.org/owner/repo earshift && cd earshift\ngit checkout {commit}" in text
    assert "make repro" in text and "secret" not in text and "with changes" not in text


def test_a_repository_without_a_remote_has_no_link(repository):
    text = stamped()
    assert git("rev-parse", "HEAD") in text and "<a " not in text and "git clone" not in text


def test_changes_are_told_but_not_those_of_the_pipeline(repository):
    Path("metrics/summary.json").write_text("{ }")
    Path("new.txt").write_text("untracked")
    assert "with changes" not in stamped()
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "\n")
    text = stamped()
    assert "with changes that are not committed" in text and "<dd><code>params.yaml</code></dd>" in text


def test_an_experiment(repository, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "finer<b>")
    text = Path("report/index.html")
    write_index()
    assert "DVC experiment <strong>finer&lt;b&gt;</strong>" in text.read_text()
    assert "dvc exp apply finer&lt;b&gt;" in text.read_text() and "<b>" not in text.read_text()


def test_twice_the_same_bytes_and_written_once(repository):
    write_index()
    first = Path("report/index.html")
    content, written = first.read_bytes(), first.stat().st_mtime_ns
    time.sleep(0.02)
    write_index()
    assert first.read_bytes() == content and first.stat().st_mtime_ns == written
    git("commit", "-qm", "another", "--allow-empty")
    write_index()
    assert first.read_bytes() != content
    assert [path.name for path in Path("report").iterdir() if "tmp" in path.name] == []


def test_without_git(repository, monkeypatch):
    (repository / ".git").rename(repository / "hidden")
    assert "outside of a git repository" in stamped() and "make repro" in stamped()
    (repository / "hidden").rename(repository / ".git")
    monkeypatch.setenv("PATH", str(repository))  # no git at all
    assert "outside of a git repository" in stamped()


def test_only_marked_places_change():
    state = stamp.State(SHA)
    text = "before<!--stamp:line-->old<!--/stamp:line-->after<!--stamp:nothing-->kept"
    assert stamp.insert_state(text, state) == (
        f"before<!--stamp:line-->earshift report of commit <code>{SHA[:10]}</code>.<!--/stamp:line-->after"
        "<!--stamp:nothing-->kept"
    )
    assert stamp.insert_state("no marks", state) == "no marks"
    once = stamp.insert_state(text, state)
    assert stamp.insert_state(once, state) == once


def test_the_page_has_every_mark(inputs):
    text = make_page(results()).html
    state = stamp.State(SHA, f"https://forge.org/o/r/commit/{SHA}", ("params.yaml",), "finer")
    made = stamp.insert_state(text, state)
    for name in ("line", "provenance", "commands", "footer"):
        before, after = (re.search(f"<!--stamp:{name}-->(.*?)<!--/stamp:{name}-->", t, re.DOTALL) for t in (text, made))
        assert before[1] and after[1] != before[1], name
    assert made.count(SHA[:10]) >= 4


def test_a_page_that_is_missing(world):
    Path("report/page.html").unlink()
    with pytest.raises(UserError, match=r"report/page.html is missing"):
        write_index()


def test_a_folder_that_cannot_be_written(repository, monkeypatch):
    monkeypatch.setattr(stamp.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="cannot write report/index.html: No space left"):
        stamp._write(Path("report/index.html"), "text")
    assert [path.name for path in Path("report").iterdir()] == ["page.html"]


def test_it_imports_next_to_nothing(repository):
    code = (
        "import sys, earshift.pipeline.stamp as s; s.write_index(); "
        "print(*sorted(m for m in sys.modules if '.' not in m))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin",
                         "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert not {"numpy", "h5py", "pandas", "jinja2", "matplotlib", "dvc", "mlflow"} & set(run.stdout.split())
