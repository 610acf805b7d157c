"""Rendered music in the form of the IRMAS training set: a predominant instrument over a quieter accompaniment.

Conventions
-----------
A recording is one rendered piece, a group of the split; its excerpts are the clips. Everything about a piece follows
from the corpus' seed, the instrument and the piece's number alone. The mix of a piece sets the accompaniment's level
against the predominant part once, over the whole piece; then every excerpt gets the same loudness by itself, so that
no class can be recognised by its level.
"""

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from earshift.corpora.base import DOWNLOADS, Clip, Corpus, Recordings, Stems
from earshift.corpora.score import INSTRUMENTS, STYLES, Part, Score, compose, deal
from earshift.corpora.tags import tags
from earshift.errors import UserError
from earshift.options import Interval, Seed
from earshift.protocols import StrPath
from earshift.storage import provenance

SOUNDFONT = "TimGM6mb.sf2"
SOUNDFONT_SHA256 = "82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1"
_FONT_PACKAGE, _SYNTH_PACKAGE = "pretty_midi", "tinysoundfont"

_LEVEL_SPREAD = 2.0  # dB, how far a piece's accompaniment strays from the level that is asked for
_GAP = 0.5  # s, at most, between two excerpts of a piece
_KNEE = 0.9  # of full scale: what lies above is rounded off
_LOUDNESS_TOLERANCE = 0.02  # LU
_DRUM_CHANNEL = 9


@dataclass(frozen=True)
class Recording:
    """One piece: its number in the corpus (from 1) and among its instrument's, and what it is."""

    number: int
    piece: int
    instrument: str
    style: str
    program: int
    drums: bool

    @property
    def group(self) -> str:
        return f"{self.number:04d}"


@dataclass(frozen=True)
class GeneralMidi(Corpus):
    """Eleven instrument classes of IRMAS (Bosch et al., ISMIR 2012) in four of its five genres, from a soundfont.

    The fifth genre, lat_sou, is left out, as in the study's 2A.3_train_test_split.py. Clips are named as in IRMAS:
    [instrument][dru or nod][genre], the recording in four digits, two underscores, the excerpt.
    """

    seed: Seed
    pieces: Annotated[int, Interval(ge=1, le=909)]  # 11 instruments times 909 pieces still have four digits
    excerpts: Annotated[int, Interval(ge=1, le=99)]
    clip_seconds: Annotated[float, Interval(ge=0.5, le=60)]
    sample_rate: Annotated[int, Interval(ge=8000, le=192_000)]
    loudness: Annotated[float, Interval(ge=-60, le=-10)]
    accompaniment: Annotated[float, Interval(ge=-60, le=0)]

    name = "general_midi"
    licence = (
        f"Audio rendered from {SOUNDFONT} (GPL-2, as the package timgm6mb-soundfont of Debian states; shipped with "
        f"{_FONT_PACKAGE}); the compositions are random and carry no rights. Share it under the soundfont's terms."
    )

    def recordings(self, downloads: StrPath = DOWNLOADS) -> list[Recording]:
        """Pieces by number: the first of every instrument, then the second of every one, and so on.

        Raises
        ------
        UserError
            If the soundfont or the synthesizer is not installed, or the soundfont is not the pinned one.
        """
        require_synthesizer(self.name)
        return [self._recording(p, i) for p in range(self.pieces) for i in range(len(INSTRUMENTS))]

    def _recording(self, piece: int, instrument_index: int) -> Recording:
        code = list(INSTRUMENTS)[instrument_index]
        style = deal(tuple(STYLES), piece, self.seed, instrument_index, 0)
        return Recording(
            number=piece * len(INSTRUMENTS) + instrument_index + 1,
            piece=piece,
            instrument=code,
            style=style,
            program=deal(tuple(INSTRUMENTS[code].programs), piece, self.seed, instrument_index, 1),
            drums=bool(STYLES[style].kits) and deal((True, True, False), piece, self.seed, instrument_index, 2),
        )

    def clips(self, recording: Recording) -> list[Clip]:
        """The excerpts of one piece at ``loudness``, int16 stereo, with the tags of what plays in each."""
        score, style = self._score(recording), STYLES[recording.style]
        mix = np.add(*self.stems(recording))
        drums = "[dru]" if recording.drums else "[nod]"
        return [
            Clip(
                clip=f"[{recording.instrument}]{drums}[{recording.style}]{recording.group}__{excerpt}",
                group=recording.group,
                audio=self.match_loudness(mix[:, start:stop]),
                sample_rate=self.sample_rate,
                label=INSTRUMENTS[recording.instrument].label,
                genre=style.name,
                tags=tags(score, style, start=start / self.sample_rate, stop=stop / self.sample_rate),
            )
            for excerpt, (start, stop) in enumerate(self.places(recording), 1)
        ]

    def separate(self, recording: Recording) -> list[Stems]:
        """The excerpts of one piece taken apart: (predominant instrument, accompaniment) of each, float32 stereo.

        Both have the gain of the excerpt, sample by sample where its peaks are rounded off: they add up to its audio,
        to the rounding of 16 bits.
        """
        lead, accompaniment = self.stems(recording)
        pairs = []
        for start, stop in self.places(recording):
            own, others = lead[:, start:stop], accompaniment[:, start:stop]
            factor = self._factor(np.add(own, others))
            pairs.append(((own * factor).astype(np.float32), (others * factor).astype(np.float32)))
        return pairs

    def stems(self, recording: Recording) -> Stems:
        """The predominant instrument and its accompaniment over the whole piece, at the levels at which they are mixed.

        The RMS of the accompaniment, over both channels and the whole piece, lies ``accompaniment`` dB from that of
        the predominant part, give or take 2 dB that are the piece's own.

        Returns
        -------
        lead, accompaniment : float32 [shape=(2, samples)]
            Their sum is the mix that excerpts are cut from, before the loudness of each is matched.
        """
        score = self._score(recording)
        _, mix_seeds, _ = self._seeds(recording)
        samples = round(self._piece_seconds() * self.sample_rate)
        lead = render((score.lead,), score.tuning, samples=samples, sample_rate=self.sample_rate)
        accompaniment = render(score.accompaniment, score.tuning, samples=samples, sample_rate=self.sample_rate)
        level = self.accompaniment + np.random.default_rng(mix_seeds).uniform(-_LEVEL_SPREAD, _LEVEL_SPREAD)
        return lead, accompaniment * np.float32(10 ** (level / 20) * _rms(lead) / _rms(accompaniment))

    def _score(self, recording: Recording) -> Score:
        score_seeds, *_ = self._seeds(recording)
        return compose(
            score_seeds,
            instrument=INSTRUMENTS[recording.instrument],
            style=STYLES[recording.style],
            program=recording.program,
            drums=recording.drums,
            seconds=self._piece_seconds(),
        )

    def places(self, recording: Recording) -> list[tuple[int, int]]:
        """Where the excerpts lie in the piece: (start, stop) in samples, one after another, without overlap."""
        *_, cut_seeds = self._seeds(recording)
        gaps = np.random.default_rng(cut_seeds).uniform(0, _GAP, self.excerpts)
        length = round(self.clip_seconds * self.sample_rate)
        starts = [int((i * (self.clip_seconds + _GAP) + gap) * self.sample_rate) for i, gap in enumerate(gaps)]
        return [(start, start + length) for start in starts]

    def _piece_seconds(self) -> float:
        return self.excerpts * (self.clip_seconds + _GAP)

    def _seeds(self, recording: Recording) -> list[np.random.SeedSequence]:
        key = (0, list(INSTRUMENTS).index(recording.instrument), recording.piece)
        return np.random.SeedSequence(self.seed, spawn_key=key).spawn(3)

    def match_loudness(self, audio: NDArray[np.float32]) -> NDArray[np.int16]:
        """An excerpt at ``loudness`` LUFS (ITU-R BS.1770-4, both channels), as int16.

        Samples that would pass 90 % of full scale are rounded off towards it, and the gain is raised until the loudness
        holds again. So every clip of every class has the loudness that was asked for, and none clips.

        Parameters
        ----------
        audio : float32 [shape=(channels, samples)], not silent

        Returns
        -------
        int16 [shape=(channels, samples)]
        """
        shaped, _ = self._shape(audio)
        return np.minimum(np.round(shaped * 32768), 32767).astype(np.int16)

    def _factor(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """The gain of every sample of an excerpt in :meth:`match_loudness`, of its shape."""
        shaped, gain = self._shape(audio)
        factor = np.full(audio.shape, 10 ** (gain / 20))
        np.divide(shaped, audio, out=factor, where=audio != 0)
        return factor

    def _shape(self, audio: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """An excerpt at ``loudness``, before it is rounded, and the gain (dB) of samples below the knee."""
        meter = _meter(self.sample_rate)
        samples = audio.astype(np.float64)
        gain = float(self.loudness - meter.integrated_loudness(samples.T))
        for _ in range(60):
            shaped = _round_off(samples * 10 ** (gain / 20))
            short = self.loudness - meter.integrated_loudness(shaped.T)
            if abs(short) < _LOUDNESS_TOLERANCE:
                break
            gain += short
        return shaped, gain

    def dtype(self, recordings: Recordings) -> str:
        return "int16"

    def extent(self, recordings: Recordings) -> tuple[int, int]:
        clips = len(recordings) * self.excerpts
        return clips, clips * 2 * round(self.clip_seconds * self.sample_rate)

    def content_hashes(self, recordings: Recordings) -> dict[str, Any]:
        return {"soundfont": SOUNDFONT_SHA256, "packages": provenance.versions("numpy", "pyloudnorm", _SYNTH_PACKAGE)}


def _rms(audio: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def _round_off(audio: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.abs(audio)
    if size.max() <= _KNEE:
        return audio
    over = np.maximum(size - _KNEE, 0) / (1 - _KNEE)
    rounded: NDArray[np.float64] = np.sign(audio) * (np.minimum(size, _KNEE) + (1 - _KNEE) * np.tanh(over))
    return rounded


@functools.cache
def _meter(sample_rate: int) -> Any:
    import pyloudnorm

    return pyloudnorm.Meter(sample_rate)


# ------------------------------------------------------------------------------------------------------- the soundfont


@functools.cache
def find_soundfont() -> Path:
    """Path of the soundfont in the installed pretty_midi (which is not imported), its content checked.

    Raises
    ------
    UserError
        If it is not there or not the pinned file.
    """
    fix = f"reinstall it: pip install --force-reinstall --no-deps {_FONT_PACKAGE}==0.2.11.post0"
    spec = importlib.util.find_spec(_FONT_PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(f"corpus general_midi needs {SOUNDFONT} from {_FONT_PACKAGE}, which is not installed; {fix}")
    path = Path(spec.origin).with_name(SOUNDFONT)
    if not path.is_file():
        raise UserError(f"the soundfont {path} is missing from the installed {_FONT_PACKAGE}; {fix}")
    found = provenance.file_sha256(path)
    if found != SOUNDFONT_SHA256:
        raise UserError(
            f"the soundfont {path} has sha256 {found}, expected {SOUNDFONT_SHA256}: "
            f"it is damaged or another version; {fix}"
        )
    return path


def require_synthesizer(corpus: str) -> None:
    """Raise a UserError where the soundfont or the synthesizer of a corpus is not installed."""
    find_soundfont()
    if importlib.util.find_spec(_SYNTH_PACKAGE) is None:
        raise UserError(
            f"corpus {corpus} needs {_SYNTH_PACKAGE}, which is not installed; run "
            f"`make repro`, or `pip install --no-deps {_SYNTH_PACKAGE}` (its metadata asks for pyaudio, not needed)"
        )


@functools.cache
def _synth(sample_rate: int) -> Any:
    """A synthesizer with the soundfont loaded, once per process (loading takes as long as rendering a second)."""
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=sample_rate)
    return synth, synth.sfload(str(find_soundfont()))


def render(parts: Sequence[Part], tuning: float, *, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Some parts played together.

    Parameters
    ----------
    parts : sequence of Part, at most 16
    tuning : float, semitones from concert pitch
    samples : int, length to render
    sample_rate : int, Hz

    Returns
    -------
    float32 [shape=(2, samples)]
    """
    synth, font = _synth(sample_rate)
    synth.soundfonts[font].reset()
    _flush(synth)
    events = []
    for index, part in enumerate(parts):
        channel = _DRUM_CHANNEL if part.drums else index
        synth.program_select(channel, font, 0, part.program, part.drums)
        synth.control_change(channel, 10, part.pan)
        if not part.drums:
            synth.set_tuning(channel, tuning)
        for start, stop, key, velocity in part.notes:
            first, last = round(start * sample_rate), round(stop * sample_rate)
            events.append((first, 1, channel, key, velocity))
            events.append((last, 0, channel, key, 0))  # before a note that starts on the same sample: 0 sorts first
    buffer = bytearray(samples * 2 * 4)
    view, at = memoryview(buffer), 0
    for when, on, channel, key, velocity in sorted(events):
        if when >= samples:
            break
        if when > at:
            synth.generate(when - at, view[at * 8 : when * 8])
            at = when
        if on:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
    synth.generate(samples - at, view[at * 8 :])
    return np.frombuffer(buffer, dtype=np.float32).reshape(-1, 2).T.copy()


def _flush(synth: Any) -> None:
    """Let notes that still ring die away, so that a piece does not depend on the one before it."""
    while np.frombuffer(synth.generate(256), dtype=np.float32).any():
        pass
