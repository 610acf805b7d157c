"""The content of params.yaml, checked value by value; as JSON, which is quicker to read than YAML."""

import json

from untrusted.pieces import json_mutated as mutated

from earshift.pipeline import config as params

__all__ = ["mutated", "target"]


def target(data):
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(content, dict) and '"class"' not in json.dumps(content):  # which names code to import, and says so
        params.parse(content)
