"""MUSDB18: 150 tracks of popular music with their stems, cut into pieces of one length.

Conventions
-----------
Source: Rafii et al., 2017; Zenodo record 1117372 (stems in MP4) or, the same tracks uncompressed, record 3338373
(folders of WAV: MUSDB18-HQ). Which of the two lies in the folder is seen from its files. A track is a group, its split
the official one; its pieces are TRACK#1, TRACK#2 and so on. What is left at its end is dropped, and so are pieces that
are silent throughout. Taken apart, a piece is its vocals and what is left of the mixture without them.

MP4 stems are read by the package musdb, as evaluations by museval read them: it decodes to 16 bit with ffmpeg, without
which it cannot even be imported. Of its DB nothing is used, since that starts a process for every track before it says
which tracks there are; nor is it for WAV, which needs no ffmpeg.
"""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from earshift.audio.reading import first_few, reason, wav_header
from earshift.corpora.base import Clip, Corpus
from earshift.corpora.checks import unusable
from earshift.corpora.split import TEST, TRAIN, splits_by_group
from earshift.errors import UserError
from earshift.options import Interval, Text
from earshift.storage import provenance
from earshift.storage.hashes import remembered_sha256

MIXTURE, VOCALS = "mixture", "vocals"
STREAMS = {MIXTURE: 0, VOCALS: 4}  # of an MP4, as in musdb's configs/mus.yaml
_STEMS = ".stem.mp4"
_TOOLS = ("ffmpeg", "ffprobe")
_CUT_SHORT = 8192  # samples that a decoder may leave at the ends of a stream: four frames of AAC at its longest

_WHERE = (
    "get MUSDB18 (zenodo.org/records/1117372) or MUSDB18-HQ (zenodo.org/records/3338373), as it is not fetched by "
    "itself, unpack it, and name the folder that holds train and test: -S corpus.musdb18.root=/data/musdb18hq"
)


class Unreadable(Exception):
    """A track that cannot be read; the message says why."""


@dataclass(frozen=True)
class Recording:
    """One track.

    track : str, its name, "ARTIST - TITLE"
    split : "train" or "test"
    path : str, the MP4, or the folder of WAV files
    problem : str, what the headers of its WAV files say against it; "" for nothing
    """

    track: str
    split: str
    path: str
    problem: str

    @property
    def files(self):
        """Paths of what is read of it."""
        return [self.path] if _is_mp4(self.path) else [str(Path(self.path, f"{stem}.wav")) for stem in STREAMS]


@dataclass(frozen=True)
class Musdb18(Corpus):
    """The tracks of MUSDB18 or MUSDB18-HQ below a folder, whole or in part."""

    root: Text | None
    clip_seconds: Annotated[float, Interval(ge=0.5, le=60)]

    name = "musdb18"
    licence = (
        "MUSDB18 (Z. Rafii, A. Liutkus, F.-R. Stöter, S. I. Mimilakis, R. Bittner): for academic purposes only; its "
        "tracks have licences of their own, most of them CC BY-NC-SA, so keep this audio out of shared remotes."
    )
    shareable = False

    def at_hand(self):
        return self.root is not None and Path(self.root).expanduser().exists()

    def recordings(self):
        """Tracks by split and name. Reads the headers of WAV files.

        Raises
        ------
        UserError
            If the root is not named or not there, holds no track, both kinds of tracks or one in both splits, or if it
            holds MP4 stems and ffmpeg or musdb are missing.
        """
        root = self._root()
        found = [(split, path) for split in (TRAIN, TEST) for path in _tracks(root / split)]
        kinds = {_is_mp4(path) for _, path in found}
        if not kinds:
            raise UserError(
                f"no track of MUSDB18 in {root / TRAIN} or {root / TEST}: neither files NAME{_STEMS} nor folders with "
                f"{MIXTURE}.wav; {_WHERE}"
            )
        if len(kinds) > 1:
            raise UserError(
                f"{root} holds both MP4 stems and folders of WAV, so which is meant is not clear; keep them apart, and "
                "name one in corpus.musdb18.root"
            )
        if kinds == {True}:
            _check_tools()
        recordings = [Recording(_name(path), split, str(path), _wav_problem(path)) for split, path in found]
        splits_by_group([r.track for r in recordings], [r.split for r in recordings], where=f" in {root}")
        return recordings

    def _root(self):
        if self.root is None:
            raise UserError(f"corpus.musdb18.root is null; {_WHERE}")
        root = Path(self.root).expanduser()
        if not root.is_dir():
            what = "is a file" if root.is_file() else "does not exist"
            raise UserError(f"corpus.musdb18.root is {self.root!r}, which {what}; {_WHERE}")
        return root

    def problems(self, recordings):
        """Tracks whose WAV files are missing, no 16-bit WAV, or of different lengths."""
        bad = [f"{recording.track} ({recording.problem})" for recording in recordings if recording.problem]
        return [f"what cannot be used: {first_few(bad, 'tracks')}"] if bad else []

    def clips(self, recording):
        """The pieces of one track, int16 stereo; a single clip without audio where it has none that can be used."""
        try:
            if recording.problem:
                raise Unreadable(recording.problem)
            audio, sample_rate = _read(recording, MIXTURE)
            places = self._places(audio, sample_rate)
        except Unreadable as problem:
            return [Clip(clip=f"{recording.track}#1", group=recording.track, audio=None, sample_rate=0,
                         split=recording.split, problem=str(problem))]  # fmt: skip
        return [
            Clip(
                clip=f"{recording.track}#{piece}",
                group=recording.track,
                audio=audio[:, start:stop],
                sample_rate=sample_rate,
                split=recording.split,
            )
            for piece, (start, stop) in places.items()
        ]

    def separated(self, recording):
        """The pieces of one track taken apart: (vocals, the mixture without them) of each, float32 stereo.

        Raises
        ------
        UserError
            If its mixture can be used and its vocals cannot be read.
        """
        pieces = self.clips(recording)
        if pieces[0].problem:
            nothing = np.zeros((1, 0), dtype=np.float32)
            return [(nothing, nothing)]
        try:
            vocals, sample_rate = _read(recording, VOCALS)
        except Unreadable as problem:
            raise UserError(f"the vocals of {recording.path} cannot be used ({problem}); restore the file") from problem
        length = round(self.clip_seconds * sample_rate)
        pairs = []
        for piece in pieces:
            start = (int(piece.clip.rpartition("#")[2]) - 1) * length
            predominant = _scaled(_exactly(vocals[:, start : start + length], length))
            pairs.append((predominant, _scaled(piece.audio) - predominant))
        return pairs

    def _places(self, audio, sample_rate):
        """Where the pieces lie that are not silent: (start, stop) in samples, by their numbers from 1."""
        length = round(self.clip_seconds * sample_rate)
        if audio.shape[1] < length:
            raise Unreadable(f"it lasts {audio.shape[1] / sample_rate:.3g} s, less than corpus.musdb18.clip_seconds")
        starts = {piece: (piece - 1) * length for piece in range(1, audio.shape[1] // length + 1)}
        places = {n: (at, at + length) for n, at in starts.items() if not unusable(audio[:, at : at + length])}
        if not places:
            raise Unreadable(unusable(audio) or "every piece of it is silent")
        return places

    def dtype(self, recordings):
        return "int16"

    def extent(self, recordings):
        clips = samples = 0
        for recording in recordings:
            frames, channels, sample_rate = (0, 0, 0) if recording.problem else _format(recording)
            length = max(round(self.clip_seconds * sample_rate), 1)
            clips += max(frames // length, 1)
            samples += frames // length * length * channels
        return clips, samples

    def identity(self, recordings):
        root = self._root()
        files = [file for recording in recordings for file in recording.files]
        rows = zip([Path(file).relative_to(root).as_posix() for file in files], remembered_sha256(files), strict=True)
        packages = provenance.versions("musdb", "stempeg") if _is_mp4(recordings[0].path) else {}
        return {"tracks": len(recordings), "audio": provenance.fingerprint(files=list(rows)), "packages": packages}


# ------------------------------------------------------------------------------------------------------------- listing


def _tracks(folder):
    """Paths of the tracks of a split by name: MP4 stems, and folders; nothing hidden."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(path for path in paths if _is_mp4(path) or path.is_dir())


def _is_mp4(path):
    return str(path).endswith(_STEMS)


def _name(path):
    return path.name.removesuffix(_STEMS)


def _check_tools():
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise UserError(
            f"MP4 stems of MUSDB18 are decoded by ffmpeg, and {' and '.join(missing)} cannot be found; install ffmpeg "
            "(apt-get install ffmpeg, brew install ffmpeg), or name the folder of MUSDB18-HQ, whose WAV files need none"
        )
    if importlib.util.find_spec("musdb") is None:
        raise UserError("MP4 stems of MUSDB18 are read by musdb, which is not installed; run `make repro`")


def _wav_problem(path):
    """What speaks against the WAV files of a track, by their headers; "" for nothing, and for MP4 stems."""
    if _is_mp4(path):
        return ""
    headers = []
    for stem in STREAMS:
        file = path / f"{stem}.wav"
        try:
            with open(file, "rb") as handle:
                header = wav_header(handle, file.stat().st_size)
        except OSError as error:
            return f"{file.name}: {reason(error)}"
        except ValueError as error:
            return f"{file.name}: {error}"
        if header.bits != 16:
            return f"{file.name} has {header.bits} bits, not 16"
        if header.frames < header.promised:
            return f"{file.name} is cut short: {header.frames} of {header.promised} samples"
        headers.append((header.frames, header.channels, header.sample_rate))
    return "" if len(set(headers)) == 1 else f"{MIXTURE}.wav and {VOCALS}.wav differ in length, channels or rate"


# ------------------------------------------------------------------------------------------------------------- reading


def _read(recording, stem):
    """A stem of a whole track, int16 [shape=(channels, samples)], and its rate in Hz.

    Raises
    ------
    Unreadable
    """
    if _is_mp4(recording.path):
        return _decoded(recording, stem)
    import soundfile

    try:
        audio, sample_rate = soundfile.read(Path(recording.path, f"{stem}.wav"), dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise Unreadable(f"{stem}.wav cannot be read: {reason(error)}") from error
    return audio.T, sample_rate


def _decoded(recording, stem):
    track = _opened(recording)
    source = track if stem == MIXTURE else _source(track, stem)
    try:
        audio = np.round(source.audio.T * 32768).astype(np.int16)  # musdb divides what ffmpeg gave it by 32768
    except (ValueError, RuntimeError, Warning) as error:  # as stempeg raises them, the warning too
        raise Unreadable(f"cannot be read: {error}") from error
    if audio.shape[1] < track.samples - _CUT_SHORT:
        raise Unreadable(f"cut short: ffmpeg decodes {audio.shape[1]} of {track.samples} samples")
    return audio, track.rate


def _opened(recording):
    """musdb's view of a track, its header read."""
    import ffmpeg
    import musdb

    try:
        return musdb.MultiTrack(name=recording.track, path=recording.path, stem_id=STREAMS[MIXTURE], is_wav=False)
    except ffmpeg.Error as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise Unreadable(f"cannot be read: {last.removeprefix(recording.path).strip(' :')}") from error
    except (LookupError, ValueError) as error:
        raise Unreadable("cannot be read: it has no audio streams as MUSDB18 has them") from error


def _source(track, stem):
    import musdb

    return musdb.Source(track, name=stem, path=track.path, stem_id=STREAMS[stem])


def _format(recording):
    """Samples, channels and rate of a track, by its header; none where that cannot be read."""
    if _is_mp4(recording.path):
        try:
            track = _opened(recording)
        except Unreadable:
            return 0, 0, 0
        return track.samples, track.info.channels(STREAMS[MIXTURE]), track.rate
    file = Path(recording.path, f"{MIXTURE}.wav")
    with open(file, "rb") as handle:
        header = wav_header(handle, file.stat().st_size)
    return header.frames, header.channels, header.sample_rate


def _exactly(audio, length):
    """The end filled with zeros: streams of an MP4 may end a frame apart."""
    return np.pad(audio, ((0, 0), (0, length - audio.shape[1])))


def _scaled(audio):
    return audio.astype(np.float32) / np.float32(32768)
