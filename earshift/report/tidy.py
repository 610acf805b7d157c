"""Every number of every pair in one tidy table: a number in a row."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from earshift.report.results import Results

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("analysis", "encoder", "perturbation", "measure", "number")


def table(results: Results) -> "pd.DataFrame":
    """The numbers of all analyses.

    Returns
    -------
    pandas.DataFrame
        With the columns analysis, encoder, perturbation, measure (the keys that lead to the number in
        metrics/ANALYSIS/ENCODER/PERTURBATION.json, joined by dots; places in lists count from 0) and number, which is
        missing where the result has null.
    """
    import pandas as pd

    rows = [
        (analysis, *pair, measure, number)
        for analysis, of in results.by_analysis.items()
        for pair in results.study.pairs
        for measure, number in _numbers(of[pair])
    ]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found.astype({"number": float})


def _numbers(content: Any, path: str = "") -> Iterator[tuple[str, float | None]]:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in items:
        place = f"{path}.{name}" if path else str(name)
        if isinstance(value, dict | list):
            yield from _numbers(value, place)
        elif value is None or isinstance(value, int | float):
            yield place, None if value is None else float(value)
