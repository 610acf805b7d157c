"""What the corpus is made from, for DVC to notice a change of it."""

from dataclasses import asdict

from earshift.corpora.base import list_recordings
from earshift.pipeline import paths
from earshift.pipeline.code import code_sha256
from earshift.pipeline.config import CorpusConfig
from earshift.pipeline.packages import package_versions
from earshift.storage.files import read_json, write_if_changed


def write_corpus_inputs(params: CorpusConfig) -> None:
    """Write paths.CORPUS_INPUTS: the options of the corpus, and the content of its files by their hashes.

    The file stays as it is where nothing changed, so that nothing that follows is run again; also where the corpus
    is not on this machine and the file, pulled from a colleague, is about the same options.
    """
    corpus = params.chosen
    options = asdict(corpus)
    pulled = read_json(paths.CORPUS_INPUTS) or {}
    if not corpus.at_hand(paths.DOWNLOADS) and (pulled.get("corpus"), pulled.get("options")) == (corpus.name, options):
        print(f"corpus: the audio of {params.name} is not here; {paths.CORPUS_INPUTS} is used as it was pulled")
        return
    recordings = list_recordings(corpus, params.on_bad_clip, paths.DOWNLOADS)
    module = type(corpus).__module__
    content = {"corpus": params.name, "options": options, "content": corpus.content_hashes(recordings),
               "code": code_sha256(module), "packages": package_versions(module)}  # fmt: skip
    write_if_changed(paths.CORPUS_INPUTS, content)
