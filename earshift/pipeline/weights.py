"""The checked and converted weights of an encoder, for the stage ``models`` and ``earshift weights``."""

from earshift.encoders.base import Encoder
from earshift.encoders.weights.record import WeightsSource, write_weights
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.config import Config


def weights_source(name: str, encoder: Encoder) -> WeightsSource | None:
    """Where the weights of the encoder of this name in params.yaml come from; None where it has none."""
    return encoder.weights_source(downloads=paths.DOWNLOADS, networks=paths.model(name))


def convert(params: Config, name: str) -> None:
    """Write the weights of one encoder of params.yaml.

    Raises
    ------
    UserError
        If it is not configured, or as :func:`earshift.encoders.weights.record.write_weights`.
    """
    if name not in params.encoders:
        raise UserError(f"no encoder {name!r} in {paths.PARAMS}; there are {', '.join(params.encoders)}")
    write_weights(paths.weights(name), name, weights_source(name, params.encoders[name]))


def fetch_all(encoders: dict[str, Encoder]) -> None:
    """Fetch and check the weight files of encoders ahead of time; nothing is written to data/models.

    Raises
    ------
    UserError
        Naming everything that cannot be had, after all the rest is there.
    """
    failures = []
    for name, encoder in encoders.items():
        source = weights_source(name, encoder)
        try:
            print(f"{name}: {source.check() if source else 'no weights'}")
        except UserError as error:
            failures.append(f"{name}: {error}")
    if failures:
        raise UserError("\n".join(failures))
