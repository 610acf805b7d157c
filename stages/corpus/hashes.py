"""SHA-256 of the user's files, remembered as long as a file keeps its size and time of change."""

import os
import sys

from stages import paths, store
from stages.provenance import file_sha256


def remembered_sha256(files):
    """SHA-256 of every file, in order; None for one that cannot be read.

    What was computed before is taken from paths.HASHES for files whose size and modification time (to the nanosecond)
    have not changed, so that asking again costs one stat per file.

    Parameters
    ----------
    files : list of path-like
    """
    files = [os.path.abspath(file) for file in files]
    known = store.read_json(paths.HASHES) or {}
    stamps = {file: _stamp(file) for file in files}
    hashes = {file: known[file][2] for file in files if file in known and known[file][:2] == stamps[file]}
    missing = [file for file in stamps if file not in hashes]
    try:
        for file in _with_progress(missing):
            hashes[file] = _sha256(file)
    finally:  # what was hashed before an interruption need not be hashed again
        remembered = {file: [*stamps[file], found] for file, found in hashes.items() if found}
        if remembered != known:
            store.write_json(paths.HASHES, remembered)
    return [hashes[file] for file in files]


def _stamp(file):
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _sha256(file):
    try:
        return file_sha256(file)
    except OSError:
        return None


def _with_progress(files):
    if not files:
        return files
    from tqdm import tqdm

    return tqdm(files, desc="hashing", unit=" files", leave=False, disable=not sys.stderr.isatty())
