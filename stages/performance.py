"""Stage ``performance``: how well the networks that are trained here do their tasks under the perturbations."""

from earshift.pipeline import performance
from earshift.pipeline.pairs import Pair, pair_stage
from earshift.pipeline.performance import hashes


def analyse(pair: Pair) -> None:
    """Write the scores of every encoder's networks under every perturbation."""
    performance.evaluate(pair)


main = pair_stage(
    "performance",
    analyse,
    options=lambda pair: [pair.params.fidelity, pair.params.encoders[pair.encoder].tasks],
    contents=hashes,
)

if __name__ == "__main__":
    main()
