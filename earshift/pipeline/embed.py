"""Stage ``embed``: the embeddings of one encoder, of the clips as they are or under one perturbation.

Writes one embedding file per value of the perturbation (or original.h5). Effected audio is read where ``perturb`` kept
it, else the corpus is perturbed as it is read: the vectors are the same to the bit. A file whose fingerprint still
holds and that is whole is kept; one whose value left the grid is removed; a killed run goes on at the first value that
is not whole.
"""

import json
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earshift.encoders.base import Embed, Encoder, Floats, code_sha256, options_of
from earshift.encoders.inference import Job
from earshift.encoders.weights.record import RECORD, ensure_weights
from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch
from earshift.pipeline import cluster, paths, profile
from earshift.pipeline.compute import Compute, mapper, prefetch, torch_device
from earshift.pipeline.config import Config
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import Version, audio_versions, version_batches, with_audio
from earshift.pipeline.weights import weights_source
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json, remove_leftovers, sole_writer
from earshift.storage.hdf5 import read_fingerprint, remove_damaged
from earshift.storage.provenance import fingerprint, versions
from earshift.storage.vectors import Embeddings, write_embeddings


@dataclass(frozen=True)
class ClusterJob(Job):
    """A job for workers of a cluster, each of which decides on its own device as ``compute.device`` says.

    kind : of the device that all workers have
    determined : see :func:`_determined`, of the machine that asks for vectors
    """

    kind: str
    determined: dict[str, Any]

    @property
    def on_gpu(self) -> bool:
        return self.kind != "cpu"

    def open(self) -> Embed:
        """The network, on a worker that gives the numbers of the others; it may have joined later than these."""
        worker, kind = f"a worker on {socket.gethostname()}", _device_kind(self.device)
        if kind != self.kind:
            raise UserError(
                f"{worker} computes on {kind}, the others on {self.kind}, whose numbers differ; keep one kind"
            )
        if _determined(self.encoder) != self.determined:
            name = type(self.encoder).__qualname__
            raise UserError(f"{worker} has other code or packages of {name} than this machine; start it again")
        return self.encoder.load(self.folder, torch_device(self.device))


def embed(params: Config, name: str, perturbation: str) -> None:
    """Bring the embeddings of one encoder under one perturbation up to date; one process at a time does so.

    Raises
    ------
    UserError
        On an unknown encoder or perturbation, or an encoder that gives NaN, infinity or another shape.
    """
    if name not in params.encoders:
        raise UserError(f"unknown encoder {name!r}; params.yaml configures {', '.join(params.encoders)}")
    with sole_writer(paths.embeddings(name, perturbation), paths.LOCKS):
        _update(params, name, params.encoders[name], perturbation)


def _update(params: Config, name: str, encoder: Encoder, perturbation: str) -> None:
    clips = read_clips(paths.CLIPS)
    found = audio_versions(params, perturbation, clips)
    targets = {version.value: _target(name, perturbation, version.value) for version in found}
    weights = (read_json(paths.weights(name) / RECORD) or {}).get("weights") or {}
    inputs = {
        "encoder": name,
        "class": f"{type(encoder).__module__}:{type(encoder).__qualname__}",
        "options": options_of(encoder),
        "weights": weights.get("sha256"),
        **_determined(encoder),
    }
    _tidy(list(targets.values()))
    prints = {version.value: fingerprint(**inputs, audio=version.fingerprint) for version in found}
    missing = [v for v in found if read_fingerprint(targets[v.value]) != prints[v.value]]
    label = f"embed {name} {perturbation}"
    with Progress(label, len(found) * len(clips), (len(found) - len(missing)) * len(clips)) as progress:
        if missing:
            _report_short(label, encoder, clips)
            ensure_weights(paths.weights(name), name, weights_source(name, encoder))
            parts = _encode_all(with_audio(missing, params), _job(params, name, inputs), clips, params.compute)
            for version in missing:
                attributes = {
                    **version.attributes,
                    "encoder": name,
                    "dim": encoder.dim,
                    "sample_rate": encoder.sample_rate,
                    "weights_sha256": inputs["weights"] or "",
                    "packages": json.dumps(inputs["packages"]),
                    "fingerprint": prints[version.value],
                }
                features = _collect(parts, encoder, clips, progress)
                table = Embeddings(features, list(clips["clip"]), clips.valid.to_numpy(), attributes)
                write_embeddings(targets[version.value], table)
    print(
        f"{label}: computed {len(missing)} of {len(found)} values"
        + (f" ({', '.join(v.value for v in missing)}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
    )


def _determined(encoder: Encoder) -> dict[str, Any]:
    """The code and the packages that make an encoder's numbers, as they are in this process."""
    return {"code": code_sha256(encoder), "packages": versions(*encoder.packages)}


def _target(name: str, perturbation: str, value: str) -> Path:
    if perturbation == ORIGINAL:
        return paths.originals(name)
    return paths.embeddings(name, perturbation) / f"{value}.h5"


def _tidy(targets: list[Path]) -> None:
    """Remove what a killed run left, what is damaged, and the files of values that left the grid."""
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_damaged(targets)
    if paths.originals(folder.name) not in targets:
        for path in set(folder.glob("*.h5")).difference(targets):
            path.unlink()


def _report_short(label: str, encoder: Encoder, clips: pd.DataFrame) -> None:
    short = clips[clips.valid & (clips.seconds < encoder.window)]
    if len(short):
        shortest = short.nsmallest(1, "seconds").iloc[0]
        print(
            f"{label}: {len(short)} of {len(clips)} clips are shorter than the encoder's window of "
            f"{encoder.window:.3g} s (shortest: {shortest['clip']}, {shortest.seconds:.2f} s) and are repeated "
            "up to it; remove them from the corpus if that is not wanted"
        )


def _job(params: Config, name: str, inputs: dict[str, Any]) -> Job:
    encoder, folder, compute = params.encoders[name], paths.weights(name), params.compute
    device = compute.device if encoder.gpu else "cpu"
    if compute.scheduler is None:
        device = torch_device(device)
        profile.note(device=device)
        return Job(encoder, folder, device, fingerprint(**inputs, device=device))
    kind = cluster.device(compute.scheduler, _device_kind, device)
    profile.note(device=kind)
    determined = {part: inputs[part] for part in ("code", "packages")}
    return ClusterJob(encoder, folder, device, fingerprint(**inputs, device=device), kind, determined)


def _device_kind(wanted: str) -> str:
    """The device that this process computes on, by a name that tells apart what gives other numbers."""
    device = torch_device(wanted)
    if device == "cpu":
        return device
    import torch

    return f"{torch.cuda.get_device_name(device)} with CUDA {torch.version.cuda}"


Vectors = tuple[range, dict[int, Floats]]  # rows of a batch, and vectors of those that hold audio


def _encode_all(found: Iterable[Version], job: Job, clips: pd.DataFrame, compute: Compute) -> Iterator[Vectors]:
    """Vectors of the valid clips, batch by batch, for all versions in order."""
    size = compute.gpu_batch if job.on_gpu else compute.chunk
    batches = (batch for version in found for batch in version_batches(version, clips, size))
    if job.on_gpu and compute.scheduler is None:
        # one network on the GPU, while threads read, perturb and resample the clips that come next
        for rows, waveforms in prefetch(mapper(compute, threads=True)(partial(_prepare, job), batches)):
            yield rows, job.encode(waveforms)
        return
    # a cluster worker's other threads read and perturb while one is in the network
    yield from mapper(compute, threads=compute.scheduler is not None)(partial(_encode, job), batches)


def _encode(job: Job, batch: Batch) -> Vectors:
    """Vectors of the clips of a batch."""
    rows, waveforms = _prepare(job, batch)
    return rows, job.encode(waveforms)


def _prepare(job: Job, batch: Batch) -> Vectors:
    """What of the clips of a batch reaches the network; clips without audio are left out."""
    clips = zip(batch.rows, batch.read(), strict=True)
    waveforms = {row: job.encoder.waveform(audio, rate) for row, (audio, rate) in clips if audio.size}
    return range(batch.start, batch.stop), waveforms


def _collect(parts: Iterator[Vectors], encoder: Encoder, clips: pd.DataFrame, progress: Progress) -> Floats:
    """The vectors of one version, NaN where a clip holds no audio."""
    features = np.full((len(clips), encoder.dim), np.nan, dtype=np.float32)
    done = 0
    while done < len(clips):
        rows, vectors = next(parts)
        for row, vector in vectors.items():
            if not np.isfinite(vector).all():
                clip = clips["clip"][row]
                raise UserError(f"{type(encoder).__name__} gave NaN or infinity for clip {clip}; finished values stay")
            features[row] = vector
        progress.advance(len(rows))
        done = rows.stop
    return features
