"""Hashes of files that lie outside the pipeline, remembered so that asking again is quick."""

import hashlib
import os
import sys

from earshift.pipeline import paths
from earshift.storage.files import read_json, write_json

_PIECE = 1 << 22


def digest(path, algorithm="sha256"):
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


def remembered_sha256(files):
    """SHA-256 of every file, in order; None for one that cannot be read.

    Parameters
    ----------
    files : list of path-like
    """
    return remembered(files, "sha256")


def remembered(files, algorithm):
    """Hash of every file, in order; None for one that cannot be read.

    What was computed before is taken from paths.HASHES for files whose size and modification time (to the nanosecond)
    have not changed, so that asking again costs one stat per file.

    Parameters
    ----------
    files : list of path-like
    algorithm : as for :func:`digest`
    """
    keys = [f"{algorithm} {os.path.abspath(file)}" for file in files]
    stamps = dict(zip(keys, map(_stamp, files), strict=True))
    known = read_json(paths.HASHES) or {}
    hashes = {key: known[key][2] for key in stamps if key in known and known[key][:2] == stamps[key]}
    missing = [(key, file) for key, file in zip(keys, files, strict=True) if key not in hashes]
    try:
        for key, file in _with_progress(missing):
            hashes[key] = _digest(file, algorithm)
    finally:  # what was hashed before an interruption need not be hashed again
        found = {key: [*stamps[key], found] for key, found in hashes.items() if found}
        if missing and found:
            others = {key: entry for key, entry in known.items() if os.path.exists(key.partition(" ")[2])}
            write_json(paths.HASHES, others | found)
    return [hashes[key] for key in keys]


def _stamp(file):
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _digest(file, algorithm):
    try:
        return digest(file, algorithm)
    except OSError:
        return None


def _with_progress(files):
    if not files:
        return files
    from tqdm import tqdm

    return tqdm(files, desc="hashing", unit=" files", leave=False, disable=not sys.stderr.isatty())
