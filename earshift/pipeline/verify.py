"""Does an encoder keep its contract, and does it give the vectors that it gave before: ``earshift verify ENCODER``.

ENCODER is a name under ``encoders`` in params.yaml, or package.module:Class for one that has no options. First, the
encoder must keep what the pipeline relies on (:mod:`earshift.encoders.contract`). Second, it must give the vectors that
were recorded for a few short clips with the same options and weights. These golden vectors lie in paths.GOLDEN; with
``--record`` those of an encoder are added or replaced, so that two machines, or two versions of a package, can be
compared.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from earshift.encoders import contract
from earshift.encoders.base import Encoder, Floats, options_of
from earshift.encoders.inference import Batches
from earshift.encoders.weights.record import RECORD, write_weights
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config, paths
from earshift.pipeline.weights import weights_source
from earshift.plugins import import_class
from earshift.storage import provenance
from earshift.storage.files import read_json, replacing

TOLERANCE = 1e-4  # of the largest value of a clip's vector


class Inputs(TypedDict):
    """What golden vectors belong to: options, and SHA-256 of the weights."""

    options: dict[str, Any]
    weights: str | None


def verify(encoder: str, *, record: bool = False) -> bool:
    """Print whether an encoder keeps its contract and gives its golden vectors.

    Parameters
    ----------
    encoder : a name under ``encoders`` in params.yaml, or package.module:Class
    record : whether today's vectors are kept as golden ones

    Returns
    -------
    bool
        Whether all is well.

    Raises
    ------
    UserError
        If there is no such encoder, or its weights cannot be had.
    """
    name, found = _encoder(encoder)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        write_weights(folder, name, weights_source(name, found))
        problems = list(contract.problems(found, folder))
        for problem in problems:
            print(f"{name}: PROBLEM: {problem}")
        if problems:
            return False
        print(f"{name}: keeps what the pipeline relies on")
        if record:
            vectors, _ = encode_clips(found, folder)
            versions = provenance.versions(*found.packages)
            print(f"{name}: {write_golden(name, inputs_of(found, folder), vectors, versions)} written")
        lines, whole = compare(name, found, folder)
    print("\n".join(lines))
    return whole


def read_golden(name: str, inputs: Inputs, folder: Path = paths.GOLDEN) -> tuple[Floats, dict[str, str]] | None:
    """Golden vectors of an encoder with given options and weights, float32 [shape=(clips, dim)], and versions of
    packages that gave them; None where none were recorded."""
    for path in sorted(folder.glob(f"{name}*.npz")):
        with np.load(path, allow_pickle=False) as file:
            document = json.loads(str(file["about"]))
            if document["of"] == inputs:
                return file["vectors"], document["packages"]
    return None


def write_golden(
    name: str, inputs: Inputs, vectors: Floats, packages: dict[str, str], folder: Path = paths.GOLDEN
) -> Path:
    """Keep golden vectors, in place of those of the same options and weights; the file."""
    path = folder / f"{name}-{provenance.fingerprint(**inputs)[:8]}.npz"
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, vectors=vectors, about=json.dumps({"of": inputs, "packages": packages}))
    return path


def encode_clips(encoder: Encoder, folder: Path, device: str = "cpu") -> tuple[Floats, float]:
    """Vectors of the contract's clips, float32 [shape=(clips, dim)], and seconds per clip."""
    network = Batches(encoder.load(folder, device), encoder, 1)
    waveforms = [encoder.waveform(*clip) for clip in contract.clips().values()]
    network(waveforms[0][None])  # what is set up at the first call is not part of the rate
    start = time.perf_counter()
    vectors = np.concatenate([network(waveform[None]) for waveform in waveforms])
    return vectors, (time.perf_counter() - start) / len(waveforms)


def drift(vectors: Floats, golden: Floats) -> NDArray[np.float64]:
    """How far every clip's vector is from its golden one, as a share of the largest value [shape=(clips,)]."""
    scale = np.maximum(np.abs(golden).max(axis=1), np.finfo(np.float32).tiny)
    distance: NDArray[np.float64] = np.abs(vectors.astype(np.float64) - golden).max(axis=1) / scale
    return distance


def inputs_of(encoder: Encoder, folder: Path) -> Inputs:
    """What golden vectors of an encoder belong to."""
    weights = (read_json(folder / RECORD) or {}).get("weights") or {}
    return {"options": json.loads(json.dumps(options_of(encoder))), "weights": weights.get("sha256")}


def compare(name: str, encoder: Encoder, folder: Path, golden: Path = paths.GOLDEN) -> tuple[list[str], bool]:
    """Lines that say how an encoder's vectors compare with the golden ones, and whether they hold."""
    vectors, seconds = encode_clips(encoder, folder)
    here = provenance.versions(*encoder.packages)
    versions = ", ".join(f"{package} {version}" for package, version in here.items())
    lines = [f"{name}: {encoder.dim} dimensions, {1 / seconds:.1f} clips/s on one thread, {versions}"]
    found = read_golden(name, inputs_of(encoder, folder), golden)
    if found is None:
        return [*lines, f"{name}: no golden vectors for these options and weights; --record keeps today's"], True
    expected, there = found
    if expected.shape != vectors.shape:
        return [*lines, f"{name}: DRIFTED, vectors have shape {vectors.shape}, recorded {expected.shape}"], False
    far = drift(vectors, expected)
    whole = bool((far <= TOLERANCE).all())
    verdict = "as recorded" if whole else "DRIFTED"
    lines.append(f"{name}: {verdict}, largest difference {far.max():.1e} of the largest value (allowed {TOLERANCE:g})")
    if not whole:
        lines += [f"{name}:   {clip}: {value:.1e}" for clip, value in zip(contract.clips(), far, strict=True)]
        changed = [f"{p} {there.get(p)} -> {version}" for p, version in here.items() if there.get(p) != version]
        lines.append(f"{name}:   changed since: {', '.join(changed) or 'no package; the code, or the machine'}")
    return lines, whole


def _encoder(word: str) -> tuple[str, Encoder]:
    """Name and encoder that a word of the command line stands for."""
    if ":" in word:
        cls: type[Encoder] = import_class(word, Encoder, "ENCODER")
        fix = "; put it into params.yaml as encoders.NAME with class and options, and verify NAME"
        try:
            return cls.__name__, check(cls, {}, word)
        except UserError as error:
            raise UserError(f"{error}{fix}") from error
    document = config.read()
    if word in (document.get("encoders") or {}):
        document["run"]["encoders"] = [word]  # one that is only configured is imported as if it were in use
    encoders = config.parse(document).encoders
    if word not in encoders:
        raise UserError(f"no encoder {word!r} in {paths.PARAMS}; there are {', '.join(encoders)}")
    return word, encoders[word]
