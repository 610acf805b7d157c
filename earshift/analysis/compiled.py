"""Functions that Numba compiles on first use and keeps on disk, so that the next process need not.

Conventions
-----------
``@numba.njit(cache=True)`` looks for a folder to write to while a module is imported. Here that waits for the first
call: whoever calls compiled functions calls :func:`keep_on_disk` before. Where Numba finds no folder that it may write
to (NUMBA_CACHE_DIR names one), every process compiles for itself.
"""

import contextlib
from functools import cache

import numba

_FUNCTIONS = []


def compiled(function):
    """Compile `function` for the types it is first called with; other threads run meanwhile."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    _FUNCTIONS.append(dispatcher)
    return dispatcher


@cache
def keep_on_disk():
    """Let compiled functions be found on disk, and be left there."""
    for function in _FUNCTIONS:
        with contextlib.suppress(RuntimeError):  # no folder to write to
            function.enable_caching()
