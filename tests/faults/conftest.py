"""The pipeline that is disturbed, and how to wait for the right moment."""

import contextlib
import shutil
import sys
import time
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for disturbed, however pytest imports these modules
from disturbed import SETTINGS, TOYS, Bench, toy  # noqa: E402


@pytest.fixture
def bench(tiny_corpus, edited, monkeypatch, workspace):
    """``bench({"params.key": value})`` is the :class:`Bench` with these changes of params.yaml."""
    shutil.copy(TOYS, workspace)
    monkeypatch.syspath_prepend(str(workspace))
    sys.modules.pop("toys", None)
    return lambda changes=None, *, delay=0: Bench(edited(SETTINGS | toy(delay) | (changes or {})))


@pytest.fixture(scope="session")
def corpus_writer(request):
    """The function beside the fixture ``tiny_corpus``, for fixtures that last longer."""
    (plugin,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "write_corpus"))
    return plugin.write_corpus


@pytest.fixture(scope="session")
def wait():
    """``wait(condition)`` until it holds, half an hour at most."""

    def until(condition, seconds=1800):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.005)

    return until


@pytest.fixture
def pool(wait):
    """``pool(process)`` waits for the worker processes of a stage and returns them."""

    def workers(process):
        def found():
            with contextlib.suppress(psutil.NoSuchProcess):
                children = psutil.Process(process.pid).children()
                return [child for child in children if any("spawn_main" in word for word in child.cmdline())]
            return []

        wait(lambda: found() or process.poll() is not None)
        return found()

    return workers
