"""Stage ``encoders``: ``python -m stages.encode.identity``.

Runs every time and writes data/encoders/NAME.json for every encoder of ``run.encoders``. DVC watches stages/encode by
itself; the code of an encoder that params.yaml names by import path lies elsewhere, and so do weights that stand in for
the official ones: their hashes here are how a change of them is noticed.
"""

from stages import paths, store
from stages.errors import command
from stages.params import load
from stages.provenance import source_sha256


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
            "weights": encoder.published.stand_in() if encoder.published else None,
        }
        store.write_json(paths.encoder(name), record)


if __name__ == "__main__":
    main()
