"""Stage ``maps``: a map of the originals and of the smallest perturbations, as every encoder has them."""

from pathlib import Path

from earshift.analysis import tsne
from earshift.analysis.consistency import ConsistencyResult
from earshift.pipeline import config, paths
from earshift.pipeline.artifacts import Artifact, file_hashes, make_key, open_output
from earshift.pipeline.command import command
from earshift.pipeline.compute import Compute
from earshift.pipeline.pairs import Pair, vector_hashes
from earshift.pipeline.side_by_side import compute_missing
from earshift.storage.files import write_table
from earshift.storage.results import read_result


@command
def main() -> None:
    """Write the maps of the encoders of the run."""
    params = config.load()
    tasks = {}
    for encoder in params.run.encoders:
        pairs = [Pair("maps", encoder, perturbation, params) for perturbation in params.run.perturbations]
        results = [paths.metrics("consistency", encoder, pair.perturbation) for pair in pairs]
        hashes = [*(vector_hashes(encoder, pair.perturbation) for pair in pairs), file_hashes(results)]
        key = make_key("maps", contents={"hashes": hashes}, options=[encoder, params.tsne], code=["stages.maps"])
        tasks[Artifact(encoder, key, (paths.tsne(encoder),))] = pairs
    output = open_output(paths.tsne("").parent, list(tasks))
    compute_missing("maps", write, tasks, output, params.compute, unit="encoders")


def write(pairs: list[Pair], root: Path, compute: Compute) -> None:
    """Write the map of one encoder."""
    table = tsne.analyse([(pair.trajectories(), smallest(pair)) for pair in pairs], pairs[0].params.tsne)
    write_table(root / paths.tsne(pairs[0].encoder), table)


def smallest(pair: Pair) -> list[str]:
    """The smallest value of every side of a perturbation, as ``consistency`` found them.

    Raises
    ------
    UserError
        If its result is missing.
    """
    path = paths.metrics("consistency", pair.encoder, pair.perturbation)
    return [side["smallest"] for side in read_result(path, ConsistencyResult, stage="consistency")["sides"].values()]


if __name__ == "__main__":
    main()
