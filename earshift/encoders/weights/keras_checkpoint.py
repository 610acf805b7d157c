"""Reads weight files of Keras 2 (HDF5), compressed with gzip or not, without Keras.

Conventions
-----------
Keras 2 keeps weights by layer: the attribute ``layer_names`` lists the layers in the order of the network, and
``weight_names`` of a layer's group its arrays in the order in which the layer made them. Keras itself fills a network
in that order and ignores names, which differ from version to version; so does this reader. A file of a whole model has
the same below ``model_weights``. Shapes are compared before a value is read, and nothing is unpickled. Links and values
that lead into other files are not followed.

From keras/saving/legacy/hdf5_format.py of Keras 2.15 (load_weights_from_hdf5_group).
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError

Shape = tuple[int, ...]

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20  # bytes
_LIMIT = 1 << 30  # bytes after decompression; far more than any file that is read here


def read_layers(path: Path, shapes: list[list[Shape]], *, network: str) -> list[list[NDArray[np.float32]]]:
    """Weights of all layers that have any, in the order of the network.

    Parameters
    ----------
    path : pathlib.Path
    shapes : list of lists of tuples, the shapes of every layer's arrays as they must be
    network : str, what error messages call it

    Returns
    -------
    list of lists of float32 arrays, in the order of `shapes`

    Raises
    ------
    UserError
        Naming the file, if it is cut off, no weight file of Keras 2, or one of another network.
    """
    import h5py

    try:
        with h5py.File(_opened(path), "r") as file:
            root = _member(file, "model_weights") if "model_weights" in file else file
            return _checked(list(_layers(root)), shapes)
    except _Wrong as error:
        raise UserError(f"{path} is not a weight file of {network}: {error}") from error
    except (OSError, EOFError, zlib.error, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        words = str(error).strip("'\"") or type(error).__name__
        raise UserError(f"{path} is not a whole HDF5 file of Keras 2 ({words}); fetch it again") from error


class _Wrong(Exception):
    """What is wrong with a file that can be read."""


def _opened(path: Path) -> Path | io.BytesIO:
    """The file, or its content in memory where it is compressed."""
    with open(path, "rb") as file:
        if file.read(2) != _GZIP:
            return path
    content = io.BytesIO()
    with gzip.open(path) as file:
        while piece := file.read(_PIECE):  # asked for all at once, it takes memory for all that it may give
            content.write(piece)
            if content.tell() > _LIMIT:
                raise _Wrong(f"it is larger than {_LIMIT >> 20} MiB")
    return content


def _layers(root: Any) -> Iterator[tuple[str, list[Any]]]:
    """Name of every layer with weights and its data sets, in order."""
    for layer in _names(root, "layer_names"):
        group = _member(root, layer)
        weights = [_member(group, name) for name in _names(group, "weight_names")]
        if weights:
            yield layer, weights


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras cuts into numbered attributes where it is long."""
    attributes = group.attrs
    if attribute in attributes:
        pieces = [attributes[attribute]]
    elif f"{attribute}0" in attributes:
        pieces = [attributes[f"{attribute}{i}"] for i in range(len(attributes)) if f"{attribute}{i}" in attributes]
    else:
        raise _Wrong(f"{group.name} has no {attribute}, as files of Keras 2 have")
    return [name.decode() if isinstance(name, bytes) else str(name) for piece in pieces for name in piece]


def _member(group: Any, name: str) -> Any:
    import h5py

    if name not in group:
        raise _Wrong(f"{group.name} lacks {name}, which it lists")
    found = group
    for part in filter(None, name.split("/")):
        if isinstance(found.get(part, getlink=True), h5py.ExternalLink):
            raise _Wrong(f"{name} leads into another file")
        found = found[part]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise _Wrong(f"the values of {name} lie in another file")
    return found


def _checked(layers: list[tuple[str, list[Any]]], shapes: list[list[Shape]]) -> list[list[NDArray[np.float32]]]:
    """Arrays of the layers, after all shapes were compared."""
    import h5py

    if len(layers) != len(shapes):
        raise _Wrong(f"it has {len(layers)} layers with weights, expected {len(shapes)}")
    for number, ((layer, weights), expected) in enumerate(zip(layers, shapes, strict=True), start=1):
        if not all(isinstance(each, h5py.Dataset) and each.dtype.kind == "f" for each in weights):
            raise _Wrong(f"layer {number} ({layer}) holds something else than arrays of floating-point numbers")
        found = [each.shape for each in weights]
        if found != expected:
            raise _Wrong(f"layer {number} ({layer}) has arrays of shape {_words(found)}, expected {_words(expected)}")
    return [[each[()].astype(np.float32) for each in weights] for _, weights in layers]


def _words(shapes: list[Shape]) -> str:
    return ", ".join(" x ".join(map(str, shape)) or "()" for shape in shapes)
