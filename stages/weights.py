"""Weights of one encoder: ``python -m stages.weights ENCODER``; without a name, of all encoders in ``run.encoders``."""

import sys

from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.weights import convert, fetch_all


@command
def main() -> None:
    params = load()
    if len(sys.argv) > 1:
        convert(params, sys.argv[1])
    else:
        fetch_all({name: params.encoders[name] for name in params.run.encoders})


if __name__ == "__main__":
    main()
