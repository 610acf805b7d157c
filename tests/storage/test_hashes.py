"""Hashes of files outside the pipeline: those of other tools, and remembered as long as a file stays as it is."""

import os
import subprocess

import pytest

from earshift.pipeline import paths
from earshift.storage import hashes


@pytest.fixture
def file(workspace):
    path = workspace / "a file.bin"
    path.write_bytes(b"content\n" * 1000)
    return path


@pytest.mark.parametrize("algorithm, tool", [("sha256", "sha256sum"), ("md5", "md5sum")])
def test_hashes_are_those_of_the_tools(file, algorithm, tool):
    expected = subprocess.run([tool, file], capture_output=True, text=True, check=True).stdout.split()[0]
    assert hashes.digest(file, algorithm) == expected == hashes.remembered([file], algorithm)[0]


def test_the_hash_of_a_blob_is_that_of_git(file):
    run = subprocess.run(["git", "hash-object", "--no-filters", file], capture_output=True, text=True, check=True)
    assert hashes.digest(file, "git-blob") == run.stdout.strip()


def test_what_did_not_change_is_not_read_again(file, monkeypatch):
    first = hashes.remembered([file], "md5")
    monkeypatch.setattr(hashes, "digest", lambda *_: pytest.fail("read again"))
    assert hashes.remembered([file], "md5") == first


def test_what_changed_is_read_again(file):
    first = hashes.remembered_sha256([file])
    file.write_bytes(b"other\n" * 1000)
    assert hashes.remembered_sha256([file]) != first


def test_kinds_and_files_do_not_displace_each_other(file, workspace, monkeypatch):
    other = workspace / "other"
    other.write_bytes(b"1")
    hashes.remembered([file], "md5")
    hashes.remembered([file, other], "sha256")
    monkeypatch.setattr(hashes, "digest", lambda *_: pytest.fail("read again"))
    hashes.remembered([file], "md5")
    hashes.remembered([other], "sha256")


def test_files_that_are_gone_are_forgotten(file, workspace):
    hashes.remembered_sha256([file])
    os.rename(file, workspace / "moved")
    hashes.remembered_sha256([workspace / "moved"])
    assert str(file) not in paths.HASHES.read_text()


def test_a_file_that_cannot_be_read_has_none(file, workspace):
    assert hashes.remembered([workspace / "missing", workspace, file], "md5")[:2] == [None, None]
