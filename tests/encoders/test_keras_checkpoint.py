"""The reader of Keras' weight files against files that are written here."""

import gzip

import h5py
import numpy as np
import pytest

from benchmarks.mirror.openl3 import write_layers
from earshift.encoders.weights.keras_checkpoint import read_layers
from earshift.errors import UserError

# Alphabetical order, which HDF5 lists groups in, is not the order of the network
LAYERS = [
    ("input_1", []),
    ("zeta", [("b:0", np.float32([1, 2])), ("a:0", np.float32([[3], [4]]))]),
    ("activation", []),
    ("middle", [("kernel:0", np.arange(6, dtype=np.float32).reshape(2, 3))]),
    ("alpha", [("b:0", np.float32([7, 8])), ("a:0", np.float32([[9], [10]]))]),
]
SHAPES = [[(2,), (2, 1)], [(2, 3)], [(2,), (2, 1)]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.h5"


def read(path, shapes=SHAPES):
    return read_layers(path, shapes, network="the network of this test")


def expect_layers(found):
    expected = [[array for _, array in weights] for _, weights in LAYERS if weights]
    assert [len(arrays) for arrays in found] == [len(arrays) for arrays in expected]
    for arrays, others in zip(found, expected, strict=True):
        for array, other in zip(arrays, others, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, other)


def test_layers_come_in_the_order_of_the_network_and_arrays_in_that_of_their_layer(path):
    write_layers(path, LAYERS)
    with h5py.File(path) as file:
        assert list(file) != [name for name, _ in LAYERS]
    expect_layers(read(path))


def test_names_do_not_matter(path):
    write_layers(path, [(f"x{9 - i}/deep", weights) for i, (_, weights) in enumerate(LAYERS)])
    expect_layers(read(path))


def test_a_file_of_a_whole_model_is_read(path):
    write_layers(path, LAYERS, below="model_weights")
    with h5py.File(path, "a") as file:
        file.create_group("optimizer_weights").attrs["weight_names"] = np.array([b"iterations:0"])
    expect_layers(read(path))


def test_compressed_files_are_read_whatever_their_name(path, tmp_path):
    write_layers(path, LAYERS)
    other = tmp_path / "any name"
    other.write_bytes(gzip.compress(path.read_bytes()))
    expect_layers(read(other))


def test_long_lists_of_names_come_in_pieces(path):
    write_layers(path, LAYERS)
    with h5py.File(path, "a") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    expect_layers(read(path))


def test_names_may_be_text(path):
    write_layers(path, LAYERS)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [name for name, _ in LAYERS]
    expect_layers(read(path))


def cut(content, share):
    return content[: int(share * len(content))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: b"", "HDF5"),
        (lambda c: b"<html>404</html>", "HDF5"),
        (lambda c: cut(c, 0.6), "HDF5"),
        (lambda c: cut(gzip.compress(c), 0.6), "HDF5"),
        (lambda c: b"\x1f\x8b" + 100 * b"x", "HDF5"),
        (lambda c: gzip.compress(b"something else"), "HDF5"),
    ],
    ids=["empty", "a web page", "cut off", "cut off and compressed", "false compression", "something else"],
)
def test_files_that_are_not_whole_are_refused(path, change, reason):
    write_layers(path, LAYERS)
    path.write_bytes(change(path.read_bytes()))
    refused(path, reason)


def refused(path, reason, **options):
    with pytest.raises(UserError, match=reason) as caught:
        read(path, **options)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_another_number_of_layers_is_refused(path):
    write_layers(path, LAYERS[:4])
    refused(path, "has 2 layers with weights, expected 3")


def test_other_shapes_are_refused_before_anything_is_read(path):
    write_layers(path, [*LAYERS[:3], ("middle", [("kernel:0", np.zeros((3, 2), dtype=np.float32))]), LAYERS[4]])
    refused(path, r"layer 2 \(middle\) has arrays of shape 3 x 2, expected 2 x 3")


def test_another_number_of_arrays_is_refused(path):
    write_layers(path, [*LAYERS[:4], ("alpha", LAYERS[4][1][:1])])
    refused(path, r"layer 3 \(alpha\) has arrays of shape 2, expected 2, 2 x 1")


def test_numbers_of_another_kind_are_refused(path):
    write_layers(path, [*LAYERS[:3], ("middle", [("kernel:0", np.zeros((2, 3), dtype=np.int32))]), LAYERS[4]])
    refused(path, r"layer 2 \(middle\) holds something else")


@pytest.mark.parametrize("missing", ["middle", "zeta/zeta/a:0"])
def test_what_is_listed_and_missing_is_named(path, missing):
    write_layers(path, LAYERS)
    with h5py.File(path, "a") as file:
        del file[missing]
    refused(path, f"lacks {missing.removeprefix('zeta/')}, which it lists")


def test_a_group_in_place_of_an_array_is_refused(path):
    write_layers(path, LAYERS)
    with h5py.File(path, "a") as file:
        del file["middle/middle/kernel:0"]
        file.create_group("middle/middle/kernel:0")
    refused(path, r"layer 2 \(middle\) holds something else")


def test_other_hdf5_files_are_refused(path):
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(3)  # as Keras 3 writes
    refused(path, "has no layer_names, as files of Keras 2 have")


def test_files_that_unpack_without_end_are_refused(path, monkeypatch):
    monkeypatch.setattr("earshift.encoders.weights.keras_checkpoint._LIMIT", 1 << 20)
    path.write_bytes(gzip.compress(bytes(2 << 20)))
    refused(path, "larger than 1 MiB")
