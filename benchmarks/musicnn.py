"""The embed stage against a plain loop over clips, musicnn in both: ``python -m benchmarks.musicnn``.

Both mix packed stereo clips of 3 s down, resample them and compute MSD_musicnn's mean_pool of each. The loop takes one
clip after another; the stage also has its chunks, checks and progress bar, and writes an embedding file. On a CPU the
network takes clips one by one in both cases, because larger batches are slower. With one worker the ratio shows the
overhead of the stage, with more workers the gain from processes, their start included.
"""

import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import replace

import stages  # noqa: F401
from benchmarks._results import compared
from earshift.encoders.weights.record import write_weights
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path, keep_corpus_audio
from earshift.pipeline.embed import embed
from earshift.pipeline.weights import weights_source
from earshift.storage.files import write_table
from earshift.storage.packed_audio import AudioReader, AudioWriter
from earshift.storage.vectors import read_embeddings

CLIPS, RATE, SECONDS = 500, 44100, 3
ENCODER = "musicnn"


def main(arguments=()):
    import numpy as np

    document = params.read()
    document["encoders"][ENCODER] = {"model": "MSD_musicnn", "layer": "mean_pool"}
    with tempfile.TemporaryDirectory() as folder:
        home = os.getcwd()
        os.chdir(folder)
        try:
            _write_corpus(np.random.default_rng(0).normal(0, 3000, (CLIPS, 2, RATE * SECONDS)).astype(np.int16))
            encoder = params.parse(document).encoders[ENCODER]
            write_weights(paths.weights(ENCODER), ENCODER, weights_source(ENCODER, encoder))
            network = encoder.load(paths.weights(ENCODER), "cpu")
            loop, vectors = _timed(lambda: _clip_by_clip(encoder, network))
            ratios, rows = [], []
            for workers in (1, os.cpu_count()):
                document["compute"].update(workers=workers, device="cpu", scheduler=None)
                settings = params.parse(document)
                settings = replace(settings, run=replace(settings.run, perturbations=()))  # the originals alone
                stage, _ = _timed(lambda s=settings: embed(s, ENCODER))
                assert np.array_equal(read_embeddings(paths.originals(ENCODER)).features, vectors)
                for written in (paths.embeddings(ENCODER), paths.STORE):
                    shutil.rmtree(written)
                ratios.append(f"{loop / stage:.2f} x ({workers} workers, {stage:.1f} s)")
                rows.append((f"embed, workers: {workers}", "clips/s", CLIPS / stage, CLIPS / loop, "same vectors"))
            print(f"musicnn: clip by clip {CLIPS / loop:.0f} clips/s ({CLIPS} clips, {loop:.1f} s); "
                  f"the stage is {', '.join(ratios)}")  # fmt: skip
        finally:
            os.chdir(home)
    return [compared(rows, f"{CLIPS} clips of {SECONDS} s, against a loop over clips in one process")]


def _timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def _clip_by_clip(encoder, network):
    import numpy as np

    with AudioReader(corpus_audio_path()) as reader:
        return np.concatenate([network(encoder.waveform(audio, rate)[None]) for audio, rate in reader])


def _write_corpus(audio):
    import pandas as pd

    rows = []
    part = paths.AUDIO / "part.h5"
    with AudioWriter(part, dtype="int16") as writer:
        for i, clip in enumerate(audio):
            writer.append(clip, RATE)
            digest = hashlib.sha256(clip.tobytes()).hexdigest()
            rows.append({"clip": f"{i:04d}", "seconds": SECONDS, "sample_rate": RATE, "valid": True, "sha256": digest})
    table = pd.DataFrame(rows)
    write_table(paths.CLIPS, table)
    keep_corpus_audio(part, table)


if __name__ == "__main__":
    main()
