"""Counts and lists as people read them."""

from collections.abc import Iterable


def some(count: int, what: str) -> str:
    """How many of what: 1 file, 2 files."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def few(names: Iterable[object]) -> str:
    """The first three names, and how many more there are."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
