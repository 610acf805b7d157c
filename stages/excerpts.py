"""Stage ``excerpts``: ``python -m stages.excerpts PERTURBATION``, a few clips to listen to."""

from collections.abc import Sequence

from earshift.pipeline import paths
from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.excerpts import write_excerpts


@command
def main(arguments: Sequence[str] | None = None) -> None:
    config, (perturbation,) = read_arguments(__doc__, "perturbation", arguments=arguments)
    write_excerpts(config, perturbation)
    print(f"excerpts {perturbation}: {paths.excerpts(perturbation)}")


if __name__ == "__main__":
    main()
