"""How the command line of a stage or tool reports what a user can fix."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from earshift.errors import UserError, write_failure
from earshift.pipeline import paths, profile

P = ParamSpec("P")
R = TypeVar("R")


def command(main: Callable[P, R]) -> Callable[P, R]:
    """Wrap a stage's ``main`` so that a :class:`UserError`, a disk that cannot be written, or Ctrl-C is one line.

    Where DVC runs it as a stage, it leaves a profile (:mod:`earshift.pipeline.profile`).
    """

    @wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        paths.hand_over()
        try:
            with profile.record():
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
