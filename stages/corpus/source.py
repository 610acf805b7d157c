"""Stage ``source``: ``python -m stages.corpus.source``.

Runs every time, as the first of all: checks the whole of params.yaml, and writes paths.SOURCE, which says what the
corpus is made from (its options, and the content of its files by their hashes), and paths.LESSONS, which says of every
encoder how its networks are trained, and the same of other corpora that they are trained on. Files stay as they are
when nothing changed, so what follows them is not run again. They also stay where the source itself is not on this
machine and the file, pulled from a colleague, is about the same options: what follows from the corpus can be had
without it.
"""

import json
from dataclasses import asdict

from stages import paths, store
from stages.corpus.base import listed
from stages.errors import command
from stages.params import load


def _pulled(source):
    """Whether paths.SOURCE is about this source."""
    content = store.read_json(paths.SOURCE) or {}
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
        pulled = (store.read_json(paths.lessons(name)) or {}).get("corpora", {})
        for task in encoder.tasks:
            if task not in known:
                known[task] = _lesson(params, task, pulled)
        taught = {"options": {section: asdict(getattr(params, section)) for section in encoder.lessons},
                  "corpora": {task: known[task] for task in encoder.tasks if known[task]}}  # fmt: skip
        store.write_json(paths.lessons(name), taught if encoder.tasks else {})
    for path in paths.LESSONS.glob("*.json"):
        if path.stem not in params.run.encoders:
            path.unlink()


def _lesson(params, task, pulled):
    """What a task is trained on, or None where it is the corpus itself."""
    name = params.lesson_corpus(task)
    if name in (None, params.corpus.name):
        return None
    source = params.corpus.sources[name]
    if not source.at_hand() and task in pulled:
        print(f"corpus: what {task} is trained on, {name}, is not here; going on with what was pulled")
        return pulled[task]
    recordings = listed(source, params.corpus.on_bad_clip)
    return {"corpus": name, "options": asdict(source), "identity": source.identity(recordings)}


def describe(corpus):
    """Write paths.SOURCE for stages.params.CorpusParams `corpus`, unless it says the same already."""
    source = corpus.source
    if not source.at_hand() and _pulled(source):
        print(f"corpus: the source of {corpus.name} is not here; going on with {paths.SOURCE} as it was pulled")
        return
    recordings = listed(source, corpus.on_bad_clip)
    content = {"corpus": corpus.name, "options": asdict(source), "identity": source.identity(recordings)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if paths.SOURCE.is_file() and paths.SOURCE.read_text(encoding="utf-8") == text:
        return
    with store.replacing(paths.SOURCE) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
