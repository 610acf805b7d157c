"""Write the mirror: ``python -m benchmarks.mirror FOLDER [--pieces N]``."""

import argparse
from pathlib import Path

import stages  # noqa: F401
from benchmarks import mirror
from benchmarks.mirror import irmas
from earshift.corpora.irmas import ARCHIVE
from earshift.pipeline import config as params
from earshift.pipeline.weights import weights_source

ENCODERS = ("openl3", "panns", "clap")


def write(folder, *, pieces, seed=0):
    """Write stand-ins for the weight files, of the variants that params.yaml configures, and for IRMAS.

    Parameters
    ----------
    folder : pathlib.Path
    pieces : int, clips per instrument, or dict of an instrument's code to int
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoders = params.load().encoders
    for name in ENCODERS:
        mirror.write_weights_file(encoders[name], folder / weights_source(name, encoders[name]).remote.file, seed)
    irmas.write_zip(folder / ARCHIVE.file, pieces=pieces, seed=seed)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mirror", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=8, help="clips per instrument (8)")
    arguments = parser.parse_args()
    write(arguments.folder, pieces=arguments.pieces)
    print(f"EARSHIFT_MIRROR={arguments.folder.absolute()} EARSHIFT_UNPINNED=1 make paper PRESET=deng2025-rehearsal")


if __name__ == "__main__":
    main()
