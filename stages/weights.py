"""Stage ``weights``: ``python -m stages.weights ENCODER``, the checked and converted weights of an encoder."""

from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.weights import convert


@command
def main() -> None:
    config, (encoder,) = read_arguments(__doc__, "encoder")
    convert(config, encoder)


if __name__ == "__main__":
    main()
