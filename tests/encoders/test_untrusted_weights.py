"""Weight files that claim more than they hold, lie on themselves or lead elsewhere."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from test_keras_checkpoint import LAYERS, read
from test_tf_checkpoint import MAGIC, block, field, varint

from benchmarks.mirror.openl3 import write_layers
from earshift.encoders.weights import record as weights
from earshift.encoders.weights.tf_checkpoint import read_checkpoint
from earshift.errors import UserError
from earshift.storage import hashes

HEADER = (b"", field(1, 1) + field(3, field(1, 1)))


def index(entries, *, times=1):
    """An index of one block, which is listed several times."""
    body, trailer = block(entries)
    out, places = body + trailer, []
    for part in ([], [(b"%d~" % i, varint(0) + varint(len(body))) for i in range(times)]):
        inner, end = block(part)
        places.append(varint(len(out)) + varint(len(inner)))
        out += inner + end
    return out + b"".join(places).ljust(40, b"\0") + MAGIC


def variable(*, shape=b"", offset=0, size=0):
    return field(1, 1) + field(2, shape) + field(4, offset) + field(5, size)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(b"a", variable(shape=field(2, 3), size=4))], "a variable whose shape makes no sense"),
        ([(b"a", variable(shape=field(2, b"") * 33))], "a variable whose shape makes no sense"),
        ([(b"a", variable(shape=field(2, field(1, 2**63)) + field(2, b"")))], "a variable of shape"),
        ([(b"a", variable(size=4)), (b"b", variable(size=4))], "on top of each other"),
        ([(b"a" * 5000, variable(size=4))], "a name of 5000 bytes"),
    ],
    ids=["a number for a size", "33 dimensions", "a dimension out of reach", "twice the same data", "a long name"],
)
def test_entries_of_tensorflow_that_make_no_sense(entries, reason):
    with pytest.raises(UserError, match=reason):
        read_checkpoint(index([HEADER, *entries]), b"\0" * 4)


def test_a_block_that_is_listed_many_times():
    with pytest.raises(UserError, match="blocks of its index lie on top of each other"):
        read_checkpoint(index([HEADER, (b"a", variable())] + [(b"b%d" % i, b"") for i in range(500)], times=40), b"")


# --------------------------------------------------------------------------------------------------------------- Keras


@pytest.mark.parametrize("kind", ["link", "link on the way", "values elsewhere", "virtual"])
def test_weights_of_keras_that_lie_in_another_file(tmp_path, kind):
    path, other = tmp_path / "weights.h5", tmp_path / "other.h5"
    write_layers(path, LAYERS)
    write_layers(other, LAYERS)
    (tmp_path / "secret").write_bytes(np.ones(6, dtype=np.float32).tobytes())
    place = "middle/middle/kernel:0"
    with h5py.File(path, "a") as file:
        del file["middle/middle" if kind == "link on the way" else place]
        if kind == "link":
            file[place] = h5py.ExternalLink(str(other), place)
        elif kind == "link on the way":
            file["middle/middle"] = h5py.ExternalLink(str(other), "middle/middle")
        elif kind == "values elsewhere":
            file.create_dataset(place, (2, 3), "f4", external=[(str(tmp_path / "secret"), 0, 24)])
        else:
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[:] = h5py.VirtualSource(str(other), place, (2, 3))
            file.create_virtual_dataset(place, layout)
    with pytest.raises(UserError, match="(leads into another file|lie in another file)"):
        read(path)


def test_a_small_compressed_file_takes_little_memory(tmp_path):
    """Python's reader of gzip takes memory for as much as it is asked for, before it knows what is there."""
    path = tmp_path / "weights.h5"
    path.write_bytes(gzip.compress(b"no weights"))
    tracemalloc.start()
    with pytest.raises(UserError, match="not a whole HDF5 file"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


# -------------------------------------------------------------------------------------------------------------- arrays


def npy(shape, dtype="<f4", content=b"", version=(1, 0)):
    """A .npy file that claims a shape."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header + content


def npz(path, content, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a.npy", content)
    return path


def test_whole_arrays_are_read(tmp_path):
    found = weights.read_arrays(npz(tmp_path / "a.npz", npy((2, 3), content=bytes(24))), "again")
    assert found["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("content", "method"),
    [
        (npy((10**6, 10**6)), zipfile.ZIP_STORED),
        (npy((2**62, 4)), zipfile.ZIP_STORED),
        (npy((-1,)), zipfile.ZIP_STORED),
        (npy((2,), dtype="|O", content=b"cos\nsystem\n"), zipfile.ZIP_STORED),
        (npy((2,), version=(9, 0), content=bytes(8)), zipfile.ZIP_STORED),
        (npy((1 << 20,), content=bytes(4 << 20)), zipfile.ZIP_DEFLATED),
        (npy("__import__('os')", content=b""), zipfile.ZIP_STORED),
        (b"\x93NUMPY\1\0\xff\xff{", zipfile.ZIP_STORED),
        (b"", zipfile.ZIP_STORED),
    ],
)
def test_arrays_that_claim_more_than_there_is(tmp_path, content, method):
    with pytest.raises(UserError, match=r"a.npz is no whole file of arrays \(.+\); again"):
        weights.read_arrays(npz(tmp_path / "a.npz", content, method), "again")


def test_arrays_on_top_of_each_other(tmp_path):
    path = npz(tmp_path / "a.npz", npy((100,), content=bytes(400)))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    entry = bytes(data[at : data.index(b"PK\5\6")])
    data[at:at] = entry * 3
    end = data.index(b"PK\5\6")
    data[end + 8 : end + 16] = struct.pack("<HHL", 4, 4, 4 * len(entry))
    path.write_bytes(data)
    with pytest.raises(UserError, match="lie on top of each other"):
        weights.read_arrays(path, "again")


@pytest.mark.parametrize("record", [[], 3, {}, {"weights": 3}, {"weights": {}}, {"weights": {"sha256": 7}}])
def test_a_record_that_is_none(tmp_path, record):
    np.savez(tmp_path / "weights.npz", a=np.ones(2))
    (tmp_path / "weights.json").write_text(json.dumps(record))
    with pytest.raises(UserError):
        weights.open_weights(tmp_path)


def test_a_record_names_no_other_file(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    sha256 = hashes.digest(tmp_path / "other.npz")
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "weights.json").write_text(json.dumps({"weights": {"file": "../other.npz", "sha256": sha256}}))
    with pytest.raises(UserError, match="weights.npz is missing"):
        weights.open_weights(folder)


def test_bytes_that_are_no_archive(tmp_path):
    for content in (b"", b"PK\3\4" + b"\0" * 100, io.BytesIO(b"x" * 50).getvalue()):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(UserError, match="is no whole file of arrays"):
            weights.read_arrays(tmp_path / "a.npz", "again")
