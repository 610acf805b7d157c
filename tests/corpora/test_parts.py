"""Zip archives in parts, against what Info-ZIP makes of them, and with parts that are wrong."""

import shutil
import subprocess
import zipfile

import numpy as np
import pytest

from benchmarks.mirror.fsd50k import write_parts
from earshift.corpora import archive
from earshift.corpora.parts import joined, parts
from earshift.errors import UserError

PART = 64 << 10
rng = np.random.default_rng(7)
CONTENT = {f"a/{number}.wav": rng.bytes(20_000 + number) for number in range(12)} | {"a/empty": b"", "b": b"b" * 999}


@pytest.fixture
def split(tmp_path):
    write_parts(tmp_path / "set.zip", CONTENT, part=PART, most=4)
    return tmp_path / "set.zip"


def read(path):
    return {name: archive.content(path, name) for name in archive.members(path, largest=1 << 20)}


def test_members_are_those_that_were_put_in(split):
    assert [file.name for file in parts(split)] == ["set.z01", "set.z02", "set.z03", "set.zip"]
    assert read(split) == CONTENT


def test_an_archive_in_one_piece_is_left_alone(tmp_path):
    write_parts(tmp_path / "set.zip", CONTENT, part=PART, most=1)
    (tmp_path / "settle.z01").touch()
    assert parts(tmp_path / "set.zip") == [tmp_path / "set.zip"]
    assert read(tmp_path / "set.zip") == CONTENT


def test_hundreds_of_parts_are_in_order(tmp_path):
    for name in ("s.z100", "s.z99", "s.z02", "s.zip"):
        (tmp_path / name).touch()
    assert [file.suffix for file in parts(tmp_path / "s.zip")] == [".z02", ".z99", ".z100", ".zip"]


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
def test_info_zip_splits_and_joins_the_same(tmp_path, split):
    run = subprocess.run(["zip", "-q", "-s", "0", split.name, "--out", "whole.zip"], cwd=tmp_path, check=True)
    assert run.returncode == 0 and read(tmp_path / "whole.zip") == CONTENT
    for name, data in CONTENT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    subprocess.run(["zip", "-q", "-s", "64k", "theirs.zip", *CONTENT], cwd=tmp_path, check=True)
    assert len(parts(tmp_path / "theirs.zip")) > 3 and read(tmp_path / "theirs.zip") == CONTENT


@pytest.mark.parametrize("missing", ["set.z01", "set.z02", "set.z03"])
def test_a_missing_part_is_noticed(split, missing):
    (split.parent / missing).unlink()
    with pytest.raises(UserError, match=r"set.zip .* \(an archive in 4 parts, of which 3 are here\)"):
        archive.members(split, largest=1 << 20)


def test_parts_that_were_swapped_give_no_wrong_audio(split):
    one, other = split.with_suffix(".z01"), split.with_suffix(".z02")
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    for name in archive.members(split, largest=1 << 20):
        try:
            assert archive.content(split, name) == CONTENT[name]
        except archive.Damaged:
            continue


@pytest.mark.parametrize("length", [0, 10, 300, -23, -400])
def test_a_last_part_that_was_cut_short(split, length):
    split.write_bytes(split.read_bytes()[:length])
    with pytest.raises(UserError, match=r"set.zip \(\d+ bytes\) is no zip archive, or was cut short"):
        archive.members(split, largest=1 << 20)


def test_seeking_is_that_of_a_file(split):
    whole = joined(parts(split))
    with zipfile.ZipFile(whole) as archive_:
        assert archive_.namelist() == list(CONTENT)
    with joined(parts(split)) as whole:
        content = whole.read()
        for at in (0, PART - 3, PART, 2 * PART - 1, len(content) - 5):
            whole.seek(at)
            assert whole.tell() == at and whole.read(7) == content[at : at + 7]
        assert whole.seek(0, 2) == len(content) and whole.read(1) == b""
