"""Writes the mirror: ``python -m benchmarks.mirror FOLDER [--pieces N]``."""

import argparse
from pathlib import Path

import stages  # noqa: F401
from benchmarks.mirror import checkpoints, irmas, openl3
from stages import params
from stages.corpus.irmas import ARCHIVE


def write(folder, *, pieces, seed=0):
    """Write stand-ins for the weight files of openl3 (as params.yaml configures it), panns and clap, and for IRMAS.

    Parameters
    ----------
    folder : pathlib.Path
    pieces : int, clips per instrument
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoders = params.load().encoders
    openl3.write(folder / encoders["openl3"].published.file, seed, representation=encoders["openl3"].representation)
    checkpoints.write_panns(folder / encoders["panns"].published.file, seed)
    checkpoints.write_clap(folder / encoders["clap"].published.file, seed)
    irmas.write_zip(folder / ARCHIVE.file, pieces=pieces, seed=seed)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mirror", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=6, help="clips per instrument")
    arguments = parser.parse_args()
    write(arguments.folder, pieces=arguments.pieces)
    print(f"EARSHIFT_MIRROR={arguments.folder} EARSHIFT_UNPINNED=1 make paper PRESET=rehearsal")


if __name__ == "__main__":
    main()
