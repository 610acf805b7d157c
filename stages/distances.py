"""Stage ``distances``: distances from the perturbed clips to the original ones, as sounds."""

from earshift.pipeline import config, paths
from earshift.pipeline.command import command
from earshift.pipeline.distances import update_distances
from earshift.storage.files import sole_writer


@command
def main() -> None:
    """Bring the distances of all perturbations of the run up to date."""
    with sole_writer(paths.DISTANCES, paths.LOCKS):
        update_distances(config.load())


if __name__ == "__main__":
    main()
