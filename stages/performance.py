"""Stage ``performance``: ``python -m stages.performance ENCODER``, scores of the networks that are trained here."""

import argparse

from earshift.errors import UserError
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.performance import evaluate


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    encoder, config = parser.parse_args().encoder, load()
    if encoder not in config.encoders:
        raise UserError(f"unknown encoder {encoder!r}; params.yaml configures {', '.join(config.encoders)}")
    evaluate(config, encoder)


if __name__ == "__main__":
    main()
