"""What embeddings depend on and DVC does not watch.

One file per encoder of ``run.encoders`` has the hashes of its code, wherever that lies, and of weights that are used in
place of the official ones. Where such weights are not on this machine, what a colleague's machine recorded of them,
pulled with the rest, stays.
"""

from earshift.encoders.base import encoder_modules
from earshift.encoders.weights.record import WeightsSource
from earshift.pipeline import paths
from earshift.pipeline.code import code_sha256
from earshift.pipeline.config import Config
from earshift.pipeline.packages import package_versions
from earshift.pipeline.weights import weights_source
from earshift.storage.files import read_json, write_if_changed
from earshift.storage.provenance import versions


def write_encoder_inputs(params: Config) -> None:
    """Write the file of every encoder of ``run.encoders`` and remove those of others."""
    for name in params.run.encoders:
        encoder = params.encoders[name]
        content = {
            "class": f"{type(encoder).__module__}:{type(encoder).__qualname__}",
            "code": code_sha256(*encoder_modules(encoder)),
            "packages": {**package_versions(*encoder_modules(encoder)), **versions(*encoder.packages)},
            "weights": _stand_in(name, weights_source(name, encoder)),
        }
        write_if_changed(paths.encoder_inputs(name), content)
    for path in paths.ENCODER_INPUTS.glob("*.json"):
        if path.stem not in params.run.encoders:
            path.unlink()


def _stand_in(name: str, source: WeightsSource | None) -> str | None:
    """Hash of weights that are used in place of the official ones, or None."""
    if source is None:
        return None
    if source.at_hand():
        return source.stand_in()
    pulled: str | None = (read_json(paths.encoder_inputs(name)) or {}).get("weights")
    if pulled is None:
        return source.stand_in()  # raises, and names what is missing
    print(f"encoders: the weights of {name} are not here; going on with what was pulled of them")
    return pulled
