"""``earshift gc``: how large the store is, and what of it goes.

An artifact stays that an output of this repository holds, or that a stage has asked for within the last days: going
back to an earlier commit, or to other options, then computes nothing.
"""

import time
from collections.abc import Iterator

from earshift.errors import UserError
from earshift.pipeline import artifacts, outputs, paths
from earshift.pipeline.artifacts import read_index
from earshift.pipeline.status import readable_size, size
from earshift.storage.files import read_json

_DAY = 86_400.0


def collect(*, keep_days: float) -> None:
    """Remove what no output holds and no stage has asked for in `keep_days` days, and print what is left.

    Raises
    ------
    UserError
        If `keep_days` is negative.
    """
    if keep_days < 0:
        raise UserError(f"--keep-days is {keep_days}; it must be 0 or more")
    store = artifacts.store()
    store.remove_leftovers()
    held, before, oldest = set(_held()), size(store.folder), time.time() - keep_days * _DAY
    keys = list(store.keys())
    gone = [key for key in keys if key not in held and store.last_used(key) < oldest]
    for key in gone:
        store.remove(key)
    store.remove_unreferenced()
    print(
        f"{store.folder}: {len(keys) - len(gone)} artifacts, {readable_size(size(store.folder))}; removed {len(gone)}, "
        f"{readable_size(before - size(store.folder))}. What outputs or DVC's cache have as well takes no room twice."
    )


def _held() -> Iterator[str]:
    """Keys of the artifacts that outputs hold."""
    for folder in outputs.folders():
        yield from (entry["key"] for entry in read_index(folder).values())
    for path in paths.MODELS.glob("*/model.json"):
        tasks = (read_json(path) or {}).get("tasks") or {}
        yield from (str(record.get("fingerprint")) for record in tasks.values())
