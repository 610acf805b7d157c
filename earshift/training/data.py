"""What networks are trained and tested on: a corpus, mixed to one channel at their rate and packed once.

Conventions
-----------
Training data are a corpus like any other, the pipeline's own or another one of params.yaml. Its packed copy lies beside
the pipeline (paths.TRAINING), named by its content, and holds for each clip the mixture, and below it the predominant
part where the task needs stems. Samples are 16 bit. *Parts* are "train", "valid" and "test": the corpus' test clips are
never trained on; what it holds back itself for validation, else a share of its training recordings, is what training
stops by, the same in every trial; of the rest each trial draws its share. Recordings are never divided.
"""

import dataclasses
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from earshift.corpora.base import TAG_SEPARATOR, listed
from earshift.corpora.split import TEST, TRAIN
from earshift.corpora.split import VALID as HELD
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.corpus import packed
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.progress import Progress
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import remove_leftovers, require_space, write_table
from earshift.storage.packed_audio import AudioReader, AudioWriter
from earshift.storage.provenance import fingerprint, source_sha256
from earshift.training.excerpt import SAMPLE_RATE, mono

TRAINED, VALID, TESTED = "train", "valid", "test"
_CHUNK = 16  # clips per task
_FULL_SCALE = 32768


@dataclass(frozen=True)
class Material:
    """Clips and their audio.

    clips : pandas table with the rows of clips.csv that are valid and in a split; ``row`` is their place in the file
    audio : path of the packed audio, [shape=(1 or 2, samples)] per clip: mixture, predominant part
    whole : path of the corpus' own packed audio, at its own rate and with all its channels
    part : str [shape=(clips,)], "train", "valid", "test", or "" for what this trial did not draw
    digest : str, of all that the audio and the table say
    """

    clips: object
    audio: Path
    whole: Path
    part: np.ndarray
    digest: str

    def places(self, part):
        """Which clips belong to a part, by their place in the table."""
        return np.flatnonzero(self.part == part)

    def tag_table(self, vocabulary):
        """Which tags hold, bool [shape=(clips, tags)]."""
        found = [set(tags.split(TAG_SEPARATOR)) for tags in self.clips["tags"]]
        return np.array([[tag in tags for tag in vocabulary] for tags in found], dtype=bool).reshape(len(found), -1)


def source_of(params, corpus):
    """The corpus that a task trains on.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    corpus : str or None, its name; None for the pipeline's own

    Returns
    -------
    earshift.pipeline.config.CorpusParams
    """
    if corpus in (None, params.corpus.name):
        return params.corpus
    return dataclasses.replace(params.corpus, name=corpus, source=params.corpus.sources[corpus])


def identity(params, corpus):
    """What determines a corpus' clips, JSON-able; None for the pipeline's own, of which clips.csv says it.

    Raises
    ------
    UserError
        If the corpus cannot be used.
    """
    chosen = source_of(params, corpus)
    if chosen is params.corpus:
        return None
    recordings = listed(chosen.source, chosen.on_bad_clip)
    return {
        "corpus": chosen.name,
        "options": asdict(chosen.source),
        "split": asdict(chosen.split),
        "identity": chosen.source.identity(recordings),
    }


def material(params, corpus, plan, *, trial, stems=False, rate=SAMPLE_RATE):
    """The clips of a corpus, packed for training where they are not yet.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    corpus : str or None, as for :func:`source_of`
    plan : earshift.pipeline.config.Training or what has its seed, validation and draw
    trial : int, which draw of the training recordings
    stems : bool, whether the predominant part is needed
    rate : int, Hz

    Returns
    -------
    Material

    Raises
    ------
    UserError
        If the corpus cannot be used, has no stems where they are needed, or too few recordings.
    """
    chosen = source_of(params, corpus)
    clips = read_clips(paths.CLIPS) if chosen is params.corpus else _other(params, chosen)
    taken_apart = source_sha256(type(chosen.source)) if stems else None
    digest = fingerprint(audio=corpus_digest(clips), rate=rate, stems=taken_apart)
    path = paths.training_audio(digest)
    if not path.is_file():
        _pack(path, dataclasses.replace(params, corpus=chosen), clips, stems, rate)
    usable = clips["valid"].to_numpy(dtype=bool) & clips["split"].isin([TRAIN, HELD, TEST]).to_numpy()
    table = clips[usable].copy()
    table["row"] = np.flatnonzero(usable)
    table = table.reset_index(drop=True)
    part = parts(table, plan, trial=trial)
    rows = table[["clip", "group", "label", "tags"]].astype(str).to_numpy().tolist()
    known = fingerprint(audio=digest, rows=rows, part=part.tolist())
    return Material(table, path, corpus_audio_path(clips), part, known)


def parts(clips, plan, *, trial):
    """The part of every clip.

    The validation recordings are a systematic sample of the training recordings sorted by label, so that every label
    that has enough of them is on both sides.

    Parameters
    ----------
    clips : table with group, label and split ("train", "valid" or "test")
    plan : what has seed, validation and draw
    trial : int

    Returns
    -------
    str [shape=(clips,)]

    Raises
    ------
    UserError
        If a part would be empty.
    """
    part = np.select([clips["split"] == TEST, clips["split"] == HELD], [TESTED, VALID], "").astype(object)
    own = clips[clips["split"] == TRAIN]
    label = dict(zip(own["group"], own["label"], strict=True))
    rng = np.random.default_rng([plan.seed, 0])
    shuffled = sorted(label)
    rng.shuffle(shuffled)
    ordered = sorted(shuffled, key=label.get)  # stable: at random within a label
    share = 0 if (part == VALID).any() else plan.validation
    count = np.arange(len(ordered) + 1) * share
    held = {group for place, group in enumerate(ordered) if int(count[place + 1]) > int(count[place])}
    rest = [group for group in sorted(label) if group not in held]
    drawn = max(round(plan.draw * len(rest)), 1) if rest else 0
    taken = set(np.random.default_rng([plan.seed, 1, trial]).permutation(rest)[:drawn].tolist())
    groups = clips["group"].to_numpy(dtype=str)
    part[np.isin(groups, sorted(held)) & (part == "")] = VALID
    part[np.isin(groups, sorted(taken)) & (part == "")] = TRAINED
    part = part.astype(str)
    for name, what in ((TRAINED, "training"), (VALID, "validation"), (TESTED, "test")):
        if not (part == name).any():
            raise UserError(
                f"no {what} clips: the corpus has {len(label)} training recordings and "
                f"{int((clips['split'] == TEST).sum())} test clips; a share of {plan.validation:g} is held back for "
                "validation. Take a larger corpus"
            )
    return part


def _other(params, chosen):
    """clips.csv of a corpus that is not the pipeline's own, its audio packed where it is not yet."""
    about = fingerprint(**identity(params, chosen.name))
    path = paths.training_clips(about)
    if path.is_file():
        clips = read_clips(path)
        if corpus_audio_path(clips).is_file():
            return clips
    table, _ = packed(dataclasses.replace(params, corpus=chosen))
    write_table(path, table)
    return read_clips(path)


def _pack(path, params, clips, stems, rate):
    remove_leftovers(path.parent, shared=True)
    seconds = float(clips.loc[clips["valid"], "seconds"].sum())
    require_space(path.parent, round(seconds * rate * 2 * (2 if stems else 1)))
    source = params.corpus.source
    if stems:
        recordings = source.recordings()
        tasks = ((source, recording, rate) for recording in recordings)
        found = ordered_map(_separated, tasks, params.compute)
    else:
        audio = corpus_audio_path(clips)
        audio = audio if audio.is_file() else corpus_audio(params)
        tasks = ((audio, start, min(start + _CHUNK, len(clips)), rate) for start in range(0, len(clips), _CHUNK))
        found = ordered_map(_mixed, tasks, params.compute)
    part = path.with_name(f".packing.{os.getpid()}.tmp")
    try:
        with AudioWriter(part, dtype="int16") as writer, Progress("training audio", len(clips)) as progress:
            written = 0
            for waveforms in found:
                for waveform in waveforms:
                    writer.append(waveform, rate)
                written += len(waveforms)
                progress.advance(len(waveforms))
        if written != len(clips):
            raise UserError(
                f"corpus {params.corpus.name} gives {written} clips taken apart for the {len(clips)} of its table; "
                "run `dvc repro corpus`"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _mixed(audio, start, stop, wanted):
    with AudioReader(audio) as reader:
        return [_int16(mono(*reader[i], wanted)[None]) for i in range(start, stop)]


def _separated(source, recording, wanted):
    parts = source.separated(recording)
    if parts is None:
        raise UserError(
            f"corpus {source.name} has no stems, which separation needs; name one that has in "
            "training.separation.corpus: general_midi, musdb18"
        )
    rate = getattr(recording, "sample_rate", None) or source.sample_rate
    pairs = ((mono(lead + rest, rate, wanted), mono(lead, rate, wanted)) for lead, rest in parts)
    return [_int16(np.stack(pair)) for pair in pairs]


def _int16(audio):
    return np.clip(np.rint(audio * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
