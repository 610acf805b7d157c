"""The one class for what a user can get wrong, and how a stage's command line reports it."""

import sys
from functools import wraps


class UserError(Exception):
    """A mistake that its message explains: the value, the bounds or the file, and the fix."""


def command(main):
    """Wrap a stage's ``main`` so that a :class:`UserError` or Ctrl-C ends in one line instead of a traceback."""

    @wraps(main)
    def run(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except UserError as error:
            sys.exit(f"earshift: {error}")
        except KeyboardInterrupt:
            sys.exit("earshift: interrupted; what is finished stays, and the next run goes on from there")

    return run
