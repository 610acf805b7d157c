"""clips.csv: the table of a corpus.

Conventions
-----------
One row per clip, in the order in which every file of the pipeline keeps them: clip, group, label, genre, split, tags,
seconds, channels, sample_rate, valid, problem, sha256. What is not known is the empty text.
"""

import hashlib
from typing import TYPE_CHECKING

from earshift.errors import UserError
from earshift.protocols import StrPath

if TYPE_CHECKING:
    import pandas as pd

_HEADING = 4096  # characters of clips.csv's first line, at most: pandas takes long over thousands of equal names
_TEXTS = ("clip", "group", "label", "genre", "split", "tags", "problem", "sha256")
_KINDS = {"valid": "b", "seconds": "if", "channels": "i", "sample_rate": "i"}  # of the other columns


def corpus_digest(clips: "pd.DataFrame") -> str:
    """SHA-256 over what of a corpus reaches an encoder: every clip's name and samples, in order."""
    lines = (f"{row.clip}\t{row.sha256}\t{row.sample_rate}\t{row.valid}\n" for row in clips.itertuples())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_clips(path: StrPath) -> "pd.DataFrame":
    """clips.csv as a table, its columns as text ("" where unknown), ``valid`` as bool, lengths and rates as numbers.

    Raises
    ------
    UserError
        If it is missing, damaged, or lacks the columns that every reader needs.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8") as file:
            if len(file.readline(_HEADING + 1)) > _HEADING:
                raise ValueError("its first line is too long")
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; `dvc repro corpus` makes it") from error
    except ValueError as error:  # no CSV, no text, or nothing
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}); delete it and run `dvc repro corpus`") from error
    wrong = [name for name, kinds in _KINDS.items() if name in table and table[name].dtype.kind not in kinds]
    wrong += [name for name in ("clip", "valid") if name not in table]
    if wrong:
        raise UserError(f"{path} has no such {', '.join(wrong)} as it should; delete it and run `dvc repro corpus`")
    return table
