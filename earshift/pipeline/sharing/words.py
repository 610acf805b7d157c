"""Counts and lists as people read them."""


def some(count, what):
    """How many of what: 1 file, 2 files."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def few(names):
    """The first three names, and how many more there are."""
    names = [str(name) for name in names]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
