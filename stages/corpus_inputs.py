"""Stage ``corpus_inputs``: what the corpus is made from, and how and on what networks are trained.

Runs every time, as the first of all, and checks the whole of params.yaml. Files stay as they are where nothing changed,
so that nothing that follows is run again. They also stay where a corpus is not on this machine and the file, pulled
from a colleague, is about the same options: whatever follows from the corpus can be had without it.
"""

from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.corpus_inputs import write_corpus_inputs
from earshift.pipeline.training_inputs import write_training_inputs


@command
def main() -> None:
    params = load()
    write_corpus_inputs(params.corpus)
    write_training_inputs(params)


if __name__ == "__main__":
    main()
