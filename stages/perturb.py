"""Stage ``perturb``: ``python -m stages.perturb PERTURBATION``, recipes and severities of every value of its grid."""

from earshift.pipeline import paths
from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.perturb import perturb
from earshift.storage.files import sole_writer


@command
def main() -> None:
    config, (perturbation,) = read_arguments(__doc__, "perturbation")
    with sole_writer(paths.perturbed(perturbation), paths.LOCKS):
        perturb(config, perturbation)


if __name__ == "__main__":
    main()
