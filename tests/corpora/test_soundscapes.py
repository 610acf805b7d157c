"""Soundscapes: no recording of the soundfont on both sides, true labels, the same again from the same seed."""

import dataclasses
import struct
from collections import Counter

import numpy as np
import pytest
import soundfile

from earshift.corpora.general_midi import find_soundfont, render
from earshift.corpora.score import Part
from earshift.corpora.soundscapes import PARENTS, SOUNDS, Soundscapes
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline.corpus_inputs import write_corpus_inputs

OPTIONS = {
    "seed": 1, "count": 60, "shortest": 0.5, "longest": 1.5, "sample_rate": 16000,
    "sounds": 3, "spread": 12.0, "test": 0.25, "folder": None,
}  # fmt: skip


def make(**options):
    return check(Soundscapes, OPTIONS | options, "corpus.soundscapes")


def cut(corpus):
    return [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]


@pytest.fixture(scope="module")
def clips():
    return cut(make())


@pytest.fixture
def folder(tmp_path, rng):
    """Recordings in folders by label: tones of a dog and a cat, and a bird beside the soundfont's."""

    def write(file, *, seconds=0.4, rate=22050, channels=1):
        path = tmp_path / "sounds" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, (round(seconds * rate), channels)), rate)

    for file in ("Animal/Dog/a.wav", "Animal/Dog/b.wav", "Animal/Cat/a.flac", "Animal/Cat/b.wav", "Animal/Cat/c.wav"):
        write(file)
    write("Bird/long.wav", seconds=4, rate=48000, channels=2)
    return tmp_path / "sounds"


# --------------------------------------------------------------------------------------------------- no recording twice


def samples_by_key():
    """Of every program and kit of the soundfont: (lowest key, highest key, sample) of all its zones, from the file."""
    data = find_soundfont().read_bytes()

    def chunk(name, size):
        at = data.index(name, data.index(b"pdta"))
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        return [data[at + 8 + i : at + 8 + i + size] for i in range(0, length, size)]

    def zones(headers, at, bags, generators, index, target):
        """(lowest, highest, what it leads to) of the zones of a preset or an instrument; the first may be for all."""
        first, end = (int.from_bytes(header[at : at + 2], "little") for header in headers[index : index + 2])
        common = {}
        for zone in range(first, end):
            begin, stop = (int.from_bytes(bag[:2], "little") for bag in bags[zone : zone + 2])
            own = {int.from_bytes(row[:2], "little"): row[2:] for row in generators[begin:stop]}
            if target not in own:
                common = own if zone == first else common
                continue
            low, high = (common | own).get(43, b"\0\x7f")
            yield low, high, int.from_bytes(own[target], "little")

    presets, instruments = chunk(b"phdr", 38), chunk(b"inst", 22)
    preset_bags, preset_rows, bags, rows = chunk(b"pbag", 4), chunk(b"pgen", 4), chunk(b"ibag", 4), chunk(b"igen", 4)
    found = {}
    for index, preset in enumerate(presets[:-1]):
        program, bank = struct.unpack_from("<HH", preset, 20)
        found[bank == 128, program] = [
            (max(low, inner), min(high, outer), sample)
            for low, high, instrument in zones(presets, 24, preset_bags, preset_rows, index, 41)
            for inner, outer, sample in zones(instruments, 20, bags, rows, instrument, 53)
        ]
    return found


def test_no_two_sounds_share_a_sample_of_the_soundfont():
    zones, users = samples_by_key(), {}
    for sound in SOUNDS:
        samples = {s for low, high, s in zones[sound.drums, sound.program] if low <= sound.high and high >= sound.low}
        assert samples, sound
        for sample in samples:
            users.setdefault(sample, []).append(sound.name)
    assert {sample: names for sample, names in users.items() if len(names) > 1} == {}


def test_every_key_of_every_sound_is_heard():
    for sound in SOUNDS:
        for key in {sound.low, (sound.low + sound.high) // 2, sound.high}:
            part = Part(sound.program, sound.drums, 64, ((0, 0.2, key, 60),))
            audio = render((part,), 0, samples=4000, sample_rate=16000)
            assert np.abs(audio).max() > 1e-3, (sound, key)


@pytest.mark.parametrize(("seed", "test"), [(0, 0.05), (1, 0.25), (2, 0.5)])
def test_a_sound_is_on_one_side_and_labels_on_both(seed, test):
    corpus = make(seed=seed, test=test, count=800)
    heard = {"train": set(), "test": set()}
    for recording in corpus.recordings():
        heard[recording.split].update(recording.sounds)
    assert not heard["train"] & heard["test"]
    labels = {split: {sound.label for sound in sounds} for split, sounds in heard.items()}
    several = {label for label, count in Counter(sound.label for sound in SOUNDS).items() if count > 1}
    assert labels["train"] == {sound.label for sound in SOUNDS} and labels["test"] == several
    tags = {split: {tag for sound in sounds for tag in sound.tags} for split, sounds in heard.items()}
    assert tags["train"] == tags["test"]


# --------------------------------------------------------------------------------------------------------------- clips


def test_tags_are_those_of_the_sounds_and_all_above_them(clips):
    for clip, recording in zip(clips, make().recordings(), strict=True):
        expected = set()
        for sound in recording.sounds:
            label = sound.label
            while label:
                expected.add(label)
                label = PARENTS.get(label)
        assert set(clip.tags) == expected and list(clip.tags) == sorted(expected)
        assert (clip.label, clip.group) == (recording.sounds[0].label, recording.sounds[0].name)
        assert len({sound.label for sound in recording.sounds}) == len(recording.sounds) <= 3


def test_clips_have_the_lengths_and_peaks_that_were_asked_for(clips):
    seconds = np.array([clip.audio.shape[1] / clip.sample_rate for clip in clips])
    assert seconds.min() >= 0.5 and seconds.max() <= 1.5 and seconds.std() > 0.2
    peaks = 20 * np.log10([np.abs(clip.audio.astype(float)).max() / 32767 for clip in clips])
    assert peaks.min() > -15.1 and peaks.max() < -0.9 and peaks.std() > 2
    assert {len(recording.sounds) for recording in make().recordings()} == {1, 2, 3}
    assert all(clip.problem == "" and clip.audio.dtype == np.int16 and clip.audio.shape[0] == 1 for clip in clips)


def test_the_softest_sound_is_within_the_spread(monkeypatch):
    """With every sound replaced by a tone of its own, the levels in the mix can be read from the spectrum."""
    corpus = make(count=40, shortest=1.0, longest=1.0, spread=6.0)

    def tone(self, rng, sound, samples):
        return np.sin(2 * np.pi * (100 + 50 * SOUNDS.index(sound)) * np.arange(samples) / self.sample_rate) * 0.01

    monkeypatch.setattr(Soundscapes, "_play", tone)
    softer = []
    for recording in corpus.recordings():
        (clip,) = corpus.clips(recording)
        spectrum = np.abs(np.fft.rfft(clip.audio[0]))
        first, *others = (20 * np.log10(spectrum[100 + 50 * SOUNDS.index(sound)]) for sound in recording.sounds)
        softer += [first - other for other in others]
    assert len(softer) > 20 and min(softer) > -0.1 and max(softer) < 6.1 and max(softer) > 4


def test_the_same_again_and_more_leave_the_first_ones_as_they_are(clips):
    for one, other in zip(clips[:10], cut(make(count=10)), strict=True):
        np.testing.assert_array_equal(one.audio, other.audio, strict=True)
        assert dataclasses.replace(one, audio=None) == dataclasses.replace(other, audio=None)
    others = cut(make(count=10, seed=2))
    assert all(one.audio.shape != other.audio.shape for one, other in zip(clips[:10], others, strict=True))


def test_labels_and_splits_are_dealt_evenly():
    recordings = make(count=400).recordings()
    assert Counter(recording.split for recording in recordings) == {"train": 300, "test": 100}
    for split in ("train", "test"):
        counts = Counter(r.sounds[0].label for r in recordings if r.split == split)
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(("seconds", "rate"), [(0.3, 8000), (30.0, 8000), (0.3, 96000)])
def test_extreme_lengths_and_rates(seconds, rate):
    (clip, *_) = cut(make(count=2, shortest=seconds, longest=seconds, sample_rate=rate))
    assert clip.audio.shape == (1, round(seconds * rate)) and clip.problem == ""


# ------------------------------------------------------------------------------------------------ the user's recordings


def test_recordings_join_by_the_names_of_their_folders(folder):
    corpus = make(folder=str(folder), count=400)
    recordings = corpus.recordings()
    heard = {sound for recording in recordings for sound in recording.sounds if sound.file}
    assert {(sound.name, sound.label, sound.tags) for sound in heard} == {
        *((f"Animal/Dog/{name}.wav", "Dog", ("Animal", "Dog")) for name in "ab"),
        *((f"Animal/Cat/{name}", "Cat", ("Animal", "Cat")) for name in ("a.flac", "b.wav", "c.wav")),
        ("Bird/long.wav", "Bird", ("Bird", "Natural_sounds")),
    }
    sides = corpus.sides()
    assert len(sides["test"]["Dog"]) == len(sides["train"]["Dog"]) == 1
    for recording in [r for r in recordings if any(sound.file for sound in r.sounds)][:8]:
        (clip,) = corpus.clips(recording)
        assert clip.problem == "" and clip.audio.shape == (1, recording.samples)
        np.testing.assert_array_equal(clip.audio, corpus.clips(recording)[0].audio)


def test_content_hash_follows_the_recordings(folder, workspace):
    plain, corpus = make(), make(folder=str(folder))
    before = corpus.content_hashes([])
    assert "files" not in plain.content_hashes([]) and before != plain.content_hashes([])
    soundfile.write(folder / "Animal" / "Dog" / "a.wav", np.full(900, 0.1), 22050)
    assert corpus.content_hashes([]) != before


def test_a_silent_recording_is_said_of_its_clips(folder):
    for name in "ab":
        soundfile.write(folder / "Animal" / "Dog" / f"{name}.wav", np.zeros(9000), 22050)
    corpus = make(folder=str(folder), count=200)
    bad = [r for r in corpus.recordings() if any(sound.label == "Dog" for sound in r.sounds)]
    (clip,) = corpus.clips(bad[0])
    assert clip.audio is None and "is silent" in clip.problem and "Animal/Dog/" in clip.problem


def bare(folder):
    soundfile.write(folder / "a.wav", np.full(900, 0.1), 22050)
    return r"has a.wav in no folder that names the label"


def odd(folder):
    (folder / "Animal" / "Dog").rename(folder / "Animal" / "Dog|Wolf")
    return r"2 files \(Animal/Dog\|Wolf/a.wav, .*with the character \|"


def torn(folder):
    (folder / "Animal" / "Dog" / "b.wav").write_bytes(b"no audio")
    return r"Animal/Dog/b.wav \(.*\) that cannot be read"


def single(folder):
    (folder / "Animal" / "Dog" / "b.wav").unlink()
    return r"a single sound of Dog, where training and test need one each"


@pytest.mark.parametrize("spoil", [bare, odd, torn, single])
def test_a_folder_that_cannot_be_used(folder, edited, spoil):
    message = spoil(folder)
    options = OPTIONS | {"folder": str(folder)}
    with pytest.raises(UserError, match=message) as raised:
        write_corpus_inputs(edited({"corpus.name": "soundscapes", "corpus.soundscapes": options}).corpus)
    assert "\n" not in str(raised.value)


def test_options_that_do_not_fit(tmp_path):
    with pytest.raises(UserError, match=r"corpus.soundscapes.shortest is 2 s, longer than longest, 1; swap them"):
        make(shortest=2.0, longest=1.0).recordings()
    with pytest.raises(UserError, match=r"corpus.soundscapes.folder is '.*nowhere', which is no folder"):
        make(folder=str(tmp_path / "nowhere")).recordings()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no file that ends in .aif"):
        make(folder=str(tmp_path / "empty")).recordings()
