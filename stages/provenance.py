"""What a file was computed from: one hash over everything that determines its numbers."""

import hashlib
import importlib.metadata
import inspect
import json
import sys
from pathlib import Path


def fingerprint(**parts):
    """SHA-256 over named parts (anything that JSON can hold), independent of their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_sha256(path):
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(*objects):
    """SHA-256 over the source files in which the given classes, functions or modules are written."""
    files = {inspect.getsourcefile(o if inspect.ismodule(o) else sys.modules[o.__module__]) for o in objects}
    return hashlib.sha256(b"".join(sorted(Path(f).read_bytes() for f in files))).hexdigest()


def versions(*packages):
    """Installed versions by package name; build tags such as +cpu are left out, they do not name another release."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(packages)}
