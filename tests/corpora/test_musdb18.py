"""MUSDB18 in both its forms. References: soundfile, musdb's own configuration and reading, its example of a track."""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from earshift.corpora import musdb18
from earshift.errors import UserError


def package(name):
    """Folder of an installed package, which is not imported: without ffmpeg these two cannot be."""
    return Path(importlib.util.find_spec(name).origin).parent


def cut(corpus):
    return [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]


def samples(folder, stem):
    return soundfile.read(folder / f"{stem}.wav", dtype="int16", always_2d=True)[0].T


def test_names_and_streams_are_those_of_musdb():
    setup = yaml.safe_load((package("musdb") / "configs" / "mus.yaml").read_text())
    assert {stem: setup["stem_ids"][stem] for stem in musdb18.STREAMS} == musdb18.STREAMS
    assert setup["mixture"] == f"{musdb18.MIXTURE}.wav" and setup["sources"][musdb18.VOCALS] == f"{musdb18.VOCALS}.wav"


# ----------------------------------------------------------------------------------------------------------- MUSDB18-HQ


def test_pieces_are_slices_of_the_mixture(musdb, track):
    folders = {"B - Two": track("B - Two"), "A - One": track("A - One", "test"), "C": track("C", seconds=0.5)}
    (folders["C"].parent / ".DS_Store").write_bytes(b"x")
    corpus = musdb()
    clips = cut(corpus)
    assert [(clip.clip, clip.group, clip.split) for clip in clips] == [
        ("B - Two#1", "B - Two", "train"),
        ("B - Two#2", "B - Two", "train"),
        ("C#1", "C", "train"),
        ("A - One#1", "A - One", "test"),
        ("A - One#2", "A - One", "test"),
    ]
    for clip in clips:
        start = 22050 * (int(clip.clip[-1]) - 1)
        np.testing.assert_array_equal(clip.audio, samples(folders[clip.group], "mixture")[:, start : start + 22050])
        assert (clip.sample_rate, clip.label, clip.genre, clip.tags, clip.problem) == (44100, "", "", (), "")
    assert corpus.problems(corpus.recordings()) == []


def test_vocals_against_the_rest(musdb, track):
    folder = track("A - One")
    corpus = musdb()
    for piece, (vocals, rest) in enumerate(corpus.separate(corpus.recordings()[0])):
        place = slice(22050 * piece, 22050 * (piece + 1))
        np.testing.assert_array_equal(vocals * 32768, samples(folder, "vocals")[:, place])
        others = sum(samples(folder, stem)[:, place] for stem in ("drums", "bass", "other"))
        np.testing.assert_array_equal(rest * 32768, others)


def test_silent_pieces_are_left_out(musdb, track):
    folder = track("A - One", seconds=1.6)
    mixture = samples(folder, "mixture")
    mixture[:, 22050:44100] = 0
    soundfile.write(folder / "mixture.wav", mixture.T, 44100, subtype="PCM_16")
    corpus = musdb()
    assert [clip.clip for clip in cut(corpus)] == ["A - One#1", "A - One#3"]
    _, (vocals, _) = corpus.separate(corpus.recordings()[0])
    np.testing.assert_array_equal(vocals * 32768, samples(folder, "vocals")[:, 44100:66150])


def test_tracks_that_give_no_piece_say_so(musdb, track):
    track("A - One", seconds=0.3)
    silent = track("B - Two")
    soundfile.write(silent / "mixture.wav", np.zeros((52920, 2)), 44100, subtype="PCM_16")
    corpus = musdb()
    problems = {clip.clip: clip.problem for clip in cut(corpus)}
    assert problems["A - One#1"] == "it lasts 0.3 s, less than corpus.musdb18.clip_seconds"
    assert problems["B - Two#1"].startswith("silent")
    (nothing,) = corpus.separate(corpus.recordings()[0])
    assert [stem.shape for stem in nothing] == [(1, 0), (1, 0)]


def test_wav_files_that_are_wrong_are_found_by_their_headers(musdb, track):
    for name in ("good", "gone", "short", "deep", "torn", "junk"):
        track(name)
    train = Path(musdb().root, "train")
    (train / "gone" / "vocals.wav").unlink()
    soundfile.write(train / "short" / "vocals.wav", np.zeros((9, 2)), 44100, subtype="PCM_16")
    soundfile.write(train / "deep" / "mixture.wav", np.zeros((52920, 2)), 44100, subtype="PCM_24")
    os.truncate(train / "torn" / "mixture.wav", 1044)
    (train / "junk" / "mixture.wav").write_bytes(b"junk")
    corpus = musdb()
    recordings = corpus.recordings()
    assert {recording.track: recording.problem for recording in recordings} == {
        "deep": "mixture.wav has 24 bits, not 16",
        "gone": "vocals.wav: No such file or directory",
        "good": "",
        "junk": "mixture.wav: no WAV file",
        "short": "mixture.wav and vocals.wav differ in length, channels or rate",
        "torn": "mixture.wav is cut short: 250 of 52920 samples",
    }
    (problem,) = corpus.problems(recordings)
    assert problem.startswith("what cannot be used: 5 tracks (deep (mixture.wav has 24 bits, not 16), gone (")
    clips = cut(corpus)
    assert sorted(clip.group for clip in clips if clip.problem) == ["deep", "gone", "junk", "short", "torn"]
    assert corpus.extent(recordings) == (len(clips), sum(clip.audio.size for clip in clips if not clip.problem))


def test_content_hash_follows_what_is_read(musdb, track, workspace):
    folder = track("A - One")
    corpus = musdb()
    first = corpus.content_hashes(corpus.recordings())
    (folder / "drums.wav").write_bytes(b"")
    assert corpus.content_hashes(corpus.recordings()) == first
    audio = samples(folder, "vocals")
    audio[0, 0] += 1
    soundfile.write(folder / "vocals.wav", audio.T, 44100, subtype="PCM_16")
    assert corpus.content_hashes(corpus.recordings()) != first


# ----------------------------------------------------------------------------------------------- folders that are wrong


def test_no_root(musdb):
    with pytest.raises(UserError, match=r"corpus.musdb18.root is null; get MUSDB18 \(zenodo.org/records/1117372\) or"):
        musdb(root=None).recordings()
    assert not musdb(root=None).at_hand()


def test_a_root_that_is_no_folder(musdb, tmp_path):
    with pytest.raises(UserError, match=r"corpus.musdb18.root is '.*nowhere', which does not exist; get MUSDB18"):
        musdb(tmp_path / "nowhere").recordings()
    (tmp_path / "musdb18.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"'.*musdb18.zip', which is a file; .*unpack it, and name the folder that"):
        musdb(tmp_path / "musdb18.zip").recordings()


def test_a_root_without_tracks(musdb, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.wav").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no track of MUSDB18 in .*train or .*test: neither files NAME.stem.mp4 nor"):
        musdb(tmp_path).recordings()


def test_both_kinds_in_one(musdb, track):
    (track("A - One").parent / "B - Two.stem.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match="holds both MP4 stems and folders of WAV"):
        musdb().recordings()


def test_a_track_in_both_splits(musdb, track):
    track("A - One")
    track("A - One", "test")
    with pytest.raises(UserError, match=r"group 'A - One' is in both train and test in .*musdb18; give"):
        musdb().recordings()


# ------------------------------------------------------------------------------------------------------------ MP4 stems

# What stands for ffmpeg and ffprobe: a "track" is a line of JSON, then the samples of its streams one after another
STAND_IN = """#!{python}
import json, sys
probing = sys.argv[0].endswith("ffprobe")
with open(sys.argv[-1] if probing else sys.argv[sys.argv.index("-i") + 1], "rb") as file:
    header = file.readline()
    if not header.startswith(b"["):
        sys.exit("noise: Invalid data found when processing input")
    streams = json.loads(header)
    if probing:
        print(json.dumps({{"streams": streams}}))
    else:
        stream = int(sys.argv[sys.argv.index("-map") + 1].partition(":")[2])
        size = 4 * streams[stream]["duration_ts"]
        file.seek(stream * size, 1)
        sys.stdout.buffer.write(file.read(size))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Something that replies as ffmpeg does, first in the path."""
    for tool in ("ffmpeg", "ffprobe"):
        path = tmp_path / "bin" / tool
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN.format(python=sys.executable))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def stems(tmp_path, rng):
    """Write what `stand_in` takes for an MP4 with five streams, and return them, int16 [shape=(5, samples, 2)]."""

    def write(name, split="train"):
        path = tmp_path / "musdb18" / split / f"{name}.stem.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = rng.integers(-32768, 32767, (5, 52920, 2), dtype=np.int16)
        stream = {"codec_type": "audio", "channels": 2, "sample_rate": "44100", "duration_ts": 52920, "duration": "1.2"}
        header = json.dumps([stream | {"index": index} for index in range(5)])
        path.write_bytes(header.encode() + b"\n" + audio.tobytes())
        return audio

    return write


def test_streams_of_an_mp4(musdb, stems, stand_in):
    """The mixture is the first, vocals are the last, as musdb reads them."""
    audio = stems("A - One", "test")
    corpus = musdb()
    (recording,) = corpus.recordings()
    clips = corpus.clips(recording)
    assert [(clip.clip, clip.split, clip.sample_rate) for clip in clips] == [
        ("A - One#1", "test", 44100),
        ("A - One#2", "test", 44100),
    ]
    np.testing.assert_array_equal(np.concatenate([clip.audio.T for clip in clips]), audio[0, :44100])
    pairs = corpus.separate(recording)
    np.testing.assert_array_equal(np.concatenate([vocals.T for vocals, _ in pairs]) * 32768, audio[4, :44100])
    for clip, (vocals, rest) in zip(clips, pairs, strict=True):
        np.testing.assert_array_equal((vocals + rest) * 32768, clip.audio)
    assert corpus.extent([recording]) == (2, 2 * 2 * 22050)


def test_an_mp4_that_is_none_or_is_cut_short(musdb, stems, stand_in, tmp_path):
    stems("A - One")
    torn = tmp_path / "musdb18" / "train" / "B - Two.stem.mp4"
    whole = (torn.parent / "A - One.stem.mp4").read_bytes()
    torn.write_bytes(whole[: whole.index(b"\n") + 1 + 4 * 20_000])
    (torn.parent / "C - Three.stem.mp4").write_bytes(b"")
    problems = {clip.clip: clip.problem for clip in cut(musdb())}
    assert problems == {
        "A - One#1": "",
        "A - One#2": "",
        "B - Two#1": "cut short: ffmpeg decodes 20000 of 52920 samples",
        "C - Three#1": "cannot be read: noise: Invalid data found when processing input",
    }


@pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg is not installed")
def test_a_real_track(musdb, tmp_path):
    """The example that stempeg ships, against what musdb makes of it."""
    import musdb as reference

    (example,) = (package("stempeg") / "data").glob("*.stem.mp4")
    (tmp_path / "train").mkdir()
    shutil.copy(example, tmp_path / "train")
    corpus = musdb(tmp_path, clip_seconds=2.0)
    (recording,) = corpus.recordings()
    (expected,) = reference.DB(root=str(tmp_path), subsets=["train"])
    mixture = np.concatenate([clip.audio.T for clip in corpus.clips(recording)]) / 32768
    np.testing.assert_array_equal(mixture, expected.audio[: len(mixture)])
    vocals = np.concatenate([vocals.T for vocals, _ in corpus.separate(recording)])
    np.testing.assert_array_equal(vocals, expected.targets["vocals"].audio[: len(vocals)])


def test_no_ffmpeg(musdb, stems, monkeypatch, tmp_path):
    stems("A - One")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"decoded by ffmpeg, and ffmpeg and ffprobe cannot be found; install ff"):
        musdb().recordings()


def test_wav_needs_no_ffmpeg(musdb, track, monkeypatch, tmp_path):
    track("A - One")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "musdb", None)
    monkeypatch.setitem(sys.modules, "stempeg", None)
    assert len(cut(musdb())) == 2
