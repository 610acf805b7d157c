"""Stage ``embed``: ``python -m stages.encode.embed ENCODER PERTURBATION``, or ``... ENCODER original``.

Writes one embedding file per value of the perturbation (or original.h5). Effected audio is read where ``perturb`` kept
it, else the corpus is perturbed as it is read: the vectors are the same to the bit. A file whose fingerprint still
holds is kept; one whose value left the grid is removed; a killed run goes on at the first value that is not whole.
"""

import argparse
import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path

import numpy as np

from stages import paths, store
from stages.compute import Progress, ordered_map, prefetched
from stages.corpus.audio import corpus_audio
from stages.encode.base import Encoder
from stages.encode.inference import Batches
from stages.encode.weights import RECORD, ensure_weights
from stages.errors import UserError, command
from stages.params import load
from stages.perturb.recipe import Recipe, written
from stages.provenance import fingerprint, source_sha256, versions

ORIGINAL = "original"


@dataclass(frozen=True)
class Source:
    """Where the clips of one embedding file come from.

    target : path of the embedding file
    packed : path of the packed audio to read, None for the corpus' own
    recipe : Recipe to apply while reading, or None
    attributes : what the file will say about its audio
    fingerprint : of that audio
    """

    target: Path
    packed: Path | None
    recipe: Recipe | None
    attributes: dict
    fingerprint: str


@dataclass(frozen=True)
class Job:
    """What a worker needs to make vectors.

    key : str, tells one configured encoder from another
    """

    encoder: Encoder
    folder: Path
    device: str
    key: str


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
    embed(params, arguments.encoder, arguments.perturbation)


def embed(params, name, perturbation):
    """Bring the embeddings of one encoder under one perturbation up to date."""
    encoder = params.encoders[name]
    clips = store.read_clips()
    sources = _sources(params, name, perturbation, clips)
    weights = (store.read_json(paths.weights(name) / RECORD) or {}).get("weights") or {}
    identity = {
        "encoder": name,
        "class": f"{type(encoder).__module__}:{type(encoder).__qualname__}",
        "options": _options(encoder),
        "code": source_sha256(*(c for c in type(encoder).__mro__ if issubclass(c, Encoder))),
        "weights": weights.get("sha256"),
        "packages": versions(*encoder.packages),
    }
    _tidy(sources)
    missing = [s for s in sources if store.read_fingerprint(s.target) != _fingerprint(identity, s)]
    label = f"embed {name} {perturbation}"
    with Progress(label, len(sources) * len(clips), (len(sources) - len(missing)) * len(clips)) as progress:
        if missing:
            _report_short(label, encoder, clips)
            ensure_weights(paths.weights(name), name, encoder.published)
            parts = _parts(_with_audio(missing, params), _job(params, name, identity), clips, params.compute)
            for source in missing:
                features = _gather(parts, encoder, clips, progress)
                store.write_embeddings(
                    source.target,
                    store.Embeddings(features, list(clips["clip"]), clips.valid.to_numpy(), {
                        **source.attributes,
                        "encoder": name,
                        "dim": encoder.dim,
                        "sample_rate": encoder.sample_rate,
                        "weights_sha256": identity["weights"] or "",
                        "packages": json.dumps(identity["packages"]),
                        "fingerprint": _fingerprint(identity, source),
                    }),
                )  # fmt: skip
    computed = ", ".join(s.attributes["value"] for s in missing)
    print(
        f"{label}: computed {len(missing)} of {len(sources)} values"
        + (f" ({computed}; {progress.rate:.1f} clips/s)" if missing else "")
        + f", reused {len(sources) - len(missing)}"
    )


def _options(encoder):
    """Options that determine numbers: where weights lie does not, their hash does."""
    options = asdict(encoder) if is_dataclass(encoder) else {}
    return {key: value for key, value in options.items() if key != "weights"}


def _fingerprint(identity, source):
    return fingerprint(**identity, audio=source.fingerprint)


def _sources(params, name, perturbation, clips):
    if perturbation == ORIGINAL:
        attributes = {"perturbation": ORIGINAL, "value": ORIGINAL, "fidelity": params.fidelity}
        audio = fingerprint(corpus=store.corpus_digest(clips), fidelity=params.fidelity)
        return [Source(paths.originals(name), None, None, attributes, audio)]
    if perturbation not in params.perturbations:
        configured = ", ".join(params.perturbations)
        raise UserError(f"unknown perturbation {perturbation!r}; params.yaml configures {configured}")
    sources = []
    for recipe, audio in written(perturbation):
        kept = paths.kept_audio(perturbation, recipe.value, audio)
        whole = store.read_fingerprint(kept) == audio
        target = paths.embeddings(name, perturbation) / f"{recipe.value}.h5"
        sources.append(Source(target, kept if whole else None, None if whole else recipe, recipe.attributes(), audio))
    return sources


def _with_audio(sources, params):
    """`sources`, all of which name the audio to read."""
    if all(source.packed for source in sources):
        return sources
    audio = corpus_audio(params)
    return [source if source.packed else replace(source, packed=audio) for source in sources]


def _tidy(sources):
    """Remove what a killed run left, and the files of values that left the grid."""
    folder = sources[0].target.parent
    folder.mkdir(parents=True, exist_ok=True)
    store.remove_leftovers(folder)
    wanted = {s.target for s in sources}
    if paths.originals(folder.name) not in wanted:
        for path in folder.glob("*.h5"):
            if path not in wanted:
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
    device = _device(params.compute.device)
    return Job(params.encoders[name], paths.weights(name), device, fingerprint(**identity, device=device))


def _device(wanted):
    """What ``compute.device`` stands for on this machine."""
    if wanted == "cpu":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda" if wanted == "auto" else wanted
    if wanted != "auto":
        raise UserError(f"compute.device is {wanted}, but PyTorch finds no GPU; set it to auto or cpu")
    return "cpu"


def _parts(sources, job, clips, compute):
    """Vectors of the valid clips, chunk by chunk, for all sources in order."""
    one_gpu = job.device != "cpu" and compute.scheduler is None
    size = compute.gpu_batch if one_gpu else compute.chunk
    bounds = [(i, min(i + size, len(clips))) for i in range(0, len(clips), size)]

    def tasks():
        for source in sources:
            if source.recipe is not None and source.recipe.ordered:
                # clips must pass the effect one after another, so that is done here and the encoding elsewhere
                processor = source.recipe.processor()
                yield from ((job, *b, _read(source.packed, processor, *b)) for b in bounds)
            else:
                yield from ((job, *b, (source.packed, source.recipe)) for b in bounds)

    return _overlapped(tasks(), job, compute) if one_gpu else ordered_map(_encode, tasks(), compute)


def _overlapped(tasks, job, compute):
    """Vectors from the one network on a GPU, while threads read, perturb and resample the clips that come next."""
    for start, stop, waveforms in prefetched(ordered_map(_prepare, tasks, compute, threads=True)):
        yield start, stop, _vectors(job, waveforms)


def _encode(job, start, stop, source):
    """Vectors of the clips start..stop that hold audio, by index."""
    _, _, waveforms = _prepare(job, start, stop, source)
    return start, stop, _vectors(job, waveforms)


def _prepare(job, start, stop, source):
    """What of the clips start..stop reaches the network, by index; clips without audio are left out."""
    if isinstance(source, tuple):
        packed, recipe = source
        source = _read(packed, recipe.processor() if recipe else None, start, stop)
    waveforms = {start + i: job.encoder.waveform(audio, rate) for i, (audio, rate) in enumerate(source) if audio.size}
    return start, stop, waveforms


def _read(packed, processor, start, stop):
    """Audio and sample rate of clips start..stop, perturbed by `processor` unless it is None."""
    with store.AudioReader(packed) as reader:
        audio = (reader[i] for i in range(start, stop))
        return [(processor(a, rate) if processor and a.size else a, rate) for a, rate in audio]


def _vectors(job, waveforms):
    """Vectors by index, equally long waveforms together."""
    network = _network(job)
    by_length = {}
    for index, waveform in waveforms.items():
        by_length.setdefault(len(waveform), []).append(index)
    vectors = {}
    for indices in by_length.values():
        encoded = network(np.stack([waveforms[i] for i in indices]))
        vectors.update(zip(indices, encoded, strict=True))
    return vectors


_loaded = (None, None)


def _network(job):
    """The loaded encoder; a worker keeps the last one."""
    global _loaded
    if _loaded[0] != job.key:
        network = job.encoder.load(job.folder, job.device)
        _loaded = (job.key, Batches(network, job.encoder, None if job.device != "cpu" else job.encoder.batch))
    return _loaded[1]


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
