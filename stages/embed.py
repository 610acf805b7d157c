"""Stage ``embed``: ``python -m stages.embed ENCODER PERTURBATION``, or ``original`` for the clips as they are."""

from earshift.perturbations.base import ORIGINAL
from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.embed import embed


@command
def main() -> None:
    config, (encoder, perturbation) = read_arguments(__doc__, "encoder", "perturbation", also=[ORIGINAL])
    embed(config, encoder, perturbation)


if __name__ == "__main__":
    main()
