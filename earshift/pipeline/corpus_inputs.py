"""Stage ``source``: ``python -m stages.corpus_inputs``.

Runs every time, as the first of all: checks the whole of params.yaml, and writes paths.CORPUS_INPUTS, which says what the
corpus is made from (its options, and the content of its files by their hashes), and paths.TRAINING_INPUTS, which says of every
encoder how its networks are trained, and the same of other corpora that they are trained on. Files stay as they are
when nothing changed, so what follows them is not run again. They also stay where the source itself is not on this
machine and the file, pulled from a colleague, is about the same options: what follows from the corpus can be had
without it.
"""

import json
from dataclasses import asdict

from earshift.corpora.base import listed
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.storage.files import read_json, replacing, write_json


def _pulled(source):
    """Whether paths.CORPUS_INPUTS is about this source."""
    content = read_json(paths.CORPUS_INPUTS) or {}
    return content.get("corpus") == source.name and content.get("options") == asdict(source)


@command
def main():
    params = load()
    describe(params.corpus)
    describe_lessons(params)


def describe_lessons(params):
    """Write a file for every encoder of ``run.encoders``: options of its training, and corpora other than the corpus.

    In most encoders nothing is trained here, and nothing is in their files. What a colleague's machine said stays where
    such a corpus is not on this one.
    """
    known = {}
    for name in params.run.encoders:
        encoder = params.encoders[name]
        pulled = (read_json(paths.training_inputs(name)) or {}).get("corpora", {})
        for task in encoder.tasks:
            if task not in known:
                known[task] = _lesson(params, task, pulled)
        taught = {"options": {section: asdict(getattr(params, section)) for section in encoder.lessons},
                  "corpora": {task: known[task] for task in encoder.tasks if known[task]}}  # fmt: skip
        write_json(paths.training_inputs(name), taught if encoder.tasks else {})
    for path in paths.TRAINING_INPUTS.glob("*.json"):
        if path.stem not in params.run.encoders:
            path.unlink()


def _lesson(params, task, pulled):
    """What a task is trained on, or None where it is the corpus itself."""
    name = params.training_corpus(task)
    if name in (None, params.corpus.name):
        return None
    source = params.corpus.sources[name]
    if not source.at_hand() and task in pulled:
        print(f"corpus: what {task} is trained on, {name}, is not here; going on with what was pulled")
        return pulled[task]
    recordings = listed(source, params.corpus.on_bad_clip)
    return {"corpus": name, "options": asdict(source), "identity": source.identity(recordings)}


def describe(corpus):
    """Write paths.CORPUS_INPUTS for earshift.pipeline.config.CorpusParams `corpus`, unless it says the same already."""
    source = corpus.source
    if not source.at_hand() and _pulled(source):
        print(f"corpus: the source of {corpus.name} is not here; going on with {paths.CORPUS_INPUTS} as it was pulled")
        return
    recordings = listed(source, corpus.on_bad_clip)
    content = {"corpus": corpus.name, "options": asdict(source), "identity": source.identity(recordings)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if paths.CORPUS_INPUTS.is_file() and paths.CORPUS_INPUTS.read_text(encoding="utf-8") == text:
        return
    with replacing(paths.CORPUS_INPUTS) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
