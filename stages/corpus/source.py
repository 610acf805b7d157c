"""Stage ``source``: ``python -m stages.corpus.source``.

Runs every time, as the first of all: checks the whole of params.yaml, and writes paths.SOURCE, which says what the
corpus is made from (its options, and the content of its files by their hashes), and paths.LESSONS, which says the same
of other corpora that networks are trained on. The file stays as it is when nothing
changed, so what follows it is not run again. It also stays where the source itself is not on this machine and the file,
pulled from a colleague, is about the same options: what follows from the corpus can be had without it.
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
    """Write paths.LESSONS: what networks of ``run.encoders`` are trained on that is not the corpus itself, by task.

    What a colleague's machine said stays where such a corpus is not on this one.
    """
    pulled, lessons = store.read_json(paths.LESSONS) or {}, {}
    tasks = {task for name in params.run.encoders for task in params.encoders[name].tasks}
    for task in sorted(tasks):
        name = params.lesson_corpus(task)
        if name in (None, params.corpus.name):
            continue
        source = params.corpus.sources[name]
        if not source.at_hand() and task in pulled:
            print(f"corpus: what {task} is trained on, {name}, is not here; going on with what was pulled")
            lessons[task] = pulled[task]
            continue
        recordings = listed(source, params.corpus.on_bad_clip)
        lessons[task] = {"corpus": name, "options": asdict(source), "identity": source.identity(recordings)}
    store.write_json(paths.LESSONS, lessons)


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
