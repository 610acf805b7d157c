"""Results of DVC experiments, taken out of git and the DVC cache into folders of their own.

Conventions
-----------
An experiment is a commit below refs/exps whose parent is the commit it started from. What is in git (params.yaml,
dvc.lock, metrics) comes from there, what DVC keeps (plots, report) from the cache, or from the remote where it is not
there. Nothing of the working tree is touched.
"""

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earshift.errors import UserError
from earshift.pipeline import paths

_REFERENCE = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(\S+) ([0-9a-f]{40})")


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment.

    name : str
    commit : str, of the experiment itself
    baseline : str, the commit it started from
    """

    name: str
    commit: str
    baseline: str


def experiments() -> list[Experiment]:
    """All finished :class:`Experiment` of this repository, by name.

    Raises
    ------
    UserError
        If this is no git repository.
    """
    command = ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise UserError(f"experiments lie in git, and git says: {run.stderr.strip()}; run from the repository root")
    matches = filter(None, map(_REFERENCE.fullmatch, run.stdout.splitlines()))
    return sorted((Experiment(m[3], m[4], m[1] + m[2]) for m in matches), key=lambda e: (e.name, e.baseline))


@contextlib.contextmanager
def results_folder(experiment: Experiment) -> Iterator[Path]:
    """A folder with what an experiment left, for the time of the block.

    Raises
    ------
    UserError
        If its files are neither in the DVC cache nor on the remote.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    with tempfile.TemporaryDirectory(prefix="earshift-") as folder:
        root = Path(folder)
        files = DVCFileSystem(".", rev=experiment.commit)
        try:
            for path in (paths.PARAMS, paths.LOCK, paths.METRICS, paths.PLOTS, paths.MODELS, paths.PAGE):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                files.get(path.as_posix(), str(root / path), recursive=True)
        except (DvcException, FileNotFoundError) as error:
            raise UserError(
                f"experiment {experiment.name} is not whole here ({' '.join(str(error).split())[:200]}); `make pull`, "
                f"or `dvc exp apply {experiment.name}` and `dvc repro`, bring back what is missing"
            ) from error
        yield root
