"""Stage ``corpus``: ``python -m stages.corpus``.

Writes data/corpus/: clips.csv (one row per clip, with the hash of its samples) and LICENCE.txt. The audio itself is
packed in the same order into the store of :mod:`earshift.pipeline.corpus_audio`, beside the pipeline: clips.csv says all that
matters of it. A clip that cannot be used is packed as no samples at all, so that rows and audio line up. clips.csv
comes last: where it is, all of it is.

Files of other people are read in other processes, where ``compute.workers`` is more than 1: one that breaks its decoder
is a clip that cannot be used, be it that the decoder raises what it should not, or that it takes the process with it.
"""

import collections
import dataclasses
import hashlib
import os

import numpy as np

from earshift.audio.reading import reason
from earshift.corpora.base import TAG_SEPARATOR
from earshift.corpora.split import TEST, TRAIN, UNUSED, VALID, assigned_splits
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import keep_corpus_audio
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map, worker_count
from earshift.pipeline.config import load
from earshift.pipeline.progress import Progress
from earshift.storage.files import remove_leftovers, replacing, require_space, sole_writer, write_table
from earshift.storage.packed_audio import AudioWriter

LICENCE = "LICENCE.txt"
_ROW_BYTES = 512  # of clips.csv, per clip, generously
_UNDER_WAY = 2  # tasks per worker that ordered_map has handed out and not given back, one more besides


@command
def main():
    with sole_writer(paths.CORPUS, paths.LOCKS):
        build(load())


def build(params):
    """Bring data/corpus up to date with params.yaml. Raises as :func:`packed`."""
    _emptied(paths.CORPUS)
    table, rate = packed(params)
    with replacing(paths.CORPUS / LICENCE) as temporary:
        temporary.write_text(params.corpus.source.licence + "\n", encoding="utf-8")
    write_table(paths.CLIPS, table)
    _report(table, rate)


def packed(params):
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
    source = params.corpus.source
    recordings = source.recordings()
    dtype = source.dtype(recordings)
    expected, samples = source.extent(recordings)
    folder = paths.corpus_audio("").parent
    remove_leftovers(folder, shared=True)
    size = samples * np.dtype(dtype).itemsize + expected * _ROW_BYTES
    require_space(folder, size, fix="free some space, or make the corpus smaller")

    rows = []
    attributes = {"corpus": params.corpus.name, "licence": source.licence}
    part = folder / f".packing.{os.getpid()}.tmp"  # it is named by its content, which is known when all is packed
    with (
        AudioWriter(part, dtype=dtype, attributes=attributes) as writer,
        Progress("corpus", expected) as progress,
    ):
        for clips in _decoded(source, recordings, dtype, params.compute):
            for row, audio in clips:
                writer.append(audio, row["sample_rate"])
                rows.append(row)
            progress.advance(len(clips))
        # In here, so that no audio is left when one of these raises
        _check_usable(rows, params.corpus.on_bad_clip)
        table = _table(rows, params.corpus.split)
    keep_corpus_audio(part, table)
    return table, progress.rate


def _emptied(folder):
    """Remove what an earlier or a killed run left: clips.csv first, which says that the rest is whole."""
    if folder.is_dir():
        paths.CLIPS.unlink(missing_ok=True)
        remove_leftovers(folder)


def _decoded(source, recordings, dtype, compute):
    """What :func:`_stored` gives, recording by recording in order; of one that takes its process along, the problem."""
    left = collections.deque(recordings)
    while left:
        try:
            for stored in ordered_map(_stored, ((source, recording, dtype) for recording in list(left)), compute):
                left.popleft()
                yield stored
        except UserError as error:
            if not _process_died(error):
                raise
            # It is one of those that were under way: each in a process of its own shows which
            for _ in range(min(len(left), _UNDER_WAY * worker_count(compute) + 1)):
                yield _alone(source, left.popleft(), dtype, compute)


def _alone(source, recording, dtype, compute):
    own = dataclasses.replace(compute, workers=2, scheduler=None)  # two make a pool, of which one task starts one
    try:
        (stored,) = ordered_map(_stored, [(source, recording, dtype)], own)
    except UserError as error:
        if not _process_died(error):
            raise
        problem = "its decoder crashes, or takes more memory than there is"
        return _stored(source, _marked(source, recording, problem), dtype)
    return stored


def _process_died(error):
    from concurrent.futures.process import BrokenProcessPool

    return isinstance(error.__cause__, BrokenProcessPool)


def _marked(source, recording, problem):
    """A recording with what was found against it.

    Raises
    ------
    UserError
        If it is none of files of other people, but made here: then something is wrong with this machine.
    """
    if not hasattr(recording, "problem"):
        raise UserError(f"corpus {source.name}: {recording} cannot be made: {problem}")
    return dataclasses.replace(recording, problem=problem)


def _clips(source, recording):
    """The clips of a recording, marked with the problem where reading it raises anything."""
    try:
        return source.clips(recording)
    except UserError:
        raise
    except Exception as error:  # libraries that decode raise what they like
        if not hasattr(recording, "problem"):
            raise
        return source.clips(_marked(source, recording, f"cannot be read: {type(error).__name__}, {reason(error)}"))


def _stored(source, recording, dtype):
    """(row without split, audio as it will be stored) of every clip of a recording."""
    stored = []
    for clip in _clips(source, recording):
        audio = np.zeros((1, 0), dtype=dtype) if clip.problem else _as(clip.audio, dtype)
        row = {
            "clip": clip.clip,
            "group": clip.group,
            "label": clip.label,
            "genre": clip.genre,
            "split": clip.split,
            "tags": TAG_SEPARATOR.join(sorted(set(clip.tags))),
            "seconds": 0.0 if clip.problem else audio.shape[1] / clip.sample_rate,
            "channels": audio.shape[0],
            "sample_rate": clip.sample_rate,
            "valid": not clip.problem,
            "problem": clip.problem,
            "sha256": hashlib.sha256(audio.tobytes()).hexdigest(),
        }
        stored.append((row, audio))
    return stored


def _as(audio, dtype):
    """int16 audio as float32 with full scale at 1 where the corpus is stored so; anything else as it is."""
    if audio.dtype == np.int16 and dtype == "float32":
        return audio.astype(np.float32) / np.float32(32768)
    return audio


def _check_usable(rows, on_bad_clip):
    bad = [f"{row['clip']} ({row['problem']})" for row in rows if not row["valid"]]
    if not bad:
        return
    few = "; ".join(bad[:5]) + ("; ..." if len(bad) > 5 else "")
    if len(bad) == len(rows):
        raise UserError(f"none of the {len(rows)} clips can be used: {few}; mend them, or choose another corpus")
    if on_bad_clip == "error":
        raise UserError(
            f"{len(bad)} of {len(rows)} clips cannot be used: {few}. Mend or remove them, or go on without them: "
            f"corpus.on_bad_clip: skip"
        )
    print(f"corpus: {len(bad)} of {len(rows)} clips cannot be used and are marked invalid: {'; '.join(bad)}")


def _table(rows, split):
    import pandas as pd

    table = pd.DataFrame(rows)
    table["split"] = assigned_splits(table, split)
    return table


def _report(table, rate):
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


if __name__ == "__main__":
    main()
