"""Lists of names in the notes of results."""

from collections.abc import Sequence

_NAMED = 5  # names that a note spells out


def name_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def count_and_name(names: Sequence[str], kind: str) -> str:
    """As "2 clips (a, b)"."""
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({name_some(names)})"
