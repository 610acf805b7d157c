"""``python -m earshift.pipeline.cluster COMMAND ...``: a command, such as ``dask worker``, as workers must run (docs/scale.md)."""

import os
import sys
from pathlib import Path


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(
            "earshift: name a command, as in: python -m earshift.pipeline.cluster dask worker tcp://host:8786 --nthreads 1"
        )
    for name, first in (("PATH", str(Path(sys.executable).parent)), ("PYTHONPATH", os.getcwd())):
        os.environ[name] = os.pathsep.join(filter(None, [first, os.environ.get(name)]))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"earshift: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
