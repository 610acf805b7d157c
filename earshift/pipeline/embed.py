"""The embeddings of one encoder, of the clips as they are and under every perturbation of the run.

Writes data/embeddings/ENCODER/: original.h5, and one file per value of every perturbation, each an artifact of its own
(:mod:`earshift.pipeline.artifacts`). Effected audio is read where ``perturb`` kept it, else the corpus is perturbed as
it is read: the vectors are the same to the bit. Vectors of clips that an earlier corpus had too are not computed again.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from earshift.encoders.base import Embed, Encoder, Floats, encoder_modules, options_of
from earshift.encoders.inference import Job
from earshift.encoders.weights.record import RECORD, ensure_weights
from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch
from earshift.pipeline import cluster, paths, profile
from earshift.pipeline.artifacts import Artifact, make_key, making, open_output
from earshift.pipeline.clip_rows import ClipRows
from earshift.pipeline.code import code_sha256
from earshift.pipeline.compute import mapper, prefetch, torch_device
from earshift.pipeline.config import Config
from earshift.pipeline.packages import package_versions
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import Version, audio_versions, version_batches, with_audio
from earshift.pipeline.weights import weights_source
from earshift.storage.clips import read_clips
from earshift.storage.files import read_json, sole_writer
from earshift.storage.provenance import fingerprint, versions
from earshift.storage.vectors import Embeddings, write_embeddings


@dataclass(frozen=True)
class ClusterJob(Job):
    """A job for workers of a cluster, each of which decides on its own device as ``compute.device`` says.

    kind : of the device that all workers have
    determined : code and packages of the encoder, see :func:`_determined`, on the machine that asks for vectors
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


@dataclass(frozen=True)
class _Missing:
    """The embeddings of one value that are to be computed.

    features : float32 [shape=(clips, dim)], with the vectors that are known from earlier artifacts, NaN elsewhere
    rows : clips whose vectors are not known
    """

    artifact: Artifact
    version: Version
    features: Floats
    rows: list[int]


def embed(params: Config, name: str) -> None:
    """Bring data/embeddings/NAME up to date: the clips as they are, and under every perturbation of the run.

    Raises
    ------
    UserError
        If audio cannot be had, or the encoder gives NaN, infinity or another shape.
    """
    with sole_writer(paths.embeddings(name), paths.LOCKS):
        _update(params, name, params.encoders[name])


def _update(params: Config, name: str, encoder: Encoder) -> None:
    clips, label = read_clips(paths.CLIPS), f"embed {name}"
    inputs = _inputs(name, encoder)
    found = {
        _artifact(name, encoder, version, inputs): version
        for perturbation in (ORIGINAL, *params.run.perturbations)
        for version in audio_versions(params, perturbation, clips)
    }
    output, clip_rows = open_output(paths.embeddings(name), list(found)), ClipRows(clips)
    missing = [_Missing(each, found[each], *clip_rows.known(each, encoder.dim)) for each in output.missing()]
    computed = sum(len(each.rows) for each in missing)
    total = len(found) * len(clips)
    with Progress(label, total, total - computed) as progress:
        if computed:
            _report_short(label, encoder, clips)
            ensure_weights(paths.weights(name), name, weights_source(name, encoder))
        parts = _encode_all(missing, _job(params, name, inputs), params) if computed else iter(())
        for each in missing:
            _collect(parts, each, encoder, clips, progress)
            attributes = {
                **each.version.attributes,
                "encoder": name,
                "dim": encoder.dim,
                "sample_rate": encoder.sample_rate,
                "weights_sha256": inputs["weights"] or "",
                "packages": json.dumps(each.artifact.key.packages),
            }
            table = Embeddings(each.features, list(clips["clip"]), clips.valid.to_numpy(), attributes)
            with making(each.artifact) as root:
                write_embeddings(root / each.artifact.places[0], table)
            output.take(each.artifact)
    values, known = ", ".join(each.artifact.name for each in missing), len(missing) * len(clips) - computed
    print(
        f"{label}: computed {len(missing)} of {len(found)} values"
        + (f" ({values}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
        + (f"; {known} vectors of clips that were here before" if known else "")
    )


def _inputs(name: str, encoder: Encoder) -> dict[str, Any]:
    """What determines an encoder's numbers beside its audio, code and packages."""
    weights = (read_json(paths.weights(name) / RECORD) or {}).get("weights") or {}
    return {
        "encoder": name,
        "class": f"{type(encoder).__module__}:{type(encoder).__qualname__}",
        "options": options_of(encoder),
        "weights": weights.get("sha256"),
    }


def _artifact(name: str, encoder: Encoder, version: Version, inputs: dict[str, Any]) -> Artifact:
    perturbation = version.attributes["perturbation"]
    key = make_key(
        "embed",
        contents={"clips": version.key.contents["clips"], "audio": version.key.settings},
        options=inputs,
        code=["stages.embed", *encoder_modules(encoder), *version.modules],
        packages=versions(*encoder.packages),
    )
    original = perturbation == ORIGINAL
    place = paths.originals(name) if original else paths.embeddings(name, perturbation) / f"{version.value}.h5"
    # a batch of several clips may change the last digits of a vector, and so does an effect that remembers
    by_rows = encoder.batch == 1 and not (version.recipe and version.recipe.ordered)
    return Artifact(ORIGINAL if original else f"{perturbation}/{version.value}", key, (place,), by_rows)


def _determined(encoder: Encoder) -> dict[str, Any]:
    """The code and the packages that make an encoder's numbers, as they are in this process."""
    modules = encoder_modules(encoder)
    return {"code": code_sha256(*modules), "packages": {**package_versions(*modules), **versions(*encoder.packages)}}


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
    key = fingerprint(**inputs, device=device)
    return ClusterJob(encoder, folder, device, key, kind, _determined(encoder))


def _device_kind(wanted: str) -> str:
    """The device that this process computes on, by a name that tells apart what gives other numbers."""
    device = torch_device(wanted)
    if device == "cpu":
        return device
    import torch

    return f"{torch.cuda.get_device_name(device)} with CUDA {torch.version.cuda}"


Vectors = tuple[int, dict[int, Floats]]  # clips of a batch, and vectors of those that hold audio by row


def _encode_all(missing: Sequence[_Missing], job: Job, params: Config) -> Iterator[Vectors]:
    """Vectors of the clips whose vectors are not known, batch by batch, for all versions in order."""
    compute = params.compute
    size = compute.gpu_batch if job.on_gpu else compute.chunk
    left = [each for each in missing if each.rows]
    found = zip(with_audio([each.version for each in left], params), left, strict=True)
    batches = (batch for version, each in found for batch in version_batches(version, each.rows, size))
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
    return len(batch.rows), waveforms


def _collect(
    parts: Iterator[Vectors], missing: _Missing, encoder: Encoder, clips: pd.DataFrame, progress: Progress
) -> None:
    """Complete the vectors of one version; they stay NaN where a clip holds no audio."""
    done = 0
    while done < len(missing.rows):
        count, vectors = next(parts)
        for row, vector in vectors.items():
            if not np.isfinite(vector).all():
                clip = clips["clip"][row]
                raise UserError(f"{type(encoder).__name__} gave NaN or infinity for clip {clip}; finished values stay")
            missing.features[row] = vector
        progress.advance(count)
        done += count
