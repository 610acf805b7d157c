"""Where the tests in a browser get their browser. `make test-ui` runs them; without Chromium they are skipped."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "report")]  # for browsing and results_on_disk, however pytest imports
import browsing  # noqa: E402


@pytest.fixture(scope="session")
def browser():
    """Chromium, one for all tests."""
    driver = pytest.importorskip("playwright.sync_api", reason="no Playwright here: `make test-ui` installs it")
    with driver.sync_playwright() as playwright:
        chromium = browsing.launched(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """A function that gives a :class:`browsing.Visit` with a fresh profile: ``visit(width=390, height=844)``."""
    contexts = []

    def new(*, width=1280, height=900, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme))
        return browsing.Visit(contexts[-1])

    yield new
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """The folder that screenshots go to."""
    return browsing.screenshot_folder(tmp_path_factory.getbasetemp() / "screenshots")
