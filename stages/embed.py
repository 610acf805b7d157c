"""Stage ``embed``: ``python -m stages.embed ENCODER``, vectors of the clips as they are and under perturbations."""

from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.embed import embed


@command
def main() -> None:
    config, (encoder,) = read_arguments(__doc__, "encoder")
    embed(config, encoder)


if __name__ == "__main__":
    main()
