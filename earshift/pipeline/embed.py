"""Stage ``embed``: ``python -m stages.embed ENCODER PERTURBATION``, or ``... ENCODER original``.

Writes one embedding file per value of the perturbation (or original.h5). Effected audio is read where ``perturb`` kept
it, else the corpus is perturbed as it is read: the vectors are the same to the bit. A file whose fingerprint still
holds and that is whole is kept; one whose value left the grid is removed; a killed run goes on at the first value that
is not whole.
"""

import argparse
import json
import socket
import threading
from dataclasses import asdict, dataclass, is_dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from earshift.encoders.base import Encoder
from earshift.encoders.inference import Batches
from earshift.encoders.weights.record import RECORD, ensure_weights
from earshift.errors import UserError
from earshift.pipeline import cluster, paths, profile
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map, prefetched, torch_device
from earshift.pipeline.config import load
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import ORIGINAL, audio_versions, chunks, read, with_audio
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json, remove_leftovers, sole_writer
from earshift.storage.hdf5 import read_fingerprint, remove_damaged
from earshift.storage.provenance import fingerprint, source_sha256, versions
from earshift.storage.vectors import Embeddings, write_embeddings


@dataclass(frozen=True)
class Job:
    """What a worker needs to make vectors.

    device : str, "cpu", "cuda" or "cuda:N"; on a cluster what ``compute.device`` says, which each worker decides
    key : str, tells one configured encoder from another
    kind : str or None, of the device that all workers of a cluster have
    determined : dict, see :func:`_determined`
    """

    encoder: Encoder
    folder: Path
    device: str
    key: str
    kind: str | None
    determined: dict

    @property
    def on_gpu(self):
        return (self.kind or self.device) != "cpu"


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoder")
    parser.add_argument("perturbation", help=f"a perturbation, or {ORIGINAL}")
    arguments = parser.parse_args()
    params = load()
    if arguments.encoder not in params.encoders:
        configured = ", ".join(params.encoders)
        raise UserError(f"unknown encoder {arguments.encoder!r}; params.yaml configures {configured}")
    with sole_writer(paths.embeddings(arguments.encoder, arguments.perturbation), paths.LOCKS):
        embed(params, arguments.encoder, arguments.perturbation)


def embed(params, name, perturbation):
    """Bring the embeddings of one encoder under one perturbation up to date."""
    encoder = params.encoders[name]
    clips = read_clips(paths.CLIPS)
    found = audio_versions(params, perturbation, clips)
    targets = {version.value: _target(name, perturbation, version.value) for version in found}
    weights = (read_json(paths.weights(name) / RECORD) or {}).get("weights") or {}
    identity = {
        "encoder": name,
        "class": f"{type(encoder).__module__}:{type(encoder).__qualname__}",
        "options": _options(encoder),
        "weights": weights.get("sha256"),
        **_determined(encoder),
    }
    _tidy(targets.values())
    missing = [v for v in found if read_fingerprint(targets[v.value]) != _fingerprint(identity, v)]
    label = f"embed {name} {perturbation}"
    with Progress(label, len(found) * len(clips), (len(found) - len(missing)) * len(clips)) as progress:
        if missing:
            _report_short(label, encoder, clips)
            ensure_weights(paths.weights(name), name, encoder.origin(name))
            parts = _parts(with_audio(missing, params), _job(params, name, identity), clips, params.compute)
            for version in missing:
                features = _gather(parts, encoder, clips, progress)
                write_embeddings(
                    targets[version.value],
                    Embeddings(features, list(clips["clip"]), clips.valid.to_numpy(), {
                        **version.attributes,
                        "encoder": name,
                        "dim": encoder.dim,
                        "sample_rate": encoder.sample_rate,
                        "weights_sha256": identity["weights"] or "",
                        "packages": json.dumps(identity["packages"]),
                        "fingerprint": _fingerprint(identity, version),
                    }),
                )  # fmt: skip
    print(
        f"{label}: computed {len(missing)} of {len(found)} values"
        + (f" ({', '.join(v.value for v in missing)}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
    )


def _options(encoder):
    """Options that determine numbers: where weights lie does not, their hash does; heads stand above the vectors."""
    options = asdict(encoder) if is_dataclass(encoder) else {}
    return {key: value for key, value in options.items() if key not in ("weights", "heads")}


def _determined(encoder):
    """The code and the packages that make an encoder's numbers, as they are in this process."""
    classes = (c for c in type(encoder).__mro__ if issubclass(c, Encoder))
    code = source_sha256(*classes, *map(import_module, encoder.code))
    return {"code": code, "packages": versions(*encoder.packages)}


def _fingerprint(identity, version):
    return fingerprint(**identity, audio=version.fingerprint)


def _target(name, perturbation, value):
    if perturbation == ORIGINAL:
        return paths.originals(name)
    return paths.embeddings(name, perturbation) / f"{value}.h5"


def _tidy(targets):
    """Remove what a killed run left, what is damaged, and the files of values that left the grid."""
    folder = next(iter(targets)).parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_damaged(targets)
    if paths.originals(folder.name) not in targets:
        for path in folder.glob("*.h5"):
            if path not in targets:
                path.unlink()


def _report_short(label, encoder, clips):
    short = clips[clips.valid & (clips.seconds < encoder.window)]
    if len(short):
        shortest = short.loc[short.seconds.idxmin()]
        print(
            f"{label}: {len(short)} of {len(clips)} clips are shorter than the encoder's window of "
            f"{encoder.window:.3g} s (shortest: {shortest['clip']}, {shortest.seconds:.2f} s) and are repeated "
            "up to it; remove them from the corpus if that is not wanted"
        )


def _job(params, name, identity):
    kind, encoder = None, params.encoders[name]
    device = params.compute.device if encoder.gpu else "cpu"
    if params.compute.scheduler is None:
        device = torch_device(device)
    else:
        kind = cluster.device(params.compute.scheduler, _kind, device)
    determined = {part: identity[part] for part in ("code", "packages")}
    profile.note(device=kind or device)
    return Job(encoder, paths.weights(name), device, fingerprint(**identity, device=device), kind, determined)


def _kind(wanted):
    """The device that this process computes on, by a name that tells apart what gives other numbers."""
    device = torch_device(wanted)
    if device == "cpu":
        return device
    import torch

    return f"{torch.cuda.get_device_name(device)} with CUDA {torch.version.cuda}"


def _parts(found, job, clips, compute):
    """Vectors of the valid clips, chunk by chunk, for all versions in order."""
    size = compute.gpu_batch if job.on_gpu else compute.chunk
    tasks = ((job, *chunk) for version in found for chunk in chunks(version, clips, size))
    if compute.scheduler is not None:  # a worker's other threads read and perturb while one is in the network
        return ordered_map(_encode, tasks, compute, threads=True)
    return _overlapped(tasks, job, compute) if job.on_gpu else ordered_map(_encode, tasks, compute)


def _overlapped(tasks, job, compute):
    """Vectors from the one network on a GPU, while threads read, perturb and resample the clips that come next."""
    for start, stop, waveforms in prefetched(ordered_map(_prepare, tasks, compute, threads=True)):
        yield start, stop, _vectors(job, waveforms)


def _encode(job, start, stop, audio):
    """Vectors of the clips start..stop that hold audio, by index."""
    _, _, waveforms = _prepare(job, start, stop, audio)
    return start, stop, _vectors(job, waveforms)


def _prepare(job, start, stop, audio):
    """What of the clips start..stop reaches the network, by index; clips without audio are left out."""
    clips = enumerate(read(start, stop, audio))
    return start, stop, {start + i: job.encoder.waveform(a, rate) for i, (a, rate) in clips if a.size}


def _vectors(job, waveforms):
    """Vectors by index, equally long waveforms together."""
    by_length = {}
    for index, waveform in waveforms.items():
        by_length.setdefault(len(waveform), []).append(index)
    vectors = {}
    with _in_use:
        network = _network(job)
        for indices in by_length.values():
            encoded = network(np.stack([waveforms[i] for i in indices]))
            vectors.update(zip(indices, encoded, strict=True))
    return vectors


_loaded = (None, None)
_in_use = threading.Lock()  # one network in a process, and one thread in it: the number of torch's threads is global


def _network(job):
    """The loaded encoder; a worker keeps the last one."""
    global _loaded
    if _loaded[0] != job.key:
        if job.kind is not None:
            _check_worker(job)
        _loaded = (None, None)  # not two of them in memory
        network = job.encoder.load(job.folder, torch_device(job.device))
        _loaded = (job.key, Batches(network, job.encoder, None if job.on_gpu else job.encoder.batch))
    return _loaded[1]


def _check_worker(job):
    """See that a worker of a cluster, which may have joined later than the others, gives their numbers."""
    worker, kind, name = f"a worker on {socket.gethostname()}", _kind(job.device), type(job.encoder).__qualname__
    if kind != job.kind:
        raise UserError(f"{worker} computes on {kind}, the others on {job.kind}, whose numbers differ; keep one kind")
    if _determined(job.encoder) != job.determined:
        raise UserError(f"{worker} has other code or packages of {name} than this machine; start it again")


def _gather(parts, encoder, clips, progress):
    features = np.full((len(clips), encoder.dim), np.nan, dtype=np.float32)
    stop = 0
    while stop < len(clips):
        start, stop, vectors = next(parts)
        for index, vector in vectors.items():
            if not np.isfinite(vector).all():
                clip = clips["clip"][index]
                raise UserError(f"{type(encoder).__name__} gave NaN or infinity for clip {clip}; finished values stay")
            features[index] = vector
        progress.advance(stop - start)
    return features


if __name__ == "__main__":
    main()
