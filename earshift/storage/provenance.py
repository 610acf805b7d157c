"""What a file was computed from: one hash over everything that determines its numbers."""

import hashlib
import importlib.metadata
import json
from typing import Any

from earshift.protocols import StrPath


def fingerprint(**parts: Any) -> str:
    """SHA-256 over named parts (anything that JSON can hold), independent of their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_sha256(path: StrPath) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by package name; build tags such as +cpu are left out, they do not name another release."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(packages)}
