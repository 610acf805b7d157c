"""The error that a user can fix, and why a file could not be written."""

import errno

_WRITE_FAILURES = {
    errno.ENOSPC: "the disk is full, free some space",
    errno.EDQUOT: "the disk quota is used up, free some space",
    errno.EFBIG: "the file would exceed the size limit of this shell (ulimit -f) or file system",
    errno.EROFS: "the file system is read-only, make it writable or work on another disk",
    errno.EACCES: "no permission to write there, change the folder's permissions or owner",
    errno.EPERM: "no permission to write there, change the folder's permissions or owner",
}
_LONGEST = 2000  # characters of a message: a value quoted in it may be as long as the file that it came from


class UserError(Exception):
    """A mistake that its message explains: the value, the bounds or the file, and the fix.

    Messages quote files of other people. Characters that a terminal would obey are therefore written as escapes, and
    a message that is too long is cut in the middle.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if not text.isprintable():
            text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 500]} [...] {text[-490:]}"


def write_failure(error: OSError) -> str | None:
    """Why a write failed, in words; None where the user cannot change it.

    Parameters
    ----------
    error : OSError, of the system or of HDF5
    """
    # HDF5 reports the system's error number only inside its message
    quoted = (n for n in _WRITE_FAILURES if f"errno = {n}," in str(error))
    number = error.errno if error.errno in _WRITE_FAILURES else next(quoted, None)
    return None if number is None else _WRITE_FAILURES[number]
