"""The perturb stage against the published file-by-file loop: ``python -m benchmarks.effects``.

Both apply the effects to the same 16-bit stereo clips of 3 s in ``paper`` fidelity, five values per effect. The
published loop reads every WAV file in blocks of a second, runs one board and writes a WAV file; the stage reads and
writes packed files. The loop does not measure severity; the stage measures it on one clip per value.
"""

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

import stages  # noqa: F401
from benchmarks._results import compared
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.audio_files import keep_corpus_audio
from earshift.pipeline.perturb import perturb
from earshift.storage.files import write_table
from earshift.storage.packed_audio import AudioWriter

CLIPS, RATE, SECONDS = 300, 44100, 3
VALUES = {
    "gain": (-31, -22, -13, -4, 5),
    "lowpass": (1600, 2605.819, 4243.933, 6911.827, 11256.857),
    "reverb": (0.01, 0.22, 0.4, 0.61, 0.79),
    "bitcrush": (4, 6, 8, 10, 12),
}


def main(arguments=()):
    import numpy as np

    document, rows = params.read(), []
    with tempfile.TemporaryDirectory() as folder:
        home = os.getcwd()
        os.chdir(folder)
        try:
            audio = np.random.default_rng(0).normal(0, 3000, (CLIPS, 2, RATE * SECONDS)).astype(np.int16)
            _write_inputs(audio)
            document["fidelity"] = "paper"
            document["perturb"].update(severity_clips=1, keep_audio=True)
            for name, values in VALUES.items():
                document["perturbations"][name]["grid"] = list(values)
                loop = _timed(lambda name=name, values=values: [_published_loop(name, v) for v in values])
                ratios = []
                for workers in (1, os.cpu_count()):
                    document["compute"]["workers"] = workers
                    settings = params.parse(document)
                    stage = _timed(lambda s=settings, n=name: perturb(s, n))
                    ratios.append(f"{loop / stage:.2f} x ({workers} workers)")
                    done = len(values) * CLIPS
                    rows.append((f"{name}, workers: {workers}", "clips/s", done / stage, done / loop, ""))
                    for written in (paths.perturbed(name), paths.AUDIO / name, paths.STORE):
                        shutil.rmtree(written)
                rate = len(values) * CLIPS / loop
                print(f"effects: {name}: published loop {rate:.0f} clips/s; the stage is {', '.join(ratios)}")
        finally:
            os.chdir(home)
    return [compared(rows, f"{CLIPS} clips of {SECONDS} s at five values, against the loop from file to file")]


def _timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _write_inputs(audio):
    import pandas as pd
    import soundfile

    Path("wav").mkdir()
    rows = []
    part = paths.AUDIO / "part.h5"
    with AudioWriter(part, dtype="int16") as writer:
        for i, clip in enumerate(audio):
            soundfile.write(f"wav/{i:04d}.wav", clip.T, RATE, subtype="PCM_16")
            writer.append(clip, RATE)
            digest = hashlib.sha256(clip.tobytes()).hexdigest()
            rows.append({"clip": f"{i:04d}", "sample_rate": RATE, "valid": True, "sha256": digest})
    table = pd.DataFrame(rows)
    write_table(paths.CLIPS, table)
    keep_corpus_audio(part, table)


def _published_loop(name, value):
    from pedalboard import Bitcrush, Gain, Pedalboard, Reverb
    from pedalboard.io import AudioFile
    from scipy.signal import cheb2ord, cheby2, sosfilt

    out = Path("out")
    out.mkdir(exist_ok=True)
    if name == "lowpass":
        order, natural = cheb2ord(value / 1.1, value * 1.1, 3, 80, fs=RATE)
        sections = cheby2(order, 80, natural, "lowpass", output="sos", fs=RATE)
    else:
        plugin = {"gain": Gain, "bitcrush": lambda v: Bitcrush(int(v)), "reverb": lambda v: Reverb(room_size=v)}[name]
        board = Pedalboard([plugin(value)])
    for path in sorted(Path("wav").iterdir()):
        with AudioFile(str(path)) as source, AudioFile(str(out / path.name), "w", source.samplerate, 2) as target:
            if name == "lowpass":
                target.write(sosfilt(sections, source.read(source.frames)))
            else:
                while source.tell() < source.frames:
                    target.write(board(source.read(source.samplerate), source.samplerate, reset=False))


if __name__ == "__main__":
    main()
