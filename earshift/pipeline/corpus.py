"""The corpus of the pipeline: its table in data/corpus, and its audio beside the pipeline.

Writes data/corpus/: clips.csv (one row per clip, with the hash of its samples) and LICENCE.txt. The audio itself is
packed in the same order into a file of :mod:`earshift.pipeline.corpus_audio`: clips.csv has all of its hashes.

Files of other people are read in other processes, where ``compute.workers`` is more than 1: one that breaks its decoder
is a clip that cannot be used, whether the decoder raises an unexpected error, or ends its process.
"""

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from earshift.corpora.packing import Cut, cut, pack_corpus
from earshift.corpora.split import TEST, TRAIN, UNUSED, VALID
from earshift.pipeline import paths
from earshift.pipeline.artifacts import Artifact, make_key, making, open_output
from earshift.pipeline.audio_files import keep_corpus_audio
from earshift.pipeline.compute import surviving_mapper
from earshift.pipeline.config import Config
from earshift.pipeline.progress import Progress
from earshift.protocols import Map
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json, remove_leftovers, replacing, require_space, write_table

if TYPE_CHECKING:
    import pandas as pd

LICENCE = "LICENCE.txt"
_ROW_BYTES = 512  # of clips.csv, per clip, generously


def build(params: Config) -> None:
    """Bring data/corpus up to date with params.yaml. Raises as :func:`pack`."""
    key = make_key(
        "corpus",
        contents={name: each for name, each in (read_json(paths.CORPUS_INPUTS) or {}).items() if name != "code"},
        options=[params.corpus.name, params.corpus.chosen, params.corpus.split, params.corpus.on_bad_clip],
        code=["stages.corpus", type(params.corpus.chosen).__module__],
    )
    licence = paths.CORPUS / LICENCE
    artifact = Artifact(params.corpus.name, key, (paths.CLIPS, licence))
    output = open_output(paths.CORPUS, [artifact])
    if not output.missing():
        print(f"corpus: reused, {len(read_clips(paths.CLIPS))} clips")
        return
    table, rate = pack(params)
    with making(artifact) as root:
        with replacing(root / licence) as temporary:
            temporary.write_text(params.corpus.chosen.licence + "\n", encoding="utf-8")
        write_table(root / paths.CLIPS, table)
    output.take(artifact)
    _report(table, rate)


def pack(params: Config) -> "tuple[pd.DataFrame, float]":
    """Pack the audio of every clip into the store.

    Returns
    -------
    pandas.DataFrame
        The rows of clips.csv.
    float
        Clips per second.

    Raises
    ------
    UserError
        If the corpus cannot be listed, the disk is too small, a clip cannot be used and ``corpus.on_bad_clip`` is
        error, or none can be used.
    """
    corpus = params.corpus.chosen
    recordings = corpus.recordings(paths.DOWNLOADS)
    expected, samples = corpus.extent(recordings)
    folder = paths.corpus_audio("").parent
    remove_leftovers(folder, shared=True)
    size = samples * np.dtype(corpus.dtype(recordings)).itemsize + expected * _ROW_BYTES
    require_space(folder, size, fix="free some space, or make the corpus smaller")

    part = folder / f".packing.{os.getpid()}.tmp"  # it is named by its content, which is known when all is packed
    with Progress("corpus", expected) as progress:
        table = pack_corpus(
            corpus,
            recordings,
            part,
            split=params.corpus.split,
            on_bad_clip=params.corpus.on_bad_clip,
            map=cast(Map, surviving_mapper(params.compute, _crashed)),
            advance=progress.advance,
        )
    keep_corpus_audio(part, table)
    return table, progress.rate


def _crashed(item: Cut) -> Any:
    """What a recording gives that ended its worker process: it is marked with the problem, and cut again here."""
    return cut(item.with_problem("its decoder crashes, or takes more memory than there is"))


def _report(table: "pd.DataFrame", rate: float) -> None:
    used = table[table.valid]
    names = [TRAIN, *([VALID] if (table.split == VALID).any() else []), TEST, UNUSED]
    counts = ", ".join(f"{name} {int((table.split == name).sum())}" for name in names)
    labels = len(set(used.label) - {""})
    if not (used.split == TEST).any():
        print("corpus: no test clips, as all are of one group or given as train; held-out numbers will be missing")
    print(
        f"corpus: {len(table)} clips in {table.group.nunique()} groups, {labels or 'no'} labels, "
        f"{used.seconds.sum():.0f} s; {counts}; {rate:.1f} clips/s"
    )
