"""Lays presets/NAME.yaml over params.yaml, comments kept: ``earshift preset NAME``.

A preset may begin with ``extends: OTHER``: that one is laid over first. It sets keys that are there, and may add
encoders that name their class.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import config, paths
from earshift.storage.files import replacing


def lay_over(name: str) -> None:
    """Set in params.yaml every key that the preset has; the result is checked before anything is written.

    Raises
    ------
    UserError
        If there is no such preset, or it sets what params.yaml does not have or may not have.
    """
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
        config.load(temporary)
    print(f"{paths.PARAMS} now has {name}'s values; `git diff {paths.PARAMS}` shows them")


def _overlays(name: str, over: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The preset and those that it extends, those first."""
    known = sorted(p.stem for p in paths.PRESETS.glob("*.yaml"))
    if name not in known:
        if (renamed := config.RENAMED.get(f"preset = {name}")) is not None:
            raise UserError(f"the preset {name} is called {renamed} now: make preset NAME={renamed}")
        raise UserError(f"no preset {name!r}; there are {', '.join(known)}: make preset NAME={known[0]}")
    if name in over:
        raise UserError(f"the presets {', '.join(over)} extend each other in a circle; take one `extends` out")
    overlay = config.read(paths.PRESETS / f"{name}.yaml")
    extended = overlay.pop("extends", None)
    if extended is not None:
        yield from _overlays(extended, (*over, name))
    yield overlay


def _merge(document: dict[str, Any], overlay: Mapping[str, Any], where: str) -> None:
    for key, value in overlay.items():
        if key not in document and not (where == "encoders." and "class" in (value or {})):
            raise UserError(f"the preset sets {where}{key}, which {paths.PARAMS} does not have")
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value, f"{where}{key}.")
        elif isinstance(value, list) and isinstance(document.get(key), list):
            document[key][:] = value  # in place, so that the list keeps its style and comment
        else:
            document[key] = value
