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
    """SHA-256 over the source of the given classes, functions or modules and of what they use of their own packages."""
    modules = set()
    for each in objects:
        _add_with_used(each if inspect.ismodule(each) else sys.modules[each.__module__], modules)
    files = {inspect.getsourcefile(module) for module in modules}
    return hashlib.sha256(b"".join(sorted(Path(file).read_bytes() for file in files))).hexdigest()


def _add_with_used(module, modules):
    """Add `module`, and the modules of its package that its names come from, to the set `modules`."""
    if module in modules:
        return
    modules.add(module)
    package = module.__name__.rpartition(".")[0]
    for value in vars(module).values():
        used = value if inspect.ismodule(value) else sys.modules.get(getattr(value, "__module__", None))
        if package and used is not None and used.__name__.startswith(f"{package}."):
            _add_with_used(used, modules)


def versions(*packages):
    """Installed versions by package name; build tags such as +cpu are left out, they do not name another release."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(packages)}
