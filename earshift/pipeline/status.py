"""What is computed, stale or missing, and what the next `dvc repro` runs and why: ``earshift status``.

Conventions
-----------
DVC compares dvc.yaml, params.yaml and dvc.lock with the files that lie here; this module counts and groups what it
finds. A stage is

computed   its outputs lie here, and dvc.lock says that they were made from what is here now
stale      its outputs lie here, but command, parameters, code, inputs or the outputs themselves have changed since
missing    outputs are not here, or dvc.lock does not know the stage

Stages after a stale or missing one run as well, if it leaves something else than they have seen. While `dvc repro`
runs, DVC does not compare; then the running stage and its progress are shown.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from earshift.errors import UserError
from earshift.pipeline import config, paths, profile
from earshift.pipeline.artifacts import read_index
from earshift.report.results import ANALYSES

COMPUTED, STALE, MISSING = STATES = ("computed", "stale", "missing")
_NOT_HERE, _IN_CACHE, _CHANGED = "outputs are not here", "outputs are only in the cache", "outputs were changed"
_EMBED = "embed"  # the stage in dvc.yaml that makes the vectors of a pair
_REASONS = 9  # of what runs next, unless all are asked for


@dataclass(frozen=True)
class Stage:
    """What is known of one stage.

    name : as DVC calls it: embed@mfcc
    state : one of :data:`STATES`
    reasons : why it is stale or missing
    size : bytes of its outputs that lie here
    always : whether DVC runs it every time
    """

    name: str
    state: str
    reasons: tuple[str, ...]
    size: int
    always: bool

    @property
    def kind(self) -> str:
        return self.name.partition("@")[0]

    @property
    def item(self) -> str:
        return self.name.partition("@")[2]


@dataclass(frozen=True)
class Status:
    """What is known of the repository.

    stages : in the order of dvc.yaml
    cache : folder of DVC's cache
    """

    stages: list[Stage]
    cache: Path


class Busy(UserError):
    """DVC does not compare, because another of its commands is at work."""


def status() -> Status:
    """The :class:`Status` of the repository in this folder.

    Raises
    ------
    Busy
        While another DVC command holds what it would have to read.
    UserError
        If this is no DVC repository, or DVC cannot read it.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo(config={"core": {"no_scm": True}}) as repo:
            changed = repo.status()
            stages = [_stage(stage, changed.get(stage.addressing, [])) for stage in repo.index.stages]
            return Status(stages, Path(repo.cache.local_cache_dir))
    except (DvcException, LockError) as error:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, LockError) or "busy" in reason:
            raise Busy("another DVC command is running; what is stale can be seen when it ends") from error
        raise UserError(f"DVC cannot read this repository ({reason}); `dvc status` says more") from error


def _stage(stage: Any, changes: list[Any]) -> Stage:
    reasons = [reason for change in changes for reason in _reasons(stage, change)]
    absent = not all(out.hash_info for out in stage.outs) or {_NOT_HERE, _IN_CACHE} & set(reasons)
    state = MISSING if absent else STALE if reasons else COMPUTED
    sizes = sum(size(out.fs_path) for out in stage.outs)
    return Stage(stage.addressing, state, tuple(dict.fromkeys(reasons)), sizes, bool(stage.always_changed))


def _reasons(stage: Any, change: str | Mapping[str, Any]) -> Iterator[str]:
    """What DVC says of a stage, one reason for each file and parameter."""
    if isinstance(change, str):
        if change != "always changed":
            yield change.replace("changed command", "its command changed")
        return
    for path, how in change.get("changed deps", {}).items():
        if isinstance(how, Mapping):
            for name, state in how.items():
                yield f"{name} in {path} {'changed' if state == 'modified' else f'is {state}'}"
        else:
            yield f"{path} {'changed' if how == 'modified' else f'is {how}'}"
    outs = {str(out): out for out in stage.outs}
    for path in change.get("changed outs", {}):
        out = outs[path]
        if out.exists:
            yield "outputs are not in the cache" if out.use_cache and out.changed_cache() else _CHANGED
        else:
            yield _IN_CACHE if out.use_cache and out.hash_info and not out.changed_cache() else _NOT_HERE


def size(path: str | os.PathLike[str], seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes of a file, or of all files in a folder; 0 where there is nothing.

    seen : files that count no more, those of this call are added: links to one file count once
    """
    try:
        found = os.lstat(path)
        if not os.path.isdir(path) or os.path.islink(path):
            if seen is not None:
                if (found.st_dev, found.st_ino) in seen:
                    return 0
                seen.add((found.st_dev, found.st_ino))
            return found.st_size
        with os.scandir(path) as entries:
            return sum(size(entry.path, seen) for entry in entries)
    except OSError:  # gone meanwhile, or not for us to see
        return 0


# ---------------------------------------------------------------------------------------------------------- for people


def show(*, every: bool = False, console: Console | None = None) -> None:
    """Print what there is to say.

    every : whether to name all reasons for what runs next
    """
    console = console or Console(highlight=False, soft_wrap=True)
    profiles = profile.read_profiles()
    for stage, content in profiles.items():
        if profile.runs(content):
            console.print(f"running: {stage} (process {content['process']})  {profile.last_line(stage)}".rstrip())
    try:
        found = status()
    except Busy as error:
        console.print(str(error))
        return
    console.print(_counts(found, profiles))
    pairs = _pairs(found)
    if pairs is not None:
        console.print("vectors of encoders, and how many analyses have each pair", pairs, sep="\n")
    console.print("the next `dvc repro` runs", *(f"  {line}" for line in _coming(found, every)), sep="\n")
    console.print(_disk(found.cache))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _counts(of: Status, profiles: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for every kind of stage."""
    table = _table("", "stages", *STATES, "on disk", "took")
    kinds: dict[str, list[Stage]] = {}
    for stage in of.stages:
        kinds.setdefault(stage.kind, []).append(stage)
    for name, stages in [*kinds.items(), ("all", of.stages)]:
        states = Counter(stage.state for stage in stages)
        took = sum(profiles[stage.name]["seconds"] for stage in stages if stage.name in profiles)
        table.add_row(name, str(len(stages)), *(str(states[state] or ".") for state in STATES),
                      readable_size(sum(stage.size for stage in stages)), f"{took:.0f} s" if took else ".")  # fmt: skip
    return table


def _pairs(of: Status) -> Table | None:
    """A cell for every encoder and perturbation: what the vectors are, in how many analyses the pair is."""
    run = config.read().get("run", {})
    encoders, perturbations = run.get("encoders", []), run.get("perturbations", [])
    table = _table("", *perturbations)
    embedded = {stage.item: stage.state for stage in of.stages if stage.kind == _EMBED}
    computed = {stage.kind: stage.state == COMPUTED for stage in of.stages if stage.kind in ANALYSES}
    indexes = {analysis: read_index(paths.METRICS / analysis) for analysis in computed}
    for encoder in encoders:
        vectors = embedded.get(encoder, MISSING)
        counts = [sum(f"{encoder}/{each}" in index for index in indexes.values()) for each in perturbations]
        whole = [vectors == COMPUTED and count == len(indexes) for count in counts]
        if len(encoders) <= 12 or not all(whole):  # of many, those of which something is left to do
            table.add_row(encoder, *("ok" if good and all(computed.values()) else f"{vectors} {count}/{len(indexes)}"
                                     for good, count in zip(whole, counts, strict=True)))  # fmt: skip
    return table if table.row_count else None


def _coming(of: Status, every: bool) -> Iterator[str]:
    """What the next `dvc repro` runs, and why."""
    groups: dict[str, list[Stage]] = {}
    for stage in of.stages:
        for reason in stage.reasons:
            groups.setdefault(reason, []).append(stage)
    totals = Counter(stage.kind for stage in of.stages)
    lines = [f"{reason}: {_named(stages, totals)}" for reason, stages in groups.items()]
    if not every and len(lines) > _REASONS:
        lines[_REASONS - 1 :] = [f"and for {len(lines) - _REASONS + 1} more reasons: earshift status --all"]
    yield from lines
    if lines:
        yield "and what depends on these, where their outputs change"
    yield f"every time: {', '.join(stage.name for stage in of.stages if stage.always)}"
    if _IN_CACHE in groups:
        yield "`dvc checkout` brings back what is only in the cache"
    if _NOT_HERE in groups:
        yield "`make pull` fetches what somebody has pushed"


def _named(stages: list[Stage], totals: Counter[str]) -> str:
    """Stages by kind: embed (3 of 12), cca (all 12), perturb@gain."""
    counts = Counter(stage.kind for stage in stages)
    alone = {stage.kind: stage.name for stage in stages}
    return ", ".join(
        alone[kind] if count == 1 else f"{kind} ({'all' if count == totals[kind] else f'{count} of'} {totals[kind]})"
        for kind, count in counts.items()
    )


def _disk(cache: Path) -> str:
    """What takes room, files that are linked counted once in the sum."""
    seen: set[tuple[int, int]] = set()
    places = (paths.STORE, paths.AUDIO, paths.TRAINING, paths.DOWNLOADS, paths.EMBEDDINGS, cache, paths.ARTIFACTS)
    total = sum(size(path, seen) for path in places)
    parts = [f"{os.path.relpath(path)} {readable_size(size(path))}" for path in places if path.exists()]
    return f"on disk: {', '.join(parts)}; together {readable_size(total)}, links counted once" if parts else ""


def readable_size(count: float) -> str:
    """Bytes with a unit: 6.0 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
