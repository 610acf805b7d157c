"""Stage ``excerpts``: ``python -m stages.excerpts PERTURBATION``, a few clips to listen to."""

import argparse
from collections.abc import Sequence

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.excerpts import write_excerpts


@command
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.excerpts", description=__doc__)
    parser.add_argument("perturbation")
    name, params = parser.parse_args(arguments).perturbation, load()
    if name not in params.perturbations:
        raise UserError(f"unknown perturbation {name!r}; params.yaml configures {', '.join(params.perturbations)}")
    write_excerpts(params, name)
    print(f"excerpts {name}: {paths.excerpts(name)}")


if __name__ == "__main__":
    main()
