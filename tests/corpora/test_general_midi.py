"""Rendered pieces: names, levels, independence. References: IRMAS' own description, BS.1770's closed form, numpy."""

import re
from collections import Counter
from itertools import product

import numpy as np
import pyloudnorm
import pytest

from earshift.corpora import general_midi, score
from earshift.corpora.general_midi import render
from earshift.corpora.score import INSTRUMENTS, STYLES, Part, Score, compose
from earshift.corpora.tags import tags
from earshift.errors import UserError

# IRMAS training set, its description: file names carry the predominant instrument, where annotated the presence (dru)
# or absence (nod) of drums, and the genre; then come the recording's number and, after two underscores, the excerpt's
IRMAS_NAME = re.compile(
    r"\[(?P<instrument>cel|cla|flu|gac|gel|org|pia|sax|tru|vio|voi)\]"
    r"(\[(?P<drums>dru|nod)\])?"
    r"\[(?P<genre>cou_fol|cla|pop_roc|lat_sou|jaz_blu)\]"
    r"(?P<recording>\d{4})__(?P<excerpt>\d+)"
)
# The study's names: its script 2A.3_train_test_split.py, instrument_align
LABELS = {
    "cla": "clarinet",
    "org": "organ",
    "cel": "cello",
    "vio": "violin",
    "gac": "guitar_acc",
    "voi": "voice",
    "gel": "guitar_ele",
    "sax": "saxophone",
    "tru": "trumpet",
    "pia": "piano",
    "flu": "flute",
}
GENRES = {"pop_roc": "pop_roc", "jaz_blu": "jazz_blue", "cla": "classical", "cou_fol": "country_folk"}


def rms(audio):
    return np.sqrt(np.mean(np.square(audio, dtype=np.float64)))


def test_listing_deals_every_genre_and_program_alike(midi):
    recordings = midi(pieces=8).recordings()
    assert [r.number for r in recordings] == list(range(1, 89))
    for code in LABELS:
        own = [r for r in recordings if r.instrument == code]
        assert Counter(r.style for r in own) == dict.fromkeys(GENRES, 2)
        programs = Counter(r.program for r in own)
        assert set(programs) == set(INSTRUMENTS[code].programs)
        assert max(programs.values()) - min(programs.values()) <= 1
    assert {r.drums for r in recordings if r.style == "cla"} == {False}
    assert {r.drums for r in recordings if r.style == "pop_roc"} == {True, False}


def test_names_labels_and_groups(midi):
    corpus = midi(pieces=1, excerpts=2, clip_seconds=0.5)
    seen = set()
    for recording in corpus.recordings():
        for excerpt, clip in enumerate(corpus.clips(recording), 1):
            name = IRMAS_NAME.fullmatch(clip.clip)
            assert clip.label == LABELS[name["instrument"]] and clip.genre == GENRES[name["genre"]]
            assert clip.group == name["recording"] and int(name["excerpt"]) == excerpt
            assert (name["drums"] == "dru") == recording.drums
            seen.add(name["instrument"])
    assert seen == set(LABELS)


def test_a_piece_depends_on_the_seed_and_itself_alone(midi):
    small, large = midi(pieces=2, clip_seconds=0.5), midi(pieces=3, clip_seconds=0.5)
    assert large.recordings()[:22] == small.recordings()
    recording = small.recordings()[13]
    first = [clip.audio for clip in small.clips(recording)]
    for other in large.recordings()[20:24]:  # whatever the synthesizer played before
        large.clips(other)
    again = [clip.audio for clip in large.clips(recording)]
    general_midi._synth.cache_clear()
    fresh = [clip.audio for clip in large.clips(recording)]
    for a, b, c in zip(first, again, fresh, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)

    other_seed = midi(pieces=2, clip_seconds=0.5, seed=1)
    assert not np.array_equal(other_seed.clips(recording)[0].audio, first[0])
    assert not np.array_equal(first[0], first[1])


def test_every_clip_has_the_loudness_and_none_clips(midi):
    corpus = midi(pieces=1, excerpts=2)
    meter = pyloudnorm.Meter(corpus.sample_rate)
    for recording in corpus.recordings():
        for clip in corpus.clips(recording):
            assert clip.audio.shape == (2, 132300) and clip.audio.dtype == np.int16
            assert meter.integrated_loudness(clip.audio.T / 32768) == pytest.approx(corpus.loudness, abs=0.1)
            assert np.abs(clip.audio.astype(int)).max() < 0.95 * 32767


def test_level_of_a_tone_is_that_of_the_standard(midi):
    """BS.1770-4: a full-scale 997 Hz sine in one of two channels reads -3.01 LKFS, in both 0.00 (to 0.1 dB)."""
    tone = 0.7 * np.sin(2 * np.pi * 997 * np.arange(3 * 44100) / 44100)
    both = midi(loudness=-20).match_loudness(np.stack([tone, tone]).astype(np.float32))
    assert np.abs(both).max() / 32768 == pytest.approx(10 ** (-20 / 20), rel=0.01)
    one = midi(loudness=-23).match_loudness(np.stack([tone, 0 * tone]).astype(np.float32))
    assert np.abs(one[0]).max() / 32768 == pytest.approx(10 ** (-19.99 / 20), rel=0.01)


@pytest.mark.parametrize("loudness", [-10, -60])
def test_loudness_holds_where_peaks_must_be_rounded_off(midi, loudness, rng):
    corpus = midi(loudness=loudness)
    bursts = rng.normal(0, 1, (2, 3 * 44100)) * np.exp(-(np.arange(3 * 44100) % 11025) / 150)
    matched = corpus.match_loudness(bursts.astype(np.float32))
    loud = pyloudnorm.Meter(44100).integrated_loudness(matched.T / 32768)
    assert loud == pytest.approx(loudness, abs=0.2)
    assert np.abs(matched.astype(int)).max() <= 32768
    order = np.argsort(bursts[0])  # what is rounded off still rises with what it was
    assert (np.diff(matched[0][order].astype(int)) >= 0).all()


def test_what_stays_below_the_knee_is_only_scaled(midi):
    corpus = midi(pieces=1)
    recording = corpus.recordings()[0]
    start, stop = corpus.places(recording)[0]
    mix = np.add(*corpus.stems(recording))[:, start:stop].astype(np.float64)
    stored = corpus.clips(recording)[0].audio.astype(np.float64)
    scale = (stored * mix).sum() / (mix * mix).sum()
    assert np.abs(stored - scale * mix).max() < 0.55  # half a step, and what the fit of the scale costs


def test_clips_are_stems_added_up(midi):
    """Least squares over the two stems finds one gain for both, and leaves rounding alone."""
    corpus = midi(pieces=1, clip_seconds=1.0)
    for recording in corpus.recordings():
        lead, accompaniment = corpus.stems(recording)
        assert lead.dtype == accompaniment.dtype == np.float32 and lead.shape == accompaniment.shape
        for clip, (start, stop) in zip(corpus.clips(recording), corpus.places(recording), strict=True):
            stems = np.stack([lead[:, start:stop].ravel(), accompaniment[:, start:stop].ravel()]).astype(np.float64)
            audio = clip.audio.ravel().astype(np.float64)
            gains = np.linalg.lstsq(stems.T, audio, rcond=None)[0]
            assert gains[0] == pytest.approx(gains[1], rel=1e-2)
            assert rms(audio - gains @ stems) < 0.35  # rounding to whole steps: 1 / sqrt(12) = 0.29


@pytest.mark.parametrize("loudness", [-20, -10])
def test_stems_of_a_clip_have_its_loudness(midi, loudness):
    """Each stem is its part of the mix times what the clip as a whole was matched by, rounded-off peaks included."""
    corpus = midi(pieces=1, excerpts=1, clip_seconds=0.5, loudness=loudness)
    recording = corpus.recordings()[10]  # a voice, whose peaks pass the knee at -10 LUFS
    (clip,), ((predominant, accompaniment),) = corpus.clips(recording), corpus.separate(recording)
    peaks = np.abs(clip.audio.astype(int)) > 0.9 * 32768
    assert peaks.any() == (loudness == -10)
    np.testing.assert_allclose((predominant + accompaniment) * 32768, clip.audio, rtol=0, atol=0.51)
    start, stop = corpus.places(recording)[0]
    stems = [stem[:, start:stop] for stem in corpus.stems(recording)]
    for matched, stem in zip((predominant, accompaniment), stems, strict=True):
        sounding = np.abs(stem) > 1e-6
        factor = matched[sounding] / stem[sounding]
        usual = np.median(factor)
        np.testing.assert_allclose(factor[~peaks[sounding]], usual, rtol=1e-4)
        rounded_off = factor[peaks[sounding]] / usual
        assert loudness == -20 or (rounded_off.max() < 1.0001 and rounded_off.min() < 0.995)


def test_level_of_the_accompaniment(midi):
    ratios = []
    for level in (-9, -15):
        corpus = midi(pieces=1, clip_seconds=0.5, accompaniment=level)
        stems = [corpus.stems(recording) for recording in corpus.recordings()]
        ratios.append(np.array([20 * np.log10(rms(b) / rms(a)) for a, b in stems]))
        assert (np.abs(ratios[-1] - level) <= 2.0001).all() and np.ptp(ratios[-1]) > 1
    np.testing.assert_allclose(ratios[0] - ratios[1], 6, atol=1e-4)


def test_the_named_instrument_predominates_in_every_excerpt(midi):
    corpus = midi(pieces=2)
    for recording in corpus.recordings():
        lead, accompaniment = corpus.stems(recording)
        for start, stop in corpus.places(recording):
            assert rms(lead[:, start:stop]) > 1.2 * rms(accompaniment[:, start:stop])


def test_excerpts_do_not_overlap(midi):
    corpus = midi(pieces=3, excerpts=5)
    for recording in corpus.recordings():
        places = corpus.places(recording)
        assert len(places) == 5 and places[0][0] >= 0
        assert all(stop - start == 132300 for start, stop in places)
        assert all(a[1] <= b[0] for a, b in zip(places, places[1:], strict=False))
    assert places[-1][1] <= corpus.stems(recording)[0].shape[1]


def test_other_rates_and_lengths(midi):
    corpus = midi(pieces=1, excerpts=1, clip_seconds=1.5, sample_rate=22050)
    (clip,) = corpus.clips(corpus.recordings()[4])
    assert clip.audio.shape == (2, 33075) and clip.sample_rate == 22050


# ------------------------------------------------------------------------------------------------- scores and rendering


def spectrum_peak(audio, rate):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    return np.argmax(spectrum) * rate / (1 << 18)


def flute_pitch(key, tuning):
    part = Part(73, False, 64, ((0.5, 2.0, key, 100),))
    audio = render((part,), tuning, samples=88200, sample_rate=44100)
    assert not audio[:, :22050].any() and audio[:, 22050:24000].any()
    return spectrum_peak(audio[0, 30000:80000], 44100)


def test_a_key_sounds_at_its_pitch():
    """Equal temperament: 440 Hz times 2^((key - 69 + tuning) / 12), to the flute's vibrato."""
    assert flute_pitch(69, 0.0) == pytest.approx(440, rel=0.01)
    assert flute_pitch(81, 0.0) == pytest.approx(880, rel=0.01)
    assert flute_pitch(69, 0.3) / flute_pitch(69, 0.0) == pytest.approx(2 ** (0.3 / 12), rel=1e-3)


def test_drums_and_panning():
    hat = Part(0, True, 64, ((0.0, 0.1, 42, 100),))
    left = Part(73, False, 0, ((0.0, 0.5, 69, 100),))
    drums = render((hat,), 0.0, samples=22050, sample_rate=44100)
    assert spectrum_peak(drums[0], 44100) > 2000
    flute = render((left,), 0.0, samples=22050, sample_rate=44100)
    assert rms(flute[0]) > 10 * rms(flute[1])


def test_parts_add_up():
    """To what the synthesizer's blocks make of it: envelopes step at every event, whichever part it belongs to."""
    one = Part(73, False, 64, ((0.0, 0.5, 69, 100),))
    two = Part(42, False, 40, ((0.1, 0.5, 50, 90),))
    together = render((one, two), 0.1, samples=22050, sample_rate=44100)
    apart = sum(render((part,), 0.1, samples=22050, sample_rate=44100) for part in (one, two))
    assert rms(together - apart) < 0.005 * rms(together)


def score_of(code, style, seconds, *, seed=3):
    instrument = INSTRUMENTS[code]
    return compose(
        np.random.SeedSequence(seed),
        instrument=instrument,
        style=STYLES[style],
        program=next(iter(instrument.programs)),
        drums=bool(STYLES[style].kits),
        seconds=seconds,
    )


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("code", INSTRUMENTS)
def test_scores_are_playable(code, style):
    """Keys in the instrument's range, no note without length, no pause longer than two bars, no double beside it."""
    for seed in range(5):
        piece = score_of(code, style, 8.0, seed=seed)
        low, high = next(iter(INSTRUMENTS[code].programs.values()))
        assert all(low <= key <= high for _, _, key, _ in piece.lead.notes)
        for part in (piece.lead, *piece.accompaniment):
            assert all(0 <= start < stop and 1 <= velocity <= 127 for start, stop, _, velocity in part.notes)
            assert min(start for start, *_ in part.notes) < 1
        starts = sorted(start for start, *_ in piece.lead.notes)
        assert max(np.diff(starts)) < 2 * 4 * 60 / STYLES[style].tempo[0] and starts[-1] > 8 - 4 * 60 / 66
        playing = [part.program for part in piece.accompaniment if not part.drums]
        assert not set(playing) & set(INSTRUMENTS[code].programs)


def test_a_longer_piece_begins_like_a_shorter_one():
    for code in INSTRUMENTS:
        short, long = score_of(code, "pop_roc", 4.0), score_of(code, "pop_roc", 12.0)
        for one, other in zip((short.lead, *short.accompaniment), (long.lead, *long.accompaniment), strict=True):
            assert other.notes[: len(one.notes)] == one.notes and len(other.notes) > len(one.notes)


def test_swing_bends_within_the_beat():
    clock = score._Clock(beat=0.5, swing=2 / 3, bars=1)
    positions = [clock.seconds(1, position) for position in (0, 0.25, 0.5, 0.75, 1)]
    np.testing.assert_allclose(positions, 2 + 0.5 * np.array([0, 1 / 3, 2 / 3, 5 / 6, 1]))


# ----------------------------------------------------------------------------------------------------------------- tags


def a_score(lead, *accompaniment, tempo=110.0, texture="melody"):
    return Score(lead, accompaniment, 0.0, tempo, texture)


def test_what_plays_in_an_excerpt_is_a_tag():
    """A banjo that stops, a contrabass that has not begun, an organ that is heard for a twentieth of a second."""
    flute = Part(73, False, 64, ((0.0, 9.0, 69, 100),))
    banjo = Part(105, False, 64, ((0.0, 2.0, 60, 80), (2.0, 3.0, 62, 80)))
    contrabass = Part(43, False, 64, ((6.0, 9.0, 40, 80),))
    organ = Part(16, False, 64, ((2.9, 4.05, 60, 80),))
    kit = Part(0, True, 64, ((4.5, 4.6, 36, 80), (5.0, 5.1, 36, 80)))
    score = a_score(flute, banjo, contrabass, organ, kit)
    whole = {"country_folk", "melody", "wind", "flute"}
    assert set(tags(score, STYLES["cou_fol"], start=0.0, stop=2.5)) == whole | {"plucked", "acoustic"}
    assert set(tags(score, STYLES["cou_fol"], start=4.0, stop=5.5)) == whole | {"drums", "acoustic"}
    assert set(tags(score, STYLES["cou_fol"], start=3.0, stop=5.5)) == whole | {"drums", "organ"}
    assert set(tags(score, STYLES["cou_fol"], start=7.0, stop=9.0)) == whole | {"double bass", "bowed", "acoustic"}


def test_a_kit_is_no_instrument_of_its_number():
    """Program 8 is a celesta, 16 an organ; kits of the percussion bank have the same numbers."""
    kit = Part(16, True, 64, ((0.0, 0.1, 36, 80),))
    score = a_score(Part(0, False, 64, ((0.0, 1.0, 60, 80),)), kit, texture="chords")
    found = tags(score, STYLES["cla"], start=0.0, stop=1.0)
    assert found == ("acoustic", "chords", "classical", "drums", "piano")


@pytest.mark.parametrize(("tempo", "word"), [(99.9, "slow"), (100.0, None), (125.9, None), (126.0, "fast")])
def test_tempo(tempo, word):
    score = a_score(Part(73, False, 64, ((0.0, 1.0, 60, 80),)), tempo=tempo)
    assert {"slow", "fast"} & set(tags(score, STYLES["cla"], start=0.0, stop=1.0)) == {word} - {None}


def test_scores_say_what_was_drawn():
    """Each against the notes: the beat of the bass, how many keys sound at once."""
    seen = set()
    for style, code in product(STYLES, ("pia", "cla")):
        for seed in range(4):
            piece = score_of(code, style, 30.0, seed=seed)
            low, high = STYLES[style].tempo
            assert low <= piece.tempo <= high
            bass = sorted(start for start, *_ in piece.accompaniment[0].notes)
            bars = np.diff(bass[:: len(STYLES[style].bass_beats)])
            np.testing.assert_allclose(bars, 240 / piece.tempo)
            at_once = max(Counter(start for start, *_ in piece.lead.notes).values())
            assert (at_once > 1) == (piece.texture == "chords")
            seen.add(piece.texture)
    assert seen == {"melody", "chords", "broken"}


def test_every_tag_can_be_learnt_from_the_default_corpus(midi):
    """Each holds in several pieces and is missing in several, and says of the clip what its label and genre say."""
    corpus, pieces = midi(), Counter()
    recordings = corpus.recordings()
    for recording in recordings:
        piece, style = corpus._score(recording), STYLES[recording.style]
        found = tags(piece, style, start=0.0, stop=3.0)
        assert {LABELS[recording.instrument], GENRES[recording.style]} < set(found)
        assert ("drums" in found) == recording.drums and 4 <= len(found) <= 9
        pieces.update(found)
    assert len(pieces) == 33
    assert min(pieces.values()) >= 4 and max(pieces.values()) <= 0.9 * len(recordings)


# -------------------------------------------------------------------------------------------------------- the soundfont


@pytest.fixture
def other_soundfont(tmp_path, monkeypatch):
    """An installed package with a soundfont of its own."""
    package = tmp_path / "fonts" / "other_midi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(general_midi, "_FONT_PACKAGE", "other_midi")
    general_midi.find_soundfont.cache_clear()
    yield package / general_midi.SOUNDFONT
    general_midi.find_soundfont.cache_clear()


def test_a_soundfont_with_another_hash(midi, other_soundfont):
    other_soundfont.write_bytes(b"RIFF")
    sha256 = "([0-9a-f]{64})"
    with pytest.raises(UserError, match=f"soundfont .*TimGM6mb.sf2 has sha256 {sha256}, expected {sha256}.*reinstall"):
        midi().recordings()


def test_a_soundfont_that_is_missing(midi, other_soundfont):
    with pytest.raises(UserError, match=r"soundfont .*TimGM6mb.sf2 is missing .*reinstall it: pip install"):
        midi().recordings()


def test_a_package_that_is_missing(midi, monkeypatch, other_soundfont):
    monkeypatch.setattr(general_midi, "_FONT_PACKAGE", "no_such_midi")
    with pytest.raises(UserError, match="TimGM6mb.sf2 from no_such_midi, which is not installed; reinstall it"):
        midi().recordings()


def test_a_synthesizer_that_is_missing(midi, monkeypatch):
    monkeypatch.setattr(general_midi, "_SYNTH_PACKAGE", "no_such_synth")
    with pytest.raises(UserError, match="needs no_such_synth, which is not installed; run `make repro`"):
        midi().recordings()


@pytest.mark.parametrize(
    ("option", "value", "bounds"),
    [("pieces", 910, "1 to 909"), ("clip_seconds", 0.1, "0.5 to 60"), ("loudness", 0, "-60 to -10")],
)
def test_options_out_of_bounds(midi, option, value, bounds):
    with pytest.raises(UserError, match=f"corpus.general_midi.{option} is {value}; it must be .* from {bounds}"):
        midi(**{option: value})
