"""A page in Chromium, and what went on while it was open.

Conventions
-----------
Chromium is the system's own (Debian: chromium), driven by Playwright, whose own browsers are never downloaded. No host
name resolves but the loopback's, and every request to another host is noted before it is stopped.
"""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
LOCAL = ("file", "data", "blob", "about")


def chromium():
    """Path of the system's Chromium, or None; the variable CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def launched(playwright):
    """A headless Chromium with a fresh profile; the test is skipped where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: install it with the system's package manager, or name it in CHROMIUM")
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


class Visit:
    """A page, and what it did that it should not have done.

    page : playwright.sync_api.Page
    requests : list of str, addresses of everything that was asked for
    strangers : list of str, those of them that lie on another host
    errors : list of str, uncaught exceptions and what the console shows as errors
    """

    def __init__(self, context):
        self.requests, self.strangers, self.errors = [], [], []
        context.route(self._strange, lambda route: route.abort())
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)

    def _strange(self, address):
        parts = urlsplit(address)
        return parts.scheme not in LOCAL and parts.hostname != "127.0.0.1"

    def _asked(self, address):
        self.requests.append(address[:200])
        if self._strange(address):
            self.strangers.append(address[:200])

    def _said(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')[:200]})")

    def photograph(self, path, *, whole=False):
        """Write a screenshot of what is in view, or of the whole page, and print where it lies."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=whole)
        print(f"screenshot: {path}")


def screenshot_folder(fallback):
    """Where screenshots go: the folder that EARSHIFT_SCREENSHOTS names, else `fallback`."""
    return Path(os.environ.get("EARSHIFT_SCREENSHOTS") or fallback).resolve()
