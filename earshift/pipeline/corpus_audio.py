"""The corpus' audio: packed by the corpus stage, or packed again where it is needed and not there.

Conventions
-----------
The audio is no output of the pipeline. data/corpus/clips.csv holds the hash of every clip, and a file of that content
lies in paths.AUDIO under the digest of them all. So nobody needs audio who only analyses embeddings that somebody else
computed, licences that forbid passing audio on are kept without further effort, and DVC does not store it twice. A file
is checked once in a process, before anything of it is read.
"""

import functools
from pathlib import Path

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.config import Config
from earshift.pipeline.corpus import pack
from earshift.storage.hdf5 import is_whole


def corpus_audio(params: Config) -> Path:
    """The packed audio of clips.csv, clip by clip in its order; packed again where it is missing or damaged.

    Returns
    -------
    pathlib.Path
        For :class:`earshift.storage.packed_audio.AudioReader`.

    Raises
    ------
    UserError
        If it is to be packed and the corpus is not on this machine, or has changed since clips.csv was written.
    """
    path = corpus_audio_path()
    if path.is_file():
        stat = path.stat()
        if _is_whole(path, stat.st_size, stat.st_mtime_ns):
            return path
    print(f"corpus: {path} is {'damaged' if path.is_file() else 'not there'} and is packed again")
    try:
        table, _ = pack(params)
    except UserError as error:
        raise UserError(
            f"the corpus' audio is needed, and neither it nor the corpus it is packed from is here ({error}). "
            "`make pull AUDIO=1` fetches it where a colleague pushed it"
        ) from error
    if corpus_audio_path(table) != path:
        raise UserError(
            f"the audio of corpus {params.corpus.name} is not what {paths.CLIPS} was made from; `dvc repro corpus` "
            "takes the audio that is there now"
        )
    return path


@functools.lru_cache(maxsize=4)
def _is_whole(path: Path, size: int, changed: int) -> bool:
    return is_whole(path)
