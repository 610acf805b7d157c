"""Stage ``perturb``: ``python -m stages.perturb PERTURBATION``, recipes and severities of every value of its grid."""

import argparse

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.perturb import perturb
from earshift.storage.files import sole_writer


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("perturbation")
    name, params = parser.parse_args().perturbation, load()
    if name not in params.perturbations:
        raise UserError(f"unknown perturbation {name!r}; params.yaml configures {', '.join(params.perturbations)}")
    with sole_writer(paths.perturbed(name), paths.LOCKS):
        perturb(params, name)


if __name__ == "__main__":
    main()
