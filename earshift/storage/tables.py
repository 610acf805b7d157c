"""Tables of results as they are read back: what is text stays text, what is empty in a column of numbers is missing."""

from os import PathLike
from typing import TYPE_CHECKING

from earshift.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# Columns that hold text as it was written, whatever it looks like: a label may be called NA, a value is no float
TEXTS = (
    "audio", "clip", "direction", "encoder", "factor", "group", "instrument", "label", "latent", "level", "measure",
    "method", "metric", "model", "note", "panel", "param", "perturbation", "problem", "split", "subset", "tag", "task",
    "unit", "value",
)  # fmt: skip


def read_table(path: PathLike[str], *, stage: str = "") -> "pd.DataFrame":
    """A CSV as a pandas table: columns of :data:`TEXTS` are text as written, in others what is empty is missing.

    Parameters
    ----------
    path : path
    stage : str, the stage that computes it, such as ``cca`` or ``perturb@gain``

    Raises
    ------
    UserError
        If the file is missing.
    """
    import pandas as pd

    try:
        names = [str(name) for name in pd.read_csv(path, nrows=0)]
        missing = {name: [""] for name in names if name not in TEXTS}
        texts = dict.fromkeys(set(names) - set(missing), str)
        table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=missing)
        return table if len(table) else table.astype(dict.fromkeys(missing, float))  # pandas cannot know without rows
    except FileNotFoundError as error:
        raise UserError(_missing(path, stage)) from error


def read_parquet(path: PathLike[str], *, stage: str = "") -> "pd.DataFrame":
    """A Parquet file as a pandas table.

    Raises
    ------
    UserError
        If the file is missing.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise UserError(_missing(path, stage)) from error


def _missing(path: PathLike[str], stage: str) -> str:
    return f"{path} is missing; `{' '.join(('dvc repro', stage)).strip()}` computes it, `dvc pull` fetches it"
