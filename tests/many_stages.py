"""A repository as large as wanted in which every stage counts as computed: its files are made up, none was run."""

import json
import shutil
from functools import reduce
from pathlib import Path

from ruamel.yaml import YAML

from earshift.pipeline.artifacts import INDEX
from earshift.report.results import ANALYSES

REPOSITORY = Path(__file__).parents[1]


def write_repository(root, encoders, perturbations):
    """A DVC repository, without git, at `root`: this one's dvc.yaml over made-up encoders and perturbations.

    Returns
    -------
    list of str, its stages
    """
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    (root / ".dvc").mkdir()
    shutil.copy(REPOSITORY / ".dvc" / "config", root / ".dvc")
    set_params(root, {
        "run.encoders": encoders,
        "run.perturbations": perturbations,
        **{f"encoders.{name}": {"trial": 0} for name in encoders},
        **{f"perturbations.{name}": {"grid": [1, 2, 3]} for name in perturbations},
    })  # fmt: skip
    for analysis in ANALYSES:
        pairs = {f"{e}/{p}": {"key": "0" * 64, "basis": "0" * 64, "files": {}} for e in encoders for p in perturbations}
        _write_output(root / "metrics" / analysis / INDEX, json.dumps({"artifacts": pairs}))
    return _commit(root)


def set_params(root, changes):
    """Change entries of params.yaml, {dotted name: value}."""
    content = _read_params(root)
    for name, value in changes.items():
        *path, last = name.split(".")
        section = content
        for key in path:
            section = section[key]
        section[last] = value
    (root / "params.yaml").write_text(json.dumps(content))  # JSON is YAML


def _read_params(root):
    return YAML(typ="safe").load((root / "params.yaml").read_text())


def _write_output(path, text):
    """A file, or a folder with one."""
    if path.suffix not in (".json", ".csv", ".h5", ".html", ".parquet"):
        path = path / "file.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _commit(root):
    """Write outputs of all stages, put them into the cache and write the dvc.lock that DVC would have written."""
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    lock, known, params = {}, {}, _read_params(root)
    with Repo(str(root), config={"core": {"no_scm": True}}) as repo:
        stages = repo.stage.load_all(str(root / "dvc.yaml"))
        for stage in stages:
            for out in stage.outs:
                _write_output(root / out.def_path, stage.name)
        for dep in (dep for stage in stages for dep in stage.deps):
            if not dep.exists:  # of those that lie in an output
                _write_output(root / dep.def_path, dep.def_path)
        for stage in stages:
            for out in stage.outs:
                out.save()
                out.commit(relink=False)
            for dep in stage.deps:  # each file is read once
                if dep.hash_name == "params":
                    dep.fill_values({name: reduce(dict.__getitem__, name.split("."), params) for name in dep.params})
                    continue
                if dep.fs_path not in known:
                    dep.save()
                    known[dep.fs_path] = dep.meta, dep.hash_info
                dep.meta, dep.hash_info = known[dep.fs_path]
            lock[stage.name] = json.loads(json.dumps(to_single_stage_lockfile(stage)))
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": lock}))
    return list(lock)
