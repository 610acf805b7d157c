"""MUSDB18: 150 tracks of popular music with their stems, cut into pieces of one length.

Conventions
-----------
Source: Rafii et al., 2017; Zenodo record 1117372 (stems in MP4) or, the same tracks uncompressed, record 3338373
(folders of WAV: MUSDB18-HQ). Which of the two lies in the folder is seen from its files. A track is a group, its split
the official one; its pieces are TRACK#1, TRACK#2 and so on. What is left at its end is dropped, and so are pieces that
are silent throughout. Taken apart, a piece is its vocals and what is left of the mixture without them.

MP4 stems are read by the package musdb, as evaluations by museval read them: it decodes to 16 bit with ffmpeg, without
which it cannot even be imported. Its class DB is not used, since it starts a process for every track before it lists
them; neither is it used for WAV, which needs no ffmpeg.
"""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from earshift.audio.reading import first_few, reason, wav_header
from earshift.corpora.base import DOWNLOADS, Clip, Corpus, Recordings, Stems
from earshift.corpora.checks import audio_problem
from earshift.corpora.places import Unreadable
from earshift.corpora.split import TEST, TRAIN, splits_by_group
from earshift.errors import UserError
from earshift.options import Interval, Text
from earshift.protocols import StrPath
from earshift.storage import provenance
from earshift.storage.hashes import hash_files

MIXTURE, VOCALS = "mixture", "vocals"
STREAMS = {MIXTURE: 0, VOCALS: 4}  # of an MP4, as in musdb's configs/mus.yaml
_STEMS = ".stem.mp4"
_TOOLS = ("ffmpeg", "ffprobe")
_CUT_SHORT = 8192  # samples that a decoder may leave at the ends of a stream: four frames of AAC at its longest

_WHERE = (
    "get MUSDB18 (zenodo.org/records/1117372) or MUSDB18-HQ (zenodo.org/records/3338373), as it is not fetched by "
    "itself, unpack it, and name the folder that holds train and test: -S corpus.musdb18.root=/data/musdb18hq"
)


@dataclass(frozen=True)
class Recording:
    """One track.

    track : str, its name, "ARTIST - TITLE"
    split : "train" or "test"
    path : str, the MP4, or the folder of WAV files
    problem : str, why it cannot be used by the headers of its WAV files; "" where it can
    """

    track: str
    split: str
    path: str
    problem: str

    @property
    def files(self) -> list[str]:
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

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        return self.root is not None and Path(self.root).expanduser().exists()

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
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

    def _root(self) -> Path:
        if self.root is None:
            raise UserError(f"corpus.musdb18.root is null; {_WHERE}")
        root = Path(self.root).expanduser()
        if not root.is_dir():
            what = "is a file" if root.is_file() else "does not exist"
            raise UserError(f"corpus.musdb18.root is {self.root!r}, which {what}; {_WHERE}")
        return root

    def problems(self, recordings: Recordings) -> list[str]:
        """Tracks whose WAV files are missing, no 16-bit WAV, or of different lengths."""
        bad = [f"{recording.track} ({recording.problem})" for recording in recordings if recording.problem]
        return [f"what cannot be used: {first_few(bad, 'tracks')}"] if bad else []

    def clips(self, recording: Recording) -> list[Clip]:
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

    def separate(self, recording: Recording) -> list[Stems]:
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
            predominant = _scale(_pad(vocals[:, start : start + length], length))
            pairs.append((predominant, _scale(np.asarray(piece.audio, dtype=np.int16)) - predominant))
        return pairs

    def _places(self, audio: NDArray[np.int16], sample_rate: int) -> dict[int, tuple[int, int]]:
        """Where the pieces lie that are not silent: (start, stop) in samples, by their numbers from 1."""
        length = round(self.clip_seconds * sample_rate)
        if audio.shape[1] < length:
            raise Unreadable(f"it lasts {audio.shape[1] / sample_rate:.3g} s, less than corpus.musdb18.clip_seconds")
        starts = {piece: (piece - 1) * length for piece in range(1, audio.shape[1] // length + 1)}
        places = {n: (at, at + length) for n, at in starts.items() if not audio_problem(audio[:, at : at + length])}
        if not places:
            raise Unreadable(audio_problem(audio) or "every piece of it is silent")
        return places

    def dtype(self, recordings: Recordings) -> str:
        return "int16"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        clips = samples = 0
        for recording in recordings:
            frames, channels, sample_rate = (0, 0, 0) if recording.problem else _format(recording)
            length = max(round(self.clip_seconds * sample_rate), 1)
            clips += max(frames // length, 1)
            samples += frames // length * length * channels
        return clips, samples

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        root = self._root()
        files = [file for recording in recordings for file in recording.files]
        rows = zip([Path(file).relative_to(root).as_posix() for file in files], hash_files(files), strict=True)
        packages = provenance.versions("musdb", "stempeg") if _is_mp4(recordings[0].path) else {}
        return {"tracks": len(recordings), "audio": provenance.fingerprint(files=list(rows)), "packages": packages}


# ------------------------------------------------------------------------------------------------------------- listing


def _tracks(folder: Path) -> list[Path]:
    """Paths of the tracks of a split by name: MP4 stems, and folders; nothing hidden."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(path for path in paths if _is_mp4(path) or path.is_dir())


def _is_mp4(path: StrPath) -> bool:
    return str(path).endswith(_STEMS)


def _name(path: Path) -> str:
    return path.name.removesuffix(_STEMS)


def _check_tools() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise UserError(
            f"MP4 stems of MUSDB18 are decoded by ffmpeg, and {' and '.join(missing)} cannot be found; install ffmpeg "
            "(apt-get install ffmpeg, brew install ffmpeg), or name the folder of MUSDB18-HQ, whose WAV files need none"
        )
    if importlib.util.find_spec("musdb") is None:
        raise UserError("MP4 stems of MUSDB18 are read by musdb, which is not installed; run `make repro`")


def _wav_problem(path: Path) -> str:
    """Why the WAV files of a track cannot be used, by their headers; "" where they can, and for MP4 stems."""
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


def _read(recording: Recording, stem: str) -> tuple[NDArray[np.int16], int]:
    """A stem of a whole track, int16 [shape=(channels, samples)], and its rate in Hz.

    Raises
    ------
    Unreadable
    """
    if _is_mp4(recording.path):
        return _decode(recording, stem)
    import soundfile

    try:
        audio, sample_rate = soundfile.read(Path(recording.path, f"{stem}.wav"), dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise Unreadable(f"{stem}.wav cannot be read: {reason(error)}") from error
    return audio.T, sample_rate


def _decode(recording: Recording, stem: str) -> tuple[NDArray[np.int16], int]:
    import musdb

    track = _open(recording)
    stream = track
    if stem != MIXTURE:
        stream = musdb.Source(track, name=stem, path=track.path, stem_id=STREAMS[stem])
    try:
        audio = np.round(stream.audio.T * 32768).astype(np.int16)  # musdb divides what ffmpeg gave it by 32768
    except (ValueError, RuntimeError, Warning) as error:  # as stempeg raises them, the warning too
        raise Unreadable(f"cannot be read: {error}") from error
    if audio.shape[1] < track.samples - _CUT_SHORT:
        raise Unreadable(f"cut short: ffmpeg decodes {audio.shape[1]} of {track.samples} samples")
    return audio, track.rate


def _open(recording: Recording) -> Any:
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


def _format(recording: Recording) -> tuple[int, int, int]:
    """Samples, channels and rate of a track, by its header; none where that cannot be read."""
    if _is_mp4(recording.path):
        try:
            track = _open(recording)
        except Unreadable:
            return 0, 0, 0
        return track.samples, track.info.channels(STREAMS[MIXTURE]), track.rate
    file = Path(recording.path, f"{MIXTURE}.wav")
    with open(file, "rb") as handle:
        header = wav_header(handle, file.stat().st_size)
    return header.frames, header.channels, header.sample_rate


def _pad(audio: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The end filled with zeros: streams of an MP4 may end a frame apart."""
    return np.pad(audio, ((0, 0), (0, length - audio.shape[1])))


def _scale(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    return audio.astype(np.float32) / np.float32(32768)
