"""A folder as people have it, against soundfile.read; every way in which it or its table can be wrong."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from earshift.corpora import folder as folder_module
from earshift.corpora.checks import audio_problem
from earshift.errors import UserError
from earshift.pipeline import paths

# mpg123 rounds its last bit by the sizes in which it is asked
LAST_BIT = {".mp3": 3e-7}


def cut(corpus):
    return [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]


def test_whole_files_are_what_soundfile_reads(mixed, folder, as_float):
    corpus = folder(mixed)
    clips = cut(corpus)
    files = sorted(p.relative_to(mixed).as_posix() for p in mixed.rglob("*") if p.suffix not in (".txt", ""))
    files = [file for file in files if "/." not in f"/{file}"]
    assert [clip.clip for clip in clips] == files and len(files) == 11
    for clip in clips:
        expected, rate = soundfile.read(mixed / clip.clip, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(as_float(clip.audio), expected.T)
        assert clip.sample_rate == rate and clip.group == clip.clip and clip.problem == clip.label == clip.split == ""
        assert clip.audio.dtype == (np.int16 if soundfile.info(mixed / clip.clip).subtype == "PCM_16" else np.float32)
    assert corpus.dtype(corpus.recordings()) == "float32"


def test_pieces_are_slices_and_the_rest_is_dropped(mixed, folder, as_float):
    corpus = folder(mixed, clip_seconds=0.5)
    clips = cut(corpus)
    assert len({clip.clip for clip in clips}) == len(clips)
    by_file = {}
    for clip in clips:
        name, _, piece = clip.clip.rpartition("#")
        assert clip.group == name
        by_file.setdefault(name, []).append((int(piece), clip))
    lengths = set()
    for name, pieces in by_file.items():
        whole, rate = soundfile.read(mixed / name, dtype="float32", always_2d=True)
        length = round(0.5 * rate)
        assert [piece for piece, _ in pieces] == list(range(1, max(len(whole) // length, 1) + 1))
        for piece, clip in pieces:
            start = (piece - 1) * length
            expected = whole[start : start + length].T
            np.testing.assert_allclose(as_float(clip.audio), expected, rtol=0, atol=LAST_BIT.get(name[-4:], 0))
        lengths.add(len(pieces))
    assert lengths == {1, 2} and len(by_file) == 11


def test_pieces_of_a_long_file_come_in_runs(mixed, folder, as_float, monkeypatch):
    """As for hours-long files, whose decoders libsndfile does not always seek exactly."""
    monkeypatch.setattr(folder_module, "_TASK_SECONDS", 0.4)
    monkeypatch.setattr(folder_module, "_SKIP_FRAMES", 999)
    corpus = folder(mixed, clip_seconds=0.2)
    recordings = corpus.recordings()
    assert max(recording.pieces for recording in recordings) == 2 and max(r.first for r in recordings) == 4
    for recording in recordings:
        whole, _ = soundfile.read(mixed / recording.file, dtype="float32", always_2d=True)
        clips = corpus.clips(recording)
        assert len(clips) == recording.pieces
        for piece, clip in enumerate(clips, recording.first):
            start = piece * recording.length
            expected = whole[start : start + recording.length].T
            atol = LAST_BIT.get(recording.file[-4:], 0)
            np.testing.assert_allclose(as_float(clip.audio), expected, rtol=0, atol=atol)


def test_a_file_shorter_than_a_piece_is_kept_whole(tmp_path, folder, write):
    write(tmp_path / "short.wav", seconds=0.25)
    (clip,) = cut(folder(tmp_path, clip_seconds=1))
    assert clip.clip == "short.wav#1" and clip.audio.shape == (1, 2000)


def test_only_16_bit_files_make_a_16_bit_corpus(tmp_path, folder, write):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.flac", rate=44100, channels=2)
    corpus = folder(tmp_path)
    assert corpus.dtype(corpus.recordings()) == "int16"
    write(tmp_path / "c.flac", subtype="PCM_24")
    assert corpus.dtype(corpus.recordings()) == "float32"


def test_names_that_differ_in_extension_or_folder_alone(tmp_path, folder, write):
    for name in ("a.wav", "a.flac", "b/a.wav", "A.WAV"):
        write(tmp_path / name, format="FLAC" if name.endswith("flac") else "WAV")
    assert [clip.clip for clip in cut(folder(tmp_path))] == ["A.WAV", "a.flac", "a.wav", "b/a.wav"]


def test_links_are_followed_once(tmp_path, folder, write):
    write(tmp_path / "audio" / "a.wav")
    write(tmp_path / "elsewhere" / "b.wav")
    (tmp_path / "audio" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "audio")
    assert [clip.clip for clip in cut(folder(tmp_path / "audio"))] == ["a.wav", "linked/b.wav"]


def test_listing_whole_files_opens_none_of_them(tmp_path, folder, write, monkeypatch):
    write(tmp_path / "a.wav")
    monkeypatch.setattr(soundfile, "SoundFile", None)
    monkeypatch.setattr(soundfile, "info", None)
    assert len(folder(tmp_path).recordings()) == 1


# ------------------------------------------------------------------------------------------------- files that are wrong


@pytest.fixture
def broken(tmp_path, write, rng):
    root = tmp_path / "broken"
    write(root / "good.wav")
    (root / "empty.wav").write_bytes(b"")
    (root / "junk.flac").write_bytes(bytes(rng.integers(0, 256, 5000, dtype=np.uint8)))
    (root / "header.wav").write_bytes((root / "good.wav").read_bytes()[:44])
    whole = write(tmp_path / "whole.flac", seconds=3, rate=44100).read_bytes()
    (root / "torn.flac").write_bytes(whole[: len(whole) // 2])
    (root / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    noise = rng.uniform(-0.5, 0.5, 4000)
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        noise[17] = value
        soundfile.write(root / f"{name}.wav", noise, 8000, subtype="FLOAT")
    soundfile.write(root / "zeros.wav", np.zeros(4000), 8000)
    soundfile.write(root / "dither.wav", rng.integers(-1, 2, 4000).astype(np.int16), 8000)
    soundfile.write(root / "quiet.wav", 2 * rng.integers(-1, 2, 4000).astype(np.int16), 8000)
    return root


PROBLEMS = {
    "dither.wav": "silent: no sample above -90 dB of full scale",
    "empty.wav": "cannot be read: Format not recognised",
    "gone.wav": "cannot be read: System error",
    "good.wav": "",
    "header.wav": "empty",
    "inf.wav": "1 of 4000 samples are NaN or infinite",
    "junk.flac": "cannot be read: Format not recognised",
    "nan.wav": "1 of 4000 samples are NaN or infinite",
    "quiet.wav": "",
    "torn.flac": "cannot be read: flac decoder lost sync",
    "zeros.wav": "silent: no sample above -90 dB of full scale",
}


def test_every_broken_file_says_what_is_wrong(broken, folder):
    clips = cut(folder(broken))
    assert {clip.clip: clip.problem for clip in clips} == PROBLEMS
    assert all((clip.audio is None) == bool(clip.problem) for clip in clips)


def test_broken_files_in_pieces(broken, folder):
    corpus = folder(broken, clip_seconds=1)
    clips = cut(corpus)
    problems = {clip.clip: clip.problem for clip in clips}
    torn = [problems.pop(f"torn.flac#{piece}") for piece in (1, 2, 3)]
    assert torn[0] == "" and torn[2] == PROBLEMS["torn.flac"]
    assert problems == {f"{name}#1": problem for name, problem in PROBLEMS.items() if name != "torn.flac"}
    assert corpus.extent(corpus.recordings())[0] == len(clips)
    assert corpus.dtype(corpus.recordings()) == "float32"


def test_a_file_without_permission(tmp_path, folder, write, workspace):
    locked = write(tmp_path / "audio" / "locked.wav")
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything")
    corpus = folder(tmp_path / "audio")
    (clip,) = cut(corpus)
    assert clip.problem.startswith("cannot be read")
    assert corpus.content_hashes(corpus.recordings())["files"][0][2] is None


def test_an_mp3_whose_header_promises_too_much(tmp_path, folder):
    """Without its first frame, which counts the others, libsndfile estimates 1.4 times the length of this one."""
    time = np.arange(44100 * 20) / 44100
    noise = np.random.default_rng(0).normal(0, 0.2, len(time)) * ((time > 2) & (time < 10))
    path = tmp_path / "a.mp3"
    mode = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", 44100, 1, subtype="MPEG_LAYER_III", **mode) as file:
        file.write(np.where(time > 10, 0.3 * np.sin(600 * np.pi * time), noise))
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"\xff\xfb", data.index(b"Xing")) :])
    decoded = len(soundfile.read(path)[0])
    assert soundfile.info(path).frames > decoded + 5 * 44100
    clips = cut(folder(tmp_path, clip_seconds=1.0))
    assert [clip.clip for clip in clips] == [f"a.mp3#{i}" for i in range(1, decoded // 44100 + 1)]


def test_unusable_knows_the_edges():
    assert audio_problem(np.zeros((2, 0), np.float32)) == "empty"
    lowest = np.array([[0, -32768]], np.int16)
    assert audio_problem(lowest) == ""
    assert audio_problem(np.full((1, 9), 10 ** (-90.1 / 20), np.float32)).startswith("silent")
    assert audio_problem(np.full((1, 9), 10 ** (-89.9 / 20), np.float32)) == ""
    assert audio_problem(np.array([[0.5, np.nan, -np.inf]], np.float32)) == "2 of 3 samples are NaN or infinite"


# ----------------------------------------------------------------------------------------------- folders that are wrong


def test_no_path(folder):
    with pytest.raises(UserError, match=r"corpus.folder.path is null; name the folder .*-S corpus.folder.path="):
        folder_module.Folder(path=None, labels=None, clip_seconds=None).recordings()


def test_a_path_that_is_no_folder(tmp_path, folder, write):
    with pytest.raises(UserError, match=r"corpus.folder.path is '.*nowhere', which does not exist"):
        folder(tmp_path / "nowhere").recordings()
    with pytest.raises(UserError, match=r"corpus.folder.path is '.*a.wav', which is a file; name a folder"):
        folder(write(tmp_path / "a.wav")).recordings()


def test_a_folder_without_audio(tmp_path, folder):
    with pytest.raises(UserError, match=r"no audio files below .* \(it is empty\); .*another folder"):
        folder(tmp_path).recordings()
    for name in ("a.m4a", "b.M4A", "c.txt", "raw.raw"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"\(other files: 2 with .m4a, 1 with .*\); convert them to WAV or FLAC"):
        folder(tmp_path).recordings()


@pytest.mark.parametrize("name", [b"a\nb.wav", b"\xff.wav"])
def test_names_that_no_table_can_hold(tmp_path, folder, write, name):
    try:
        shutil.copy(write(tmp_path / "good.wav"), os.path.join(os.fsencode(tmp_path), name))
    except OSError:
        pytest.skip("this file system refuses such names")
    with pytest.raises(UserError, match=r"1 file names below .* the first is '.*wav'; rename them"):
        folder(tmp_path).recordings()


# ----------------------------------------------------------------------------------------------------- tables of labels


@pytest.fixture
def labelled(tmp_path, folder, write):
    """A folder of four files with the table that the test gives."""
    for name in ("a.wav", "b.wav", "sub/c.wav", "sub/d.wav"):
        write(tmp_path / "audio" / name)

    def make(content, **options):
        (tmp_path / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder(tmp_path / "audio", labels=str(tmp_path / "labels.csv"), **options)

    return make


def test_a_table_of_everything(labelled):
    corpus = labelled(
        "\ufefffile,label,group,split,genre\r\na.wav,dog,one,train,x\r\n./b.wav, cat ,one,,\r\n"
        '\r\n"sub/c.wav","a ""b"", c",,test,\r\n'
    )
    described = [(r.file, r.label, r.group, r.split, r.genre) for r in corpus.recordings()]
    assert described == [
        ("a.wav", "dog", "one", "train", "x"),
        ("b.wav", "cat", "one", "", ""),
        ("sub/c.wav", 'a "b", c', "sub/c.wav", "test", ""),
        ("sub/d.wav", "", "sub/d.wav", "", ""),
    ]
    clip = corpus.clips(corpus.recordings()[0])[0]
    assert (clip.label, clip.group, clip.split, clip.genre) == ("dog", "one", "train", "x")


def test_pieces_share_what_the_table_says(labelled):
    corpus = labelled("file,label,group\na.wav,dog,one\n", clip_seconds=0.2)
    clips = [clip for clip in cut(corpus) if clip.group == "one"]
    assert [clip.clip for clip in clips] == ["a.wav#1", "a.wav#2"] and {clip.label for clip in clips} == {"dog"}


def test_tags_of_a_table(labelled):
    """As of the Million Song Dataset: any number for each, the order of no meaning."""
    corpus = labelled("file,tags,label\na.wav,rock | female vocalists|rock,x\nb.wav,  ,y\nsub/c.wav,00s,\n")
    assert [(clip.clip, clip.tags, clip.label) for clip in cut(corpus)] == [
        ("a.wav", ("female vocalists", "rock"), "x"),
        ("b.wav", (), "y"),
        ("sub/c.wav", ("00s",), ""),
        ("sub/d.wav", (), ""),
    ]
    assert corpus.separate(corpus.recordings()[0]) is None


BAD_TABLES = {
    "name,label\na.wav,dog\n": r"has no column file \(its columns: name, label\); add one",
    "": r"has no column file \(its columns: none\)",
    "file,tag\na.wav,x\n": r"unknown columns 'tag'; known: file, label, group, split, genre, tags",
    "file,label,label\na.wav,x,y\n": r"has a column twice",
    "file,label\na.wav,x,y\n": r"row 2, has 3 cells and the header 2",
    "file,label\nz.wav,x\n": r"labels.csv names z.wav, not found among the 4 audio files below .*; write paths",
    "file\n"
    + "".join(f"z{i}.wav\n" for i in range(7)): r"names 7 files \(z0.wav, z1.wav, .*, z4.wav, ...\), not found",
    "file,label\na.wav,x\n./a.wav,y\n": r"names a.wav more than once; keep one row per file",
    "file,split\na.wav,dev\n": r"row 2: split is 'dev'; it must be train, test, or empty",
    "file,group,split\na.wav,g,train\nb.wav,g,test\n": r"group 'g' is in both train and test in .*labels.csv",
    "file,tags\na.wav,x\nb.wav,x| |y\n": r"labels.csv, row 3: tags is 'x| |y', with nothing before or after a \|",
    "file,tags\na.wav,|\n": r"row 2: tags is '\|', with nothing",
    b"file,label\na.wav,\xff\xfe\n": r"is not CSV in UTF-8",
    'file,label\na.wav,"x\n': r"is not CSV in UTF-8",
}


@pytest.mark.parametrize("content", BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_a_table_that_is_wrong(labelled, content):
    with pytest.raises(UserError, match=BAD_TABLES[content]):
        labelled(content).recordings()


def test_a_table_that_is_missing(tmp_path, folder, write):
    write(tmp_path / "a.wav")
    with pytest.raises(UserError, match=r"corpus.folder.labels: .*none.csv cannot be read \(No such file"):
        folder(tmp_path, labels=str(tmp_path / "none.csv")).recordings()


# ------------------------------------------------------------------------------------------------------------- hashes


def test_content_hash_follows_content_and_labels(labelled, workspace, tmp_path, write):
    corpus = labelled("file,label\na.wav,x\n")

    def hashes():
        return corpus.content_hashes(corpus.recordings())

    first = hashes()
    assert [row[0] for row in first["files"]] == ["a.wav", "b.wav", "sub/c.wav", "sub/d.wav"] and hashes() == first
    os.utime(tmp_path / "audio" / "a.wav", (1, 1))
    assert hashes() == first
    write(tmp_path / "audio" / "b.wav")
    second = hashes()
    assert [a == b for a, b in zip(first["files"], second["files"], strict=True)] == [True, False, True, True]
    (tmp_path / "labels.csv").write_text("file,label\na.wav,y\n")
    assert hashes()["labels"] != second["labels"] and hashes()["files"] == second["files"]


def test_hashes_are_sha256_and_remembered(tmp_path, folder, write, workspace, monkeypatch):
    from earshift.storage import hashes

    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"abc")
    corpus = folder(tmp_path / "audio")
    hashes.remember_in(paths.HASHES)
    # FIPS 180-2, appendix B.1
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert corpus.content_hashes(corpus.recordings())["files"] == [["a.wav", 3, digest]]

    asked = []
    monkeypatch.setattr(hashes, "digest", lambda file, algorithm: asked.append(os.path.basename(file)) or "new")
    write(tmp_path / "audio" / "b.wav")
    assert [row[2] for row in corpus.content_hashes(corpus.recordings())["files"]] == [digest, "new"]
    corpus.content_hashes(corpus.recordings())
    assert asked == ["b.wav"]
    (workspace / paths.HASHES).write_text("{torn")
    corpus.content_hashes(corpus.recordings())
    assert sorted(asked) == ["a.wav", "b.wav", "b.wav"]
