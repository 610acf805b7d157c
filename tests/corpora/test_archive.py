"""Archives as strangers may make them: all that is wrong is said before anything is read, and reading is bounded."""

import os
import struct
import tracemalloc
import warnings
import zipfile

import pytest

from earshift.corpora import archive
from earshift.errors import UserError

MIB = 1 << 20
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@pytest.fixture
def zipped(tmp_path):
    """Write an archive of named contents and return its path."""

    def make(*entries, method=zipfile.ZIP_STORED):
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
            for name, content in entries:
                file.writestr(zipfile.ZipInfo(name), content, method)
        return path

    return make


def patched(path, mark, offset, value, *, which=0):
    """Overwrite bytes behind the `which`th occurrence of a mark of the zip format."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(which + 1):
        at = data.index(mark, at + 1)
    data[at + offset : at + offset + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_and_their_content(zipped, method):
    path = zipped(("b/two.wav", b"2" * 5000), ("a/", b""), ("a/[x] é.wav", b"one"), method=method)
    assert archive.members(path, largest=MIB) == {"b/two.wav": 5000, "a/[x] é.wav": 3}
    assert archive.content(path, "b/two.wav") == b"2" * 5000 and archive.content(path, "a/[x] é.wav") == b"one"
    with archive.opened(path, "b/two.wav") as file:
        assert file.read(2) == b"22" and file.seek(4990) == 4990 and len(file.read()) == 10


def test_nothing_is_extracted(zipped, tmp_path):
    path = zipped(("a.wav", b"1"))
    archive.content(path, "a.wav")
    assert os.listdir(tmp_path) == ["set.zip"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.wav", "cel/../../a.wav", "..\\a.wav", "C:\\a.wav", "C:/a.wav", "\\\\host\\a.wav"]
)
def test_paths_that_lead_out(zipped, name):
    with pytest.raises(UserError, match=r"set.zip is not read, for it holds .* with a path that leads out of the arch"):
        archive.members(zipped(("cel/a.wav", b"1"), (name, b"1")), largest=MIB)


def test_dots_within_names_lead_nowhere(zipped):
    assert len(archive.members(zipped(("a..b/..c.wav", b"1"), ("./d.wav", b"1")), largest=MIB)) == 2


def test_all_that_is_wrong_is_said_at_once(zipped):
    path = zipped(("../a.wav", b"1"), ("b.wav", b"1"), ("b.wav", b"2"), ("c.wav", b"3" * (MIB + 1)), ("d.wav", b"4"))
    patched(path, CENTRAL, 8, b"\x01\x00", which=4)
    with pytest.raises(UserError) as error:
        archive.members(path, largest=MIB)
    assert str(error.value) == (
        f"{path} is not read, for it holds 'd.wav' encrypted; 'b.wav' there twice; "
        "'../a.wav' with a path that leads out of the archive; 'c.wav' larger than 1 MiB; "
        "delete it and take the official file"
    )


def test_many_are_counted(zipped):
    path = zipped(*((f"/{i}.wav", b"1") for i in range(9)))
    with pytest.raises(UserError, match=r"holds 9 members \('/0.wav', '/1.wav', .*'/4.wav', ...\) with a path"):
        archive.members(path, largest=MIB)


def test_a_bomb_of_zeros(zipped):
    """Deflate packs zeros 1,000 to 1."""
    path = zipped(*((f"{i}.wav", bytes(MIB)) for i in range(4)), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"members that claim 4194304 bytes in an archive of \d{4}; delete it"):
        archive.members(path, largest=MIB)
    with pytest.raises(UserError, match=r"holds 4 members .* larger than 0.5 MiB; members that claim"):
        archive.members(path, largest=MIB // 2)


def test_a_bomb_of_shared_data(zipped):
    """Many entries in the directory, one piece of data: Fifield's zip bomb."""
    path = zipped(("a.wav", b"1" * 500), ("b.wav", b"2" * 500), ("c.wav", b"3" * 500))
    patched(path, CENTRAL, 42, struct.pack("<I", 0), which=1)
    with pytest.raises(UserError, match=r"holds 'a.wav' on top of each other"):
        archive.members(path, largest=MIB)


def test_data_after_the_directory(zipped):
    path = zipped(("a.wav", b"1" * 500))
    patched(path, CENTRAL, 20, struct.pack("<I", 5000))
    with pytest.raises(UserError, match="'a.wav' on top of each other"):
        archive.members(path, largest=MIB)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(10)])
def test_no_archive(tmp_path, content):
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(UserError, match=rf"set.zip \({len(content)} bytes\) is no zip archive, or was cut short"):
        archive.members(tmp_path / "set.zip", largest=MIB)


def test_an_archive_that_was_cut_short(zipped):
    path = zipped(("a.wav", b"1" * 500), ("b.wav", b"2" * 500))
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(UserError, match=r"set.zip \(800 bytes\) is no zip archive, or was cut short"):
        archive.members(path, largest=MIB)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="set.zip cannot be read .No such file or directory.; bring it back"):
        archive.members(tmp_path / "set.zip", largest=MIB)


def test_an_archive_that_changed_is_read_anew(zipped):
    path = zipped(("a.wav", b"1"))
    assert archive.content(path, "a.wav") == b"1"
    other = zipped(("a.wav", b"22"))
    assert other == path and archive.content(path, "a.wav") == b"22"


def test_damaged_data(zipped):
    path = zipped(("a.wav", b"1" * 500), ("b.wav", b"2" * 500))
    patched(path, b"1" * 500, 250, b"x")
    assert len(archive.members(path, largest=MIB)) == 2
    with pytest.raises(archive.Damaged, match="Bad CRC-32 for file 'a.wav'"):
        archive.content(path, "a.wav")
    assert archive.content(path, "b.wav") == b"2" * 500


def test_damaged_compressed_data(zipped):
    path = zipped(("a.wav", os.urandom(5000)), method=zipfile.ZIP_DEFLATED)
    patched(path, LOCAL, 30 + len("a.wav"), b"\xff" * 40)
    with pytest.raises(archive.Damaged, match="decompressing data"):
        archive.content(path, "a.wav")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_memory_has_no_bound(zipped, method):
    with pytest.raises(UserError, match=r"holds 'a.wav' neither stored nor deflated"):
        archive.members(zipped(("a.wav", b"1"), method=method), largest=MIB)


def test_a_member_that_claims_less_than_it_holds(zipped):
    """What was claimed bounds the memory, and the CRC tells."""
    path = zipped(("a.wav", bytes(64 * MIB)), method=zipfile.ZIP_DEFLATED)
    patched(path, CENTRAL, 24, struct.pack("<I", 1000))
    assert archive.members(path, largest=2000) == {"a.wav": 1000}
    tracemalloc.start()
    try:
        with pytest.raises(archive.Damaged, match="CRC"):
            archive.content(path, "a.wav")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_a_member_that_claims_more_than_it_holds(zipped):
    path = zipped(("a.wav", bytes(5000)), method=zipfile.ZIP_DEFLATED)
    patched(path, CENTRAL, 24, struct.pack("<I", 9000))
    assert archive.content(path, "a.wav") == bytes(5000)  # whose header then promises too much
