"""How the networks of each encoder are trained, and on what, for DVC to notice a change of it."""

from dataclasses import asdict
from typing import Any

from earshift.corpora.base import list_recordings
from earshift.pipeline import paths
from earshift.pipeline.code import code_sha256
from earshift.pipeline.config import Config
from earshift.storage.files import read_json, write_if_changed

_SECTIONS = {"kim2019": "training", "verma2023": "diverse"}  # of params.yaml, by what trains an encoder


def write_training_inputs(params: Config) -> None:
    """Write a file for every encoder of ``run.encoders``: options of its training, and corpora other than the corpus.

    In most encoders nothing is trained here, and nothing is in their files. What a colleague's machine wrote stays
    where such a corpus is not on this one.
    """
    known: dict[str, dict[str, Any] | None] = {}
    for name in params.run.encoders:
        encoder = params.encoders[name]
        pulled = (read_json(paths.training_inputs(name)) or {}).get("corpora", {})
        for task in encoder.tasks:
            if task not in known:
                known[task] = _describe_corpus(params, task, pulled)
        section = _SECTIONS.get(encoder.training or "", "training")
        content = {"options": {section: asdict(getattr(params, section))},
                   "corpora": {task: known[task] for task in encoder.tasks if known[task]}}  # fmt: skip
        write_if_changed(paths.training_inputs(name), content if encoder.tasks else {})
    for path in paths.TRAINING_INPUTS.glob("*.json"):
        if path.stem not in params.run.encoders:
            path.unlink()


def _describe_corpus(params: Config, task: str, pulled: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The corpus that a task is trained on, or None where it is the pipeline's own."""
    name = params.training_corpus(task)
    if name in (None, params.corpus.name):
        return None
    corpus = params.corpus.configured[name]
    if not corpus.at_hand(paths.DOWNLOADS) and task in pulled:
        print(f"corpus: {name}, on which {task} is trained, is not here; the hashes that were pulled are used")
        return pulled[task]
    recordings = list_recordings(corpus, params.corpus.on_bad_clip, paths.DOWNLOADS)
    return {"corpus": name, "options": asdict(corpus), "content": corpus.content_hashes(recordings),
            "code": code_sha256(type(corpus).__module__)}  # fmt: skip
