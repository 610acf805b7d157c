"""Stage ``trajectories``: maps of the paths that clips take, and how straight these are."""

from earshift.analysis import trajectories
from earshift.pipeline.pairs import Pair, pair_stage


def analyse(pair: Pair) -> None:
    """Write metrics and plot data of every encoder under every perturbation."""
    t = pair.trajectories(lazily=True)
    result, points, path = trajectories.analyse(t, pair.params.trajectories, ridge=pair.params.cca.ridge)
    pair.write(trajectories.TrajectoriesResult, result, points=points, path=path)


main = pair_stage(
    "trajectories",
    analyse,
    options=lambda pair: [pair.params.trajectories, pair.params.cca.ridge, pair.params.classes],
)

if __name__ == "__main__":
    main()
