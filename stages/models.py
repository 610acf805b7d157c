"""Stage ``models``: ``python -m stages.models ENCODER``, its networks that are trained here and its checked weights."""

from earshift.pipeline import paths, train, weights
from earshift.pipeline.arguments import read_arguments
from earshift.pipeline.command import command
from earshift.storage.files import sole_writer


@command
def main() -> None:
    config, (encoder,) = read_arguments(__doc__, "encoder")
    with sole_writer(paths.model(encoder), paths.LOCKS):
        train.train(config, encoder)
        weights.convert(config, encoder)


if __name__ == "__main__":
    main()
