"""Stage ``performance``: ``python -m stages.performance ENCODER``, scores of the networks that are trained here."""

from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.performance import evaluate


@command
def main() -> None:
    config, (encoder,) = read_arguments(__doc__, "encoder")
    evaluate(config, encoder)


if __name__ == "__main__":
    main()
