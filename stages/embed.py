"""Embeddings by one encoder, of the original clips or under a perturbation: ``ENCODER PERTURBATION|original``."""

import sys

from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.embed import embed


@command
def main() -> None:
    encoder, perturbation = sys.argv[1:]
    embed(load(), encoder, perturbation)


if __name__ == "__main__":
    main()
