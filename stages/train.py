"""Stage ``train``: ``python -m stages.train ENCODER``, the networks of an encoder that are trained here."""

import argparse

from earshift.errors import UserError
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.train import train


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    name, config = parser.parse_args().encoder, load()
    if name not in config.encoders:
        raise UserError(f"unknown encoder {name!r}; params.yaml configures {', '.join(config.encoders)}")
    train(config, name)


if __name__ == "__main__":
    main()
