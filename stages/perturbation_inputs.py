"""Stage ``perturbation_inputs``: hashes of files outside the repository that the perturbations of the run read.

Runs every time and writes data/inputs/perturbations/NAME.json. DVC watches options and code by itself; recordings that
a perturbation reads lie elsewhere, and a change of their hash here is how it notices a change of them. Where they are
not on this machine, the hash that was pulled from a colleague stays.
"""

from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.perturbation_inputs import write_perturbation_inputs


@command
def main() -> None:
    params = load()
    write_perturbation_inputs({name: params.perturbations[name] for name in params.run.perturbations})


if __name__ == "__main__":
    main()
