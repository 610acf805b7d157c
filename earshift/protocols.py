"""What a caller hands to a library function: a map over its work, and a callback for its progress.

A library function starts no pool and draws no progress bar. It takes ``map``, with the signature of the builtin, and
``advance``, which is called with the number of items that were just finished. The defaults, :func:`serial` and
:func:`ignore`, compute in the calling thread and report nothing.
"""

import os
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

StrPath = str | os.PathLike[str]


class Map(Protocol):
    """Apply a function to every item and give the results in the order of the items, wherever they are computed.

    The function has to be importable (defined at the top of a module, or a ``functools.partial`` of such a function),
    and items and results picklable, because a map may run in other processes or on other machines. Items are read as
    results are taken.
    """

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]: ...


class Advance(Protocol):
    """Receives how many items were finished since the last call."""

    def __call__(self, items: int, /) -> object: ...


def serial(function: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
    """The builtin map, as a :class:`Map`."""
    return map(function, items)


def ignore(items: int, /) -> None:
    """An :class:`Advance` that reports nothing."""
