"""What a file was computed from: one hash over everything that determines its numbers."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from earshift.protocols import StrPath

# Messages, options as such, files and their checksums, orchestration; a number does not depend on them
_NUMBERLESS = ("earshift.errors.", "earshift.options.", "earshift.plugins.", "earshift.protocols.", "earshift.storage.",
               "earshift.pipeline.")  # fmt: skip


def fingerprint(**parts: Any) -> str:
    """SHA-256 over named parts (anything that JSON can hold), independent of their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_sha256(path: StrPath) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(*objects: Any) -> str:
    """SHA-256 over the source of the given classes, functions or modules, and of all modules that these import."""
    return hashlib.sha256(b"".join(sorted(sources(*objects).values()))).hexdigest()


def sources(*objects: Any) -> dict[str, bytes]:
    """Source of the modules of the given objects, and of all modules that these import, by full name.

    Modules of their own package and of earshift are followed, imports inside of functions too. Those that cannot change
    a number (_NUMBERLESS) are left out.
    """
    names = {each.__name__ if inspect.ismodule(each) else each.__module__ for each in objects}
    packages = {"earshift", *(name.partition(".")[0] for name in names)}
    found: dict[str, bytes] = {}
    left = list(names)
    while left:
        name = left.pop()
        file = _source_file(name)
        if name not in found and file is not None:
            found[name] = file.read_bytes()
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            wanted = (each for each in _imports(found[name], package) if each.partition(".")[0] in packages)
            left += [each for each in wanted if not f"{each}.".startswith(_NUMBERLESS)]
    return found


def _source_file(name: str) -> Path | None:
    """The file of a module, found without importing it; None for other names, such as that of a class in one."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file) if file else None
    top, _, rest = name.partition(".")
    spec = importlib.util.find_spec(top)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, *rest.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


@lru_cache(maxsize=1000)
def _imports(source: bytes, package: str) -> frozenset[str]:
    """Full names of what a module imports anywhere: modules, and what may be one or a name in one."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by package name; build tags such as +cpu are left out, they do not name another release."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(packages)}
