"""Stage ``svd``: how many directions the clips move in."""

from concurrent.futures import ThreadPoolExecutor

from earshift.analysis import svd
from earshift.pipeline import paths
from earshift.pipeline.compute import worker_count
from earshift.pipeline.pairs import Pair, pair_stage


def analyse(pair: Pair) -> None:
    """Write metrics and plot data of every encoder under every perturbation."""
    t = pair.trajectories(lazily=True)
    with ThreadPoolExecutor(worker_count(pair.params.compute)) as pool:
        result, spectrum = svd.analyse(t, pair.params.svd, map=pool.map, scratch=paths.SCRATCH)
    pair.write(svd.SvdResult, result, spectrum=spectrum)


main = pair_stage("svd", analyse, options=lambda pair: [pair.params.svd, pair.params.classes])

if __name__ == "__main__":
    main()
