"""The checkpoint reader against bundles that are built here, byte by byte, after the format's description."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshift.encoders.weights.tf_checkpoint import read_checkpoint
from earshift.errors import UserError

TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
MAGIC = bytes.fromhex("57fb808b247547db")


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def crc32c(content):
    """Bit by bit, after RFC 3720."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def block(entries, compression=0):
    """A block whose keys share what they can with the key before."""
    body, last = b"", b""
    for key, value in entries:
        shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    body += struct.pack("<II", 0, 1)
    kind = bytes([compression])
    crc = crc32c(body + kind)
    return body, kind + struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def bundle(arrays, *, per_block=3, shards=1, endianness=0, compression=0, extra=b"", size_error=0):
    """Index and data of a bundle with the given arrays."""
    header = field(1, shards) + (field(2, endianness) if endianness else b"") + field(3, field(1, 1))
    data, entries = b"", [(b"", header)]
    for name, array in sorted(arrays.items()):
        shape = b"".join(field(2, field(1, n) if n else b"") for n in array.shape)
        entry = field(1, TYPES[array.dtype.name]) + field(2, shape)
        if data:
            entry += field(4, len(data))
        entry += field(5, array.nbytes + size_error) if array.nbytes + size_error else b""
        entries.append((name.encode(), entry + varint(6 << 3 | 5) + b"\0\0\0\0" + extra))
        data += array.astype(array.dtype.newbyteorder("<")).tobytes()
    index, handles = b"", []
    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        body, trailer = block(part, compression)
        handles.append((part[-1][0] + b"~", varint(len(index)) + varint(len(body))))
        index += body + trailer
    places = []
    for part in ([], handles):
        body, trailer = block(part)
        places.append(varint(len(index)) + varint(len(body)))
        index += body + trailer
    return index + b"".join(places).ljust(40, b"\0") + MAGIC, data


ARRAYS = {
    "conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv/kernel/Adam": np.ones((2, 3, 4), dtype=np.float32),
    "conv/bias": np.array([-1.5, 2.5], dtype=np.float64),
    "step": np.array(300, dtype=np.int64),
    "empty": np.zeros((0, 5), dtype=np.float32),
    "half": np.array([1, 65504], dtype=np.float16),
    "counts": np.array([-7], dtype=np.int32),
}


def test_the_checksum_in_this_file_is_the_standard_one():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C in every catalogue


@pytest.mark.parametrize("per_block", [1, 3, 100])
def test_a_bundle_built_by_hand_is_read(per_block):
    found = read_checkpoint(*bundle(ARRAYS, per_block=per_block))
    assert list(found) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_keep_chooses_variables():
    assert "conv/kernel/Adam" not in read_checkpoint(*bundle(ARRAYS), keep=lambda name: "Adam" not in name)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda i, d: (i[:-1], d), "magic"),
        (lambda i, d: (b"", d), "magic"),
        (lambda i, d: (i[:20] + bytes([i[20] ^ 1]) + i[21:], d), "checksum"),
        (lambda i, d: (i[:60] + i[100:], d), "checksum|block"),
        (lambda i, d: (i, d[:-1]), "ends at byte"),
        (lambda i, d: (i, b""), "ends at byte"),
        (lambda i, d: bundle(ARRAYS, shards=2), "2 shards"),
        (lambda i, d: bundle(ARRAYS, endianness=1), "big endian"),
        (lambda i, d: bundle(ARRAYS, compression=1), "compressed"),
        (lambda i, d: bundle(ARRAYS, extra=field(7, b"")), "sliced"),
        (lambda i, d: bundle(ARRAYS, size_error=4), "shape"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(broken, reason):
    with pytest.raises(UserError, match=reason) as caught:
        read_checkpoint(*broken(*bundle(ARRAYS)), name="the checkpoint of X")
    assert str(caught.value).startswith("the checkpoint of X is not a whole TensorFlow checkpoint")
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_no_damage_to_the_index_goes_unnoticed(position, change, cut):
    index, data = bundle({name: ARRAYS[name] for name in ("conv/kernel", "conv/bias")})
    position %= len(index)
    damaged = index[:position] if cut else index[:position] + bytes([index[position] ^ change]) + index[position + 1 :]
    try:
        found = read_checkpoint(damaged, data)
    except UserError:
        return
    # only padding and the block of no content may change without consequence
    np.testing.assert_array_equal(found["conv/kernel"], ARRAYS["conv/kernel"])
    np.testing.assert_array_equal(found["conv/bias"], ARRAYS["conv/bias"])
