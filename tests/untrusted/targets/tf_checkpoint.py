"""A checkpoint of TensorFlow, its checksums taken as right: an attacker computes them, a mutator does not."""

from untrusted.pieces import SEPARATOR, pieces

from earshift.encoders.weights import tf_checkpoint

WORDS = (SEPARATOR, b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", b"\x08\x01", b"\x12\x04\x12\x02\x08\x02", b"\x28\x18",
         b"\xff" * 9 + b"\x01", b"\0\0\0\0\1\0\0\0", b"\x12\x00", b"\x20", b"\x12\x02\x10\x01")  # fmt: skip


class _Any:
    """Equal to every checksum."""

    __hash__ = None

    def __eq__(self, other):
        return True


def prepared():
    tf_checkpoint._masked_crc32c = lambda content: _Any()


def target(data):
    index, values = pieces(data, 2)
    found = tf_checkpoint.read_checkpoint(index, values)
    assert sum(array.nbytes for array in found.values()) <= len(values)
