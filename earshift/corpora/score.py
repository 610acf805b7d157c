"""What the General MIDI corpus plays: short pieces, composed at random within the habits of four genres.

Conventions
-----------
Times are seconds from the beginning of the piece, pitches and velocities MIDI numbers, programs General MIDI numbers
from 0. A piece is composed bar by bar, so a longer one begins like a shorter one. What a genre offers (tempo, harmony,
accompanying programs) is the same for every instrument, so that no accompaniment tells which instrument it carries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")
Notes: TypeAlias = tuple[tuple[float, float, int, int], ...]  # start and stop in s, key, velocity

MAJOR, MINOR, DORIAN, MIXOLYDIAN = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
)


@dataclass(frozen=True)
class Instrument:
    """An IRMAS class as General MIDI plays it.

    label : str, the study's name of the class
    programs : dict of General MIDI program to its (lowest, highest) key
    textures : tuple of str, ways in which it carries a piece: "melody", "chords", "broken" (chords)
    """

    label: str
    programs: dict[int, tuple[int, int]]
    textures: tuple[str, ...] = ("melody",)


_GUITAR = (40, 79)
_VOICE = (53, 76)
INSTRUMENTS = {
    "cel": Instrument("cello", {42: (36, 67)}),
    "cla": Instrument("clarinet", {71: (50, 84)}),
    "flu": Instrument("flute", {73: (60, 91)}),
    "gac": Instrument("guitar_acc", {24: _GUITAR, 25: _GUITAR}, ("melody", "chords", "broken")),
    "gel": Instrument("guitar_ele", dict.fromkeys((26, 27, 28, 29, 30), _GUITAR), ("melody", "chords", "broken")),
    "org": Instrument("organ", dict.fromkeys((16, 17, 18, 19), (48, 84)), ("melody", "chords")),
    "pia": Instrument("piano", dict.fromkeys((0, 1, 2), (45, 91)), ("melody", "chords", "broken")),
    "sax": Instrument("saxophone", {64: (56, 85), 65: (49, 80), 66: (44, 75), 67: (37, 68)}),
    "tru": Instrument("trumpet", {56: (54, 82), 59: (54, 80)}),
    "vio": Instrument("violin", {40: (55, 93)}),
    "voi": Instrument("voice", {52: _VOICE, 53: _VOICE, 54: _VOICE}),
}


@dataclass(frozen=True)
class Style:
    """The habits of a genre.

    name : str, the study's name of the genre
    tempo : slowest and fastest, beats per minute
    scales, progressions : what harmony is drawn from; a progression gives the scale degree of each bar's chord
    tones : notes in a chord
    rhythms : how a bar of melody is divided, in beats
    swing : where in the beat its second half falls
    bass, chords : accompanying programs
    bass_beats, chord_beats : when in a bar they play; a chord lasts until the next
    kits : drum kits; empty where the style has no drums
    drums : (key, beats, velocity) of what the drummer plays in a bar
    """

    name: str
    tempo: tuple[float, float]
    scales: tuple[tuple[int, ...], ...]
    progressions: tuple[tuple[int, ...], ...]
    tones: int
    rhythms: tuple[tuple[float, ...], ...]
    swing: float
    bass: tuple[int, ...]
    bass_beats: tuple[float, ...]
    chords: tuple[int, ...]
    chord_beats: tuple[float, ...]
    kits: tuple[int, ...] = ()
    drums: tuple[tuple[int, tuple[float, ...], int], ...] = ()


_KICK, _STICK, _SNARE, _HAT, _PEDAL, _RIDE = 36, 37, 38, 42, 44, 51
_EIGHTHS = tuple(np.arange(0, 4, 0.5).tolist())
STYLES = {
    "cla": Style(
        name="classical",
        tempo=(66, 126),
        scales=(MAJOR, MINOR),
        progressions=((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (0, 1, 4, 0)),
        tones=3,
        rhythms=((1, 1, 1, 1), (2, 1, 1), (1, 0.5, 0.5, 1, 1), (1.5, 0.5, 1, 1), (0.5,) * 4 + (1, 1), (2, 2)),
        swing=0.5,
        bass=(43, 70, 58),
        bass_beats=(0, 2),
        chords=(48, 49, 44, 46, 6),
        chord_beats=(0, 2),
    ),
    "cou_fol": Style(
        name="country_folk",
        tempo=(84, 150),
        scales=(MAJOR, MIXOLYDIAN, DORIAN),
        progressions=((0, 3, 4, 0), (0, 0, 3, 4), (0, 5, 3, 4), (0, 3, 0, 4)),
        tones=3,
        rhythms=((1, 1, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (1.5, 0.5, 1, 1), (0.5,) * 8, (2, 1, 1)),
        swing=0.55,
        bass=(32, 33),
        bass_beats=(0, 2),
        chords=(25, 24, 105, 21, 22),
        chord_beats=(1, 1.5, 3, 3.5),
        kits=(0, 40),
        drums=((_KICK, (0, 2), 90), (_STICK, (1, 3), 80), (_HAT, _EIGHTHS, 50)),
    ),
    "pop_roc": Style(
        name="pop_roc",
        tempo=(88, 144),
        scales=(MAJOR, MINOR, MIXOLYDIAN),
        progressions=((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 6, 3, 0)),
        tones=3,
        rhythms=((1, 1, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (1.5, 1.5, 1), (0.75, 0.75, 0.5, 1, 1), (2, 2), (0.5,) * 8),
        swing=0.5,
        bass=(33, 34, 38),
        bass_beats=_EIGHTHS,
        chords=(4, 27, 29, 50, 89, 16, 0),
        chord_beats=(0, 1.5, 2.5),
        kits=(0, 8, 16),
        drums=((_KICK, (0, 2, 2.5), 105), (_SNARE, (1, 3), 100), (_HAT, _EIGHTHS, 65)),
    ),
    "jaz_blu": Style(
        name="jazz_blue",
        tempo=(84, 168),
        scales=(DORIAN, MIXOLYDIAN, MAJOR),
        progressions=((1, 4, 0, 0), (0, 3, 0, 4), (0, 5, 1, 4), (0, 0, 3, 0)),
        tones=4,
        rhythms=((0.5,) * 8, (1, 0.5, 0.5, 1, 1), (1.5, 0.5, 0.5, 0.5, 1), (0.5, 1, 0.5, 1, 1), (2, 1, 0.5, 0.5)),
        swing=0.64,
        bass=(32, 35),
        bass_beats=(0, 1, 2, 3),
        chords=(0, 4, 26, 11, 17),
        chord_beats=(0.5, 2.5),
        kits=(32, 40),
        drums=((_RIDE, (0, 1, 1.5, 2, 3, 3.5), 75), (_PEDAL, (1, 3), 70), (_KICK, (0, 2), 55)),
    ),
}


@dataclass(frozen=True)
class Part:
    """What one player plays.

    program : int, General MIDI program or drum kit
    drums : bool, whether `program` is a kit of the percussion bank
    pan : int, 0 (left) to 127 (right)
    notes : tuple of (start, stop, key, velocity)
    """

    program: int
    drums: bool
    pan: int
    notes: Notes


@dataclass(frozen=True)
class Score:
    """A piece.

    lead : Part, the predominant one
    accompaniment : tuple of Part
    tuning : float, semitones from concert pitch
    tempo : float, beats per minute
    texture : str, how the predominant part is set, of its instrument's textures
    """

    lead: Part
    accompaniment: tuple[Part, ...]
    tuning: float
    tempo: float
    texture: str


def compose(
    seeds: np.random.SeedSequence, *, instrument: Instrument, style: Style, program: int, drums: bool, seconds: float
) -> Score:
    """A piece for one instrument and its accompaniment.

    Parameters
    ----------
    seeds : np.random.SeedSequence
    instrument : Instrument, with `program` one of its programs
    style : Style
    program : int
    drums : bool, whether the style's drummer plays
    seconds : float, the piece lasts at least so long

    Returns
    -------
    Score
    """
    frame, lead, bass, chords, kit = (np.random.default_rng(s) for s in seeds.spawn(5))
    tempo = frame.uniform(*style.tempo)
    harmony = _Harmony(
        tonic=int(frame.integers(12)),
        scale=_draw(frame, style.scales),
        progression=_draw(frame, style.progressions),
        tones=style.tones,
    )
    clock = _Clock(beat=60 / tempo, swing=style.swing, bars=int(np.ceil(seconds * tempo / 240)))
    texture = _draw(frame, instrument.textures)
    tuning = frame.uniform(-0.3, 0.3)

    play = {"melody": _melody, "chords": _lead_chords, "broken": _broken_chords}[texture]
    lead_part = Part(program, False, int(lead.integers(44, 84)),
                     play(lead, harmony, clock, style=style, span=instrument.programs[program]))  # fmt: skip
    accompaniment = [
        _part(bass, style.bass, instrument, _bass(bass, harmony, clock, beats=style.bass_beats), pan=(54, 74)),
        _part(
            chords, style.chords, instrument, _chords(chords, harmony, clock, beats=style.chord_beats), pan=(20, 108)
        ),
    ]
    if drums:
        accompaniment.append(Part(_draw(kit, style.kits), True, 64, _drums(kit, clock, pattern=style.drums)))
    return Score(lead_part, tuple(accompaniment), tuning, tempo, texture)


@dataclass(frozen=True)
class _Clock:
    beat: float
    swing: float
    bars: int

    def seconds(self, bar: int, position: float) -> float:
        """When a position in a bar, in beats, sounds; what is within a beat leans towards its swung half."""
        whole, part = divmod(position, 1)
        bent = part * 2 * self.swing if part <= 0.5 else 1 - (1 - part) * 2 * (1 - self.swing)
        return (4 * bar + whole + bent) * self.beat


@dataclass(frozen=True)
class _Harmony:
    tonic: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]
    tones: int

    def scale_keys(self, low: int, high: int) -> list[int]:
        return [key for key in range(low, high + 1) if (key - self.tonic) % 12 in self.scale]

    def chord_classes(self, bar: int) -> list[int]:
        """Pitch classes of a bar's chord, the root first."""
        degree = self.progression[bar % len(self.progression)]
        return [(self.tonic + self.scale[(degree + 2 * i) % 7]) % 12 for i in range(self.tones)]

    def chord_keys(self, bar: int, low: int, high: int) -> list[int]:
        classes = self.chord_classes(bar)
        return [key for key in range(low, high + 1) if key % 12 in classes]


def deal(options: Sequence[T], place: int, seed: int, *key: int) -> T:
    """The option that falls to a place when all are shuffled and dealt, round after round: each equally often."""
    turn, at = divmod(place, len(options))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, *key, turn)))
    return options[int(rng.permutation(len(options))[at])]


def _draw(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _part(
    rng: np.random.Generator, programs: Iterable[int], instrument: Instrument, notes: Notes, *, pan: tuple[int, int]
) -> Part:
    others = tuple(p for p in programs if p not in instrument.programs)
    return Part(_draw(rng, others), False, int(rng.integers(*pan)), notes)


def _velocity(rng: np.random.Generator, base: float) -> int:
    return int(np.clip(round(rng.normal(base, 7)), 20, 127))


def _window(rng: np.random.Generator, low: int, high: int, width: int) -> tuple[int, int]:
    """A range of `width` semitones somewhere in an instrument's range: the register of a piece."""
    start = low + int(rng.integers(max(high - low - width, 0) + 1))
    return start, min(start + width, high)


def _melody(
    rng: np.random.Generator, harmony: _Harmony, clock: _Clock, *, style: Style, span: tuple[int, int]
) -> Notes:
    """A line that walks along the scale, meets the chord on strong beats and rarely rests."""
    low, high = _window(rng, *span, 16)
    keys = harmony.scale_keys(low, high)
    loudness, legato = rng.uniform(75, 112), rng.uniform(0.75, 1.0)
    at = int(rng.integers(len(keys)))
    notes: list[tuple[float, float, int, int]] = []
    for bar in range(clock.bars):
        chord = set(harmony.chord_keys(bar, low, high))
        position = 0.0
        for length in _draw(rng, style.rhythms):
            at = _reflect(at + int(rng.choice((-3, -2, -1, -1, 1, 1, 2, 3))), len(keys))
            if position in (0, 2):
                at = _nearest([i for i, key in enumerate(keys) if key in chord], at)
            start, end = clock.seconds(bar, position), clock.seconds(bar, position + length)
            velocity = _velocity(rng, loudness + 6 * (position in (0, 2)))
            if position == 0 or rng.random() > 0.07:
                notes.append((start, start + legato * (end - start), keys[at], velocity))
            position += length
    return tuple(notes)


def _nearest(indices: Iterable[int], at: int) -> int:
    return min(indices, key=lambda index: (abs(index - at), index))


def _reflect(index: int, count: int) -> int:
    index = abs(index)
    return min(index, max(2 * (count - 1) - index, 0))


def _lead_chords(
    rng: np.random.Generator, harmony: _Harmony, clock: _Clock, *, style: Style, span: tuple[int, int]
) -> Notes:
    """Block chords in the rhythm of a melody, four notes each."""
    low, high = _window(rng, *span, 19)
    loudness, legato = rng.uniform(70, 105), rng.uniform(0.7, 1.0)
    notes: list[tuple[float, float, int, int]] = []
    for bar in range(clock.bars):
        keys = harmony.chord_keys(bar, low, high)
        first = int(rng.integers(max(len(keys) - 4, 0) + 1))
        position = 0.0
        for length in _draw(rng, style.rhythms):
            start, end = clock.seconds(bar, position), clock.seconds(bar, position + length)
            for key in keys[first : first + 4]:
                notes.append((start, start + legato * (end - start), key, _velocity(rng, loudness)))
            position += length
    return tuple(notes)


def _broken_chords(
    rng: np.random.Generator, harmony: _Harmony, clock: _Clock, *, style: Style, span: tuple[int, int]
) -> Notes:
    """Chords note by note in eighths, each ringing on for a beat."""
    low, high = _window(rng, *span, 22)
    loudness = rng.uniform(75, 110)
    pattern = rng.integers(0, 8, 8)
    notes: list[tuple[float, float, int, int]] = []
    for bar in range(clock.bars):
        keys = harmony.chord_keys(bar, low, high)
        for step in range(8):
            start = clock.seconds(bar, step / 2)
            notes.append((start, start + clock.beat, keys[int(pattern[step]) % len(keys)], _velocity(rng, loudness)))
    return tuple(notes)


def _bass(rng: np.random.Generator, harmony: _Harmony, clock: _Clock, *, beats: tuple[float, ...]) -> Notes:
    """The chord's root on the first beat, its other tones after it."""
    loudness = rng.uniform(75, 100)
    notes: list[tuple[float, float, int, int]] = []
    for bar in range(clock.bars):
        classes = harmony.chord_classes(bar)
        for beat, until in zip(beats, (*beats[1:], 4), strict=True):
            pitch_class = classes[0] if beat == 0 or rng.random() < 0.5 else _draw(rng, classes)
            key = 28 + (pitch_class - 28) % 12
            start, end = clock.seconds(bar, beat), clock.seconds(bar, until)
            notes.append((start, start + 0.9 * (end - start), key, _velocity(rng, loudness)))
    return tuple(notes)


def _chords(rng: np.random.Generator, harmony: _Harmony, clock: _Clock, *, beats: tuple[float, ...]) -> Notes:
    """Close chords around middle C."""
    low = int(rng.integers(50, 60))
    loudness = rng.uniform(65, 95)
    notes: list[tuple[float, float, int, int]] = []
    for bar in range(clock.bars):
        keys = harmony.chord_keys(bar, low, low + 12)[: harmony.tones]
        for beat, until in zip(beats, (*beats[1:], 4), strict=True):
            start, end = clock.seconds(bar, beat), clock.seconds(bar, until)
            notes.extend((start, start + 0.9 * (end - start), key, _velocity(rng, loudness)) for key in keys)
    return tuple(notes)


def _drums(
    rng: np.random.Generator, clock: _Clock, *, pattern: tuple[tuple[int, tuple[float, ...], int], ...]
) -> Notes:
    return tuple(
        (clock.seconds(bar, beat), clock.seconds(bar, beat) + 0.1, key, _velocity(rng, velocity))
        for bar in range(clock.bars)
        for key, beats, velocity in pattern
        for beat in beats
    )
