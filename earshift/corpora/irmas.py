"""The training set of IRMAS: 6,705 excerpts of 3 s, each with its predominant instrument.

Conventions
-----------
Source: Bosch et al., ISMIR 2012; Zenodo record 1290750. A file lies in the folder of its instrument and its name says
the rest: [instrument], [dru] or [nod] or [---] (drums, none, not known) where that was noted, [genre], four digits for
the recording, two underscores, the excerpt; names with a drums flag begin with a number and two underscores. A clip is
called as its file without .wav, as in the study's tables; its group is the recording's four digits.

The archive is read in place, nothing is extracted. Genre lat_sou is left out, as in the study's script 2A.3. With a
split table, the corpus is exactly the clips that it names, split as it says: there is nothing left to balance.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from earshift.audio.reading import first_few, table
from earshift.corpora.base import DOWNLOADS, Clip, Corpus, Recordings
from earshift.corpora.checks import audio_problem
from earshift.corpora.places import Place, Unreadable, format_differences
from earshift.corpora.score import INSTRUMENTS, STYLES
from earshift.corpora.split import TEST, TRAIN, splits_by_group
from earshift.errors import UserError
from earshift.options import Text
from earshift.protocols import StrPath
from earshift.storage import downloads as remotes
from earshift.storage import hashes

ARCHIVE = remotes.Remote(
    file="IRMAS-TrainingData.zip",
    urls=("https://zenodo.org/records/1290750/files/IRMAS-TrainingData.zip",),
    hashes=(("md5", "4fd9f5ed5a18d8e2687e6360b5f60afe"),),  # as mirdata 1.0 pins it
)

# Clips per instrument, by the data set's page
OFFICIAL = {
    "cel": 388, "cla": 505, "flu": 451, "gac": 637, "gel": 760, "org": 682,
    "pia": 721, "sax": 626, "tru": 577, "vio": 580, "voi": 778,
}  # fmt: skip
LABELS = {code: instrument.label for code, instrument in INSTRUMENTS.items()}
GENRES = {code: style.name for code, style in STYLES.items()} | {"lat_sou": "latin_soul"}
LEFT_OUT = "latin_soul"

SAMPLE_RATE, CHANNELS, BITS, SECONDS = 44100, 2, 16, 3.0
_TOLERANCE = 0.1  # s: mirdata's copy of [cla][cla]0189__2 is a sample short of 3 s
_WAV_HEADER = 44  # bytes

_FOLDER = "IRMAS-TrainingData"
_NAME = re.compile(
    rf"(?:\d+__)?\[(?P<instrument>{'|'.join(OFFICIAL)})\](?:\[[^\[\]]*\])?\[(?P<genre>{'|'.join(GENRES)})\]"
    r"(?P<group>\d{4})__\d+",
    re.ASCII,
)
_COLUMNS = ("instrument", "genre", "file_name", "split")
_INDEX_COLUMNS = ("", "Unnamed: 0")  # as pandas writes and reads back an index


@dataclass(frozen=True)
class Name:
    """What the name of a clip says: its instrument's code, and group, label and genre as in clips.csv."""

    clip: str
    instrument: str
    group: str
    label: str
    genre: str


@dataclass(frozen=True)
class Recording:
    """One clip: IRMAS comes cut.

    place : Place, the archive, or the folder that holds the instruments' folders
    file : str, path in it
    name : Name
    split : str, "" where it is not given
    frames : int, samples per channel to expect
    problem : str, why it cannot be used by its header; "" where it can
    """

    place: Place
    file: str
    name: Name
    split: str
    frames: int
    problem: str


def parse_name(clip: str) -> Name | None:
    """:class:`Name` from the name of a clip, None where it is not a name of IRMAS."""
    match = _NAME.fullmatch(clip)
    if match is None:
        return None
    instrument = match["instrument"]
    return Name(clip, instrument, match["group"], LABELS[instrument], GENRES[match["genre"]])


@dataclass(frozen=True)
class Irmas(Corpus):
    """The training set of IRMAS, from the official archive or a folder with its content."""

    root: Text | None
    split_csv: Text | None

    name = "irmas"
    licence = (
        "IRMAS training data (J. Bosch, F. Fuhrmann, P. Herrera, Music Technology Group, Universitat Pompeu Fabra): "
        "CC BY-NC-SA 3.0, non-commercial; its page forbids redistribution and modification, so keep this audio, "
        "effected or not, out of shared remotes."
    )
    shareable = False

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        if self.root is None:
            return remotes.at_hand(ARCHIVE, downloads)
        return Path(self.root).expanduser().exists()

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
        """Clips in the order of their files, their headers read; the archive is fetched where it is missing.

        Raises
        ------
        UserError
            If the folder is not there, the archive cannot be had or is not safe to read, nothing in it is a clip, or
            the split table is wrong.
        """
        place = self._place(downloads)
        sizes = place.sizes()
        clips, others = _find_clips(sizes)
        if not clips:
            found = f"; it holds {first_few(others)}" if others else ""
            raise UserError(
                f"no clip of IRMAS in {place.path}{found}; corpus.irmas.root must name the folder {_FOLDER}, with one "
                f"folder per instrument ({', '.join(OFFICIAL)}), or the folder that it lies in"
            )
        shortfall = _shortfall(clips)
        if shortfall and remotes.allows_stand_ins():
            print(f"corpus irmas: {shortfall}; taken because {remotes.UNPINNED}=1", file=sys.stderr)
        splits = self._splits(clips.values())
        # What has the pinned hash is as it should be, whatever this module thinks of its headers
        trusted = place.archived and remotes.is_official(place.path, ARCHIVE)
        recordings = []
        for file, name in sorted(clips.items()):
            if name.clip in splits:
                size = sizes[file]
                frames, problem = (_usual_frames(size), "") if trusted else _header(place, file, size)
                recordings.append(Recording(place, file, name, splits[name.clip], frames, problem))
        return recordings

    def _splits(self, names: Iterable[Name]) -> dict[str, str]:
        """The clips that make the corpus, with their splits ("" where the table does not give them)."""
        if self.split_csv is not None:
            return _split_table(Path(self.split_csv).expanduser(), names)
        splits = {name.clip: "" for name in names if name.genre != LEFT_OUT}
        if not splits:
            raise UserError(f"corpus irmas has no clip but of genre {LEFT_OUT}, which is left out; take the whole set")
        return splits

    def _place(self, downloads: StrPath) -> Place:
        """The archive, or the folder that holds the instruments' folders."""
        if self.root is None:
            otherwise = "; or name its folder, unpacked, in corpus.irmas.root"
            return Place(remotes.fetch(ARCHIVE, downloads, otherwise=otherwise))
        root = Path(self.root).expanduser()
        if not root.is_dir():
            what = "is a file" if root.is_file() else "does not exist"
            raise UserError(
                f"corpus.irmas.root is {self.root!r}, which {what}; name the folder {_FOLDER}, or null to take "
                f"{ARCHIVE.file} from {remotes.MIRROR} or its official address"
            )
        return Place(root / _FOLDER if (root / _FOLDER).is_dir() else root)

    def problems(self, recordings: Recordings) -> list[str]:
        """Files that do not belong, clips missing or too many against the official counts, and unusable headers.

        With EARSHIFT_UNPINNED=1 the set is a stand-in, and how many clips it has does not matter.
        """
        place: Place = recordings[0].place
        clips, others = _find_clips(place.sizes())
        found = []
        shortfall = _shortfall(clips)
        if shortfall and not remotes.allows_stand_ins():
            found.append(f"{shortfall} ({remotes.UNPINNED}=1 takes a stand-in for the whole set)")
        if others:
            found.append(f"files that do not belong in {place.path}: {first_few(others)}")
        bad = [f"{recording.file} ({recording.problem})" for recording in recordings if recording.problem]
        if bad:
            found.append(f"clips that cannot be used: {first_few(bad, 'clips')}")
        return found

    def clips(self, recording: Recording) -> list[Clip]:
        """The clip, int16 [shape=(2, samples)] at 44.1 kHz, or why it cannot be used."""
        audio, sample_rate, problem = None, 0, recording.problem
        if not problem:
            try:
                audio, sample_rate = recording.place.wav_audio(recording.file)
                problem = audio_problem(audio)
            except Unreadable as error:
                problem = f"cannot be read: {error}"
        name = recording.name
        return [
            Clip(
                clip=name.clip,
                group=name.group,
                audio=None if problem else audio,
                sample_rate=sample_rate,
                label=name.label,
                genre=name.genre,
                split=recording.split,
                problem=problem,
            )
        ]

    def dtype(self, recordings: Recordings) -> str:
        return "int16"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        return len(recordings), CHANNELS * sum(recording.frames for recording in recordings)

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        place: Place = recordings[0].place
        audio = place.content_hash([recording.file for recording in recordings], [ARCHIVE])
        table = hashes.digest(Path(self.split_csv).expanduser()) if self.split_csv else None
        return {"clips": len(recordings), "audio": audio, "split_csv": table}


# ------------------------------------------------------------------------------------------------------------- listing


def _find_clips(files: Iterable[str]) -> tuple[dict[str, Name], list[str]]:
    """Clips by file, and other files with the reason why they are no clips."""
    clips: dict[str, Name] = {}
    others, seen = [], set()
    for file in sorted(files):
        parts = PurePosixPath(file).parts
        if parts[0] == _FOLDER:
            parts = parts[1:]
        if not parts or _ignored(parts):
            continue
        name, why = _clip_name(parts)
        if name and name.clip in seen:
            name, why = None, "a second clip of that name"
        if name is None:
            others.append(f"{file} ({why})")
        else:
            seen.add(name.clip)
            clips[file] = name
    return clips, others


def _ignored(parts: tuple[str, ...]) -> bool:
    """Whether a path is hidden, left there by macOS, or a note of the authors."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower().startswith("readme")


def _clip_name(parts: tuple[str, ...]) -> tuple[Name | None, str]:
    """(Name or None, why a file is no clip or "") from the parts of its path."""
    if len(parts) != 2 or parts[0] not in OFFICIAL:
        return None, "not in the folder of an instrument"
    file = PurePosixPath(parts[1])
    if file.suffix.lower() != ".wav":
        return None, "no .wav file"
    name = parse_name(file.stem)
    if name is None:
        return None, "no name of IRMAS"
    if name.instrument != parts[0]:
        return None, "in the folder of another instrument"
    return name, ""


def _shortfall(clips: Mapping[str, Name]) -> str:
    """How the number of clips differs from the official one, in words; "" where it does not."""
    counts = Counter(name.instrument for name in clips.values())
    wrong = [f"{code} {counts[code]} of {count}" for code, count in OFFICIAL.items() if counts[code] != count]
    if not wrong:
        return ""
    return f"{len(clips)} clips where IRMAS has {sum(OFFICIAL.values())}: {', '.join(wrong)}"


def _split_table(path: Path, names: Iterable[Name]) -> dict[str, str]:
    """The split of every clip that a table names.

    Raises
    ------
    UserError
        With all that is wrong: columns, clips that are not there or named twice, splits other than train and test,
        instruments or genres other than those of the clip's name, recordings on both sides.
    """
    columns, rows = table(path, "corpus.irmas.split_csv")
    columns = [column for column in columns if column not in _INDEX_COLUMNS]
    unknown = [column for column in columns if column not in _COLUMNS]
    if unknown or not {"file_name", "split"} <= set(columns) or len(set(columns)) < len(columns):
        raise UserError(
            f"corpus.irmas.split_csv: {path} has the columns {', '.join(columns) or 'none'}; it must have file_name "
            f"and split, may have instrument and genre, and nothing else"
        )
    known = {name.clip: name for name in names}
    splits: dict[str, str] = {}
    missing, twice, values, contradictions = [], [], [], []
    for number, row in rows:
        clip = re.sub(r"\.wav$", "", PurePosixPath(row["file_name"]).name, flags=re.IGNORECASE)
        if clip in splits:
            twice.append(clip)
        splits[clip] = row["split"]
        if row["split"] not in (TRAIN, TEST):
            values.append(f"row {number}: {row['split']!r}")
        name = known.get(clip)
        if name is None:
            missing.append(clip)
        elif (row.get("instrument", name.label), row.get("genre", name.genre)) != (name.label, name.genre):
            contradictions.append(f"row {number}: {clip} is {name.label}, {name.genre}")
    wrong = []
    if missing:
        wrong.append(f"names {first_few(missing, 'clips')}, not found among the {len(known)} that are there")
    if twice:
        wrong.append(f"names {first_few(twice, 'clips')} more than once")
    if values:
        wrong.append(f"has splits other than train and test: {first_few(values, 'rows')}")
    if contradictions:
        wrong.append(f"contradicts the names of its clips: {first_few(contradictions, 'rows')}")
    if not rows:
        wrong.append("names no clip")
    if wrong:
        raise UserError(f"corpus.irmas.split_csv: {path} {'; '.join(wrong)}; correct or drop these rows")
    splits_by_group([known[clip].group for clip in splits], splits.values(), where=f" in {path}")
    return splits


# ------------------------------------------------------------------------------------------------------------- reading


def _usual_frames(size: int) -> int:
    return max(size - _WAV_HEADER, 0) // (CHANNELS * BITS // 8)


def _header(place: Place, file: str, size: int) -> tuple[int, str]:
    """(samples per channel, "" or why it cannot be used) by the header of a clip."""
    try:
        header = place.wav_header(file, size)
    except Unreadable as error:
        return 0, f"cannot be read: {error}"
    found = format_differences(header, sample_rate=SAMPLE_RATE, channels=CHANNELS, bits=BITS)
    seconds = header.frames / header.sample_rate
    if header.frames < header.promised:
        found.append(f"cut short after {header.frames} of {header.promised} samples")
    elif abs(seconds - SECONDS) > _TOLERANCE:
        found.append(f"{seconds:.3f} s instead of {SECONDS:g}")
    return (0 if found else header.frames), ", ".join(found)
