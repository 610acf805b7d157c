"""Stage ``cca``: one direction of movement, and how well it orders the strengths."""

from earshift.analysis import cca
from earshift.pipeline import paths
from earshift.pipeline.pairs import Pair, pair_stage


def analyse(pair: Pair) -> None:
    """Write metrics and plot data of every encoder under every perturbation."""
    t = pair.trajectories(lazily=True)
    result, scatter, clips = cca.analyse(t, pair.params.cca, scratch=paths.SCRATCH)
    pair.write(cca.CcaResult, result, scatter=scatter, samplewise_r2=clips)


main = pair_stage("cca", analyse, options=lambda pair: [pair.params.cca, pair.params.classes])

if __name__ == "__main__":
    main()
