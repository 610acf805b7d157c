"""After a change of code that should change no number: compute a sample again, and accept the rest if it is the same.

An artifact is stale where nothing but the code has changed since it was computed. Of the stale ones of every output, a
sample is computed with today's code. Where its bytes are those of before, all stale ones enter the store under today's
keys, and the next `dvc repro` takes them from there. Networks that are trained here are not accepted but trained again.
"""

import os
import shlex
import subprocess

from earshift.errors import UserError
from earshift.pipeline import artifacts, outputs


def accept(sample: int) -> None:
    """Examine every output of the pipeline.

    Raises
    ------
    UserError
        Naming the stages of which an artifact comes out otherwise; the others are accepted.
    """
    from dvc.repo import Repo

    examined = {folder.as_posix() for folder in outputs.folders()}
    environment, failed = os.environ | {artifacts.ACCEPT: str(sample)}, []
    with Repo() as repo:
        stages = [stage for stage in repo.index.stages if examined & {str(out) for out in stage.outs}]
    for stage in stages:
        if subprocess.run(shlex.split(stage.cmd), env=environment).returncode:
            failed.append(stage.addressing)
    if failed:
        raise UserError(f"not accepted: {', '.join(failed)}; `dvc repro` computes what differs")
    print("`dvc repro` takes what was accepted from the store")
