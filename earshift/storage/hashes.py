"""Hashes of files, remembered so that asking again is quick.

Conventions
-----------
A hash is taken from memory where the file's size and modification time (to the nanosecond) have not changed, so that
asking again costs one stat per file. Memory is a JSON file that :func:`remember_in` names; without it nothing is
remembered.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from earshift.protocols import StrPath
from earshift.storage.files import read_json, write_json

_PIECE = 1 << 22

_memory: Path | None = None


def remember_in(path: StrPath | None) -> None:
    """Remember hashes in this JSON file, for the rest of this process; None stops that."""
    global _memory
    _memory = None if path is None else Path(path)


def digest(path: StrPath, algorithm: str = "sha256") -> str:
    """Hash of a file's bytes in hexadecimal.

    Parameters
    ----------
    path : path-like
    algorithm : "sha256", "md5", or "git-blob": the SHA-1 under which git stores the file
    """
    if algorithm == "git-blob":
        found = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    else:
        found = hashlib.new(algorithm, usedforsecurity=algorithm == "sha256")
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def hash_files(files: Sequence[StrPath], algorithm: str = "sha256") -> list[str | None]:
    """Hash of every file, in order; None for a file that cannot be read.

    Parameters
    ----------
    files : list of path-like
    algorithm : as for :func:`digest`
    """
    from tqdm import tqdm

    keys = [f"{algorithm} {os.path.abspath(file)}" for file in files]
    stamps = dict(zip(keys, map(_stamp, files), strict=True))
    known = (read_json(_memory) if _memory else None) or {}
    hashes: dict[str, str] = {key: known[key][2] for key in stamps if known.get(key, [])[:2] == stamps[key]}
    missing = [(key, file) for key, file in zip(keys, files, strict=True) if key not in hashes]
    bar = tqdm(missing, desc="hashing", unit=" files", leave=False, disable=not (missing and sys.stderr.isatty()))
    try:
        for key, file in bar:
            with contextlib.suppress(OSError):
                hashes[key] = digest(file, algorithm)
    finally:  # what was hashed before an interruption need not be hashed again
        found = {key: [*stamps[key], sha] for key, sha in hashes.items()}
        if _memory and missing and found:
            others = {key: entry for key, entry in known.items() if os.path.exists(key.partition(" ")[2])}
            write_json(_memory, others | found)
    return [hashes.get(key) for key in keys]


def _stamp(file: StrPath) -> list[int]:
    try:
        stat = os.stat(file)
    except OSError:
        return [-1, -1]
    return [stat.st_size, stat.st_mtime_ns]
