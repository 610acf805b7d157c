"""Functions that Numba compiles on first use and keeps on disk, so that the next process need not.

Conventions
-----------
``@numba.njit(cache=True)`` looks for a folder to write to while a module is imported. Here that waits for the first
call: a caller of compiled functions calls :func:`keep_on_disk` first. Where Numba finds no folder that it may write to
(NUMBA_CACHE_DIR names one), every process compiles for itself.
"""

import contextlib
from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

_FUNCTIONS: list[Any] = []


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` for the types of its first call; other threads run meanwhile."""
    dispatcher: Callable[P, R] = numba.njit(nogil=True, error_model="numpy")(function)
    _FUNCTIONS.append(dispatcher)
    return dispatcher


@cache
def keep_on_disk() -> None:
    """Let compiled functions be read from disk, and written there."""
    for function in _FUNCTIONS:
        with contextlib.suppress(RuntimeError):  # no folder to write to
            function.enable_caching()
