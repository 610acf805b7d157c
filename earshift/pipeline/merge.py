"""``earshift merge``: two colleagues' changes meet, and nothing is computed that one of them has.

One has added an encoder, the other a perturbation. Git cannot merge dvc.lock; either side's will do, because what a
stage needs is found by its key and not by dvc.lock. So this takes this side's files where git left conflicts, and puts
the artifacts of both sides into the store: from DVC's cache, from the remote where they are not in the cache, and from
git, which has the metrics. The next `dvc repro` then computes the pairs that nobody has.
"""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import artifacts, config, outputs, paths
from earshift.pipeline.artifacts import INDEX, entries
from earshift.pipeline.store import Manifest, Store
from earshift.storage.hashes import digest

_TAKEN = (str(paths.LOCK), str(paths.METRICS))  # where this side's files are as good as the other's


def merge(other: str | None) -> None:
    """Resolve what git left in conflict of dvc.lock and metrics/, and fill the store from both sides.

    Parameters
    ----------
    other : the other side as git names it; None within a merge that is under way, which knows it

    Raises
    ------
    UserError
        If there is no other side, if git does not know it, or if other files still hold conflicts.
    """
    if other is None:
        fix = "no merge is under way; name the other side, as in `earshift merge origin/main`"
        other = _git("rev-parse", "--quiet", "--verify", "MERGE_HEAD", fix=fix).strip()
    _git("rev-parse", "--quiet", "--verify", f"{other}^{{commit}}", fix=f"git knows no commit {other}")
    conflicts = _git("diff", "--name-only", "--diff-filter=U").splitlines()
    left = [name for name in conflicts if PurePosixPath(name).parts[0] not in _TAKEN]
    if left:
        raise UserError(f"resolve {', '.join(left)} and `git add` them first, then `earshift merge` again")
    for name in conflicts:
        if subprocess.run(["git", "checkout", "--quiet", "--ours", "--", name], capture_output=True).returncode:
            _git("rm", "--quiet", "--cached", "--", name)  # this side has removed it
        else:
            _git("add", "--", name)
    config.load()
    outputs.keep_all()
    for side in ("HEAD", other):
        print(f"{side[:12]}: {fill(side)} artifacts that were not in the store")
    print("next: `dvc repro` computes what neither side has; then commit dvc.lock and metrics")


def fill(commit: str) -> int:
    """Put the artifacts of a commit into the store, as far as cache, remote and git have them; gives how many.

    Raises
    ------
    UserError
        If DVC cannot read the commit.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    store, added = artifacts.store(), 0
    try:
        with Repo() as repo:
            cached = _cached_files(repo, commit)
    except DvcException as error:
        raise UserError(" ".join(str(error).split())) from error
    tracked = _git("ls-tree", "-r", "--name-only", commit, "--", str(paths.METRICS)).splitlines()
    for path in sorted({*cached, *tracked}):
        if PurePosixPath(path).name == INDEX:
            for name, entry in entries(_read(path, cached, commit)).items():
                added += _take(store, f"{PurePosixPath(path).parent.name}/{name}", entry, cached, commit)
    return added


def _cached_files(repo: Any, commit: str) -> dict[str, Path]:
    """Where DVC's cache has the files of the outputs of a commit, by path; fetched from the remote where it can be."""
    from dvc_data.hashfile import load

    cache = repo.cache.local
    folders = _folders(repo, commit)
    _fetch(repo, folders.values())
    files = {
        f"{name}/{'/'.join(inner)}": info
        for name, of in folders.items()
        if cache.exists(of.value)
        for inner, _, info in load(cache, of)
    }
    _fetch(repo, files.values())
    found = {path: Path(cache.oid_to_path(info.value)) for path, info in files.items()}
    return {path: file for path, file in found.items() if file.is_file()}


def _folders(repo: Any, commit: str) -> dict[str, Any]:
    """Hashes of the folders that are outputs of a commit and lie in DVC's cache, by path."""
    return {
        out.def_path: out.hash_info
        for revision in repo.brancher(revs=[commit])
        if revision != "workspace"
        for out in repo.index.outs
        if out.use_cache and out.hash_info and out.hash_info.isdir
    }


def _fetch(repo: Any, hashes: Iterable[Any]) -> None:
    """Bring files into DVC's cache, where a remote has them."""
    logging.getLogger("dvc.data_cloud").setLevel(logging.ERROR)  # it warns of each file that nobody has
    absent = {info for info in hashes if not repo.cache.local.exists(info.value)}
    if absent and repo.config["core"].get("remote"):
        repo.cloud.pull(absent)


def _read(path: str, cached: dict[str, Path], commit: str) -> Any:
    try:
        return json.loads(_content(path, cached, commit))
    except ValueError:
        return None


def _content(path: str, cached: dict[str, Path], commit: str) -> bytes:
    if path in cached:
        return cached[path].read_bytes()
    return subprocess.run(["git", "show", f"{commit}:{path}"], capture_output=True, check=True).stdout


def _take(store: Store, name: str, entry: dict[str, Any], cached: dict[str, Path], commit: str) -> bool:
    """Put an artifact into the store; False where it is there, or some of its files cannot be had."""
    key, files = entry["key"], entry["files"]
    if key in store:
        return False
    root = store.folder / f"work/{key}.{os.getpid()}"
    try:
        for path, wanted in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_content(path, cached, commit))
            if digest(target) != wanted:
                return False
        store.put(key, Manifest(name, files, entry.get("family", ""), entry.get("rows", "")), root=root)
    except (OSError, subprocess.CalledProcessError):  # not in the cache, and not in git
        return False
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return True


def _git(*arguments: str, fix: str = "") -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UserError(fix or f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
