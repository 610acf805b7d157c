"""Stage ``tsne``: a map of the originals and of the smallest deformations, as one encoder has them."""

import argparse
from collections.abc import Sequence

from earshift.analysis import tsne
from earshift.analysis.consistency import ConsistencyResult
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config, paths
from earshift.pipeline.command import command
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage.files import write_table
from earshift.storage.results import read_result


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Write the map of one encoder."""
    parser = argparse.ArgumentParser(prog="python -m stages.tsne", description=main.__doc__)
    parser.add_argument("encoder", metavar="ENCODER")
    encoder = parser.parse_args(arguments).encoder
    content = config.read()
    options = check(tsne.Tsne, content.get("tsne"), "tsne")
    perturbations = check(config.Run, content.get("run"), "run").perturbations
    table = tsne.analyse([(read_trajectories(encoder, p), smallest(encoder, p)) for p in perturbations], options)
    write_table(paths.tsne(encoder), table)
    print(f"tsne: {encoder}, {table['clip'].nunique()} clips, {len(table)} points in {paths.tsne(encoder)}")


def smallest(encoder: str, perturbation: str) -> list[str]:
    """The smallest value of every side of a perturbation, as ``consistency`` found them.

    Raises
    ------
    UserError
        If its result is missing.
    """
    path = paths.metrics("consistency", encoder, perturbation)
    if not path.exists():
        raise UserError(f"{path} is missing; `dvc repro consistency@{encoder}-{perturbation}` computes it")
    return [side["smallest"] for side in read_result(path, ConsistencyResult)["sides"].values()]


if __name__ == "__main__":
    main()
