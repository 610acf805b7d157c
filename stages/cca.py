"""Stage ``cca``: one direction of movement, and how well it orders the strengths."""

from earshift.analysis import cca
from earshift.pipeline import paths
from earshift.pipeline.pairs import Pair, pair_stage


@pair_stage("cca")
def main(pair: Pair) -> None:
    """Write metrics and plot data of one encoder under one perturbation."""
    t = pair.trajectories(lazily=True)
    result, scatter, clips = cca.analyse(t, pair.params.cca, scratch=paths.SCRATCH)
    pair.write(cca.CcaResult, result, scatter=scatter, samplewise_r2=clips)


if __name__ == "__main__":
    main()
