"""Hashes of files outside the pipeline: those of other tools, and remembered as long as a file stays as it is."""

import os
import subprocess

import pytest

from earshift.storage import hashes


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """The file in which hashes are remembered."""
    monkeypatch.setattr(hashes, "_memory", tmp_path / "memory/hashes.json")
    return tmp_path / "memory/hashes.json"


@pytest.fixture
def file(tmp_path, memory):
    path = tmp_path / "a file.bin"
    path.write_bytes(b"content\n" * 1000)
    return path


@pytest.mark.parametrize("algorithm, tool", [("sha256", "sha256sum"), ("md5", "md5sum")])
def test_hashes_are_those_of_the_tools(file, algorithm, tool):
    expected = subprocess.run([tool, file], capture_output=True, text=True, check=True).stdout.split()[0]
    assert hashes.digest(file, algorithm) == expected == hashes.hash_files([file], algorithm)[0]


def test_the_hash_of_a_blob_is_that_of_git(file):
    run = subprocess.run(["git", "hash-object", "--no-filters", file], capture_output=True, text=True, check=True)
    assert hashes.digest(file, "git-blob") == run.stdout.strip()


def test_what_did_not_change_is_not_read_again(file, monkeypatch):
    first = hashes.hash_files([file], "md5")
    monkeypatch.setattr(hashes, "digest", lambda *_: pytest.fail("read again"))
    assert hashes.hash_files([file], "md5") == first


def test_what_changed_is_read_again(file):
    first = hashes.hash_files([file])
    file.write_bytes(b"other\n" * 1000)
    assert hashes.hash_files([file]) != first


def test_kinds_and_files_do_not_displace_each_other(file, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_bytes(b"1")
    hashes.hash_files([file], "md5")
    hashes.hash_files([file, other], "sha256")
    monkeypatch.setattr(hashes, "digest", lambda *_: pytest.fail("read again"))
    hashes.hash_files([file], "md5")
    hashes.hash_files([other], "sha256")


def test_files_that_are_gone_are_forgotten(file, tmp_path, memory):
    hashes.hash_files([file])
    os.rename(file, tmp_path / "moved")
    hashes.hash_files([tmp_path / "moved"])
    assert str(file) not in memory.read_text()


def test_a_file_that_cannot_be_read_has_none(file, tmp_path):
    assert hashes.hash_files([tmp_path / "missing", tmp_path, file], "md5")[:2] == [None, None]


def test_nothing_is_remembered_without_a_place(file, memory):
    hashes.remember_in(None)
    first = hashes.hash_files([file])
    file.write_bytes(b"other\n" * 1000)
    assert hashes.hash_files([file]) != first and not memory.exists()
    hashes.remember_in(str(memory))
    hashes.hash_files([file])
    assert str(file) in memory.read_text()
