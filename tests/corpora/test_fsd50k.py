"""FSD50K as it comes, unpacked and in its archives; every way in which a copy of it can be wrong."""

import re
import shutil
import struct

import numpy as np
import pytest
import soundfile

from benchmarks.mirror import fsd50k as layout
from benchmarks.mirror.irmas import wav
from earshift.corpora import fsd50k as fsd50k_module
from earshift.corpora.base import TAG_SEPARATOR, list_recordings
from earshift.corpora.fsd50k import ARCHIVES, Fsd50k
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import paths
from earshift.pipeline.corpus import build
from earshift.pipeline.corpus_inputs import write_corpus_inputs
from earshift.storage import downloads
from earshift.storage.clips import read_clips

DEV, EVAL, GROUND_TRUTH = layout.DEV, layout.EVAL, layout.GROUND_TRUTH


def make(root=None):
    return check(Fsd50k, {"root": root and str(root)}, "corpus.fsd50k")


def cut(corpus):
    return [clip for recording in list_recordings(corpus, "error") for clip in corpus.clips(recording)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return layout.write(tmp_path_factory.mktemp("fsd50k"))


@pytest.fixture
def root(written, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(written, tmp_path / "fsd50k")


@pytest.fixture
def mirror(tmp_path, workspace, monkeypatch):
    """A mirror with archives in the official number of parts, which are not the official ones."""
    monkeypatch.setenv(downloads.MIRROR, str(layout.write_archives(tmp_path / "mirror", part=150_000)))
    monkeypatch.setenv(downloads.UNPINNED, "1")
    return tmp_path / "mirror"


@pytest.fixture
def rewritten(root):
    """Replace text in a table of ground truth."""

    def rewrite(table, old, new):
        path = root / GROUND_TRUTH / table
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return rewrite


# ---------------------------------------------------------------------------------------------------------- as it comes


def test_clips_are_those_of_the_tables(written):
    clips = {clip.clip: clip for clip in cut(make(written))}
    tables = layout.tables(12, 6)
    assert list(clips) == [*tables["dev.csv"], *tables["eval.csv"]]
    for name, row in (tables["dev.csv"] | tables["eval.csv"]).items():
        clip = clips[name]
        assert set(clip.tags) == set(row["labels"].split(",")) and list(clip.tags) == sorted(clip.tags)
        assert clip.split == {"train": "train", "val": "valid", None: "test"}[row.get("split")]
        assert (clip.group, clip.label, clip.genre, clip.sample_rate) == (name, "", "", 44100)
        file = written / (DEV if name in tables["dev.csv"] else EVAL) / f"{name}.wav"
        expected, _ = soundfile.read(file, dtype="int16")
        np.testing.assert_array_equal(clip.audio, expected[None], strict=True)


@pytest.mark.parametrize("seconds", [0.3, 30.0])
def test_clips_of_any_length_are_whole(tmp_path, seconds):
    corpus = make(layout.write(tmp_path, clips=1, evaluation=1, seconds=(seconds,)))
    samples = round(seconds * 44100)
    assert [clip.audio.shape for clip in cut(corpus)] == [(1, samples)] * 2
    assert corpus.extent(corpus.recordings()) == (2, 2 * samples)


def test_archives_in_parts_are_the_folder(written, mirror):
    assert len(list(mirror.glob(f"{DEV}.z*"))) == 6 and len(list(mirror.glob(f"{EVAL}.z*"))) == 2
    corpus = make()
    assert corpus.at_hand()
    for one, other in zip(cut(corpus), cut(make(written)), strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)
        assert (one.clip, one.tags, one.split, one.problem) == (other.clip, other.tags, other.split, "")


def test_official_archives_are_trusted_in_their_headers(written, mirror, monkeypatch):
    expected = make(written).extent(make(written).recordings())
    monkeypatch.setattr("earshift.corpora.places.is_official", lambda path, remote: True)
    monkeypatch.setattr(fsd50k_module, "_header", None)
    assert make().extent(make().recordings()) == expected


def test_what_cannot_be_fetched_is_named_with_its_hash(workspace, monkeypatch):
    nowhere = {
        folder: tuple(downloads.Remote(r.file, ("http://127.0.0.1:9/x",), r.hashes, r.size) for r in remotes)
        for folder, remotes in ARCHIVES.items()
    }
    monkeypatch.setattr(fsd50k_module, "ARCHIVES", nowhere)
    monkeypatch.delenv(downloads.MIRROR, raising=False)
    assert not make().at_hand()
    message = (
        r"FSD50K.ground_truth.zip cannot be fetched .*\(md5 ca27382c195e37d2269c4c866dd73485\); or name a folder that "
        r"holds FSD50K.ground_truth, FSD50K.dev_audio and FSD50K.eval_audio, unpacked, in corpus.fsd50k.root"
    )
    with pytest.raises(UserError, match=message):
        make().recordings()


def test_a_stand_in_needs_to_be_wanted(mirror, monkeypatch):
    monkeypatch.delenv(downloads.UNPINNED)
    with pytest.raises(UserError, match=r"ground_truth.zip has md5 .*, expected ca27382c"):
        make().recordings()


def test_content_hash_follows_audio_and_labels(root, workspace, rewritten):
    corpus = make(root)
    before = corpus.content_hashes(corpus.recordings())
    rewritten("dev.csv", '1021,"Rain', '1021,"Speech,Human_voice,Rain')
    after = corpus.content_hashes(corpus.recordings())
    assert [key for key in before if before[key] != after[key]] == [GROUND_TRUTH]
    path = root / EVAL / "1084.wav"
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0")
    assert corpus.content_hashes(corpus.recordings())[EVAL] != after[EVAL]


# --------------------------------------------------------------------------------------------------------------- wrong


@pytest.mark.parametrize("table", ["dev.csv", "eval.csv", "vocabulary.csv"])
def test_a_missing_table(root, table):
    (root / GROUND_TRUTH / table).unlink()
    message = rf"{GROUND_TRUTH}/{table} missing in .*; unpack FSD50K.ground_truth.zip there .*md5 ca27382c"
    with pytest.raises(UserError, match=message):
        make(root).recordings()


def test_missing_tables_are_named_together(root):
    shutil.rmtree(root / GROUND_TRUTH)
    with pytest.raises(UserError, match=r"dev.csv, FSD50K.ground_truth/eval.csv, FSD50K.ground_truth/vocabulary.csv"):
        make(root).recordings()


def unknown_label(root):
    path = root / GROUND_TRUTH / "vocabulary.csv"
    path.write_text(re.sub(r"\d+,Crushing,.*\n", "", path.read_text()))
    return {"1035", "1077", "1119"}, r"labels that vocabulary.csv lacks: 3 clips \(FSD50K.dev_audio/1035.wav \(Crushing"


def without_audio(root):
    (root / DEV / "1007.wav").unlink()
    return {"1007"}, r"no audio: FSD50K.dev_audio/1007.wav"


def empty(root):
    (root / EVAL / "1091.wav").write_bytes(wav(np.zeros((0, 1), np.int16)))
    (root / EVAL / "1098.wav").write_bytes(b"")
    return {"1091", "1098"}, r"empty: 2 clips \(FSD50K.eval_audio/1091.wav, FSD50K.eval_audio/1098.wav\)"


def without_labels(root):
    path = root / GROUND_TRUTH / "dev.csv"
    path.write_text(path.read_text().replace('"Crushing","/m/crushing"', '"",""'))
    return {"1035", "1077"}, r"no labels: 2 clips"


def other_format(root):
    soundfile.write(root / DEV / "1000.wav", np.ones((8000, 2)) * 0.1, 16000, subtype="PCM_16")
    return {"1000"}, r"another format: FSD50K.dev_audio/1000.wav \(16000 Hz instead of 44100, 2 ch instead of 1\)"


def cut_short(root):
    path = root / DEV / "1000.wav"
    path.write_bytes(path.read_bytes()[:-1000])
    return {"1000"}, r"cut short: FSD50K.dev_audio/1000.wav \(after 12730 of 13230 samples\)"


def no_wav(root):
    (root / DEV / "1000.wav").write_bytes(struct.pack("<16I", *range(16)))
    return {"1000"}, r"not readable: FSD50K.dev_audio/1000.wav \(no WAV file\)"


def stranger(root):
    shutil.copy(root / DEV / "1000.wav", root / EVAL / "77.wav")
    return set(), r"no row in dev.csv or eval.csv: FSD50K.eval_audio/77.wav"


SPOILERS = [unknown_label, without_audio, empty, without_labels, other_format, cut_short, no_wav, stranger]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_what_is_wrong_with_clips_is_said_before_anything_is_packed(root, workspace, edited, spoil):
    bad, message = spoil(root)
    options = {"corpus.name": "fsd50k", "corpus.fsd50k": {"root": str(root)}, "compute.workers": 1}
    with pytest.raises(UserError, match=f"corpus fsd50k: {message}") as raised:
        write_corpus_inputs(edited(options).corpus)
    assert "\n" not in str(raised.value) and "on_bad_clip: skip" in str(raised.value)
    assert not paths.AUDIO.exists()
    left = [clip for recording in list_recordings(make(root), "skip") for clip in make(root).clips(recording)]
    assert {clip.clip for clip in left if clip.problem} == bad and len(left) == 18


def test_all_that_is_wrong_is_said_at_once_and_skipped_on_demand(root, edited, capsys):
    for spoil in (unknown_label, without_audio, empty, stranger):
        spoil(root)
    with pytest.raises(UserError) as raised:
        list_recordings(make(root), "error")
    assert [str(raised.value).count(word) for word in ("lacks: ", "no audio: ", "empty: ", "no row ")] == [1] * 4
    options = {"corpus.name": "fsd50k", "corpus.fsd50k": {"root": str(root)}, "compute.workers": 1}
    build(edited(options | {"corpus.on_bad_clip": "skip"}))
    clips = read_clips(paths.CLIPS).set_index("clip")
    assert set(clips.index[~clips["valid"]]) == {"1035", "1077", "1119", "1007", "1091", "1098"}
    assert clips.loc["1035", "problem"] == "labels that vocabulary.csv lacks: Crushing"
    assert clips["split"].value_counts().to_dict() == {"train": 7, "valid": 2, "test": 3, "unused": 6}
    assert clips.loc["1021", ["split", "tags"]].tolist() == ["valid", f"Rain{TAG_SEPARATOR}Water"]
    assert "valid 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("dev.csv", "fname,labels", "file,labels", r"dev.csv has the columns file, labels, mids, split; they must be"),
        ("dev.csv", "\n1014,", "\n1007,", r"dev.csv names 1007 more than once; take it from FSD50K.ground_truth.zip"),
        ("dev.csv", ",val\n", ",dev\n", r"dev.csv has splits other than train and val: 'dev'"),
        ("dev.csv", "\n1007,", "\n../1007,", r"dev.csv has names that are no file's: '../1007'"),
        ("eval.csv", "\n1091,", "\n1007,", r"dev.csv and eval.csv in .* both name 1007"),
        ("vocabulary.csv", ",Bark,", ",Bark|Yap,", r"vocabulary.csv has Bark\|Yap with \|; rename"),
        ("vocabulary.csv", ",Bark,", ",Bark,x,", r"vocabulary.csv, row \d+, has 4 cells and the header 3"),
    ],
)
def test_wrong_tables(root, rewritten, table, old, new, message):
    rewritten(table, old, new)
    with pytest.raises(UserError, match=message):
        make(root).recordings()


def test_folders_that_are_not_the_set(root, tmp_path):
    with pytest.raises(UserError, match=r"corpus.fsd50k.root is '.*nowhere', which does not exist; name the folder"):
        make(tmp_path / "nowhere").recordings()
    shutil.rmtree(root / EVAL)
    with pytest.raises(UserError, match=r"no audio in .*FSD50K.eval_audio; unpack .*z01 \(md5 3090670e.*\); .*\.zip"):
        make(root).recordings()
