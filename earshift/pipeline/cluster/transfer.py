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
from dataclasses import dataclass
from pathlib import Path

from earshift.pipeline import paths
from earshift.storage.files import remove_leftovers, replacing

_LARGE = 1 << 20  # bytes; larger arrays travel as files
_KEPT = 1 << 30  # bytes of such files that may wait for another task with the same array


def folder():
    """Where tokens and large arrays lie, for workers to see."""
    shared = paths.SCRATCH / "cluster"
    shared.mkdir(parents=True, exist_ok=True)
    remove_leftovers(shared, shared=True)
    return shared


class Shelf:
    """Large arrays as files that workers see, named by their content; unused ones go when they are too many."""

    def __init__(self):
        self._folder, self._users, self._unused = folder(), collections.Counter(), collections.OrderedDict()

    def put(self, content):
        """Path of a file with this content, which stays until it is given back."""
        name = f".{hashlib.blake2b(content, digest_size=16).hexdigest()}.{os.getpid()}.tmp"
        path = self._folder / name
        if not self._users[name] and self._unused.pop(name, None) is None:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        self._users[name] += 1
        return str(path)

    def give_back(self, files):
        for path in map(Path, files):
            self._users[path.name] -= 1
            if not self._users[path.name]:
                self._unused[path.name] = path.stat().st_size
        while sum(self._unused.values()) > _KEPT:
            (self._folder / self._unused.popitem(last=False)[0]).unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for name in self._users:
            (self._folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Call:
    """A function and its arguments.

    pickled : bytes
    files : tuple of str, with the large arrays
    """

    pickled: bytes
    files: tuple

    def read(self):
        """The function and its arguments."""
        return pickle.loads(self.pickled, buffers=map(_content, self.files))


def _content(path):
    content = bytearray(os.path.getsize(path))
    with open(path, "rb") as file:
        file.readinto(content)
    return content


def pickled(thing, put):
    """A thing as bytes, and what ``put`` gave for its large arrays."""
    files, stream = [], io.BytesIO()

    def is_small(buffer):
        content = buffer.raw()
        if content.nbytes >= _LARGE:
            files.append(put(content))
        return content.nbytes < _LARGE

    _Pickler(stream, protocol=5, buffer_callback=is_small).dump(thing)
    return stream.getvalue(), tuple(files)


class _Pickler(pickle.Pickler):
    """Names functions and classes of the module that was started with ``python -m`` as that module imports."""

    def reducer_override(self, thing):
        if isinstance(thing, (type, types.FunctionType)) and thing.__module__ == "__main__":
            return _imported, (sys.modules["__main__"].__spec__.name, thing.__qualname__)
        return NotImplemented


def _imported(module, name):
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))
