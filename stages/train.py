"""Stage ``train``: ``python -m stages.train ENCODER``, the networks of an encoder that are trained here."""

from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.pipeline.train import train


@command
def main() -> None:
    config, (encoder,) = read_arguments(__doc__, "encoder")
    train(config, encoder)


if __name__ == "__main__":
    main()
