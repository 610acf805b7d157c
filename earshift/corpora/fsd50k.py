"""FSD50K: 51,197 clips of 0.3 to 30 s from Freesound, each with all of 200 labels that hold for it.

Conventions
-----------
Source: Fonseca et al., IEEE/ACM TASLP 30, 2022; Zenodo record 4060432. The ground truth says it all: dev.csv and
eval.csv name the clips (the file without .wav, a number of Freesound) and their labels, to which every label above them
in the ontology has been added; vocabulary.csv names the labels. Development clips are in "train" or "valid" as dev.csv
says, evaluation clips are in "test". A clip is a group of its own, its labels are its tags, and it has no single class.

Mono, 44.1 kHz, 16 bit. Archives are read in place, in their parts; nothing is extracted.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from earshift.audio.reading import LARGEST_TABLE, first_few, table_in
from earshift.corpora.base import DOWNLOADS, TAG_SEPARATOR, Clip, Corpus, Recordings
from earshift.corpora.checks import audio_problem
from earshift.corpora.places import Place, Unreadable, file_size, format_differences
from earshift.corpora.split import TEST, TRAIN, VALID
from earshift.errors import UserError
from earshift.options import Text
from earshift.protocols import StrPath
from earshift.storage import downloads as remotes

GROUND_TRUTH, DEV, EVAL = "FSD50K.ground_truth", "FSD50K.dev_audio", "FSD50K.eval_audio"


def _remote(file: str, md5: str, size: int) -> remotes.Remote:
    return remotes.Remote(
        file=file,
        urls=(f"https://zenodo.org/records/4060432/files/{file}",),
        hashes=(("md5", md5),),
        size=size,
    )


# By folder, the archive with the directory last; hashes as soundata (soundata/datasets/fsd50k.py) pins them
ARCHIVES = {
    GROUND_TRUTH: (_remote("FSD50K.ground_truth.zip", "ca27382c195e37d2269c4c866dd73485", 334_701),),
    EVAL: (
        _remote("FSD50K.eval_audio.z01", "3090670eaeecc013ca1ff84fe4442aeb", 3_221_225_472),
        _remote("FSD50K.eval_audio.zip", "6fa47636c3a3ad5c7dfeba99f2637982", 3_037_675_767),
    ),
    DEV: (
        _remote("FSD50K.dev_audio.z01", "faa7cf4cc076fc34a44a479a5ed862a3", 3_221_225_472),
        _remote("FSD50K.dev_audio.z02", "8f9b66153e68571164fb1315d00bc7bc", 3_221_225_472),
        _remote("FSD50K.dev_audio.z03", "1196ef47d267a993d30fa98af54b7159", 3_221_225_472),
        _remote("FSD50K.dev_audio.z04", "d088ac4e11ba53daf9f7574c11cccac9", 3_221_225_472),
        _remote("FSD50K.dev_audio.z05", "81356521aa159accd3c35de22da28c7f", 3_221_225_472),
        _remote("FSD50K.dev_audio.zip", "c480d119b8f7a7e32fdb58f3ea4d6c5a", 2_306_663_327),
    ),
}
SAMPLE_RATE, CHANNELS, BITS = 44100, 1, 16
_WAV_HEADER = 44  # bytes, usually
_VOCABULARY = "vocabulary.csv"
_TABLES = {"dev.csv": (DEV, ("fname", "labels", "mids", "split")), "eval.csv": (EVAL, ("fname", "labels", "mids"))}
_SPLITS = {"train": TRAIN, "val": VALID}


@dataclass(frozen=True)
class Recording:
    """One clip.

    place : Place, the folder that holds the set's folders, or the archive that holds the clip
    ground_truth : Place, the same of the tables
    file : str, path in it
    clip, split : str
    tags : tuple of str
    frames : int, samples to expect
    problem : str, why it cannot be used by the tables and its header; "" where it can
    """

    place: Place
    ground_truth: Place
    file: str
    clip: str
    split: str
    tags: tuple[str, ...]
    frames: int
    problem: str


@dataclass(frozen=True)
class Fsd50k(Corpus):
    """FSD50K, from its official archives or a folder with their content."""

    root: Text | None

    name = "fsd50k"
    licence = (
        "FSD50K (E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra, Music Technology Group, Universitat Pompeu Fabra): "
        "CC BY 4.0 as a whole, every clip under its uploader's licence (CC0, CC BY, CC BY-NC or CC Sampling+), listed "
        "with its author in FSD50K.metadata; some forbid commercial use, and most ask for attribution."
    )
    shareable = False

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        if self.root is None:
            return all(remotes.at_hand(remote, downloads) for parts in ARCHIVES.values() for remote in parts)
        return Path(self.root).expanduser().exists()

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
        """Clips in the order of dev.csv and eval.csv, their headers read; archives are fetched where they are missing.

        Raises
        ------
        UserError
            If the folder is not there, an archive cannot be had or is not safe to read, a table is missing or is not
            what it should be, or a folder of audio has nothing in it.
        """
        places = self._places(downloads)
        vocabulary, tables = self._ground_truth(places[GROUND_TRUTH])
        sizes = self._audio(places)
        recordings = []
        for table, rows in tables.items():
            folder, _ = _TABLES[table]
            place = places[folder]
            # What has the pinned hashes is as it should be, whatever this module thinks of its headers
            trusted = place.is_official(ARCHIVES[folder])
            for row in rows:
                file = f"{folder}/{row['fname']}.wav"
                tags = tuple(sorted({label.strip() for label in row["labels"].split(",")} - {""}))
                frames, problem = 0, _labels_problem(tags, vocabulary)
                if file not in sizes[folder]:
                    problem = problem or "no audio"
                elif trusted:
                    frames = max(sizes[folder][file] - _WAV_HEADER, 0) // (CHANNELS * BITS // 8)
                else:
                    frames, heard = _header(place, file, sizes[folder][file])
                    problem = problem or heard
                split = _SPLITS[row["split"]] if "split" in row else TEST
                frames = 0 if problem else frames
                ground_truth = places[GROUND_TRUTH]
                recordings.append(Recording(place, ground_truth, file, row["fname"], split, tags, frames, problem))
        return recordings

    def _places(self, downloads: StrPath) -> dict[str, Place]:
        """Where each folder of the set lies: the folder that holds it, or its archive."""
        if self.root is not None:
            root = Path(self.root).expanduser()
            if not root.is_dir():
                what = "is a file" if root.is_file() else "does not exist"
                raise UserError(
                    f"corpus.fsd50k.root is {self.root!r}, which {what}; name the folder that holds {GROUND_TRUTH}, "
                    f"{DEV} and {EVAL}, or null to take the archives from {remotes.MIRROR} or their official address"
                )
            return dict.fromkeys(ARCHIVES, Place(root))
        otherwise = f"; or name a folder that holds {GROUND_TRUTH}, {DEV} and {EVAL}, unpacked, in corpus.fsd50k.root"
        places = {}
        for folder, archives in ARCHIVES.items():
            fetched = [remotes.fetch(remote, downloads, otherwise=otherwise) for remote in archives]
            apart = sorted({str(path.parent) for path in fetched})
            if len(apart) > 1:
                raise UserError(f"the parts of {folder} lie in {' and '.join(apart)}; move them into one folder")
            places[folder] = Place(fetched[-1])
        return places

    def _ground_truth(self, place: Place) -> tuple[set[str], dict[str, list[dict[str, str]]]]:
        """The labels of the vocabulary, and the rows of each table.

        Raises
        ------
        UserError
            With every table that is missing, or all that is wrong with the columns, names and splits of one.
        """
        there = place.sizes(GROUND_TRUTH)
        wanted = [f"{GROUND_TRUTH}/{name}" for name in (*_TABLES, _VOCABULARY)]
        missing = [file for file in wanted if file not in there]
        if missing:
            (remote,) = ARCHIVES[GROUND_TRUTH]
            raise UserError(
                f"{', '.join(missing)} missing in {place.path}; unpack {remote.file} there ({remote.urls[0]}, "
                f"{remote.pinned})"
            )
        content = {PurePosixPath(file).name: _table_content(place, file) for file in wanted}
        named = {name: f"{place.path}/{GROUND_TRUTH}/{name}" for name in content}
        # The vocabulary has no header
        head = b"index,label,mid\n"
        lines = content[_VOCABULARY].removeprefix(b"\xef\xbb\xbf")
        columns, rows = table_in(head + lines, named[_VOCABULARY], "corpus.fsd50k.root")
        vocabulary = {row["label"] for _, row in rows}
        if not vocabulary:
            raise UserError(f"{named[_VOCABULARY]} names no label; unpack {GROUND_TRUTH}.zip again")
        odd = [label for label in vocabulary if TAG_SEPARATOR in label]
        if odd:
            raise UserError(f"{named[_VOCABULARY]} has {first_few(odd, 'labels')} with {TAG_SEPARATOR}; rename them")
        tables = {name: _rows(content[name], named[name], columns) for name, (_, columns) in _TABLES.items()}
        both = {row["fname"] for row in tables["dev.csv"]} & {row["fname"] for row in tables["eval.csv"]}
        if both:
            raise UserError(
                f"dev.csv and eval.csv in {place.path} both name {first_few(sorted(both), 'clips')}; "
                "a clip is in one only"
            )
        return vocabulary, tables

    def _audio(self, places: Mapping[str, Place]) -> dict[str, dict[str, int]]:
        """Bytes of every file in each folder of audio, by path.

        Raises
        ------
        UserError
            If a folder has none.
        """
        sizes = {folder: places[folder].sizes(folder) for folder in (DEV, EVAL)}
        for folder, found in sizes.items():
            if not found:
                needed = "; ".join(f"{remote.file} (md5 {remote.hashes[0][1]})" for remote in ARCHIVES[folder])
                raise UserError(
                    f"no audio in {places[folder].path}/{folder}; unpack it there from {needed}, of "
                    "https://zenodo.org/records/4060432, or leave corpus.fsd50k.root null to have them fetched"
                )
        return sizes

    def problems(self, recordings: Recordings) -> list[str]:
        """Clips with unknown or no labels, without audio, empty or of another format, and audio without a row."""
        kinds: dict[str, list[str]] = {}
        for recording in recordings:
            if recording.problem:
                kind, _, detail = recording.problem.partition(": ")
                kinds.setdefault(kind, []).append(f"{recording.file} ({detail})" if detail else recording.file)
        found = [f"{kind}: {first_few(files, 'clips')}" for kind, files in sorted(kinds.items())]
        known = {recording.file for recording in recordings}
        places = {PurePosixPath(recording.file).parts[0]: recording.place for recording in recordings}
        unknown = [file for folder, place in places.items() for file in place.sizes(folder) if file not in known]
        if unknown:
            found.append(f"no row in dev.csv or eval.csv: {first_few(sorted(unknown))}")
        return found

    def clips(self, recording: Recording) -> list[Clip]:
        """The clip, int16 [shape=(1, samples)] at 44.1 kHz, or why it cannot be used."""
        audio, sample_rate, problem = None, 0, recording.problem
        if not problem:
            try:
                audio, sample_rate = recording.place.wav_audio(recording.file)
                problem = audio_problem(audio)
            except Unreadable as error:
                problem = f"not readable: {error}"
        return [
            Clip(
                clip=recording.clip,
                group=recording.clip,
                audio=None if problem else audio,
                sample_rate=sample_rate,
                split=recording.split,
                tags=recording.tags,
                problem=problem,
            )
        ]

    def dtype(self, recordings: Recordings) -> str:
        return "int16"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        return len(recordings), CHANNELS * sum(recording.frames for recording in recordings)

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        places = {PurePosixPath(recording.file).parts[0]: recording.place for recording in recordings}
        places[GROUND_TRUTH] = recordings[0].ground_truth
        found: dict[str, Any] = {"clips": len(recordings)}
        for folder, place in places.items():
            files = [] if place.archived else sorted(place.sizes(folder))
            found[folder] = place.content_hash(files, ARCHIVES[folder])
        return found


def _labels_problem(tags: Sequence[str], vocabulary: Collection[str]) -> str:
    unknown = [tag for tag in tags if tag not in vocabulary]
    if unknown:
        return f"labels that {_VOCABULARY} lacks: {', '.join(unknown)}"
    return "" if tags else "no labels"


def _rows(content: bytes, path: str, wanted: Sequence[str]) -> list[dict[str, str]]:
    """The rows of dev.csv or eval.csv."""
    columns, numbered = table_in(content, path, "corpus.fsd50k.root")
    if sorted(columns) != sorted(wanted):
        raise UserError(
            f"{path} has the columns {', '.join(columns) or 'none'}; they must be {', '.join(wanted)}, as in "
            f"{GROUND_TRUTH}.zip"
        )
    rows = [row for _, row in numbered]
    names = [row["fname"] for row in rows]
    twice = [name for name, count in Counter(names).items() if count > 1]
    odd = [repr(name) for name in names if not name or "/" in name or "\\" in name]
    splits = sorted({row["split"] for row in rows if "split" in row} - set(_SPLITS))
    wrong = [
        what
        for what, is_so in (
            ("names no clip", not rows),
            (f"names {first_few(twice, 'clips')} more than once", twice),
            (f"has names that are no file's: {first_few(odd, 'names')}", odd),
            (f"has splits other than {' and '.join(_SPLITS)}: {', '.join(map(repr, splits))}", splits),
        )
        if is_so
    ]
    if wrong:
        raise UserError(f"{path} {'; '.join(wrong)}; take it from {GROUND_TRUTH}.zip again")
    return rows


# ------------------------------------------------------------------------------------------------------------- reading


def _table_content(place: Place, file: str) -> bytes:
    path = place.path / file
    if not place.archived and (file_size(path) or 0) > LARGEST_TABLE:
        raise UserError(f"{path} is larger than {LARGEST_TABLE >> 20} MiB; unpack {GROUND_TRUTH}.zip again")
    try:
        return place.read(file)
    except Unreadable as error:
        raise UserError(f"{path} cannot be read ({error}); take {GROUND_TRUTH}.zip again") from error


def _header(place: Place, file: str, size: int) -> tuple[int, str]:
    """(samples, "" or why it cannot be used) by the header of a clip."""
    if not size:
        return 0, "empty"
    try:
        header = place.wav_header(file, size)
    except Unreadable as error:
        return 0, f"not readable: {error}"
    found = format_differences(header, sample_rate=SAMPLE_RATE, channels=CHANNELS, bits=BITS)
    if found:
        return 0, f"another format: {', '.join(found)}"
    if header.frames < header.promised:
        return 0, f"cut short: after {header.frames} of {header.promised} samples"
    return header.frames, "" if header.frames else "empty"
