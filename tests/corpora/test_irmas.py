"""IRMAS as it comes, from a folder and from its archive; every way in which the set or the split table can be wrong."""

import csv
import dataclasses
import hashlib
import os
import re
import shutil
import struct
import zipfile
from collections import Counter

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.mirror import irmas as irmas_layout
from benchmarks.mirror.irmas import CODES, FRAMES
from earshift.corpora import irmas as irmas_module
from earshift.corpora.base import list_recordings
from earshift.corpora.irmas import OFFICIAL, Irmas, parse_name
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.corpus import build
from earshift.pipeline.corpus_inputs import write_corpus_inputs
from earshift.storage import downloads
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json

PIECES = 3
# As the study's script 2A.3 calls them
LABELS = {
    "cel": "cello", "cla": "clarinet", "flu": "flute", "gac": "guitar_acc", "gel": "guitar_ele", "org": "organ",
    "pia": "piano", "sax": "saxophone", "tru": "trumpet", "vio": "violin", "voi": "voice",
}  # fmt: skip
GENRES = {
    "cou_fol": "country_folk", "cla": "classical", "pop_roc": "pop_roc",
    "lat_sou": "latin_soul", "jaz_blu": "jazz_blue",
}  # fmt: skip
# By hand: the set's own names (mirdata's index, the study's table) and what the study calls them
NAMES = {
    "[cel][cla]0001__1": ("0001", "cello", "classical"),
    "[gac][pop_roc]0628__3": ("0628", "guitar_acc", "pop_roc"),
    "053__[cla][nod][cla]0219__1": ("0219", "clarinet", "classical"),
    "014__[gel][---][pop_roc]0978__2": ("0978", "guitar_ele", "pop_roc"),
    "205__[tru][---][jaz_blu]1987__3": ("1987", "trumpet", "jazz_blue"),
    "247__[voi][---][cou_fol]2376__1": ("2376", "voice", "country_folk"),
    "110__[org][dru][lat_sou]1212__1": ("1212", "organ", "latin_soul"),
}


def make(root=None, split_csv=None):
    options = {"root": root and str(root), "split_csv": split_csv and str(split_csv)}
    return check(Irmas, options, "corpus.irmas")


def cut(corpus):
    return [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("irmas")
    irmas_layout.write_zip(folder / "mirror" / "IRMAS-TrainingData.zip", pieces=PIECES)
    with zipfile.ZipFile(folder / "mirror" / "IRMAS-TrainingData.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def small(monkeypatch):
    """The set is complete with what irmas_layout writes."""
    counts = Counter(name[:3] for name in irmas_layout.names(PIECES))
    monkeypatch.setattr(irmas_module, "OFFICIAL", dict(counts))


@pytest.fixture
def root(written, tmp_path, small):
    """A copy to spoil."""
    shutil.copytree(written / irmas_layout.FOLDER, tmp_path / irmas_layout.FOLDER)
    return tmp_path / irmas_layout.FOLDER


@pytest.fixture
def mirror(written, tmp_path, workspace, small, monkeypatch):
    """A mirror with an archive to spoil, which is not the official one."""
    (tmp_path / "mirror").mkdir()
    shutil.copy(written / "mirror" / "IRMAS-TrainingData.zip", tmp_path / "mirror")
    monkeypatch.setenv(downloads.MIRROR, str(tmp_path / "mirror"))
    monkeypatch.setenv(downloads.UNPINNED, "1")
    return tmp_path / "mirror" / "IRMAS-TrainingData.zip"


@pytest.fixture
def table(tmp_path):
    """Write a split table of (file name, split) and return its path."""

    def write(rows, *, columns="instrument,genre,file_name,split", index=False):
        path = tmp_path / "split.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(([""] if index else []) + columns.split(","))
            for number, (name, split) in enumerate(rows):
                group, label, genre = NAMES.get(name) or parts_of(name)
                cells = {"instrument": label, "genre": genre, "file_name": name, "split": split, "extra": ""}
                writer.writerow(([number] if index else []) + [cells[column] for column in columns.split(",")])
        return path

    return write


def parts_of(name):
    """(group, label, genre) as the study reads a name: first and last brackets, four digits before the underscores."""
    words = re.findall(r"\[([^\]]*)\]", name)
    return name.rpartition("__")[0][-4:], LABELS[words[0]], GENRES[words[-1]]


def stems(pieces=PIECES):
    return [name[4:-4] for name in irmas_layout.names(pieces)]


# ---------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", NAMES)
def test_real_names(name):
    found = parse_name(name)
    assert (found.group, found.label, found.genre) == NAMES[name] == parts_of(name) and found.clip == name
    assert found.instrument == name.partition("[")[2][:3]


@given(
    st.sampled_from(CODES),
    st.sampled_from(["", "[dru]", "[nod]", "[---]"]),
    st.sampled_from(["cou_fol", "cla", "pop_roc", "lat_sou", "jaz_blu"]),
    st.integers(0, 9999),
    st.integers(1, 99),
    st.none() | st.integers(1, 999),
)
def test_every_name_of_the_official_forms(code, drums, genre, number, piece, order):
    name = f"{'' if order is None else f'{order:03d}__'}[{code}]{drums}[{genre}]{number:04d}__{piece}"
    found = parse_name(name)
    assert (found.group, found.label, found.genre) == parts_of(name)
    assert (found.clip, found.instrument) == (name, code)


@given(st.sampled_from(sorted(NAMES)), st.integers(0, 30), st.integers(0, 2), st.text("[]_-. 012cé٣\n", max_size=2))
def test_names_with_a_slip_are_refused_or_read_as_the_study_reads_them(name, at, dropped, put):
    text = name[:at] + put + name[at + dropped :]
    found = parse_name(text)
    if found is not None:
        assert (found.group, found.label, found.genre) == parts_of(text) and found.clip == text


@pytest.mark.parametrize(
    "name",
    [
        "",
        "[cel]0001__1",
        "[cel][cla]001__1",
        "[cel][cla]00001__1",
        "[cel][cla]0001_1",
        "[cel][cla]0001__",
        "[cel][cla]0001__1 (1)",
        "[xyz][cla]0001__1",
        "[cel][xyz]0001__1",
        "[cel][dru][nod][cla]0001__1",
        "x[cel][cla]0001__1",
        "[cel][cla]0001__1\n",
        "[cel][cla]٠٠٠١__1",
    ],
)
def test_what_is_no_name(name):
    assert parse_name(name) is None


def test_official_counts():
    assert sum(OFFICIAL.values()) == 6705 and tuple(OFFICIAL) == CODES


# ------------------------------------------------------------------------------------------------------ as it should be


@pytest.mark.parametrize("place", ["folder", "parent", "archive"])
def test_clips_are_what_soundfile_reads(place, written, mirror, table):
    corpus = make({"folder": written / irmas_layout.FOLDER, "parent": written, "archive": None}[place])
    recordings = corpus.recordings()
    assert corpus.problems(recordings) == []
    clips = cut(corpus)
    used = [name for name in sorted(irmas_layout.names(PIECES)) if "lat_sou" not in name]
    assert [clip.clip for clip in clips] == [name[4:-4] for name in used] and len(clips) == 11 * PIECES
    for name, clip in zip(used, clips, strict=True):
        audio, rate = soundfile.read(written / irmas_layout.FOLDER / name, dtype="int16")
        np.testing.assert_array_equal(clip.audio, audio.T, strict=True)
        assert clip.sample_rate == rate == 44100 and clip.problem == clip.split == ""
        assert (clip.group, clip.label, clip.genre) == parts_of(clip.clip)
    assert corpus.dtype(recordings) == "int16" and corpus.extent(recordings) == (33, 33 * 2 * FRAMES)
    assert len({clip.label for clip in clips}) == 11 and len({clip.group for clip in clips}) == 22


def test_folder_and_archive_are_packed_alike(written, mirror, edited):
    """Through the build stage, with and without worker processes."""
    contents = []
    for root, workers in ((None, 2), (written, 1)):
        base = edited({"compute.workers": workers})
        corpus = dataclasses.replace(base.corpus, name="irmas", chosen=make(root))
        build(dataclasses.replace(base, corpus=corpus))
        contents.append((paths.CLIPS.read_bytes(), corpus_audio_path().read_bytes()))
    assert contents[0] == contents[1]
    clips = read_clips(paths.CLIPS)
    assert clips.valid.all() and Counter(clips.split)["train"] % 11 == 0 and {"train", "test"} <= set(clips.split)
    assert set(clips.groupby("group")["split"].agg(lambda s: len(set(s) - {"unused"}))) <= {0, 1}
    licence = (paths.CORPUS / "LICENCE.txt").read_text()
    assert "CC BY-NC-SA 3.0" in licence and "forbids redistribution" in licence and not Irmas.shareable


def test_hidden_files_and_notes_are_no_clips(root):
    for name in (".DS_Store", "cel/._[cel][cla]0001__1.wav", "__MACOSX/cel/x", "readme.TXT", "cel/README"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    corpus = make(root)
    assert len(corpus.recordings()) == 33 and corpus.problems(corpus.recordings()) == []


def test_headers_are_read_without_the_audio(root, monkeypatch):
    monkeypatch.setattr(soundfile, "SoundFile", None)
    monkeypatch.setattr(soundfile, "info", None)
    chunk = b"LIST" + struct.pack("<I", 70001) + bytes(70002)  # padded to an even length
    path = root / irmas_layout.names(PIECES)[0]
    plain = path.read_bytes()
    path.write_bytes(plain[:36] + chunk + plain[36:])
    recordings = make(root).recordings()
    assert {recording.frames for recording in recordings} == {FRAMES} and not make(root).problems(recordings)


def test_the_pinned_archive_is_not_doubted(mirror, monkeypatch):
    """Its clips are as the authors made them, even where their headers are not what this module expects."""
    data = mirror.read_bytes()
    monkeypatch.delenv(downloads.UNPINNED)
    pinned = dataclasses.replace(irmas_module.ARCHIVE, hashes=(("md5", hashlib.md5(data).hexdigest()),))
    monkeypatch.setattr(irmas_module, "ARCHIVE", pinned)
    monkeypatch.setattr(irmas_module, "_header", None)
    corpus = make()
    recordings = corpus.recordings()
    assert corpus.extent(recordings) == (33, 33 * 2 * FRAMES) and corpus.problems(recordings) == []
    assert corpus.content_hashes(recordings)["audio"] == f"md5 {hashlib.md5(data).hexdigest()}"


# ------------------------------------------------------------------------------------------------- sets that are wrong


def spoil(root):
    """Every kind of mistake at once; what is left can be used but for three clips."""
    names = irmas_layout.names(PIECES)
    (root / names[0]).unlink()
    (root / names[-3]).unlink()
    (root / "cel" / "[cel][cla]0777__1.wav.part").write_bytes(b"x")
    (root / "cel" / "[cel][cla]0777__1 (1).wav").write_bytes(b"x")
    (root / "drums").mkdir()
    (root / "drums" / "[cel][cla]0777__1.wav").write_bytes(b"x")
    (root / "Thumbs.db").write_bytes(b"x")
    shutil.copy(root / names[3], root / "cel" / names[3][4:])
    quiet = np.zeros((FRAMES, 2), np.int16)
    wrong = {
        names[4]: b"",
        names[6]: irmas_layout.wav(quiet[:, :1], rate=22050),
        names[9]: (root / names[9]).read_bytes()[:300_000],
    }
    for name, content in wrong.items():
        (root / name).write_bytes(content)
    return names


def test_all_that_is_wrong_is_said_at_once(root):
    names = spoil(root)
    with pytest.raises(UserError) as error:
        list_recordings(make(root), "error")
    message = str(error.value)
    assert "\n" not in message and message.startswith(
        f"corpus irmas: 33 clips where IRMAS has 35: cel 2 of 3, voi 3 of 4 ({downloads.UNPINNED}=1 takes a stand-in "
        f"for the whole set); files that do not belong in {root}: 5 files (Thumbs.db (not in the folder of an "
        "instrument), "
    )
    for other in (
        f"cel/{names[3][4:]} (in the folder of another instrument)",
        "cel/[cel][cla]0777__1 (1).wav (no name of IRMAS)",
        "cel/[cel][cla]0777__1.wav.part (no .wav file)",
        "drums/[cel][cla]0777__1.wav (not in the folder of an instrument)",
    ):
        assert other in message
    assert (
        f"; clips that cannot be used: 3 clips ({names[4]} (cannot be read: empty file), "
        f"{names[6]} (22050 Hz instead of 44100, 1 ch instead of 2, 6.000 s instead of 3), "
        f"{names[9]} (cut short after 74989 of {FRAMES} samples)). Mend that, or go on with the clips that can be "
        "used: corpus.on_bad_clip: skip"
    ) in message


def test_the_gate_asks(root, edited):
    spoil(root)
    corpus = dataclasses.replace(edited({}).corpus, name="irmas", chosen=make(root))
    with pytest.raises(UserError, match="corpus irmas: 33 clips where IRMAS has 35"):
        write_corpus_inputs(corpus)
    write_corpus_inputs(dataclasses.replace(corpus, on_bad_clip="skip"))
    assert read_json(paths.CORPUS_INPUTS)["content"]["clips"] == 31


def test_skip_prints_and_goes_on(root, capsys):
    names = spoil(root)
    corpus = make(root)
    recordings = list_recordings(corpus, "skip")
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 and all(line.startswith("corpus: ") for line in out) and out[0].startswith("corpus: 33 clips")
    clips = cut(corpus)
    assert len(clips) == len(recordings) == 31  # 35 but for two missing and two of latin soul
    bad = {clip.clip: clip for clip in clips if clip.problem}
    assert set(bad) == {names[i][4:-4] for i in (4, 6, 9)} and all(clip.audio is None for clip in bad.values())
    assert corpus.extent(recordings) == (31, 28 * 2 * FRAMES)


def test_more_clips_than_there_are(root):
    name = irmas_layout.names(PIECES)[0]
    shutil.copy(root / name, root / "cel" / "[cel][cla]9999__1.wav")
    shutil.copy(root / name, root / "cel" / "[cel][cla]9999__1.WAV")
    with pytest.raises(
        UserError, match=r"36 clips where IRMAS has 35: cel 4 of 3 .*9999__1.wav \(a second clip of that"
    ):
        list_recordings(make(root), "error")


def test_stand_ins_may_have_any_number_of_clips(root, monkeypatch, capsys):
    monkeypatch.setattr(irmas_module, "OFFICIAL", OFFICIAL)
    corpus = make(root)
    with pytest.raises(UserError, match=r"35 clips where IRMAS has 6705: cel 3 of 388, cla 3 of 505, .*voi 4 of 778 "):
        list_recordings(corpus, "error")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(downloads.UNPINNED, "1")
    assert len(list_recordings(corpus, "error")) == 33
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("corpus irmas: 35 clips where IRMAS has 6705: cel 3 of 388") and err.endswith(
        f"; taken because {downloads.UNPINNED}=1\n"
    )


@pytest.mark.parametrize(
    ("audio", "options", "problem"),
    [
        ((FRAMES, 1), {}, "1 ch instead of 2"),
        ((FRAMES, 2), {"rate": 48000}, "48000 Hz instead of 44100, 2.756 s instead of 3"),
        ((FRAMES // 3 * 2, 3), {}, "3 ch instead of 2, 2.000 s instead of 3"),
        ((FRAMES * 2, 2), {"bytes_per_sample": 4}, "32 bit instead of 16"),
        ((0, 2), {}, "0.000 s instead of 3"),
        ((FRAMES - 6000, 2), {}, "2.864 s instead of 3"),
        ((FRAMES + 4000, 2), {}, ""),
    ],
)
def test_headers_that_are_not_those_of_irmas(root, audio, options, problem):
    name = irmas_layout.names(PIECES)[0]
    (root / name).write_bytes(irmas_layout.wav(np.ones(audio, np.int16), **options))
    recording = make(root).recordings()[0]
    assert (recording.file, recording.problem) == (name, problem)
    assert recording.frames == (0 if problem else audio[0])


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFX" + bytes(60),
        b"RIFF\0\0\0\0WAVEdata\x08\0\0\0" + bytes(8),
        b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0" + bytes(4) + b"data\x08\0\0\0" + bytes(8),
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\x08\0\0\0" + bytes(8),
        b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\xff" + bytes(50),
        b"<html>404</html>",
    ],
)
def test_headers_that_cannot_be_read(root, content):
    name = irmas_layout.names(PIECES)[0]
    (root / name).write_bytes(content)
    corpus = make(root)
    recording = corpus.recordings()[0]
    assert recording.problem.startswith("cannot be read: ") and recording.frames == 0
    assert corpus.clips(recording)[0].problem == recording.problem


def test_nothing_but_latin_soul(root):
    for name in irmas_layout.names(PIECES):
        if "lat_sou" not in name:
            (root / name).unlink()
    with pytest.raises(UserError, match="corpus irmas has no clip but of genre latin_soul, which is left out"):
        make(root).recordings()


def test_a_link_to_nowhere(root):
    name = irmas_layout.names(PIECES)[0]
    (root / name).unlink()
    (root / name).symlink_to(root / "gone.wav")
    assert make(root).recordings()[0].problem == "cannot be read: No such file or directory"


def test_silence_and_what_only_decoding_shows(root):
    names = irmas_layout.names(PIECES)
    (root / names[0]).write_bytes(irmas_layout.wav(np.zeros((FRAMES, 2), np.int16)))
    corpus = make(root)
    recordings = corpus.recordings()
    (root / names[1]).unlink()  # after it was listed
    problems = [corpus.clips(recording)[0].problem for recording in recordings[:3]]
    assert problems == ["silent: no sample above -90 dB of full scale", "cannot be read: No such file or directory", ""]


def test_a_damaged_archive(mirror):
    """One clip is torn, another is no WAV file; the others can be used."""
    with zipfile.ZipFile(mirror) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".wav")]
        contents = {info.filename: archive.read(info) for info in infos}
    torn, no_wav = infos[1].filename, infos[2].filename
    with zipfile.ZipFile(mirror, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, b"x" * 999 if name == no_wav else content)
    data = bytearray(mirror.read_bytes())
    data[data.index(contents[torn]) + 5000] ^= 1
    mirror.write_bytes(data)
    corpus = make()
    recordings = corpus.recordings()
    assert corpus.problems(recordings) == [f"clips that cannot be used: {no_wav} (cannot be read: no WAV file)"]
    problems = {clip.clip: clip.problem for clip in cut(corpus) if clip.problem}
    assert problems == {
        torn.rpartition("/")[2][:-4]: f"cannot be read: Bad CRC-32 for file {torn!r}",
        no_wav.rpartition("/")[2][:-4]: "cannot be read: no WAV file",
    }


def test_an_archive_with_tricks(mirror):
    with zipfile.ZipFile(mirror, "a") as archive:
        archive.writestr("../../evil.wav", b"x")
        archive.writestr("IRMAS-TrainingData/cel/big.wav", bytes(17 << 20))
    with pytest.raises(UserError, match=r"big.wav' larger than 16 MiB|evil.wav' with a path that leads out .* larger"):
        make().recordings()


def test_an_archive_with_another_hash(mirror, monkeypatch):
    monkeypatch.delenv(downloads.UNPINNED)
    with pytest.raises(
        UserError, match=r"IRMAS-TrainingData.zip has md5 .*, expected 4fd9f5ed5a18d8e2687e6360b5f60afe"
    ):
        make().recordings()


def test_no_archive_to_be_had(workspace, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(downloads.MIRROR, str(tmp_path / "empty"))
    monkeypatch.setattr(irmas_module, "ARCHIVE", dataclasses.replace(irmas_module.ARCHIVE, urls=()))
    with pytest.raises(
        UserError, match=r"IRMAS-TrainingData.zip cannot be fetched .*; or name its folder, unpacked, in "
    ):
        make().recordings()


def test_roots_that_are_wrong(tmp_path, written):
    with pytest.raises(
        UserError, match=r"corpus.irmas.root is '.*nowhere', which does not exist; name the folder IRMAS"
    ):
        make(tmp_path / "nowhere").recordings()
    with pytest.raises(UserError, match=r"which is a file; name the folder IRMAS-TrainingData, or null to take IRMAS"):
        make(written / "mirror" / "IRMAS-TrainingData.zip").recordings()
    with pytest.raises(
        UserError, match=r"no clip of IRMAS in .*; corpus.irmas.root must name the folder IRMAS-Training"
    ):
        make(tmp_path).recordings()
    (tmp_path / "song.mp3").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no clip of IRMAS in .*; it holds song.mp3 \(not in the folder of an instr"):
        make(tmp_path).recordings()


# --------------------------------------------------------------------------------------------------------- split tables


@pytest.mark.parametrize("index", [False, True])
def test_a_table_is_the_corpus(root, table, edited, index):
    """As published: what it names, split as it says, neither balanced nor completed."""
    names = [name for name in stems() if "lat_sou" not in name][:20]
    groups = sorted({parts_of(name)[0] for name in names})
    rows = [(name, "test" if parts_of(name)[0] in groups[:3] else "train") for name in reversed(names)]
    corpus = make(root, table(rows, index=index))
    assert corpus.problems(corpus.recordings()) == []
    assert {clip.clip: clip.split for clip in cut(corpus)} == dict(rows)
    base = edited({"compute.workers": 1})
    build(dataclasses.replace(base, corpus=dataclasses.replace(base.corpus, name="irmas", chosen=corpus)))
    clips = read_clips(paths.CLIPS)
    assert dict(zip(clips["clip"], clips["split"], strict=True)) == dict(rows)


def test_a_table_may_be_brief_and_name_latin_soul(root, table):
    latin = next(name for name in stems() if "lat_sou" in name)
    rows = [(latin, "train"), (stems()[0], "test")]
    clips = cut(make(root, table(rows, columns="split,file_name")))
    assert {clip.clip: (clip.split, clip.genre) for clip in clips} == {
        latin: ("train", "latin_soul"),
        stems()[0]: ("test", parts_of(stems()[0])[2]),
    }


def test_a_table_may_name_files(root, tmp_path):
    path = tmp_path / "split.csv"
    path.write_text(f"file_name,split\ncel/{stems()[0]}.wav, train\nIRMAS-TrainingData/cel/{stems()[2]}.WAV,test\n")
    assert [clip.split for clip in cut(make(root, path))] == ["train", "test"]


def test_unknown_clips_are_named_together(root, table):
    rows = [(f"[cel][cla]{9000 + i}__1", "train") for i in range(7)] + [(stems()[0], "train")]
    with pytest.raises(UserError) as error:
        make(root, table(rows)).recordings()
    message = str(error.value)
    assert message.startswith("corpus.irmas.split_csv: ") and message.endswith("; correct or drop these rows")
    assert (
        "split.csv names 7 clips ([cel][cla]9000__1, [cel][cla]9001__1, [cel][cla]9002__1, [cel][cla]9003__1, "
        "[cel][cla]9004__1, ...), not found among the 35 that are there"
    ) in message


def test_all_that_is_wrong_with_a_table(root, tmp_path):
    one, two, three, *_ = stems()
    path = tmp_path / "split.csv"
    path.write_text(
        f"instrument,genre,file_name,split\ncello,{parts_of(one)[2]},{one},train\ncello,{parts_of(one)[2]},{one},train\n"
        f"flute,{parts_of(two)[2]},{two},valid\ncello,{parts_of(three)[2]},{three},\ncello,classical,who knows,test\n"
    )
    with pytest.raises(UserError) as error:
        make(root, path).recordings()
    assert str(error.value) == (
        f"corpus.irmas.split_csv: {path} names who knows, not found among the 35 that are there; names {one} more than "
        f"once; has splits other than train and test: 2 rows (row 4: 'valid', row 5: ''); contradicts the names of its "
        f"clips: row 4: {two} is cello, {parts_of(two)[2]}; correct or drop these rows"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"has the columns none; it must have file_name and split, may have instrument and genre"),
        ("file_name\nx\n", r"has the columns file_name; it must have file_name and split"),
        ("file_name,split,fold\nx,train,1\n", r"has the columns file_name, split, fold; it must"),
        ("file_name,split,split\nx,train,test\n", r"has the columns file_name, split, split; it must"),
        ("file_name,split\n", r"split.csv names no clip; correct"),
        ("file_name,split\nx\n", r"row 2, has 1 cells and the header 2"),
        ('file_name,split\n"x,train\n', r"is not CSV in UTF-8"),
    ],
)
def test_tables_that_are_none(root, tmp_path, content, message):
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        make(root, tmp_path / "split.csv").recordings()


def test_a_table_that_is_missing(root, tmp_path):
    with pytest.raises(UserError, match=r"corpus.irmas.split_csv: .*none.csv cannot be read \(No such file"):
        make(root, tmp_path / "none.csv").recordings()


def test_a_table_that_tears_a_recording(root, table):
    one, two = stems()[:2]
    assert parts_of(one)[0] == parts_of(two)[0] == "0001"
    with pytest.raises(UserError, match=r"group '0001' is in both train and test in .*split.csv"):
        make(root, table([(one, "train"), (two, "test")])).recordings()


# ------------------------------------------------------------------------------------------------------------- hashes


def test_content_hash_follows_audio_and_table(root, workspace, table):
    def hashes(path=None):
        corpus = make(root, path)
        return corpus.content_hashes(corpus.recordings())

    first = hashes()
    names = irmas_layout.names(PIECES)
    os.utime(root / names[0], (1, 1))
    (root / "NOTES").write_text("no clip")
    assert hashes() == first
    content = bytearray((root / names[0]).read_bytes())
    content[5000] ^= 1
    (root / names[0]).write_bytes(content)
    second = hashes()
    assert second != first
    (root / names[0]).rename(root / "cel" / "[cel][cla]0999__1.wav")
    assert hashes() not in (first, second)

    path = table([(stems()[1], "train"), (stems()[3], "test")])
    with_table = hashes(path)
    assert with_table["clips"] == 2 and with_table["split_csv"] == hashlib.sha256(path.read_bytes()).hexdigest()
    table([(stems()[1], "test"), (stems()[3], "train")])
    assert hashes(path)["split_csv"] != with_table["split_csv"] and hashes(path)["audio"] == with_table["audio"]


def test_content_hash_of_a_stand_in_archive(mirror):
    corpus = make()
    hashes = corpus.content_hashes(corpus.recordings())
    assert hashes == {
        "clips": 33,
        "audio": hashlib.sha256(mirror.read_bytes()).hexdigest(),
        "split_csv": None,
    }
    with zipfile.ZipFile(mirror, "a") as archive:
        archive.writestr("IRMAS-TrainingData/readme-2.txt", "x")
    assert corpus.content_hashes(corpus.recordings())["audio"] != hashes["audio"]
