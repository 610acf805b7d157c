"""Hashes of what encoders are made of outside the pipeline's outputs: ``python -m stages.encoder_inputs``."""

from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.encoder_inputs import record


@command
def main() -> None:
    record(load())


if __name__ == "__main__":
    main()
