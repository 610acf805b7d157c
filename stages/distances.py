"""Stage ``distances``: distances from the perturbed clips to the original ones, as sounds."""

import argparse
from collections.abc import Sequence

from earshift.perturbations.base import ORIGINAL
from earshift.pipeline import config, paths
from earshift.pipeline.command import command
from earshift.pipeline.distances import folder_of, update_distances
from earshift.storage.files import sole_writer


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Bring the distances of one perturbation, or between originals, up to date."""
    parser = argparse.ArgumentParser(prog="python -m stages.distances", description=main.__doc__)
    parser.add_argument("perturbation", metavar="PERTURBATION", help=f"a perturbation, or {ORIGINAL}")
    perturbation = parser.parse_args(arguments).perturbation
    with sole_writer(folder_of(perturbation), paths.LOCKS):
        update_distances(config.load(), perturbation)


if __name__ == "__main__":
    main()
