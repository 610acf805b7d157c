"""Lays presets/NAME.yaml over params.yaml, comments kept: ``python -m earshift.pipeline.preset NAME``.

A preset may begin with ``extends: OTHER``: that one is laid over first. It sets keys that are there, and may add
encoders that name their class.
"""

import argparse

from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import replacing


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="")
    lay_over(parser.parse_args().name)


def lay_over(name):
    """Set in params.yaml every key that the preset has; the result is checked before anything is written."""
    from ruamel.yaml import YAML

    overlays = list(_overlays(name, ()))
    yaml = YAML()
    yaml.width = 120
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    for overlay in overlays:
        _merge(document, overlay, "")
    with replacing(paths.PARAMS) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            yaml.dump(document, file)
        params.load(temporary)
    print(f"{paths.PARAMS} now has {name}'s values; `git diff {paths.PARAMS}` shows them")


def _overlays(name, over):
    """The preset and those that it extends, those first."""
    known = sorted(p.stem for p in paths.PRESETS.glob("*.yaml"))
    if name not in known:
        raise UserError(f"no preset {name!r}; there are {', '.join(known)}: make preset NAME={known[0]}")
    if name in over:
        raise UserError(f"the presets {', '.join(over)} extend each other in a circle; take one `extends` out")
    overlay = params.read(paths.PRESETS / f"{name}.yaml")
    extended = overlay.pop("extends", None)
    if extended is not None:
        yield from _overlays(extended, (*over, name))
    yield overlay


def _merge(document, overlay, where):
    for key, value in overlay.items():
        if key not in document and not (where == "encoders." and "class" in (value or {})):
            raise UserError(f"the preset sets {where}{key}, which {paths.PARAMS} does not have")
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value, f"{where}{key}.")
        elif isinstance(value, list) and isinstance(document.get(key), list):
            document[key][:] = value  # in place, so that the list keeps its style and comment
        else:
            document[key] = value


if __name__ == "__main__":
    main()
