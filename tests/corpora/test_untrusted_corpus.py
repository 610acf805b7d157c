"""Archives, tables and audio that fuzzing, or malice, came up with: refused in words, within bounds."""

import io
import os
import re
import struct
import zipfile

import numpy as np
import pytest
import soundfile

from earshift.audio.reading import files_below, table, wav_header
from earshift.corpora import archive, fsd50k, irmas, parts
from earshift.corpora.checks import LARGEST, LONGEST, limit_problem
from earshift.corpora.folder import Folder
from earshift.corpora.places import Place
from earshift.errors import UserError
from earshift.perturbations import recordings

MIB = 1 << 20


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"1")
    return path


def changed(path, mark, offset, value):
    data = bytearray(path.read_bytes())
    at = data.rindex(mark) + offset
    data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


def test_an_archive_of_folders_holds_no_files(tmp_path):
    assert archive.members(zipped(tmp_path / "set.zip", "a/", "b/"), largest=MIB) == {}


def test_a_member_without_a_name(tmp_path):
    path = zipped(tmp_path / "set.zip", "a.wav", "b")
    changed(path, b"PK\1\2", 46, b"\0")  # zipfile ends names there
    with pytest.raises(UserError, match="'' with a path that leads out of the archive"):
        archive.members(path, largest=MIB)


@pytest.mark.parametrize("name", [".", "./."])
def test_a_member_that_is_the_folder_itself(tmp_path, name):
    path = zipped(tmp_path / "set.zip", "a.wav", name)
    with pytest.raises(UserError, match="with a path that leads out of the archive"):
        archive.members(path, largest=MIB)


@pytest.mark.parametrize(
    ("mark", "offset", "value"),
    [
        (b"PK\1\2", 8, b"\0\x08"),  # a name that says it is UTF-8
        (b"PK\5\6", 12, b"\xff\xff\xff\x7f"),  # a directory larger than the file
        (b"PK\5\6", 16, b"\xff\xff\xff\x7f"),  # a directory behind the file
        (b"PK\5\6", 10, b"\xff\xff"),  # a 64-bit end that is not there
    ],
)
def test_directories_that_make_no_sense(tmp_path, mark, offset, value):
    path = changed(zipped(tmp_path / "set.zip", "\x80\x81.wav"), mark, offset, value)
    data = path.read_bytes().replace("\x80\x81.wav".encode(), b"\xff\xfe\xff\xff.wav")
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"set.zip \(\d+ bytes\) is no zip archive, or was cut short"):
        archive.members(path, largest=MIB)


def test_a_local_name_that_is_no_text(tmp_path):
    path = zipped(tmp_path / "set.zip", "é.wav")
    data = bytearray(path.read_bytes())
    at = data.index("é.wav".encode())
    data[at : at + 2] = b"\xff\xfe"
    path.write_bytes(data)
    archive.members(path, largest=MIB)
    with pytest.raises(archive.Damaged):
        archive.content(path, "é.wav")


def test_a_directory_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_LARGEST", 100)
    with pytest.raises(UserError, match="its directory has 0 MiB, more than 0"):
        archive.members(zipped(tmp_path / "set.zip", "a.wav", "b.wav"), largest=MIB)


def test_parts_whose_64_bit_end_leads_nowhere(tmp_path):
    (tmp_path / "set.z01").write_bytes(b"1" * 50)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0xFFFF, 0, 0, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 1, 2**64 - 1, 2)
    for content in (end, b"0" * 30 + locator + end):
        (tmp_path / "set.zip").write_bytes(content)
        with pytest.raises(UserError, match="it lacks the 64-bit end that it should have"):
            archive.members(tmp_path / "set.zip", largest=MIB)


def test_a_ground_truth_that_is_damaged(tmp_path):
    path = tmp_path / "FSD50K.ground_truth.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("FSD50K.ground_truth/dev.csv", b"fname,labels,mids,split\n")
    changed(path, b"fname", 0, b"FNAME")
    with pytest.raises(UserError, match=r"FSD50K.ground_truth/dev.csv cannot be read \(Bad CRC-32"):
        fsd50k._table_content(Place(path), "FSD50K.ground_truth/dev.csv")


def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"")
    (tmp_path / "c.wav").symlink_to(os.devnull)
    (tmp_path / "d.wav").symlink_to("nowhere")
    assert sorted(files_below(tmp_path)) == ["b.wav", "d.wav"]


def test_a_table_that_has_no_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", os.devnull):
        with pytest.raises(UserError, match=f"corpus.folder.labels: {re.escape(str(path))} is no file"):
            table(path, "corpus.folder.labels")


def test_a_wav_header_of_chunks_without_end():
    chunks = b"JUNK\0\0\0\0" * 5000
    file = io.BytesIO(b"RIFF\0\0\0\0WAVE" + chunks)
    with pytest.raises(ValueError, match="a WAV header without audio"):
        wav_header(file, 1 << 40)
    assert file.tell() < 9000


# --------------------------------------------------------------------------------------------------------------- audio


def flac(path, *, claims, sample_rate=44100):
    """A FLAC file of 1000 samples whose header claims others."""
    soundfile.write(path, np.full((1000, 1), 0.5), sample_rate, format="FLAC")
    data = bytearray(path.read_bytes())
    place = int.from_bytes(data[18:26], "big") >> 36 << 36  # rate, channels and bits stand before it
    data[18:26] = (place | claims).to_bytes(8, "big")
    path.write_bytes(data)


def clips(root, seconds=None):
    corpus = Folder(path=str(root), labels=None, clip_seconds=seconds)
    found = corpus.recordings()
    corpus.extent(found)
    return [clip for recording in found for clip in corpus.clips(recording)]


@pytest.mark.parametrize("seconds", [None, 0.01])
@pytest.mark.parametrize("claims", [2**36 - 1, 2**28])
def test_a_header_that_claims_days(tmp_path, seconds, claims):
    flac(tmp_path / "a.flac", claims=claims)
    (clip,) = clips(tmp_path, seconds)
    assert clip.problem == f"its header claims {claims} samples, more than it can hold"


def test_a_header_that_claims_a_little_more(tmp_path):
    flac(tmp_path / "a.flac", claims=100_000)
    found = clips(tmp_path, 0.01)
    assert len(found) <= 100_000 // 441 and all(clip.problem or clip.audio.shape == (1, 441) for clip in found)


@pytest.mark.parametrize(
    ("frames", "channels", "rate", "what"),
    [(10, 1, 999, "a sample rate of 999 Hz"), (10, 1, 2_000_000, "a sample rate"),
     (LONGEST * 8000 + 1, 1, 8000, "it lasts"), (LARGEST // 2 + 1, 2, 96000, "it has"), (LONGEST * 8000, 1, 8000, "")],
)  # fmt: skip
def test_limits_of_a_clip(frames, channels, rate, what):
    assert limit_problem(frames, channels, rate).startswith(what) and bool(what) == bool(
        limit_problem(frames, channels, rate)
    )


def test_rates_that_multiply_every_sample(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full((50, 1), 0.5), 10)
    assert clips(tmp_path)[0].problem == "a sample rate of 10 Hz; 1000 to 1000000 can be used"
    with pytest.raises(UserError, match="a.wav has a rate of 10 Hz"):
        recordings.require_sound(str(tmp_path))


def test_names_in_an_archive_without_parts_are_no_names_of_irmas(tmp_path):
    assert irmas._find_clips({"x": 1})[1] == ["x (not in the folder of an instrument)"]
