"""Lines about long work where there is no terminal."""

import time

from stages.progress import Progress


def test_progress_prints_lines_without_a_terminal(capsys, monkeypatch):
    clock = iter([0.0, 5.0, 20.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress("embed x", 100, reused=50) as progress:
        progress.advance(10)
        progress.advance(10)
    assert capsys.readouterr().err == "embed x: 70/100 clips, 1.0 clips/s, 30 s left, 50 reused\n"
