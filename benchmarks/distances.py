"""Audio distances against the implementations that kim2019 used: ``python -m benchmarks.distances``.

kim2019 used fastdtw in Python, at its default radius, and SiMPle in NumPy. The clips here have 4 s as in the study (173
frames of 24 MFCCs):

- dtw: exact, against fastdtw, and by how much the cost of fastdtw's paths exceeds the least cost
- simple: against the definition in NumPy
- the whole study: time on this machine's cores and space on disk, from the measured rates

The pipeline does not need fastdtw. To measure against it, make an environment outside of this repository:
``python -m venv --system-site-packages ../peers && ../peers/bin/pip install fastdtw==0.3.4``, and add its
site-packages to PYTHONPATH.
"""

import os
import time

import stages  # noqa: F401
from benchmarks._results import Table, compared

FRAMES, DIMS = 173, 24
CLIPS = 128
PEER_PAIRS, BRUTE_PAIRS = 40, 20
SUBSEQUENCE = 50
STUDY = {"clips": 1000, "magnitudes": 94}
TEMPI = ([0.3 + 0.1 * i for i in range(7)] + [0.92, 0.94, 0.96, 0.98, 1.02, 1.04, 1.06, 1.08]
         + [1.1 + 0.1 * i for i in range(5)])  # fmt: skip


def main(arguments=()):
    import numpy as np

    from earshift.analysis.sequences import pack

    rng = np.random.default_rng(0)
    clips = _clips(rng, CLIPS)
    sequences = pack(clips)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    dtw, rows = _dtw(sequences, clips, rng, cores)
    simple, more = _simple(sequences, clips, rng, cores)
    return [
        compared(rows + more, f"A pair of {FRAMES} x {FRAMES} frames, against fastdtw and NumPy on one core"),
        _study(dtw, simple),
    ]


def _clips(rng, count):
    """Smooth paths similar to MFCCs: the lower coefficients move more."""
    import numpy as np

    spread = 60 / np.arange(2, DIMS + 2)
    level = rng.normal(0, 0.5, (count, 1, DIMS))
    steps = rng.normal(0, 0.2, (count, FRAMES, DIMS)).cumsum(axis=1)
    return list(((level + steps - steps.mean(axis=1, keepdims=True)) * spread).astype(np.float32))


def _seconds(function, *arguments, repeats=3):
    """Shortest wall time of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times), found


def _on_all_cores(function, sequences, cores):
    """Seconds per pair with a thread per core, as the stage runs it."""
    from concurrent.futures import ThreadPoolExecutor

    from earshift.analysis.sequences import Packed

    def part(core):
        first, last = len(sequences) * core // cores, len(sequences) * (core + 1) // cores
        starts = sequences.starts[first : last + 1]
        return function(Packed(sequences.frames[:, starts[0] : starts[-1]].copy(), starts - starts[0]))

    with ThreadPoolExecutor(cores) as pool:
        seconds, _ = _seconds(lambda: list(pool.map(part, range(cores))))
    return seconds / len(sequences) ** 2


def _dtw(sequences, clips, rng, cores):
    import numpy as np

    from earshift.analysis.dtw import dtw_matrix

    dtw_matrix(sequences, sequences)  # compile, or load from the cache, before timing
    one, matrix = _seconds(dtw_matrix, sequences, sequences)
    one /= len(sequences) ** 2
    all_cores = _on_all_cores(lambda part: dtw_matrix(part, sequences), sequences, cores)
    speed = f"{one * 1e6:.0f} us a pair on 1 core, {all_cores * 1e6:.0f} on {cores}"
    pairs = rng.integers(0, len(clips), (PEER_PAIRS, 2))
    exact = np.array([exact_dtw(clips[i], clips[j]) for i, j in pairs])
    error = np.abs(matrix[tuple(pairs.T)] - exact)[exact > 0] / exact[exact > 0]
    print(f"dtw: {FRAMES} x {FRAMES} frames x {DIMS}: {speed}; largest relative error {error.max():.1e}")
    try:
        from fastdtw.fastdtw import fastdtw  # the version in Python, even if the compiled one is installed
    except ImportError:
        print("dtw: fastdtw is not installed, see the head of benchmarks/distances.py")
        remark = "fastdtw is not installed"
        return all_cores, [(f"dtw, cores: {count}", "ms", seconds * 1e3, None, remark)
                           for count, seconds in {1: one, cores: all_cores}.items()]  # fmt: skip
    from scipy.spatial.distance import euclidean

    start = time.perf_counter()
    found = np.array([fastdtw(clips[i], clips[j], dist=euclidean)[0] for i, j in pairs])
    theirs = (time.perf_counter() - start) / len(pairs)
    above = (found / exact - 1)[exact > 0]
    print(
        f"dtw: fastdtw {theirs * 1e3:.1f} ms a pair, on 1 core as the study ran it; ours {theirs / one:.0f} x "
        f"on 1 core, {theirs / all_cores:.0f} x on {cores}; fastdtw is above the exact cost by {above.mean():.2%}, "
        f"at most {above.max():.2%}"
    )
    remark = f"fastdtw is {above.mean():.2%} above the exact cost"
    return all_cores, [(f"dtw, cores: {count}", "ms", seconds * 1e3, theirs * 1e3, remark)
                       for count, seconds in {1: one, cores: all_cores}.items()]  # fmt: skip


def exact_dtw(query, candidate):
    """Exact cost by the definition, in float64."""
    import numpy as np

    costs = np.linalg.norm(query[:, None].astype(np.float64) - candidate, axis=2)
    total = np.full((len(query) + 1, len(candidate) + 1), np.inf)
    total[0, 0] = 0
    for i in range(len(query)):
        for j in range(len(candidate)):
            total[i + 1, j + 1] = costs[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[-1, -1]


def _simple(sequences, clips, rng, cores):
    import numpy as np

    from earshift.analysis.simple_profile import simple_matrix

    simple_matrix(sequences, sequences, SUBSEQUENCE)
    one, matrix = _seconds(simple_matrix, sequences, sequences, SUBSEQUENCE)
    one /= len(sequences) ** 2
    all_cores = _on_all_cores(lambda part: simple_matrix(part, sequences, SUBSEQUENCE), sequences, cores)
    pairs = rng.integers(0, len(clips), (BRUTE_PAIRS, 2))
    theirs, found = _seconds(lambda: [_brute_force(clips[i], clips[j]) for i, j in pairs], repeats=1)
    found = np.array(found)
    error = np.abs(matrix[tuple(pairs.T)] - found)[found > 0] / found[found > 0]
    print(
        f"simple: {one * 1e6:.0f} us a pair on 1 core, {all_cores * 1e6:.0f} on {cores}; the definition in NumPy "
        f"{theirs / len(pairs) * 1e3:.0f} ms, {theirs / len(pairs) / one:.0f} x on 1 core; "
        f"largest relative error {error.max():.1e}"
    )
    return all_cores, [(f"simple, cores: {count}", "ms", seconds * 1e3, theirs / len(pairs) * 1e3, "")
                       for count, seconds in {1: one, cores: all_cores}.items()]  # fmt: skip


def _brute_force(query, candidate):
    import numpy as np

    windows = (np.lib.stride_tricks.sliding_window_view(s.astype(np.float64), SUBSEQUENCE, axis=0)
               for s in (query, candidate))  # fmt: skip
    passages, others = windows
    return np.median([np.square(others - passage).sum(axis=(1, 2)).min() for passage in passages])


def _study(dtw, simple):
    """From seconds per pair of 173 frames on all cores; tempo changes the frames of a fifth of the pairs."""
    clips, magnitudes = STUDY["clips"], STUDY["magnitudes"]
    frames = (magnitudes - len(TEMPI) + sum(1 / tempo for tempo in TEMPI)) / magnitudes
    pairs = clips**2 * magnitudes
    hours = [pairs * frames * seconds / 3600 for seconds in (dtw, simple)]
    disk = pairs * 4 / 2**30
    print(
        f"study: {clips} originals x {magnitudes} magnitudes, {pairs / 1e6:.0f} million pairs of {FRAMES} x "
        f"{FRAMES * frames:.0f} frames on average: dtw {hours[0]:.2f} h, simple {hours[1]:.2f} h on the cores here; "
        f"{disk:.2f} GiB each"
    )
    rows = [(name, pairs / 1e6, hour, disk) for name, hour in zip(("dtw", "simple"), hours, strict=True)]
    title = f"kim2019: {clips:,} originals x {magnitudes} magnitudes, on the cores here"
    return Table(("measure", "million pairs", "hours", "GiB"), rows, title)


if __name__ == "__main__":
    main()
