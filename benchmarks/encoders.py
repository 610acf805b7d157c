"""The encoders of deng2025 against the original packages: ``python -m benchmarks.encoders [ENCODER ...]``.

Random weights in the official layouts, 16-bit stereo clips of 3 s. Both sides have the same weights, audio and, in
``paper`` policy, the same vectors; the benchmark checks this. Rounds of both sides alternate, and medians are compared.

- network: the package's own call on one clip after another, in a fresh process with the threads and instruction sets
  that PyTorch chooses, against the work of our workers (a process per core, batches of the encoder's size).
- whole step: the published loop (pedalboard from file to file, then the package from file to vector) against our
  stages from audio files to embedding files: corpus, perturb and embed, their start included, for several values.
- bfloat16: ours once more, with its difference from float32.

openl3 cannot be installed any more. Its peer is the network as Keras lays it out, in TensorFlow where this is installed
(extra ``tensorflow``), else written plainly in PyTorch.

On a GPU the peer is the package's call with batch 1. The last table gives the time of the study's whole sweep (6,705
clips at 108 values, and the originals) at the rate of the whole step.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stages  # noqa: F401
from benchmarks._results import Table, compared
from benchmarks.mirror import write_weights_file
from earshift.encoders.inference import Batches
from earshift.encoders.weights.record import write_weights
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb
from earshift.pipeline.weights import weights_source
from earshift.storage.vectors import read_embeddings

RATE, SECONDS, ROUNDS = 44100, 3, 3
SWEEP = 6705 * 109
VALUES = {"panns": 16, "clap": 16, "openl3": 3}  # in the whole step: the originals and gain, of which the study has 31
FILES = {"panns": "panns.pth", "clap": "clap.pth", "openl3": "openl3.h5"}


def main(arguments=()):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__.partition("\n")[0])
    parser.add_argument("encoders", nargs="*", metavar="ENCODER", help=f"of {', '.join(FILES)}; all when none")
    parser.add_argument("--clips", type=int, default=32)
    chosen = parser.parse_args(arguments)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    print(f"encoders: {chosen.clips} clips of {SECONDS} s on {where}, torch {torch.__version__}")
    rows, sweeps = [], []
    for name in chosen.encoders or FILES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            found, hours = _compare(name, chosen.clips, device)
        rows += found
        sweeps.append((name, hours))
    return [
        compared(rows, f"{chosen.clips} clips of {SECONDS} s on {where}, against the original packages"),
        Table(("encoder", "hours"), sweeps, f"The study's sweep, {SWEEP:,} clips, at the rate of the whole step"),
    ]


def _compare(name, clips, device):
    """Rows of the comparison, and the hours of the study's sweep."""
    import numpy as np

    _write_clips(clips)
    settings = _settings(name, device)
    encoder = settings.encoders[name]
    write_weights_file(encoder, FILES[name], 7)
    if name == "openl3":
        _write_spectra(encoder)
    write_weights(paths.weights(name), name, weights_source(name, encoder))
    write_weights(Path("half"), name, weights_source(name, encoder))
    with _peer(name, device) as peer:
        theirs, ours, half = [], [], []
        for _ in range(ROUNDS):
            theirs.append(peer("call"))
            ours.append(_rate(encoder, paths.weights(name), device))
            half.append(_rate(_changed(settings, name, precision="bfloat16"), Path("half"), device))
        vectors = ours[0][1]
        difference, changed = _difference(vectors, np.load("peer.npy")), _difference(half[0][1], vectors)
        seconds, mine, quick = (statistics.median(r[0] for r in runs) for runs in (theirs, ours, half))
        print(
            f"encoders: {name}: network: the original {seconds * 1e3:.0f} ms a clip, ours {mine * 1e3:.0f} ms, "
            f"{seconds / mine:.2f} x; vectors equal to {difference:.0e} of the largest value"
        )
        print(
            f"encoders: {name}: bfloat16: {quick * 1e3:.0f} ms, {seconds / quick:.2f} x the original in float32; "
            f"differs from float32 by {changed:.0e} of the largest value"
        )
        rows = [
            (f"{name}, network", "ms/clip", mine * 1e3, seconds * 1e3, f"vectors equal to {difference:.0e}"),
            (f"{name}, bfloat16", "ms/clip", quick * 1e3, seconds * 1e3, f"differs from float32 by {changed:.0e}"),
        ]
        loops, steps = [], []
        for _ in range(ROUNDS):
            if name != "openl3":
                loops.append(peer("loop")[0])
            steps.append(_whole_step(settings, name, clips))
    step = statistics.median(steps)
    against = f"published loop {statistics.median(loops) * 1e3:.0f} ms a clip, " if loops else ""
    ratio = f", {statistics.median(loops) / step:.2f} x" if loops else " a clip"
    ours_in = "the GPU" if device != "cpu" else "a worker"
    print(
        f"encoders: {name}: whole step: {against}ours {step * 1e3:.0f} ms{ratio}; peak memory "
        f"{theirs[-1][2]:.1f} GiB in the original's process, {_peak(device):.1f} GiB in {ours_in} of ours"
    )
    print(f"encoders: {name}: the study's sweep of {SWEEP:,} clips would take {SWEEP * step / 3600:.1f} h")
    memory = f"peak memory {_peak(device):.1f} GiB, the original's {theirs[-1][2]:.1f}"
    loop = statistics.median(loops) * 1e3 if loops else None
    return [*rows, (f"{name}, whole step", "ms/clip", step * 1e3, loop, memory)], SWEEP * step / 3600


def _settings(name, device, **options):
    document = params.read(Path(__file__).parents[1] / paths.PARAMS)
    document["encoders"][name].update(policy="paper", weights={"path": str(Path(FILES[name]).absolute())}, **options)
    document["run"] = {"encoders": [name], "perturbations": ["gain"]}
    document["perturb"].update(keep_audio=False, wav_round_trip=True, clip=True, severity_clips=1)
    document["perturbations"]["gain"]["grid"] = [-10.0, *(-10.5 - step for step in range(VALUES[name] - 2))]
    document["corpus"].update(name="folder", folder={"path": "wav", "labels": None, "clip_seconds": None})
    document["compute"].update(device=device, scheduler=None, workers="auto")
    return params.parse(document)


def _changed(settings, name, **options):
    import dataclasses

    return dataclasses.replace(settings.encoders[name], **options)


def _write_clips(count):
    import numpy as np
    import soundfile

    Path("wav").mkdir()
    rng = np.random.default_rng(0)
    seconds = np.arange(RATE * SECONDS) / RATE
    for n in range(count):
        tone = np.sin(2 * np.pi * 110 * 2 ** (n / 7) * seconds)
        audio = 6000 * tone[:, None] * [1, 0.6] + rng.normal(0, 800, (len(seconds), 2))
        soundfile.write(f"wav/{n:04d}.wav", audio.astype(np.int16), RATE, subtype="PCM_16")


def _write_spectra(encoder):
    """Write the input of openl3's network for every clip, for the peer."""
    import numpy as np
    import soundfile

    from earshift.encoders import openl3

    spectra = []
    for path in sorted(Path("wav").iterdir()):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        waveform = encoder.waveform(audio.T, rate)
        windows = openl3.windows(waveform, hop=int(encoder.hop * encoder.sample_rate), centre=encoder.centre)
        spectra.append([openl3.decibels(window, openl3._REPRESENTATIONS[encoder.representation]) for window in windows])
    np.save("spectra.npy", np.array(spectra, dtype=np.float32))


@contextlib.contextmanager
def _peer(name, device):
    """A function that runs the peer once and returns seconds a clip, None, peak memory in GiB."""
    command = [sys.executable, "-m", "benchmarks._peers", name, FILES[name], "wav", "peer.npy", device]
    environment = {key: value for key, value in os.environ.items() if key not in _pinned()}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )

    def run(kind):
        process.stdin.write(f"{kind}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the other side of {name} failed: {' '.join(command)}")
        reply = json.loads(line)
        return reply["seconds"], None, reply["memory"]

    try:
        yield run
    finally:
        process.stdin.close()
        process.wait()


def _pinned():
    """Names of the settings that stages/__init__.py makes for this process and its children."""
    threads = {f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    return threads | {
        "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES",
    }  # fmt: skip


def _rate(encoder, folder, device):
    """Seconds a clip that the workers take with waveforms, and the vectors."""
    import numpy as np

    files = sorted(Path("wav").iterdir())
    if device != "cpu":
        return _encoded(encoder, folder, device, files)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    cores = os.cpu_count()
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        parts = [list(part) for part in np.array_split(np.array(files, dtype=object), cores)]
        done = list(pool.map(_encoded, [encoder] * cores, [folder] * cores, [device] * cores, parts))
    rate = sum(len(part) / (seconds * len(part)) for part, (seconds, _) in zip(parts, done, strict=True))
    return 1 / rate, np.concatenate([vectors for _, vectors in done])


def _encoded(encoder, folder, device, files):
    import numpy as np
    import soundfile

    audio = [soundfile.read(path, dtype="float32", always_2d=True) for path in files]
    waveforms = np.stack([encoder.waveform(samples.T, rate) for samples, rate in audio])
    network = Batches(encoder.load(folder, device), encoder, encoder.batch if device == "cpu" else 64)
    network(waveforms[: encoder.batch])
    time.sleep(0.5)  # until the other workers are ready too
    start = time.perf_counter()
    vectors = network(waveforms)
    return (time.perf_counter() - start) / len(files), vectors


def _whole_step(settings, name, clips):
    """Seconds per clip and value, the originals being one of these, from audio files to embedding files."""
    import shutil

    from earshift.pipeline.corpus import build

    for written in (paths.CORPUS, paths.PERTURBED, paths.EMBEDDINGS, paths.STORE):
        shutil.rmtree(written, ignore_errors=True)
    start = time.perf_counter()
    with contextlib.redirect_stdout(None):
        build(settings)
        perturb(settings, "gain")
        embed(settings, name)
    seconds = time.perf_counter() - start
    assert read_embeddings(paths.embeddings(name, "gain") / "-10.h5").valid.all()
    return seconds / (clips * VALUES[name])


def _difference(vectors, reference):
    import numpy as np

    return float(np.abs(vectors - reference).max() / np.abs(reference).max())


def _peak(device):
    """Peak memory in GiB: of the GPU, or of the largest worker."""
    if device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


if __name__ == "__main__":
    main(sys.argv[1:])
