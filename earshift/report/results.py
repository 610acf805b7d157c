"""What the analyses left on disk, for the pairs that params.yaml selects.

Conventions
-----------
A pair is (encoder, perturbation), in the order of ``run`` in params.yaml. Files of encoders and perturbations that are
not selected may lie about from earlier runs and are never looked at. params.yaml was checked as a whole by the stages
before; here only the sections that are used are, so that reports import no encoder.
"""

import contextlib
import traceback
from pathlib import Path

from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.storage.files import read_json

ANALYSES = ("cca", "svd", "trajectories", "robustness", "consistency", "performance")


@contextlib.contextmanager
def as_written():
    """A block that reads and words results: what it stumbles over in files that no stage wrote becomes one message.

    Raises
    ------
    UserError
        With the place in the code, for a mistake of ours looks the same.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"results on disk are not what their stages wrote ({type(error).__name__}: {error}, at "
            f"{Path(last.filename).name}:{last.lineno}); `dvc status` names the files that changed, `dvc checkout` "
            "brings them back"
        ) from error


def document():
    """params.yaml as plain content."""
    return params.read()


def run(content):
    """The ``run`` section as :class:`earshift.pipeline.config.Run`."""
    return check(params.Run, content.get("run"), "run")


def pairs(content):
    """All (encoder, perturbation) that ``run`` selects, encoder by encoder."""
    selected = run(content)
    return [(encoder, perturbation) for encoder in selected.encoders for perturbation in selected.perturbations]


def metrics(analysis, encoder, perturbation):
    """Numbers that one analysis wrote for one pair.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    return _json(paths.metrics(analysis, encoder, perturbation))


def headline():
    """The handful of numbers that stand for all pairs.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    return _json(paths.HEADLINE)


def comparison():
    """Numbers of the comparison of encoders.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    return _json(paths.COMPARISON)


def _json(path):
    content = read_json(existing(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} is not valid JSON; delete it and run `dvc repro`")
    return content


def table(path, **options):
    """A CSV as a pandas table, in which only what is empty is missing, not a label called NA.

    Options are those of ``pandas.read_csv``.

    Raises
    ------
    UserError
        If the file is missing.
    """
    import pandas as pd

    return pd.read_csv(existing(path), **{"keep_default_na": False, "na_values": [""], **options})


def existing(path):
    """`path` itself, which must exist.

    Raises
    ------
    UserError
        Naming the file and the command that makes it.
    """
    if not path.exists():
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it")
    return path
