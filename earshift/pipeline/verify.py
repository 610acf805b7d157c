"""Is an encoder what it was, and what it should be: ``python -m earshift.pipeline.verify ENCODER``.

ENCODER is a name under ``encoders`` in params.yaml, or package.module:Class for one that has no options. Two questions
are put to it. Does it keep what the pipeline relies on (:mod:`earshift.encoders.contract`)? And does it still give the
vectors that were recorded for a few tiny clips, with the same options and weights? These golden vectors lie in
paths.GOLDEN; ``--record`` adds or replaces those of an encoder, which is how two machines, or two versions of a
package, are compared.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, is_dataclass
from pathlib import Path

import numpy as np

from earshift import plugins as scan
from earshift.encoders import contract
from earshift.encoders.inference import Batches
from earshift.encoders.weights.record import RECORD, write_weights
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage import provenance
from earshift.storage.files import read_json, replacing

TOLERANCE = 1e-4  # of the largest value of a clip's vector


def recorded(name, about, folder=paths.GOLDEN):
    """Golden vectors of an encoder with given options and weights.

    Returns
    -------
    (float32 [shape=(clips, dim)], dict of package versions), or None where none were recorded
    """
    for path in sorted(folder.glob(f"{name}*.npz")):
        with np.load(path, allow_pickle=False) as file:
            document = json.loads(str(file["about"]))
            if document["of"] == about:
                return file["vectors"], document["packages"]
    return None


def record(name, about, vectors, packages, folder=paths.GOLDEN):
    """Keep golden vectors; those of the same options and weights are replaced.

    Returns
    -------
    pathlib.Path
    """
    path = folder / f"{name}-{provenance.fingerprint(**about)[:8]}.npz"
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, vectors=vectors, about=json.dumps({"of": about, "packages": packages}))
    return path


def vectors_of(encoder, folder, device="cpu"):
    """Vectors of the tiny clips, float32 [shape=(clips, dim)], and seconds per clip."""
    network = Batches(encoder.load(folder, device), encoder, 1)
    waveforms = [encoder.waveform(*clip) for clip in contract.clips().values()]
    network(waveforms[0][None])  # what is set up at the first call is not part of the rate
    start = time.perf_counter()
    vectors = np.concatenate([network(waveform[None]) for waveform in waveforms])
    return vectors, (time.perf_counter() - start) / len(waveforms)


def drift(vectors, golden):
    """How far every clip's vector is from its golden one, as a share of the largest value [shape=(clips,)]."""
    scale = np.maximum(np.abs(golden).max(axis=1), np.finfo(np.float32).tiny)
    return np.abs(vectors.astype(np.float64) - golden).max(axis=1) / scale


def identity(encoder, folder):
    """What golden vectors belong to: options and weights."""
    options = asdict(encoder) if is_dataclass(encoder) else {}
    weights = (read_json(folder / RECORD) or {}).get("weights") or {}
    kept = {key: value for key, value in options.items() if key not in ("weights", "heads")}
    return {"options": json.loads(json.dumps(kept)), "weights": weights.get("sha256")}


def verified(name, encoder, folder, golden=paths.GOLDEN):
    """Lines that say how an encoder's vectors compare with the golden ones, and whether they hold."""
    vectors, seconds = vectors_of(encoder, folder)
    here = provenance.versions(*encoder.packages)
    found = recorded(name, identity(encoder, folder), golden)
    lines = [f"{name}: {encoder.dim} dimensions, {1 / seconds:.1f} clips/s on one thread, {_versions(here)}"]
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
        changed = {package: (there.get(package), version) for package, version in here.items()}
        changed = [f"{package} {old} -> {new}" for package, (old, new) in changed.items() if old != new]
        lines.append(f"{name}:   changed since: {', '.join(changed) or 'no package; the code, or the machine'}")
    return lines, whole


def _versions(packages):
    return ", ".join(f"{package} {version}" for package, version in packages.items())


def _encoder(word):
    """Name and encoder that a word of the command line stands for."""
    if ":" in word:
        cls = scan.imported(word, scan.base("encoders"), "ENCODER")
        fix = "; put it into params.yaml as encoders.NAME with class and options, and verify NAME"
        try:
            return cls.__name__, check(cls, {}, word)
        except UserError as error:
            raise UserError(f"{error}{fix}") from error
    document = params.read()
    if word in (document.get("encoders") or {}):
        # one that is only configured is imported as if it were in use
        document["run"]["encoders"] = [word]
    encoders = params.parse(document).encoders
    if word not in encoders:
        raise UserError(f"no encoder {word!r} in {paths.PARAMS}; there are {', '.join(encoders)}")
    return word, encoders[word]


@command
def main():
    parser = argparse.ArgumentParser(prog="python -m earshift.pipeline.verify", description=__doc__.partition("\n")[0])
    parser.add_argument("encoder", help="a name under `encoders` in params.yaml, or package.module:Class")
    parser.add_argument("--record", action="store_true", help="keep today's vectors as golden ones")
    arguments = parser.parse_args()
    name, encoder = _encoder(arguments.encoder)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        write_weights(folder, name, encoder.origin(name))
        found = list(contract.problems(encoder, folder))
        for problem in found:
            print(f"{name}: PROBLEM: {problem}")
        if found:
            sys.exit(1)
        print(f"{name}: keeps what the pipeline relies on")
        if arguments.record:
            vectors, _ = vectors_of(encoder, folder)
            packages = provenance.versions(*encoder.packages)
            print(f"{name}: {record(name, identity(encoder, folder), vectors, packages)} written")
        lines, whole = verified(name, encoder, folder)
    print("\n".join(lines))
    if not whole:
        sys.exit(1)


if __name__ == "__main__":
    main()
