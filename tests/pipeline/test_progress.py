"""Lines about long work where there is no terminal, and in the log of a stage."""

import io
import sys
import time

import pytest

from earshift.pipeline import paths, profile
from earshift.pipeline.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until the test moves it on: ``clock(10)``."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self):
        return True


def test_progress_prints_lines_without_a_terminal(capsys, clock):
    with Progress("embed x", 100, reused=50) as progress:
        clock(5)
        progress.advance(10)
        clock(15)
        progress.advance(10)
    assert capsys.readouterr().err == "embed x: 70/100 clips, 1.0 clips/s, 30 s left, 50 reused\n"


def test_nothing_done_yet_has_no_rate(capsys, clock):
    with Progress("embed x", 100) as progress:
        clock(20)
        progress.advance(0)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_bar_and_the_log_has_the_lines(workspace, monkeypatch, clock):
    monkeypatch.setenv("DVC_STAGE", "embed@x")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with profile.record(), Progress("embed x", 100, reused=50) as progress:
        for _ in range(4):
            clock(6)
            progress.advance(10)
        # as `tail -f` sees it while the stage runs
        assert paths.stage_log("embed@x").read_text() == (
            "embed x: 50/100 clips, 50 reused\n"
            "embed x: 70/100 clips, 1.7 clips/s, 18 s left, 50 reused\n"
            "embed x: 90/100 clips, 1.7 clips/s, 6 s left, 50 reused\n"
        )
        clock(6)
        progress.advance(10)
    shown = sys.stderr.getvalue()
    assert "\r" in shown and "embed x:" in shown and "reused=50" in shown and " clips/s" in shown
    log = paths.stage_log("embed@x").read_text()
    assert "\r" not in log
    assert log.splitlines()[-1] == "embed x: 100/100 clips, 1.7 clips/s, done after 30 s, 50 reused"


def test_the_log_says_where_work_stopped(workspace, monkeypatch, clock):
    monkeypatch.setenv("DVC_STAGE", "embed@x")
    with pytest.raises(KeyboardInterrupt), profile.record(), Progress("embed x", 100) as progress:
        clock(5)
        progress.advance(10)
        raise KeyboardInterrupt
    assert profile.last_line("embed@x") == "embed x: 10/100 clips, 2.0 clips/s, stopped after 5 s, 0 reused"
