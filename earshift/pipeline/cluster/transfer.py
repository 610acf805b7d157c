"""What is sent to workers: a function and its arguments, large arrays as files that both sides see."""

import collections
import functools
import hashlib
import importlib
import io
import os
import pickle
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from earshift.pipeline import paths
from earshift.storage.files import remove_leftovers, replacing

_LARGE = 1 << 20  # bytes; larger arrays travel as files
_KEPT = 1 << 30  # bytes of such files that may wait for another task with the same array


def shared_folder() -> Path:
    """Where tokens and large arrays lie, for workers to see."""
    shared = paths.SCRATCH / "cluster"
    shared.mkdir(parents=True, exist_ok=True)
    remove_leftovers(shared, shared=True)
    return shared


class Shelf:
    """Large arrays as files that workers see, named by their content; unused ones go when they are too many."""

    def __init__(self) -> None:
        self._folder = shared_folder()
        self._users: collections.Counter[str] = collections.Counter()
        self._unused: collections.OrderedDict[str, int] = collections.OrderedDict()

    def put(self, content: memoryview) -> str:
        """Path of a file with this content, which stays until it is given back."""
        name = f".{hashlib.blake2b(content, digest_size=16).hexdigest()}.{os.getpid()}.tmp"
        path = self._folder / name
        if not self._users[name] and self._unused.pop(name, None) is None:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        self._users[name] += 1
        return str(path)

    def give_back(self, files: Iterable[str]) -> None:
        """Let files go that :meth:`put` gave, once per call of it."""
        for path in map(Path, files):
            self._users[path.name] -= 1
            if not self._users[path.name]:
                self._unused[path.name] = path.stat().st_size
        while sum(self._unused.values()) > _KEPT:
            (self._folder / self._unused.popitem(last=False)[0]).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for name in self._users:
            (self._folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Call:
    """A function and its arguments.

    pickled : bytes
    files : tuple of str, with the large arrays
    """

    pickled: bytes
    files: tuple[str, ...]

    def read(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function and its arguments."""
        function, task = pickle.loads(self.pickled, buffers=map(_read_file, self.files))
        return function, task


def _read_file(path: str) -> bytearray:
    content = bytearray(os.path.getsize(path))
    with open(path, "rb") as file:
        file.readinto(content)
    return content


def pack(function: Callable[..., Any], task: tuple[Any, ...], put: Callable[[memoryview], str]) -> Call:
    """A call, of whose large arrays ``put`` makes files."""
    files: list[str] = []
    stream = io.BytesIO()

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes >= _LARGE:
            files.append(put(content))
        return content.nbytes < _LARGE

    _Pickler(stream, protocol=5, buffer_callback=is_small).dump((function, task))
    return Call(stream.getvalue(), tuple(files))


class _Pickler(pickle.Pickler):
    """Names functions and classes of the module that was started with ``python -m`` as that module imports."""

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, (type, types.FunctionType)) and thing.__module__ == "__main__":
            spec = sys.modules["__main__"].__spec__
            return _import, (spec and spec.name, thing.__qualname__)
        return NotImplemented


def _import(module: str, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))
