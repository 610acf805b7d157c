"""Stage ``inputs``: checks the whole of params.yaml, and hashes what lies outside the repository, and the code.

Runs every time, as the first of all. Files in data/inputs stay as they are where nothing changed, so that nothing that
follows is run again. They also stay where something is not on this machine and the file, pulled from a colleague, is
about the same options: whatever follows can be had without it.
"""

from earshift.pipeline import (
    code_inputs,
    corpus_inputs,
    encoder_inputs,
    outputs,
    perturbation_inputs,
    run_inputs,
    training_inputs,
)
from earshift.pipeline.command import command
from earshift.pipeline.config import load


@command
def main() -> None:
    params = load()
    corpus_inputs.write_corpus_inputs(params.corpus)
    training_inputs.write_training_inputs(params)
    encoder_inputs.write_encoder_inputs(params)
    perturbation_inputs.write_perturbation_inputs(params)
    run_inputs.write_run_inputs(params)
    code_inputs.write_code_inputs()
    outputs.keep_all()
    outputs.remove_what_left(params.run)


if __name__ == "__main__":
    main()
