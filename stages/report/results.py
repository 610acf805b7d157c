"""What the analyses left on disk, for the pairs that params.yaml selects.

Conventions
-----------
A pair is (encoder, perturbation), in the order of ``run`` in params.yaml. Files of encoders and perturbations that are
not selected may lie about from earlier runs and are never looked at. params.yaml was checked as a whole by the stages
before; here only the sections that are used are, so that reports import no encoder.
"""

from stages import params, paths, store
from stages.errors import UserError

ANALYSES = ("cca", "svd", "trajectories", "robustness", "consistency", "performance")


def document():
    """params.yaml as plain content."""
    return params.read()


def run(content):
    """The ``run`` section as :class:`stages.params.Run`."""
    return params.build(params.Run, content.get("run"), "run")


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
    content = store.read_json(existing(path))
    if content is None:
        raise UserError(f"{path} is not valid JSON; delete it and run `dvc repro`")
    return content


def table(path, **options):
    """A CSV as a pandas table; options as for ``pandas.read_csv``.

    Raises
    ------
    UserError
        If the file is missing.
    """
    import pandas as pd

    return pd.read_csv(existing(path), **options)


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
