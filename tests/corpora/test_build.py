"""The corpus: what the stages inputs and corpus write, the same everywhere, whole or not at all, and messages."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earshift.corpora import packing
from earshift.errors import UserError
from earshift.pipeline import corpus as stage
from earshift.pipeline import paths
from earshift.pipeline.artifacts import INDEX
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.corpus_inputs import write_corpus_inputs
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json
from earshift.storage.packed_audio import AudioReader

REPOSITORY = Path(__file__).parents[2]

SMALL = {
    "corpus.general_midi.pieces": 2,
    "corpus.general_midi.excerpts": 1,
    "corpus.general_midi.clip_seconds": 0.5,
    "compute.workers": 1,
}


@pytest.fixture
def of_folder(edited, mixed):
    """Parameters that name the folder of mixed audio."""

    def make(path=mixed, **changes):
        return edited({"corpus.name": "folder", "corpus.folder.path": str(path), "compute.workers": 1} | changes)

    return make


def build(params):
    """Run the stage as DVC does, after the stage that hashes what it reads."""
    write_corpus_inputs(params.corpus)
    stage.build(params)


def content():
    """Bytes of data/corpus and of the audio that belongs to it, by path."""
    files = [*sorted(paths.CORPUS.iterdir()), corpus_audio_path()]
    return {path.relative_to("data").as_posix(): path.read_bytes() for path in files}


def test_general_midi_is_packed_and_indexed(edited, capsys):
    params = edited(SMALL)
    build(params)
    clips = read_clips(paths.CLIPS)
    columns = "clip group label genre split tags seconds channels sample_rate valid problem sha256"
    assert list(clips.columns) == columns.split()
    assert len(clips) == 22 and clips.valid.all() and set(clips.problem) == {""}
    assert list(clips.group) == [f"{i:04d}" for i in range(1, 23)] and clips.label.nunique() == 11
    assert all(genre in tags.split("|") for genre, tags in zip(clips.genre, clips.tags, strict=True))
    with AudioReader(corpus_audio_path()) as reader:
        assert len(reader) == 22
        for row, (audio, rate) in zip(clips.itertuples(), reader, strict=True):
            stored = np.round(audio * 32768).astype(np.int16)
            assert hashlib.sha256(stored.tobytes()).hexdigest() == row.sha256
            assert (audio.shape[0], rate) == (row.channels, row.sample_rate) == (2, 44100)
            assert audio.shape[1] / rate == row.seconds == 0.5
    train, test, unused = (int((clips.split == word).sum()) for word in ("train", "test", "unused"))
    assert train == 11 and test + unused == 11 and test > 0
    assert capsys.readouterr().out.startswith(
        f"corpus: 22 clips in 22 groups, 11 labels, 11 s; train 11, test {test}, unused {unused}; "
    )
    assert "GPL-2" in (paths.CORPUS / "LICENCE.txt").read_text()


def test_same_bytes_with_one_worker_and_with_two(edited):
    build(edited(SMALL))
    alone = content()
    for folder in (paths.CORPUS, paths.AUDIO, paths.STORE):
        shutil.rmtree(folder)
    build(edited(SMALL | {"compute.workers": 2}))
    assert content() == alone and len(alone) == 4
    assert {f"corpus/{name}" for name in ("clips.csv", "LICENCE.txt", INDEX)} < set(alone)
    shutil.rmtree(paths.STORE)
    paths.CLIPS.write_text("damaged")
    build(edited(SMALL))  # over what is there
    assert content() == alone


def test_what_was_packed_once_is_not_packed_again(edited, of_folder, capsys, monkeypatch):
    build(edited(SMALL))
    general_midi = content()
    build(of_folder(**{"corpus.folder.clip_seconds": 0.2}))
    build(of_folder(**{"corpus.folder.clip_seconds": 0.3}))
    monkeypatch.setattr(stage, "pack", lambda params: pytest.fail("a corpus is packed again"))
    capsys.readouterr()
    build(of_folder(**{"corpus.folder.clip_seconds": 0.2}))
    build(edited(SMALL | {"corpus.name": "general_midi"}))
    assert content() == general_midi and capsys.readouterr().out.endswith("corpus: reused, 22 clips\n")


@pytest.mark.parametrize("inputs", ["as they were", "missing"])
def test_other_options_are_noticed_where_the_stage_is_run_alone(of_folder, inputs):
    build(of_folder())
    whole = len(read_clips(paths.CLIPS))
    if inputs == "missing":
        paths.CORPUS_INPUTS.unlink()
    stage.build(of_folder(**{"corpus.folder.clip_seconds": 0.2}))
    assert len(read_clips(paths.CLIPS)) > whole


def test_a_folder_of_everything(of_folder, mixed, capsys):
    build(of_folder())
    clips = read_clips(paths.CLIPS)
    assert len(clips) == 11 and set(clips.label) == {""} and {"train", "test"} == set(clips.split)
    with AudioReader(corpus_audio_path()) as reader:
        for row, (audio, rate) in zip(clips.itertuples(), reader, strict=True):
            expected, expected_rate = soundfile.read(mixed / row.clip, dtype="float32", always_2d=True)
            np.testing.assert_array_equal(audio, expected.T)
            assert rate == expected_rate == row.sample_rate and row.channels == len(audio)
            assert hashlib.sha256(expected.T.tobytes()).hexdigest() == row.sha256
    assert " in 11 groups, no labels, " in capsys.readouterr().out


def test_a_folder_of_16_bit_files_is_packed_as_such(of_folder, tmp_path, write):
    write(tmp_path / "sixteen" / "a.wav", channels=2)
    write(tmp_path / "sixteen" / "b.flac", rate=16000)
    build(of_folder(tmp_path / "sixteen"))
    written, _ = soundfile.read(tmp_path / "sixteen" / "a.wav", dtype="int16")
    clips = read_clips(paths.CLIPS)
    assert hashlib.sha256(written.T.tobytes()).hexdigest() == clips.sha256[0]
    with AudioReader(corpus_audio_path()) as reader:
        np.testing.assert_array_equal(reader[0][0] * 32768, written.T)


def test_a_single_group_has_no_test_clips_and_says_so(of_folder, tmp_path, write, capsys):
    write(tmp_path / "one" / "a.wav", seconds=2)
    build(of_folder(tmp_path / "one", **{"corpus.folder.clip_seconds": 0.5}))
    assert list(read_clips(paths.CLIPS).split) == ["train"] * 4
    assert "corpus: no test clips, as all are of one group or given as train" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------------ bad clips


@pytest.fixture
def partly_bad(mixed):
    for i in range(6):
        (mixed / f"bad{i}.wav").write_bytes(b"not audio")
    soundfile.write(mixed / "zeros.wav", np.zeros(800), 8000)
    return mixed


def test_bad_clips_are_an_error(of_folder, partly_bad):
    with pytest.raises(UserError) as error:
        build(of_folder())
    message = str(error.value)
    assert message.startswith(
        "7 of 18 clips cannot be used: bad0.wav (cannot be read: Format not recognised); bad1.wav"
    )
    assert "bad4.wav" in message and "bad5.wav" not in message and message.count("\n") == 0
    assert message.endswith("; .... Mend or remove them, or go on without them: corpus.on_bad_clip: skip")
    assert not paths.CLIPS.exists() and not packed_files()


def test_bad_clips_are_skipped_and_marked(of_folder, partly_bad, capsys):
    build(of_folder(**{"corpus.on_bad_clip": "skip"}))
    clips = read_clips(paths.CLIPS)
    bad = clips[~clips.valid]
    assert len(clips) == 18 and list(bad["clip"]) == [f"bad{i}.wav" for i in range(6)] + ["zeros.wav"]
    assert set(bad.split) == {"unused"} and (bad.problem != "").all() and set(bad.seconds) == {0}
    assert bad.problem.iloc[-1] == "silent: no sample above -90 dB of full scale"
    with AudioReader(corpus_audio_path()) as reader:
        assert len(reader) == 18
        assert {reader[i][0].shape for i in bad.index} == {(1, 0)}
        assert all(reader[i][0].size for i in clips.index[clips.valid])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("corpus: 7 of 18 clips cannot be used and are marked invalid: bad0.wav (cannot be read")
    assert "zeros.wav (silent" in out[0] and len(out) == 2


def test_nothing_but_bad_clips(of_folder, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_bytes(b"not audio")
    with pytest.raises(UserError, match=r"none of the 1 clips can be used: a.wav \(cannot be read: .*\); mend them"):
        build(of_folder(tmp_path / "bad", **{"corpus.on_bad_clip": "skip"}))
    assert not paths.CLIPS.exists() and not packed_files()


# -------------------------------------------------------------------------------------------------- whole or not at all


def test_a_disk_that_is_too_small(edited, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2_000_000))
    build(edited(SMALL))  # 22 clips of 0.5 s stereo: 1.94 MB
    with pytest.raises(
        UserError, match="data/audio/corpus needs 0.00 GiB and its disk has 0.00 GiB left; free some space, or"
    ):
        build(edited(SMALL | {"corpus.general_midi.clip_seconds": 0.6}))


def test_a_failed_build_leaves_no_half_corpus(edited, monkeypatch):
    build(edited(SMALL))
    packed = packed_files()

    def fail(*arguments):
        raise RuntimeError("killed")

    monkeypatch.setattr(packing, "assign_splits", fail)
    with pytest.raises(RuntimeError):
        build(edited(SMALL | {"corpus.general_midi.seed": 1}))
    assert not paths.CLIPS.exists() and packed_files() == packed
    monkeypatch.undo()


def test_leftovers_of_a_killed_run_are_removed_but_not_those_of_one_that_runs(edited):
    folder = paths.AUDIO / "corpus"
    folder.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getppid()):
        (folder / f".packing.{process}.tmp").write_bytes(b"half")
    build(edited(SMALL))
    assert [path.name for path in folder.glob(".*")] == [f".packing.{os.getppid()}.tmp"]


# --------------------------------------------------------------------------------------------------------------- audio


def packed_files():
    return sorted((paths.AUDIO / "corpus").rglob("*"))


def test_audio_that_is_missing_is_packed_again(of_folder, mixed, capsys):
    params = of_folder()
    build(params)
    before, audio = content(), corpus_audio_path()
    assert corpus_audio(params) == audio
    audio.unlink()
    capsys.readouterr()
    assert corpus_audio(params) == audio and content() == before
    assert "is not there and is packed again" in capsys.readouterr().out


def test_audio_of_a_corpus_that_is_elsewhere(of_folder, mixed):
    params = of_folder()
    build(params)
    corpus_audio_path().unlink()
    mixed.rename(mixed.with_name("elsewhere"))
    with pytest.raises(UserError, match="nor the corpus it is packed from is here .*does not exist.*make pull AUDIO=1"):
        corpus_audio(params)


def test_audio_of_a_corpus_that_has_changed(of_folder, mixed):
    params = of_folder()
    build(params)
    corpus_audio_path().unlink()
    soundfile.write(mixed / "new.wav", np.full(8000, 0.25), 8000)
    with pytest.raises(UserError, match="is not what data/corpus/clips.csv was made from; `dvc repro corpus`"):
        corpus_audio(params)


# --------------------------------------------------------------------------------------------------------------- inputs


def test_inputs_state_what_the_corpus_is_made_from(edited):
    write_corpus_inputs(edited(SMALL).corpus)
    inputs = read_json(paths.CORPUS_INPUTS)
    assert inputs["corpus"] == "general_midi" and inputs["options"]["pieces"] == 2
    # sha256sum of the soundfont
    assert inputs["content"]["soundfont"] == "82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1"
    assert set(inputs["content"]["packages"]) == {"numpy", "pyloudnorm", "tinysoundfont"}


def test_inputs_are_left_alone_until_something_changes(of_folder, mixed):
    write_corpus_inputs(of_folder().corpus)
    os.utime(paths.CORPUS_INPUTS, (1, 1))
    before = paths.CORPUS_INPUTS.read_bytes()
    write_corpus_inputs(of_folder().corpus)
    assert paths.CORPUS_INPUTS.stat().st_mtime == 1 and paths.CORPUS_INPUTS.read_bytes() == before
    (mixed / "new.wav").write_bytes((mixed / "a b" / "clip 0.wav").read_bytes())
    write_corpus_inputs(of_folder().corpus)
    assert paths.CORPUS_INPUTS.read_bytes() != before


def test_inputs_of_a_corpus_that_is_elsewhere_stay_as_it_was_pulled(of_folder, mixed, capsys):
    """A colleague who has the embeddings needs neither the audio nor the folder it came from."""
    write_corpus_inputs(of_folder().corpus)
    before = paths.CORPUS_INPUTS.read_bytes()
    elsewhere = of_folder(mixed.parent / "theirs")
    with pytest.raises(UserError, match="which does not exist"):  # another folder than that of the file
        write_corpus_inputs(elsewhere.corpus)
    mixed.rename(mixed.with_name("elsewhere"))
    write_corpus_inputs(of_folder().corpus)
    assert paths.CORPUS_INPUTS.read_bytes() == before
    assert (
        "the audio of folder is not here; data/inputs/corpus.json is used as it was pulled" in capsys.readouterr().out
    )
    with pytest.raises(UserError, match="which does not exist"):  # other options
        write_corpus_inputs(of_folder(**{"corpus.folder.clip_seconds": 0.5}).corpus)
    paths.CORPUS_INPUTS.unlink()
    with pytest.raises(UserError, match="which does not exist"):
        write_corpus_inputs(of_folder().corpus)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"svd.energy": 2}, "earshift: svd.energy is 2; it must be a number from"),
        ({"corpus.name": "folder"}, "earshift: corpus.folder.path is null; name the folder"),
    ],
)
def test_the_gate_stops_with_one_line(workspace, edited, changes, message):
    from ruamel.yaml import YAML

    document = YAML(typ="safe").load(paths.PARAMS.read_text())
    for key, value in changes.items():
        section, name = key.split(".")
        document[section][name] = value
    with open(paths.PARAMS, "w") as file:
        YAML(typ="safe").dump(document, file)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run([sys.executable, "-m", "stages.inputs"], capture_output=True, text=True, env=environment)
    assert run.returncode == 1 and run.stderr.startswith(message) and run.stderr.count("\n") == 1
    assert not paths.CORPUS_INPUTS.exists()


def test_the_first_stage_imports_nothing_heavy(workspace):
    """It runs on every dvc repro, and reads params.yaml with all that it names."""
    code = """
import runpy, sys
runpy.run_module("stages.inputs", run_name="__main__")
heavy = {"torch", "numba", "sklearn", "scipy.stats", "pandas", "matplotlib", "librosa", "mlflow", "dvc", "requests"}
print("heavy:", sorted(heavy & set(sys.modules)))
"""
    shutil.copytree(REPOSITORY / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert "heavy: []" in run.stdout, run.stdout
    assert paths.CORPUS_INPUTS.exists() and paths.code_inputs("corpus").exists()
