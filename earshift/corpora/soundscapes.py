"""Short soundscapes with several true labels each: the soundfont's instruments, percussion and effects, mixed.

Conventions
-----------
A *sound* shares no recording with another sound: it is a key of a drum kit, or a range of keys of a General MIDI
program whose samples in the soundfont are its own; with ``folder``, a file. Sounds are first dealt to training and
test, of every label a share, and a clip mixes sounds of one side only: no recording is ever heard on both.

Labels form a tree as in FSD50K (Fonseca et al., IEEE/ACM TASLP 2022): the tags of a clip are the labels of all sounds
in it and everything above them. Its label is that of the sound that it is built around, which is never the softer one,
and its group is that sound. Everything about a clip follows from the corpus' seed and the clip's number, so more clips
leave the others as they are.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earshift.audio.reading import files_below, first_few, reason
from earshift.corpora.base import DOWNLOADS, TAG_SEPARATOR, Clip, Corpus, Recordings
from earshift.corpora.checks import audio_problem
from earshift.corpora.general_midi import SOUNDFONT, SOUNDFONT_SHA256, render, require_synthesizer
from earshift.corpora.score import Notes, Part, deal
from earshift.corpora.split import TEST, TRAIN
from earshift.errors import UserError
from earshift.options import Interval, Seed, Text
from earshift.protocols import StrPath
from earshift.storage import hashes, provenance

PARENTS = {
    "Bass_drum": "Drum", "Hand_drum": "Drum", "Snare_drum": "Drum", "Drum": "Percussion",
    "Hi-hat": "Cymbal", "Cymbal": "Percussion",
    "Marimba_and_xylophone": "Mallet_percussion", "Mallet_percussion": "Percussion",
    "Bell": "Percussion", "Rattle": "Percussion", "Wood_block": "Percussion", "Percussion": "Musical_instrument",
    "Organ": "Keyboard_(musical)", "Piano": "Keyboard_(musical)", "Keyboard_(musical)": "Musical_instrument",
    "Bass_guitar": "Plucked_string_instrument", "Guitar": "Plucked_string_instrument",
    "Plucked_string_instrument": "Musical_instrument",
    "Clarinet": "Wind_instrument", "Flute": "Wind_instrument", "Saxophone": "Wind_instrument",
    "Wind_instrument": "Musical_instrument",
    "Bowed_string_instrument": "Musical_instrument", "Brass_instrument": "Musical_instrument",
    "Clapping": "Human_sounds", "Singing": "Human_sounds",
    "Bird": "Natural_sounds", "Click": "Sounds_of_things",
}  # fmt: skip

_WINDOW = 0.1  # s: how loud a sound is, is how loud its loudest window is
_SHORTEST_SOUND = 0.3  # s that are left of a clip when a sound begins
_DENSITY = (1.5, 8.0)  # notes per second
_PEAKS = (-15.0, -1.0)  # dB of full scale, between which the peak of a clip lies
_STROKE = 0.1  # s that a key of a drum kit is held
_TAIL = 0.01  # s, fade of a recording that is cut
_AUDIO = {".aif", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav"}
_SYNTH_PACKAGE = "tinysoundfont"


@dataclass(frozen=True)
class Sound:
    """What is mixed into clips.

    name : str, unique
    label : str
    program : int, of the soundfont, a drum kit where ``drums``; -1 for a file
    drums : bool
    low, high : int, the keys that are played
    file : str, path below ``recordings``; "" for what the soundfont plays
    """

    name: str
    label: str
    program: int = -1
    drums: bool = False
    low: int = 0
    high: int = 0
    file: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its label and all above it; of a file, the names of its folders too."""
        found = [*PurePosixPath(self.file).parts[:-1], self.label]
        while found[-1] in PARENTS:
            found.append(PARENTS[found[-1]])
        return tuple(sorted(set(found)))


_How: TypeAlias = tuple[int, bool, int, int]  # program, drums, lowest and highest key


def _kit(*keys: int, kit: int = 0) -> tuple[_How, ...]:
    return tuple((kit, True, key, key) for key in keys)


def _keys(program: int, *ranges: tuple[int, int]) -> tuple[_How, ...]:
    return tuple((program, False, low, high) for low, high in ranges)


# By label, so that no two share a sample of the soundfont. What it has only once (the sea, a helicopter, ...) bears the
# label above it alone: a class of one recording could not be tested on another
_PLAYED = {
    "Bass_drum": _kit(36) + _kit(36, kit=25),
    "Snare_drum": _kit(38, 40) + _kit(38, kit=24),
    "Hand_drum": _kit(60, 61, 62, 63, 64, 65, 66),  # bongos, congas, timbales
    "Drum": _kit(41) + _keys(118, (40, 70)) + _keys(116, (45, 70)) + _keys(47, (40, 57)),  # toms, taiko, kettledrum
    "Hi-hat": _kit(42, 44, 46),
    "Cymbal": _kit(49, 51, 52, 53),  # crash, ride, China
    "Bell": _kit(56, 80, 81, 83, 84)  # cowbell, triangles, sleigh bells, bell tree
    + _keys(113, (60, 80)) + _keys(14, (55, 80)) + _keys(112, (60, 85)),  # agogo, tubular bell, tinkle bell
    "Rattle": _kit(54, 69, 70),  # tambourine, cabasa, maracas
    "Wood_block": _kit(31, 75, 76, 85),  # sticks, claves, wood block, castanets
    "Percussion": _kit(73, 74, 78, 79),  # guiro, cuica
    "Marimba_and_xylophone": _keys(12, (40, 54), (55, 80)) + _keys(13, (57, 86), (89, 100)),
    "Mallet_percussion": _keys(11, (50, 69), (70, 88)) + _keys(114, (50, 88), (92, 102))  # vibraphone, steel drum
    + _keys(9, (72, 95), (96, 106)) + _keys(8, (60, 90)),  # glockenspiel, celesta
    "Piano": _keys(0, (28, 44), (45, 57), (58, 69), (70, 86)),
    "Organ": _keys(16, (40, 84)) + _keys(17, (40, 78)) + _keys(19, (40, 80)),
    "Keyboard_(musical)": _keys(5, (40, 63), (64, 78)) + _keys(6, (36, 55), (56, 80)),  # electric piano, harpsichord
    "Guitar": _keys(24, (40, 56), (57, 79)) + _keys(25, (40, 61), (62, 84)) + _keys(26, (40, 60), (61, 80))
    + _keys(27, (48, 68)) + _keys(29, (40, 63)) + _keys(30, (40, 61)),
    "Bass_guitar": _keys(33, (28, 55)) + _keys(34, (28, 55)) + _keys(35, (39, 55)) + _keys(36, (38, 55)),
    "Plucked_string_instrument": _keys(46, (36, 48), (53, 88)) + _keys(104, (50, 75)) + _keys(105, (50, 63))
    + _keys(107, (50, 64), (65, 85)),  # harp, sitar, banjo, koto
    "Bowed_string_instrument": _keys(40, (55, 66), (67, 75), (76, 92)) + _keys(42, (45, 70)) + _keys(43, (28, 40)),
    "Brass_instrument": _keys(56, (52, 63), (64, 80)) + _keys(59, (54, 66), (67, 80)) + _keys(57, (40, 59), (60, 72))
    + _keys(58, (28, 44)) + _keys(61, (45, 70)),
    "Flute": _keys(73, (60, 68), (69, 80), (81, 93)) + _keys(74, (62, 88)) + _keys(77, (55, 80)),
    "Saxophone": _keys(64, (56, 70), (71, 86)) + _keys(65, (49, 63)) + _keys(66, (44, 64)) + _keys(67, (37, 60)),
    "Clarinet": _keys(71, (50, 63), (64, 72), (73, 88)),
    "Singing": _keys(52, (53, 61), (63, 69), (70, 79)) + _keys(53, (62, 68), (74, 86)) + _keys(85, (50, 76)),
    "Clapping": _kit(39) + _keys(126, (50, 70)),
    "Bird": _keys(123, (32, 48), (55, 80)),
    "Natural_sounds": _keys(122, (45, 75)),  # the sea
    "Whistle": _kit(71) + _keys(78, (58, 77)),
    "Click": _kit(32, 33),
    "Sounds_of_things": _keys(124, (50, 75)) + _keys(125, (45, 70)) + _keys(127, (45, 70)),  # phone, helicopter, gun
}  # fmt: skip
SOUNDS = tuple(
    Sound(f"{label}-{place}", label, *how) for label, several in _PLAYED.items() for place, how in enumerate(several, 1)
)


@dataclass(frozen=True)
class Recording:
    """One clip to be: its number from 1, split, length in samples, and its sounds, the one it is built around first."""

    number: int
    split: str
    samples: int
    sounds: tuple[Sound, ...]


@dataclass(frozen=True)
class Soundscapes(Corpus):
    """Mixtures of one or a few sounds, mono, 16 bit, of different lengths, with all their labels as tags."""

    seed: Seed
    count: Annotated[int, Interval(ge=2, le=99_999)]
    shortest: Annotated[float, Interval(ge=0.3, le=30)]
    longest: Annotated[float, Interval(ge=0.3, le=30)]
    sample_rate: Annotated[int, Interval(ge=8000, le=192_000)]
    sounds: Annotated[int, Interval(ge=1, le=6)]
    spread: Annotated[float, Interval(ge=0, le=40)]
    test: Annotated[float, Interval(ge=0.05, le=0.5)]
    folder: Text | None

    name = "soundscapes"
    licence = (
        f"Audio rendered from {SOUNDFONT} (GPL-2, as the package timgm6mb-soundfont of Debian states; shipped with "
        "pretty_midi) and mixed at random: share it under the soundfont's terms, and what has recordings of "
        "corpus.soundscapes.folder in it under theirs."
    )

    def at_hand(self, downloads: StrPath = DOWNLOADS) -> bool:
        return self.folder is None or Path(self.folder).expanduser().exists()

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
        """Clips by number.

        Raises
        ------
        UserError
            If the soundfont or the synthesizer is not installed, ``shortest`` lies above ``longest``, or the folder of
            recordings is not there, has a name that cannot be a tag, a file that cannot be read or a label with a
            single sound.
        """
        require_synthesizer(self.name)
        if self.shortest > self.longest:
            raise UserError(
                f"corpus.soundscapes.shortest is {self.shortest:g} s, longer than longest, {self.longest:g}; swap them"
            )
        sides = self.sides()
        numbers = {TRAIN: 0, TEST: 0}
        recordings = []
        for number in range(1, self.count + 1):
            # The same share of every stretch of clips, so that more of them leave the first ones where they are
            split = TEST if math.floor(number * self.test) > math.floor((number - 1) * self.test) else TRAIN
            recordings.append(self._recording(number, split, sides[split], numbers[split]))
            numbers[split] += 1
        return recordings

    def sides(self) -> dict[str, dict[str, tuple[Sound, ...]]]:
        """The sounds of each split, by label: {"train": {label: tuple of Sound}, "test": ...}.

        Of a label with several sounds, test has the share ``test``, at least one and not all; a single one trains.
        """
        by_label: dict[str, list[Sound]] = {}
        for sound in (*SOUNDS, *self._files()):
            by_label.setdefault(sound.label, []).append(sound)
        sides: dict[str, dict[str, tuple[Sound, ...]]] = {TRAIN: {}, TEST: {}}
        for label, sounds in by_label.items():
            held = min(max(round(self.test * len(sounds)), 1), len(sounds) - 1)
            order = self._rng(0, *label.encode()).permutation(len(sounds))
            for split, places in ((TEST, order[:held]), (TRAIN, order[held:])):
                if len(places):
                    sides[split][label] = tuple(sounds[place] for place in sorted(places))
        return sides

    def _files(self) -> list[Sound]:
        """The sounds of the folder: each has the names of the folders that it lies in as tags, the last as label."""
        if self.folder is None:
            return []
        root = Path(self.folder).expanduser()
        if not root.is_dir():
            raise UserError(
                f"corpus.soundscapes.folder is {self.folder!r}, which is no folder; name one with a folder of sounds "
                "per label, or null"
            )
        files = sorted(file for file in files_below(root) if PurePosixPath(file).suffix.lower() in _AUDIO)
        bare = [file for file in files if "/" not in file]
        odd = [file for file in files if TAG_SEPARATOR in file]
        torn = [f"{file} ({why})" for file in files if (why := _file_problem(root / file))]
        wrong = [
            f"{first_few(names)} {what}"
            for names, what in (
                (bare, "in no folder that names the label"),
                (odd, f"with the character {TAG_SEPARATOR} in the path"),
                (torn, "that cannot be read"),
            )
            if names
        ]
        sounds = [Sound(file, PurePosixPath(file).parent.name, file=file) for file in files if file not in bare]
        counts = {label: len(several) for label, several in _PLAYED.items()}
        for sound in sounds:
            counts[sound.label] = counts.get(sound.label, 0) + 1
        single = sorted({sound.label for sound in sounds if counts[sound.label] == 1})
        if single:
            wrong.append(f"a single sound of {first_few(single, 'labels')}, where training and test need one each")
        if not files:
            wrong.append(f"no file that ends in {', '.join(sorted(_AUDIO))}")
        if wrong:
            raise UserError(f"corpus.soundscapes.folder: {root} has {'; '.join(wrong)}; mend, move or remove them")
        return sounds

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _recording(self, number: int, split: str, side: Mapping[str, tuple[Sound, ...]], place: int) -> Recording:
        labels = tuple(side)
        side_key = (TRAIN, TEST).index(split)
        label = deal(labels, place, self.seed, side_key, 0)
        sounds = [deal(side[label], place // len(labels), self.seed, side_key, 1, *label.encode())]
        rng = self._rng(2, number)
        samples = round(math.exp(rng.uniform(math.log(self.shortest), math.log(self.longest))) * self.sample_rate)
        others = [other for other in labels if other != label]
        for other in rng.permutation(len(others))[: rng.integers(self.sounds)]:
            several = side[others[other]]
            sounds.append(several[rng.integers(len(several))])
        return Recording(number, split, samples, tuple(sounds))

    def clips(self, recording: Recording) -> list[Clip]:
        """The clip, int16 [shape=(1, samples)]."""
        rng = self._rng(3, recording.number)
        mix, problem = np.zeros(recording.samples), ""
        for place, sound in enumerate(recording.sounds):
            played = self._play(rng, sound, recording.samples)
            loudness = _loudness(played, self.sample_rate)
            if loudness == 0:
                problem = f"{sound.name} is silent"
                break
            mix += played / loudness * 10 ** (-(rng.uniform(0, self.spread) if place else 0) / 20)
        if not problem:
            mix *= 10 ** (rng.uniform(*_PEAKS) / 20) / np.abs(mix).max()
        audio = np.rint(mix[None] * 32767).astype(np.int16)
        problem = problem or audio_problem(audio)
        first = recording.sounds[0]
        return [
            Clip(
                clip=f"soundscape{recording.number:05d}",
                group=first.name,
                audio=None if problem else audio,
                sample_rate=self.sample_rate,
                label=first.label,
                split=recording.split,
                tags=tuple(sorted({tag for sound in recording.sounds for tag in sound.tags})),
                problem=problem,
            )
        ]

    def _play(self, rng: np.random.Generator, sound: Sound, samples: int) -> NDArray[np.float64]:
        """A sound somewhere in a clip, float64 [shape=(samples,)]."""
        seconds = samples / self.sample_rate
        start = rng.uniform(0, max(seconds - _SHORTEST_SOUND, 0) / 2)
        if not sound.file:
            part = Part(sound.program, sound.drums, 64, _notes(rng, sound, start, seconds))
            audio = render((part,), rng.uniform(-0.3, 0.3), samples=samples, sample_rate=self.sample_rate)
            mono: NDArray[np.float64] = audio.mean(axis=0, dtype=np.float64)
            return mono
        mono = np.zeros(samples)
        begin = round(start * self.sample_rate)
        heard = _excerpt(rng, Path(self.folder or "").expanduser() / sound.file, samples - begin, self.sample_rate)
        mono[begin : begin + len(heard)] = heard
        return mono

    def dtype(self, recordings: Recordings) -> str:
        return "int16"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        return len(recordings), sum(recording.samples for recording in recordings)

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        packages = provenance.versions("numpy", _SYNTH_PACKAGE)
        if self.folder is None:
            return {"soundfont": SOUNDFONT_SHA256, "packages": packages}
        root = Path(self.folder).expanduser()
        files = [sound.file for sound in self._files()]
        return {
            "soundfont": SOUNDFONT_SHA256,
            "packages": packages | provenance.versions("soxr"),
            "files": list(map(list, zip(files, hashes.hash_files([root / f for f in files]), strict=True))),
        }


def _notes(rng: np.random.Generator, sound: Sound, start: float, seconds: float) -> Notes:
    """What a sound plays from `start` on, s: at least one note."""
    gap = 1 / math.exp(rng.uniform(math.log(_DENSITY[0]), math.log(_DENSITY[1])))
    stop = rng.uniform(min(start + _SHORTEST_SOUND, seconds), seconds)
    loudness = rng.uniform(70, 115)
    notes: list[tuple[float, float, int, int]] = []
    at = start
    while not notes or at < stop:
        length = _STROKE if sound.drums else gap * rng.uniform(0.6, 1.3)
        velocity = int(np.clip(round(rng.normal(loudness, 7)), 30, 127))
        notes.append((at, at + length, int(rng.integers(sound.low, sound.high + 1)), velocity))
        at += gap * rng.uniform(0.7, 1.3)
    return tuple(notes)


def _loudness(audio: NDArray[np.float64], sample_rate: int) -> float:
    """RMS of the loudest window of 0.1 s."""
    window = min(round(_WINDOW * sample_rate), len(audio))
    energy = np.concatenate(([0.0], np.cumsum(audio**2)))
    return math.sqrt(max(float((energy[window:] - energy[:-window]).max()), 0.0) / window)


def _file_problem(path: Path) -> str:
    """Why a file is of no use, by its header; "" for nothing."""
    import soundfile

    try:
        return "" if soundfile.info(path).frames else "empty"
    except (soundfile.SoundFileError, OSError) as error:
        return reason(error)


def _excerpt(rng: np.random.Generator, path: Path, samples: int, sample_rate: int) -> NDArray[np.float64]:
    """A recording as one channel, or where it is longer a piece of it from a random place, faded out."""
    import soundfile
    import soxr

    stereo, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio: NDArray[np.float64] = soxr.resample(stereo.mean(axis=1), rate, sample_rate, quality="HQ").astype(np.float64)
    spare = len(audio) - samples
    if spare <= 0:
        return audio
    begin = int(rng.integers(spare + 1))
    audio = audio[begin : begin + samples]
    tail = min(round(_TAIL * sample_rate), samples)
    audio[samples - tail :] *= np.linspace(1, 0, tail)
    return audio
