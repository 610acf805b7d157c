"""Stage ``trajectories``: maps of the paths that clips take, and how straight these are."""

from earshift.analysis import trajectories
from earshift.pipeline.pairs import Pair, pair_stage


@pair_stage("trajectories")
def main(pair: Pair) -> None:
    """Write metrics and plot data of one encoder under one perturbation."""
    t = pair.trajectories(lazily=True)
    result, points, path = trajectories.analyse(t, pair.params.trajectories, ridge=pair.params.cca.ridge)
    pair.write(trajectories.TrajectoriesResult, result, points=points, path=path)


if __name__ == "__main__":
    main()
