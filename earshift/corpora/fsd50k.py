"""FSD50K: 51,197 clips of 0.3 to 30 s from Freesound, each with all of 200 labels that hold for it.

Conventions
-----------
Source: Fonseca et al., IEEE/ACM TASLP 30, 2022; Zenodo record 4060432. The ground truth says it all: dev.csv and
eval.csv name the clips (the file without .wav, a number of Freesound) and their labels, to which every label above them
in the ontology has been added; vocabulary.csv names the labels. Development clips are in "train" or "valid" as dev.csv
says, evaluation clips are in "test". A clip is a group of its own, its labels are its tags, and it has no single class.

Mono, 44.1 kHz, 16 bit. Archives are read in place, in their parts; nothing is extracted.
"""

import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from earshift.audio.reading import LARGEST_TABLE, files_below, first_few, reason, table_in, wav_header
from earshift.corpora import archive
from earshift.corpora.base import TAG_SEPARATOR, Clip, Corpus
from earshift.corpora.checks import unusable
from earshift.corpora.split import TEST, TRAIN, VALID
from earshift.errors import UserError
from earshift.options import Text
from earshift.pipeline import paths
from earshift.storage import downloads as fetch
from earshift.storage import hashes, provenance

GROUND_TRUTH, DEV, EVAL = "FSD50K.ground_truth", "FSD50K.dev_audio", "FSD50K.eval_audio"


def _remote(file, md5, size):
    return fetch.Remote(
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
_LARGEST = 16 << 20  # bytes; 30 s have 2.6 MB
_VOCABULARY = "vocabulary.csv"
_TABLES = {"dev.csv": (DEV, ("fname", "labels", "mids", "split")), "eval.csv": (EVAL, ("fname", "labels", "mids"))}
_SPLITS = {"train": TRAIN, "val": VALID}


@dataclass(frozen=True)
class Recording:
    """One clip.

    source : str, the folder that holds the set's folders, or the archive (its last part) that holds the clip
    file : str, path in it
    clip, split : str
    tags : tuple of str
    frames : int, samples to expect
    problem : str, what is wrong with it by the tables and its header; "" for nothing
    """

    source: str
    file: str
    clip: str
    split: str
    tags: tuple
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

    def at_hand(self):
        if self.root is None:
            return all(fetch.at_hand(remote, paths.DOWNLOADS) for parts in ARCHIVES.values() for remote in parts)
        return Path(self.root).expanduser().exists()

    def recordings(self):
        """Clips in the order of dev.csv and eval.csv, their headers read; archives are fetched where they are missing.

        Raises
        ------
        UserError
            If the folder is not there, an archive cannot be had or is not safe to read, a table is missing or is not
            what it should be, or a folder of audio has nothing in it.
        """
        places = self._places()
        vocabulary, tables = self._ground_truth(places[GROUND_TRUTH])
        sizes = self._audio(places)
        recordings = []
        for table, rows in tables.items():
            folder, _ = _TABLES[table]
            place = places[folder]
            # What has the pinned hashes is as it should be, whatever this module thinks of its headers
            trusted = place.is_file() and _official(place, ARCHIVES[folder])
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
                recordings.append(
                    Recording(str(place), file, row["fname"], split, tags, 0 if problem else frames, problem)
                )
        return recordings

    def _places(self):
        """Where each folder of the set lies: the folder that holds it, or its archive."""
        if self.root is not None:
            root = Path(self.root).expanduser()
            if not root.is_dir():
                what = "is a file" if root.is_file() else "does not exist"
                raise UserError(
                    f"corpus.fsd50k.root is {self.root!r}, which {what}; name the folder that holds {GROUND_TRUTH}, "
                    f"{DEV} and {EVAL}, or null to take the archives from {fetch.MIRROR} or their official address"
                )
            return dict.fromkeys(ARCHIVES, root)
        otherwise = f"; or name a folder that holds {GROUND_TRUTH}, {DEV} and {EVAL}, unpacked, in corpus.fsd50k.root"
        places = {}
        for folder, remotes in ARCHIVES.items():
            fetched = [fetch.fetched(remote, paths.DOWNLOADS, otherwise=otherwise) for remote in remotes]
            apart = sorted({str(path.parent) for path in fetched})
            if len(apart) > 1:
                raise UserError(f"the parts of {folder} lie in {' and '.join(apart)}; move them into one folder")
            places[folder] = fetched[-1]
        return places

    def _ground_truth(self, place):
        """The labels of the vocabulary, and the rows of each table.

        Raises
        ------
        UserError
            With every table that is missing, or all that is wrong with the columns, names and splits of one.
        """
        there = _sizes(place, GROUND_TRUTH)
        wanted = [f"{GROUND_TRUTH}/{name}" for name in (*_TABLES, _VOCABULARY)]
        missing = [file for file in wanted if file not in there]
        if missing:
            (remote,) = ARCHIVES[GROUND_TRUTH]
            raise UserError(
                f"{', '.join(missing)} missing in {place}; unpack {remote.file} there ({remote.urls[0]}, "
                f"{remote.identity})"
            )
        content = {PurePosixPath(file).name: _table_content(place, file) for file in wanted}
        named = {name: f"{place}/{GROUND_TRUTH}/{name}" for name in content}
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
                f"dev.csv and eval.csv in {place} both name {first_few(sorted(both), 'clips')}; a clip is in one only"
            )
        return vocabulary, tables

    def _audio(self, places):
        """Bytes of every file in each folder of audio, by path.

        Raises
        ------
        UserError
            If a folder has none.
        """
        sizes = {folder: _sizes(places[folder], folder) for folder in (DEV, EVAL)}
        for folder, found in sizes.items():
            if not found:
                needed = "; ".join(f"{remote.file} (md5 {remote.hashes[0][1]})" for remote in ARCHIVES[folder])
                raise UserError(
                    f"no audio in {places[folder]}/{folder}; unpack it there from {needed}, of "
                    "https://zenodo.org/records/4060432, or leave corpus.fsd50k.root null to have them fetched"
                )
        return sizes

    def problems(self, recordings):
        """Clips with unknown or no labels, without audio, empty or of another format, and audio without a row."""
        kinds = {}
        for recording in recordings:
            if recording.problem:
                kind, _, detail = recording.problem.partition(": ")
                kinds.setdefault(kind, []).append(f"{recording.file} ({detail})" if detail else recording.file)
        found = [f"{kind}: {first_few(files, 'clips')}" for kind, files in sorted(kinds.items())]
        known = {recording.file for recording in recordings}
        places = {PurePosixPath(recording.file).parts[0]: Path(recording.source) for recording in recordings}
        strangers = [file for folder, place in places.items() for file in _sizes(place, folder) if file not in known]
        if strangers:
            found.append(f"no row in dev.csv or eval.csv: {first_few(sorted(strangers))}")
        return found

    def clips(self, recording):
        """The clip, int16 [shape=(1, samples)] at 44.1 kHz, or why it cannot be used."""
        audio, sample_rate, problem = (None, 0, recording.problem) if recording.problem else _read(recording)
        problem = problem or unusable(audio)
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

    def dtype(self, recordings):
        return "int16"

    def extent(self, recordings):
        return len(recordings), CHANNELS * sum(recording.frames for recording in recordings)

    def identity(self, recordings):
        places = self._places()
        found = {"clips": len(recordings)}
        for folder, place in places.items():
            if place.is_file():
                remotes = ARCHIVES[folder]
                files = [place.with_name(remote.file) for remote in remotes]
                official = _official(place, remotes)
                known = [r.identity for r in remotes] if official else hashes.remembered_sha256(files)
                found[folder] = provenance.fingerprint(files=known)
                continue
            files = sorted(_sizes(place, folder))
            digests = hashes.remembered_sha256([place / file for file in files])
            found[folder] = provenance.fingerprint(files=[list(row) for row in zip(files, digests, strict=True)])
        return found


def _official(place, remotes):
    """Whether all parts of an archive are the pinned files."""
    return all(fetch.official(place.with_name(remote.file), remote) for remote in remotes)


def _labels_problem(tags, vocabulary):
    unknown = [tag for tag in tags if tag not in vocabulary]
    if unknown:
        return f"labels that {_VOCABULARY} lacks: {', '.join(unknown)}"
    return "" if tags else "no labels"


def _rows(content, path, wanted):
    """The rows of dev.csv or eval.csv."""
    columns, rows = table_in(content, path, "corpus.fsd50k.root")
    if sorted(columns) != sorted(wanted):
        raise UserError(
            f"{path} has the columns {', '.join(columns) or 'none'}; they must be {', '.join(wanted)}, as in "
            f"{GROUND_TRUTH}.zip"
        )
    rows = [row for _, row in rows]
    names = [row["fname"] for row in rows]
    seen = set()
    twice = [name for name in names if name in seen or seen.add(name)]
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


def _sizes(place, folder):
    """Bytes of every file in a folder of the set, by path below `place`, the folder or archive that holds it."""
    if place.is_file():
        members = archive.members(place, largest=_LARGEST)
        return {file: size for file, size in members.items() if PurePosixPath(file).parts[0] == folder}
    if not (place / folder).is_dir():
        return {}
    return {f"{folder}/{file}": _size(place / folder / file) for file in files_below(place / folder)}


def _size(path):
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _content(place, file):
    return archive.content(place, file) if place.is_file() else (place / file).read_bytes()


def _table_content(place, file):
    try:
        if not place.is_file() and _size(place / file) > LARGEST_TABLE:
            raise UserError(f"{place / file} is larger than {LARGEST_TABLE >> 20} MiB; unpack {GROUND_TRUTH}.zip again")
        return _content(place, file)
    except (archive.Damaged, OSError) as error:
        raise UserError(f"{place}/{file} cannot be read ({reason(error)}); take {GROUND_TRUTH}.zip again") from error


def _header(place, file, size):
    """(samples, "" or what is wrong with it) by the header of a clip."""
    if not size:
        return 0, "empty"
    try:
        with archive.opened(place, file) if place.is_file() else open(place / file, "rb") as opened:
            header = wav_header(opened, size)
    except (ValueError, archive.Damaged, OSError) as error:
        return 0, f"not readable: {reason(error)}"
    wanted = ((header.sample_rate, SAMPLE_RATE, "Hz"), (header.channels, CHANNELS, "ch"), (header.bits, BITS, "bit"))
    found = [f"{value} {unit} instead of {expected}" for value, expected, unit in wanted if value != expected]
    if found:
        return 0, f"another format: {', '.join(found)}"
    if header.frames < header.promised:
        return 0, f"cut short: after {header.frames} of {header.promised} samples"
    return header.frames, "" if header.frames else "empty"


def _read(recording):
    """(audio or None, sample rate or 0, problem or "") of a clip."""
    import soundfile

    try:
        content = _content(Path(recording.source), recording.file)
        audio, sample_rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, archive.Damaged, OSError) as error:
        return None, 0, f"not readable: {reason(error)}"
    return audio.T, sample_rate, ""
