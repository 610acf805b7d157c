"""Files written whole or not at all, by one process at a time; JSON and tables.

Conventions
-----------
A file is written under a temporary name beside its place, ``.NAME.PROCESS.tmp``, and renamed when it is whole. Numbers
in JSON and tables are rounded to six significant digits, and NaN and infinities are null in JSON.

- :func:`replacing`: a temporary path that takes a file's name
- :func:`sole_writer`: a block that one process at a time runs
- :func:`write_json`, :func:`read_json`, :func:`write_table`, :func:`write_parquet`
"""

import contextlib
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earshift.errors import UserError, write_failure
from earshift.protocols import StrPath

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import ReadableBuffer


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and is removed when it does not.

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


def write_all(file: io.FileIO, content: "ReadableBuffer") -> None:
    """Write all of `content` to an unbuffered file, whose ``write`` may write less."""
    view = memoryview(content).cast("B")
    while view:
        view = view[file.write(view) :]


def require_space(folder: StrPath, size: float, *, fix: str = "free some space") -> None:
    """Stop before the work starts when the disk of `folder` has less than `size` bytes left.

    Parameters
    ----------
    folder : path-like, which need not exist yet
    size : bytes
    fix : str, what the user can do about it

    Raises
    ------
    UserError
        Naming the space that is needed and the space that is left.
    """
    existing = next(p for p in [Path(folder), *Path(folder).resolve().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(f"{folder} needs {size / 2**30:.2f} GiB and its disk has {free / 2**30:.2f} GiB left; {fix}")


def remove_leftovers(folder: StrPath, *, shared: bool = False) -> None:
    """Delete the temporary files that a killed run left in `folder`.

    shared : bool, whether other processes may be writing there; files of running processes are then kept
    """
    import psutil

    for leftover in Path(folder).glob(".*.tmp"):
        process = leftover.name.split(".")[-2]
        if not (shared and process.isdecimal() and psutil.pid_exists(int(process))):
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def sole_writer(folder: StrPath, locks: StrPath) -> Iterator[None]:
    """Run the block in one process at a time for `folder`: others print a line and wait.

    Parameters
    ----------
    folder : path-like, what is written
    locks : path-like, folder of the lock files; the system releases the lock of a killed process
    """
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


def round_floats(value: Any, digits: int = 6) -> Any:
    """`value` with every float in it rounded to so many significant digits, and NaN and infinities as None.

    Dictionaries, lists, tuples and NumPy's arrays and numbers become what JSON can hold.
    """
    if isinstance(value, dict):
        return {str(key): round_floats(v, digits) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(v, digits) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return round_floats(value.tolist(), digits)
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def write_json(path: StrPath, content: Any) -> None:
    """Write JSON, floats rounded to six significant digits, keys in the order given."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(round_floats(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_if_changed(path: StrPath, content: Any) -> None:
    """Write JSON as :func:`write_json`, but leave a file alone that holds this already."""
    if read_json(path) != round_floats(content):
        write_json(path, content)


def read_json(path: StrPath) -> Any:
    """Content of a JSON file, or None where it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):  # no JSON, not even text, or brackets without end
        return None


def write_table(path: StrPath, table: "pd.DataFrame") -> None:
    """Write a table as CSV, floats rounded to six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_parquet(path: StrPath, table: "pd.DataFrame") -> None:
    """Write a table as Parquet, floats rounded to six significant digits."""
    table = table.copy()
    for name in table.select_dtypes("float"):
        numbers = table[name].to_numpy(dtype=np.float64)
        table[name] = [float(f"{number:.6g}") for number in numbers]
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, engine="pyarrow", compression="zstd")
