"""A checkout of this working tree, in which tests run commands as a user would type them."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from filelock import FileLock

REPOSITORY = Path(__file__).parents[1]

# Of params.yaml, for a pipeline that runs on seconds of audio
SMALL = {
    "corpus.general_midi.pieces": 4,
    "corpus.general_midi.excerpts": 1,
    "corpus.general_midi.clip_seconds": 1.0,
    "run.encoders": "[mfcc,yamnet]",
    "run.perturbations": "[gain,reverb]",
    "perturbations.gain.grid": "[-40,-20,-10,5]",
    "perturbations.reverb.grid": "[0.01,0.4,0.7,1.0]",
    "distances.measures": "[simple]",
    "distances.subsequence": 20,
    "cca.permutations": 10,
    "cca.bootstrap": 50,
    "svd.permutations": 2,
    "trajectories.clips": 2,
    "trajectories.bootstrap": 50,
    "robustness.methods": "[none,samplewise_cca_svd,leace]",
    "robustness.svd_threshold": 0.4,
    "robustness.bootstrap": 50,
    "consistency.bootstrap": 50,
    "compute.device": "cpu",  # asking for another one takes as long as MFCC
    "training.threads": 1,
    "compute.workers": 1,  # beside other tests: starting workers would cost more than they save
}


ALWAYS = {"inputs", "track"}  # stages that run every time


def ran(log):
    """The stages that DVC says it runs, those left out that always run."""
    return {line.split("'")[1] for line in log.splitlines() if line.startswith("Running stage")} - ALWAYS


def counts(log):
    """What stages say of their artifacts: {"embed mfcc": (computed, all, reused)}."""
    lines = re.findall(r"^(\w[\w -]*): computed (\d+) of (\d+) \w+(?: \(.*\))?, reused (\d+)", log, re.MULTILINE)
    return {label: tuple(map(int, numbers)) for label, *numbers in lines}


def computes_nothing(log):
    """Whether no stage computed an artifact, and the corpus was not packed."""
    return not any(new for new, _, _ in counts(log).values()) and not re.search(r"^corpus: \d+ clips in", log, re.M)


class Clone:
    """A checkout in which commands run as a user would type them."""

    def __init__(self, root):
        self.root = Path(root)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        for unwanted in ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(unwanted, None)

    def __call__(self, *command, check=True):
        run = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=1800)
        assert not check or run.returncode == 0, f"{command}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
        return run.stdout + run.stderr

    def dvc(self, *arguments, check=True):
        return self(sys.executable, "-m", "dvc", *arguments, check=check)

    def start(self, *command):
        """A command as the leader of a group of its own, whose output is not read."""
        return subprocess.Popen(command, cwd=self.root, env=self.environment, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def stored(self, kind):
        """How many artifacts of a kind the store has."""
        found = 0
        for path in self.root.glob(".earshift/objects/??/[!.]*/manifest.json"):
            found += json.loads(path.read_text())["name"].startswith(f"{kind}/")
        return found

    def kill_when_stored(self, count, kind, *command):
        """Start a command, kill its group once the store has `count` artifacts of a kind, and say how many it has."""
        before, run = self.stored(kind), self.start(*command)
        while self.stored(kind) < before + count:
            assert run.poll() is None, f"{command} ended with {run.returncode}"
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return self.stored(kind) - before

    def back(self):
        """Take what git and DVC have of the commit, whatever was tried."""
        self("git", "checkout", "-q", ".")
        self.dvc("checkout", "-q", "--force")

    def json(self, path):
        return json.loads((self.root / path).read_text())

    def params(self):
        """params.yaml as plain dictionaries."""
        from ruamel.yaml import YAML

        return YAML(typ="safe").load((self.root / "params.yaml").read_text())

    def set(self, changes):
        """Change params.yaml, {"cca.seed": 1}; text is read as YAML."""
        from ruamel.yaml import YAML

        yaml = YAML()
        document = yaml.load((self.root / "params.yaml").read_text())
        for key, value in changes.items():
            *path, last = key.split(".")
            section = document
            for part in path:
                section = section[part]
            section[last] = YAML(typ="safe").load(value) if isinstance(value, str) else value
        with open(self.root / "params.yaml", "w") as file:
            yaml.dump(document, file)

    def commit(self, message):
        self("git", "add", "-A")
        self("git", "commit", "-qm", message)

    def mlflow(self, query, *values):
        with sqlite3.connect(f"file:{self.root / 'mlflow.db'}?mode=ro", uri=True) as database:
            return database.execute(query, values).fetchall()

    def parents(self):
        """Run ids of the parents in MLflow, those deleted left out."""
        return [
            run for (run,) in self.mlflow(
                "select run_uuid from runs where lifecycle_stage = 'active' and run_uuid not in "
                "(select run_uuid from tags where key = 'mlflow.parentRunId')"
            )
        ]  # fmt: skip

    def children(self, parent):
        """Metrics by child name: {"mfcc / gain": {metric: number}}."""
        rows = self.mlflow(
            "select r.name, m.key, m.value from runs r join tags t on t.run_uuid = r.run_uuid "
            "join latest_metrics m on m.run_uuid = r.run_uuid "
            "where t.key = 'mlflow.parentRunId' and t.value = ? and r.lifecycle_stage = 'active'",
            parent,
        )
        children = {}
        for name, key, value in rows:
            children.setdefault(name.partition(" @ ")[0], {})[key] = value
        return children


def clone_of_the_sources(root):
    """A git repository with what is in this working tree, and what was compiled of it."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=REPOSITORY, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (REPOSITORY / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, root / name)
    shutil.rmtree(root / "metrics", ignore_errors=True)  # of the default run
    (root / "dvc.lock").unlink(missing_ok=True)
    _keep_compiled(REPOSITORY, root)
    clone = Clone(root)
    clone("git", "init", "-q")
    return clone


def cloned(clone, root):
    """What `git clone` makes of a clone at `root`, and what was compiled of it, so that nothing is compiled twice."""
    clone("git", "clone", "-q", str(clone.root), str(root))
    _keep_compiled(clone.root, Path(root))
    return Clone(root)


def _keep_compiled(old, new):
    """Copy what Python and Numba compiled. Python goes by times, Numba by content."""
    for room in ("earshift", "stages"):
        for source in old.glob(f"{room}/**/*.py"):
            copy = new / source.relative_to(old)
            if copy.is_file() and copy.read_bytes() == source.read_bytes():
                shutil.copystat(source, copy)
        for source in old.glob(f"{room}/**/__pycache__/*"):
            if source.suffix in (".pyc", ".nbi", ".nbc"):  # and not what another process is writing
                copy = new / source.relative_to(old)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)


def small_run(tmp_path_factory):
    """A copy of a clone whose small pipeline was run and committed, once for all processes of pytest."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "small-run.lock"):
        root, done = shared / "small-run", shared / "small-run.done"
        if not done.exists():
            root.mkdir()
            clone = clone_of_the_sources(root)
            clone.set(SMALL)
            clone.commit("small")
            clone.dvc("repro")
            clone.commit("run")
            done.touch()
    return Clone(shutil.copytree(root, tmp_path_factory.mktemp("run") / "earshift", symlinks=True))
