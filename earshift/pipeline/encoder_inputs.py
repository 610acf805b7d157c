"""Stage ``encoders``: ``python -m stages.encoder_inputs``.

Runs every time and writes data/inputs/encoders/NAME.json for every encoder of ``run.encoders``. DVC watches earshift/encoders by
itself; modules of other rooms that an encoder is made of lie elsewhere, and so do the code of an encoder that
params.yaml names by import path and weights that stand in for the official ones: their hashes here are how a change of
them is noticed. Where such weights are not on this machine, what a colleague's machine said of them, pulled with the
rest, stays.
"""

from importlib import import_module

from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.storage.files import read_json, write_json
from earshift.storage.provenance import source_sha256


@command
def main():
    params = load()
    for name in params.run.encoders:
        encoder = params.encoders[name]
        cls = type(encoder)
        ours = cls.__module__.startswith(f"{__package__}.")
        record = {
            "class": f"{cls.__module__}:{cls.__qualname__}",
            "code": None if ours else source_sha256(cls),
            "modules": source_sha256(*map(import_module, encoder.code)) if encoder.code else None,
            "weights": _weights(name, encoder.origin(name)),
        }
        write_json(paths.encoder_inputs(name), record)
    for path in paths.ENCODER_INPUTS.glob("*.json"):
        if path.stem not in params.run.encoders:
            path.unlink()


def _weights(name, published):
    """Hash of weights that stand in for the official ones, or None."""
    if published is None or published.at_hand():
        return published and published.stand_in()
    pulled = (read_json(paths.encoder_inputs(name)) or {}).get("weights")
    if pulled is None:
        return published.stand_in()  # which says what is missing
    print(f"encoders: the weights of {name} are not here; going on with what was pulled of them")
    return pulled


if __name__ == "__main__":
    main()
