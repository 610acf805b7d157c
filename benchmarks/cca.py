"""Sample-wise CCA directions against sklearn's CCA in a loop: ``python -m benchmarks.cca [--full]``.

3,000 clips x 31 values x 512 dimensions, as float32. The loop uses one core; ours is measured on one thread and on all
cores, as the stages run it. Every clip moves along its own direction by about as much as its values jitter. A second
line has smooth trajectories, whose small Gram matrices are so badly conditioned that they need float64. sklearn is
timed on 300 clips drawn at random, a third of them between each of our runs over all 3,000, and its time is scaled to
all clips; ``--full`` times it on all clips.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor

import stages  # noqa: F401
from benchmarks._results import compared

CLIPS, VALUES, DIM = 3000, 31, 512
PARTS = 3
SAMPLE = 300
JITTER = {"jittered": 0.5, "smooth": 1e-3}


def main(arguments=()):
    import numpy as np

    from earshift.analysis.directions import clip_directions

    parser = argparse.ArgumentParser(prog="python -m benchmarks.cca", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="time sklearn on all clips")
    full = parser.parse_args(arguments).full
    strengths = np.arange(VALUES) / (VALUES - 1)
    threads, rows = sorted({1, os.cpu_count()}), []
    for name, jitter in JITTER.items():
        rng = np.random.default_rng(0)
        vectors = _trajectories(rng, strengths, jitter)
        drawn = np.arange(CLIPS) if full else rng.permutation(CLIPS)[:SAMPLE]
        clip_directions(vectors[:64], strengths)  # warm up before timing
        _loop(vectors[:2], strengths)
        ours, theirs, reference = dict.fromkeys(threads, 0.0), 0.0, []
        for part in np.array_split(drawn, PARTS):
            start = time.perf_counter()
            reference.append(_loop(vectors[part], strengths))
            theirs += (time.perf_counter() - start) * CLIPS / len(drawn)
            for count in threads:
                start = time.perf_counter()
                with ThreadPoolExecutor(count) as pool:
                    found = clip_directions(vectors, strengths, map=pool.map)
                ours[count] += (time.perf_counter() - start) / PARTS
        cosine = (found[drawn] * np.concatenate(reference)).sum(axis=1).min()
        ratios = ", ".join(f"{theirs / ours[count]:.1f} x on {count} thread{'s'[: count - 1]}" for count in threads)
        print(
            f"cca: {CLIPS} clips x {VALUES} x {DIM}, {name}: sklearn {theirs:.2f} s "
            f"({'all' if full else f'from {SAMPLE}'} clips), ours {ratios}; smallest cosine 1 - {1 - cosine:.1e}"
        )
        remark = f"smallest cosine 1 - {1 - cosine:.1e}"
        rows += [(f"{name}, threads: {count}", "s", ours[count], theirs, remark) for count in threads]
    return [compared(rows, f"{CLIPS:,} clips x {VALUES} values x {DIM} dimensions, against sklearn's CCA in a loop")]


def _trajectories(rng, strengths, jitter):
    import numpy as np

    start, movement = rng.normal(size=(2, CLIPS, 1, DIM))
    bend = rng.normal(0, 0.3, (CLIPS, 1, DIM))
    moved = start + strengths[:, None] * movement + strengths[:, None] ** 2 * bend
    return (moved + jitter * rng.normal(size=moved.shape)).astype(np.float32)


def _loop(vectors, strengths):
    import numpy as np
    from sklearn.cross_decomposition import CCA

    return np.stack([CCA(n_components=1, scale=False).fit(clip, strengths).x_weights_[:, 0] for clip in vectors])


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
