"""Where Numba keeps what it has compiled: for the user, so that a new clone of the repository need not compile again.

Numba's own places are beside the source files or named by their paths: each environment then compiles for itself, for
15 seconds in every process that draws a map. Here a folder is named by the release of Numba, by the processor that it
compiles for, and by the content of the source file. NUMBA_CACHE_DIR names another place (earshift.pipeline.pinning).
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import UserWideCacheLocator


class UserCache(UserWideCacheLocator):  # type: ignore[misc]
    """Finds the folder for the functions of one source file; where it cannot be written, Numba asks the next class."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        content = hashlib.sha256(Path(py_file).read_bytes()).hexdigest()
        self._cache_path = str(folder() / f"{py_func.__module__}-{content[:16]}")


def folder() -> Path:
    """Folder of the kernels of this release of Numba for this processor."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    target = os.environ.get("NUMBA_CPU_NAME", "native")
    return home / "earshift" / "kernels" / f"numba-{numba.__version__}-{python}-{target}"
