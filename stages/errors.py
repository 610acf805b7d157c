"""The one class for what a user can get wrong, and how a stage's command line reports it."""

import errno
import sys
from functools import wraps

from stages import profile

_WRITE_FAILURES = {
    errno.ENOSPC: "the disk is full, free some space",
    errno.EDQUOT: "the disk quota is used up, free some space",
    errno.EFBIG: "the file would exceed the size limit of this shell (ulimit -f) or file system",
    errno.EROFS: "the file system is read-only, make it writable or work on another disk",
    errno.EACCES: "no permission to write there, change the folder's permissions or owner",
    errno.EPERM: "no permission to write there, change the folder's permissions or owner",
}


_LONGEST = 2000  # characters of a message: a value in it may be as long as a stranger's file


class UserError(Exception):
    """A mistake that its message explains: the value, the bounds or the file, and the fix.

    Messages quote files of other people. So characters that a terminal would obey are written as escapes, and what is
    too long is cut in the middle.
    """

    def __str__(self):
        text = super().__str__()
        if not text.isprintable():
            text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 500]} [...] {text[-490:]}"


def write_failure(error):
    """Why a write failed, in words, or None where that is not for the user to mend.

    Parameters
    ----------
    error : OSError, of the system or of HDF5
    """
    # HDF5 reports the system's error number only inside its message
    quoted = (n for n in _WRITE_FAILURES if f"errno = {n}," in str(error))
    return _WRITE_FAILURES.get(error.errno if error.errno in _WRITE_FAILURES else next(quoted, None))


def command(main):
    """Wrap a stage's ``main`` so that a :class:`UserError`, a disk that cannot be written, or Ctrl-C is one line.

    Where DVC runs it as a stage, it leaves a profile (:mod:`stages.profile`).
    """

    @wraps(main)
    def run(*args, **kwargs):
        try:
            with profile.recorded():
                return main(*args, **kwargs)
        except UserError as error:
            sys.exit(f"earshift: {error}")
        except OSError as error:
            reason = write_failure(error)
            if reason is None:
                raise
            sys.exit(f"earshift: {error.filename or 'a file'}: {reason}; run again then, finished files stay")
        except KeyboardInterrupt:
            sys.exit("earshift: interrupted; what is finished stays, and the next run goes on from there")

    return run
