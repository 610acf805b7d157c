"""What is computed, stale or missing, and what the next `dvc repro` runs and why: ``make status``.

Conventions
-----------
All that is said follows from DVC's own comparison of dvc.yaml, params.yaml and dvc.lock with the files that lie here;
nothing is believed because it is written down. Against `dvc status` each file and folder is looked at once, however
many stages depend on it, and no lock is taken and no git needed: so this also answers beside a running `dvc repro`.

A stage is

computed   its outputs lie here, and dvc.lock says that they were made from what is here now
stale      its outputs lie here, but command, parameters, code, inputs or the outputs themselves have changed since
missing    outputs are not here, or dvc.lock does not know the stage
waiting    its own part holds, but what it reads is from a stage that is none of this: it runs again if that one leaves
           something else than this one has seen
"""

import argparse
import os
import re
import textwrap
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from earshift.errors import UserError
from earshift.pipeline import paths, profile
from earshift.pipeline.command import command

COMPUTED, STALE, MISSING, WAITING = WORDS = ("computed", "stale", "missing", "waiting")
_NEVER, _NOT_HERE, _IN_CACHE = "never run", "outputs are not here", "outputs are only in the cache"
_EMBED = "embed"  # the stage in dvc.yaml that makes the vectors of a pair
_LINES = 9  # of what runs next, unless all is asked for
_WIDTH = 118
_SHOWN = 12  # encoders and perturbations that a matrix has room for
_ATTEMPTS = 5  # at files that a running `dvc repro` may be writing


@dataclass(frozen=True)
class Stage:
    """What is known of one stage.

    name : str, as DVC calls it: embed@mfcc-gain
    room : str, the folder of stages/ that its command is from
    word : str, one of WORDS
    reasons : tuple of str, why it is stale or missing
    size : int, bytes of its outputs that lie here
    always : bool, whether DVC runs it every time
    """

    name: str
    room: str
    word: str
    reasons: tuple
    size: int
    always: bool

    @property
    def kind(self):
        return self.name.partition("@")[0]

    @property
    def item(self):
        return self.name.partition("@")[2]


@dataclass(frozen=True)
class Status:
    """What is known of the repository.

    stages : list of Stage, in the order of dvc.yaml
    encoders, perturbations : lists of str, of ``run`` in params.yaml
    cache : pathlib.Path, DVC's
    """

    stages: list
    encoders: list
    perturbations: list
    cache: Path


# ---------------------------------------------------------------------------------------------------- what DVC finds


def status():
    """The :class:`Status` of the repository in this folder.

    Raises
    ------
    UserError
        If this is no DVC repository, or its files cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    for attempt in range(_ATTEMPTS):
        try:
            with Repo(config={"core": {"no_scm": True}}) as repo:
                return _status(repo)
        except (DvcException, _Unreadable) as error:  # half a file, while `dvc repro` writes it
            if attempt == _ATTEMPTS - 1:
                reason = " ".join(str(error).split())[:200]
                raise UserError(f"DVC cannot read this repository ({reason}); `dvc status` says more") from error
            time.sleep(0.1)


class _Unreadable(Exception):
    """A file that is no YAML."""


def _status(repo):
    from dvc.dvcfile import load_file

    lock, params = _yaml(paths.LOCK), _yaml(paths.PARAMS)
    project = load_file(repo, str(Path(repo.root_dir) / "dvc.yaml"))
    project.lockfile_contents = lock  # DVC's own reading of it takes longer than all the rest
    found = {name: project.stages[name] for name in project.stages}
    known = lock.get("stages", {})
    makers = _makers(found.values())
    here = _Here()

    @cache
    def judged(name):
        stage = found[name]
        if name not in known:
            return MISSING, (_NEVER,)
        absences = _absences(stage, here)
        if absences:
            return MISSING, absences
        before = {dep: [maker for maker in makers(dep.def_path) if judged(maker)[0] != COMPUTED] for dep in stage.deps}
        reasons = [*dict.fromkeys(_own_changes(stage, params, here))]
        reasons += [_change(dep, here) for dep in _files(stage) if not before[dep] and _change(dep, here)]
        if reasons:
            return STALE, tuple(reasons)
        return (WAITING if any(before.values()) else COMPUTED), ()

    stages = [
        Stage(name, _room(stage.cmd), *judged(name), sum(size(out.fs_path) for out in stage.outs), stage.always_changed)
        for name, stage in found.items()
    ]
    run = params.get("run", {})
    return Status(stages, run.get("encoders", []), run.get("perturbations", []), Path(repo.cache.local_cache_dir))


def _yaml(path):
    """Content of a YAML file, {} where there is none, read by libyaml with the rules of YAML 1.2 for numbers."""
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), _loader()) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _Unreadable(f"{path}: {error}") from error


@cache
def _loader():
    """PyYAML takes 1e-07, as DVC writes it into dvc.lock, for text, and on and off for true and false."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        yaml_implicit_resolvers = {}  # noqa: RUF012

    number = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    for kind, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", rf"{number}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), first)
    return Loader


def _makers(stages):
    """A function that gives the names of the stages whose outputs lie at, above or below a path."""
    at, below = {}, {}
    for stage in stages:
        for out in stage.outs:
            at[out.def_path] = stage.name
            for folder in PurePosixPath(out.def_path).parents:
                below.setdefault(str(folder), set()).add(stage.name)

    @cache
    def makers(path):
        above = (str(folder) for folder in (PurePosixPath(path), *PurePosixPath(path).parents))
        return sorted({at[folder] for folder in above if folder in at} | below.get(path, set()))

    return makers


class _Here:
    """The files that lie here as DVC sees them, each looked at once."""

    def __init__(self):
        self._found = {}

    def hash_info(self, entry):
        """DVC's hash of a dependency or output as it lies here, or None."""
        key = entry.fs_path, entry.hash_name
        if key not in self._found:
            self._found[key] = entry.get_hash() if entry.exists else None
        return self._found[key]


def _files(stage):
    from dvc.dependency import ParamsDependency

    return [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]


def _change(dep, here):
    """How a file or folder that a stage reads differs from dvc.lock, in words, or ""."""
    now = here.hash_info(dep)
    if now is None:
        return f"{dep} is missing"
    if not dep.hash_info:
        return f"{dep} is read now"
    return "" if now == dep.hash_info else f"{dep} changed"


def _absences(stage, here):
    """What of a stage's outputs is not here, in words."""
    absent = [out for out in stage.outs if here.hash_info(out) is None]
    cached = [out.use_cache and bool(out.hash_info) and not out.changed_cache() for out in absent]
    return tuple(dict.fromkeys(_IN_CACHE if there else _NOT_HERE for there in cached))


def _own_changes(stage, params, here):
    """What of command, parameters and outputs of a stage differs from dvc.lock, in words."""
    from dvc.dependency import ParamsDependency

    if stage.cmd_changed:
        yield "its command changed"
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            then = dep.hash_info.value or {}
            for name in dep.params:
                yield from _differences(name, then.get(name, _ABSENT), _at(params, name))
    for out in stage.outs:
        if here.hash_info(out) != out.hash_info:
            yield "outputs are not what was made"
        elif out.use_cache and out.changed_cache():
            yield "outputs are not in the cache"


class _Absent:
    def __str__(self):
        return "nothing"


_ABSENT = _Absent()


def _at(content, name):
    """The entry of nested dicts that a dotted name leads to."""
    for key in name.split("."):
        if not isinstance(content, dict) or key not in content:
            return _ABSENT
        content = content[key]
    return content


def _differences(name, then, now):
    """Where two values of a parameter differ, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _differences(f"{name}.{key}", then.get(key, _ABSENT), now.get(key, _ABSENT))
    elif then != now:
        both = f"{name} {then} -> {now}"
        yield both if len(both) <= len(name) + 30 else f"{name} changed"


def _room(cmd):
    found = re.search(r"-m stages\.(\w+)\.", cmd if isinstance(cmd, str) else cmd[0])
    return found[1] if found else "other"


def size(path, seen=None):
    """Bytes of a file, or of all files in a folder; 0 where there is nothing.

    seen : set or None, of files that count no more, those of this call are added: links to one file count once
    """
    try:
        status = os.lstat(path)
        if not os.path.isdir(path) or os.path.islink(path):
            if seen is not None:
                if (status.st_dev, status.st_ino) in seen:
                    return 0
                seen.add((status.st_dev, status.st_ino))
            return status.st_size
        with os.scandir(path) as entries:
            return sum(size(entry.path, seen) for entry in entries)
    except OSError:  # gone meanwhile, or not for us to see
        return 0


# ----------------------------------------------------------------------------------------------------------- in words


def text(of, profiles, every=False):
    """What there is to say, as lines.

    Parameters
    ----------
    of : Status
    profiles : dict, as :func:`earshift.pipeline.profile.read_profiles` returns
    every : bool, whether to name all stages that run next
    """
    blocks = [_running(profiles), _table(of, profiles), _matrix(of), _coming(of, every), _disk(of.cache)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _running(profiles):
    lines = []
    for stage, content in profiles.items():
        if profile.runs(content):
            lines.append(f"running: {stage} (process {content['process']})  {profile.last_line(stage)}".rstrip())
    return lines


def _table(of, profiles):
    """A line for every room of stages/."""
    rows = [["", "stages", *WORDS, "on disk", "took"]]
    rooms = {stage.room: [] for stage in of.stages}
    for stage in of.stages:
        rooms[stage.room].append(stage)
    for name, stages in [*rooms.items(), ("all", of.stages)]:
        words = Counter(stage.word for stage in stages)
        took = [profiles[stage.name]["seconds"] for stage in stages if stage.name in profiles]
        rows.append([name, str(len(stages)), *(str(words[word] or ".") for word in WORDS),
                     _bytes(sum(stage.size for stage in stages)), _duration(sum(took)) if took else "."])  # fmt: skip
    return _aligned(rows)


def _matrix(of):
    """A cell for every encoder and perturbation: what its vectors are, how many of its analyses are computed."""
    pairs = {f"{e}-{p}": (e, p) for e in of.encoders for p in of.perturbations}
    cells = {}
    for stage in of.stages:
        if stage.item in pairs:
            cells.setdefault(pairs[stage.item], []).append(stage)
    if not cells:
        return []
    shown = {pair: _cell(cells.get(pair, [])) for pair in pairs.values()}
    rows, columns = list(of.encoders), list(of.perturbations)
    if len(rows) > _SHOWN or len(columns) > _SHOWN:  # what is not ok is what one looks for
        rows = [e for e in rows if any(shown[e, p] != "ok" for p in columns)]
        columns = [p for p in columns if any(shown[e, p] != "ok" for e in rows)]
    hidden = len(of.encoders) - len(rows[:_SHOWN])
    lines = _aligned([["", *columns], *([e, *(shown[e, p] for p in columns)] for e in rows[:_SHOWN])]) if rows else []
    if hidden:
        left = f"{len(rows) - _SHOWN} of them not ok" if len(rows) > _SHOWN else "all ok"
        lines.append(f"{hidden} encoders{' more' if rows else ''}: {left}")
    return ["vectors of encoders and perturbations, how many of their analyses are computed", *lines]


def _cell(stages):
    if all(stage.word == COMPUTED for stage in stages):
        return "ok"
    vectors = [stage.word for stage in stages if stage.kind == _EMBED]
    analyses = [stage.word for stage in stages if stage.kind != _EMBED]
    return f"{vectors[0] if vectors else ''} {analyses.count(COMPUTED)}/{len(analyses)}".strip()


def _coming(of, every):
    """What the next `dvc repro` runs, and why."""
    groups = {}
    for stage in of.stages:
        if stage.word in (STALE, MISSING):
            for reason in stage.reasons:
                groups.setdefault(reason, []).append(stage)
    totals = Counter(stage.kind for stage in of.stages)
    lines = [f"{reason}: {_who(stages, totals)}" for reason, stages in groups.items()]
    if not every and len(lines) > _LINES:
        lines[_LINES - 1 :] = [
            f"and for {len(lines) - _LINES + 1} more reasons: python -m earshift.pipeline.status --all"
        ]
    waiting = [stage for stage in of.stages if stage.word == WAITING]
    if waiting:
        lines.append(f"then, where what they read has changed: {_who(waiting, totals)}")
    lines.append(f"every time: {', '.join(stage.name for stage in of.stages if stage.always)}")
    shown = [part for line in lines for part in textwrap.wrap(line, _WIDTH, initial_indent="  ",
                                                              subsequent_indent="    ")]  # fmt: skip
    return ["the next `dvc repro` runs", *shown, *_hints(of)]


def _who(stages, totals):
    """Stages by kind: embed (3 of 12), cca (all 12), perturb@gain."""
    counts = Counter(stage.kind for stage in stages)
    alone = {stage.kind: stage.name for stage in stages}
    return ", ".join(
        alone[kind] if count == 1 else f"{kind} ({'all' if count == totals[kind] else f'{count} of'} {totals[kind]})"
        for kind, count in counts.items()
    )


def _hints(of):
    missing = {reason for stage in of.stages if stage.word == MISSING for reason in stage.reasons}
    hints = []
    if _IN_CACHE in missing:
        hints.append("`dvc checkout` brings back what is only in the cache")
    if _NOT_HERE in missing:
        hints.append("`make pull` fetches what somebody has pushed")
    return hints


def _disk(cache):
    """What takes room, files that are linked counted once in the sum."""
    seen, parts, total = set(), [], 0
    for path in (paths.AUDIO, paths.TRAINING, paths.DOWNLOADS, paths.EMBEDDINGS, cache, paths.ARTIFACTS):
        total += size(path, seen)
        if path.exists():
            parts.append(f"{_shown(path)} {_bytes(size(path))}")
    return [f"on disk: {', '.join(parts)}; together {_bytes(total)}, links counted once"] if parts else []


def _shown(path):
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _bytes(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _aligned(rows):
    """Rows of text as lines, the first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m earshift.pipeline.status", description=__doc__.partition(":")[0])
    parser.add_argument("--all", action="store_true", help="name every reason")
    every = parser.parse_args(arguments).all
    print(text(status(), profile.read_profiles(), every))


if __name__ == "__main__":
    main()
