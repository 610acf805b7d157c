"""Files written whole or not at all, one writer at a time; JSON and tables."""

import contextlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from earshift.errors import UserError, write_failure


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not.

    Raises
    ------
    UserError
        When the place cannot be written: read-only, no permission, disk or quota full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = write_failure(error)
        if reason is None:
            raise
        raise UserError(f"cannot write {path}: {reason}; run again then, finished files stay") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def require_space(folder, size, *, fix="free some space"):
    """Stop before the work starts when `folder`'s disk has less than `size` bytes left.

    fix : str, what the user can do about it

    Raises
    ------
    UserError
        Naming what is needed and what is there.
    """
    existing = next(p for p in [Path(folder), *Path(folder).resolve().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(f"{folder} needs {size / 2**30:.2f} GiB and its disk has {free / 2**30:.2f} GiB left; {fix}")


def remove_leftovers(folder, *, shared=False):
    """Delete temporary files that a killed run left in `folder`; in a `shared` one not those of running processes."""
    for leftover in Path(folder).glob(".*.tmp"):
        if not (shared and _runs(leftover.name.split(".")[-2])):
            leftover.unlink(missing_ok=True)


def _runs(process):
    """Whether a process of this number exists."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def sole_writer(folder, locks):
    """The block, run by one process at a time for `folder`: others wait, and say so. A killed one holds nobody up."""
    import filelock

    place = Path(locks) / f"{Path(folder).as_posix().replace('/', '-')}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    guard = filelock.FileLock(place)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        print(f"{folder} is being written by another process; waiting for it", file=sys.stderr, flush=True)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def rounded(value, digits=6):
    """`value` with every float in it rounded to six significant digits, and NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): rounded(v, digits) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, np.ndarray):
        return rounded(value.tolist(), digits)
    value = _plain(value)
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def write_json(path, content):
    """Write numbers as JSON, floats rounded to six significant digits, keys in the order given."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rounded(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Content of a JSON file, or None where there is no whole one."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):  # no JSON, not even text, or brackets without end
        return None


def write_table(path, table):
    """Write a pandas table as CSV, floats rounded to six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_parquet(path, table):
    """Write a pandas table as Parquet, floats rounded to six significant digits."""
    table = table.copy()
    for name in table.select_dtypes("float"):
        numbers = table[name].to_numpy(dtype=np.float64)
        table[name] = [float(f"{number:.6g}") for number in numbers]
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, engine="pyarrow", compression="zstd")
