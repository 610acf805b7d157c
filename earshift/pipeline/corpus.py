"""The corpus of the pipeline: its table in data/corpus, and its audio in the store beside the pipeline.

Writes data/corpus/: clips.csv (one row per clip, with the hash of its samples) and LICENCE.txt. The audio itself is
packed in the same order into the store of :mod:`earshift.pipeline.corpus_audio`: clips.csv has all of its hashes.
clips.csv comes last: where it is, all of it is.

Files of other people are read in other processes, where ``compute.workers`` is more than 1: one that breaks its decoder
is a clip that cannot be used, whether the decoder raises an unexpected error, or ends its process.
"""

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from earshift.corpora.packing import pack_corpus
from earshift.corpora.split import TEST, TRAIN, UNUSED, VALID
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import keep_corpus_audio
from earshift.pipeline.compute import Compute, mapper, worker_count
from earshift.pipeline.config import Config
from earshift.pipeline.progress import Progress
from earshift.protocols import Map
from earshift.storage.files import remove_leftovers, replacing, require_space, write_table

if TYPE_CHECKING:
    import pandas as pd

LICENCE = "LICENCE.txt"
_ROW_BYTES = 512  # of clips.csv, per clip, generously
_UNDER_WAY = 2  # items per worker that a map has handed out and not given back, one more besides

T = TypeVar("T")
R = TypeVar("R")


def build(params: Config) -> None:
    """Bring data/corpus up to date with params.yaml. Raises as :func:`pack`."""
    if paths.CORPUS.is_dir():
        paths.CLIPS.unlink(missing_ok=True)  # it stands for a whole corpus
        remove_leftovers(paths.CORPUS)
    table, rate = pack(params)
    with replacing(paths.CORPUS / LICENCE) as temporary:
        temporary.write_text(params.corpus.chosen.licence + "\n", encoding="utf-8")
    write_table(paths.CLIPS, table)
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
            map=surviving_mapper(params.compute),
            advance=progress.advance,
        )
    keep_corpus_audio(part, table)
    return table, progress.rate


def surviving_mapper(compute: Compute) -> Map:
    """A map over :class:`earshift.corpora.packing.Cut` that goes on where a recording ends its worker process.

    Such a recording is then marked with the problem, and cut again in this process.
    """

    def run(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        left = collections.deque(items)
        while left:
            try:
                for result in mapper(compute)(function, list(left)):
                    left.popleft()
                    yield result
            except UserError as error:
                if not _process_died(error):
                    raise
                # It is one of those that were under way: each in a process of its own shows which
                for _ in range(min(len(left), _UNDER_WAY * worker_count(compute) + 1)):
                    yield _run_alone(function, left.popleft(), compute)

    return run


def _run_alone(function: Callable[[Any], R], item: Any, compute: Compute) -> R:
    own = dataclasses.replace(compute, workers=2, scheduler=None)  # two make a pool, of which one item starts one
    try:
        (result,) = mapper(own)(function, [item])
        return result
    except UserError as error:
        if not _process_died(error):
            raise
    return function(item.with_problem("its decoder crashes, or takes more memory than there is"))


def _process_died(error: UserError) -> bool:
    from concurrent.futures.process import BrokenProcessPool

    return isinstance(error.__cause__, BrokenProcessPool)


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
