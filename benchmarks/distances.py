"""Distances between sounds against what the study used: ``python -m benchmarks.distances``.

Kim et al. (2019) took fastdtw in Python, at its default radius, and SiMPle in NumPy. Here, on clips of 4 s as theirs
(173 frames of 24 MFCCs) or on those of the corpus:

- dtw: exact, against fastdtw, and how far above the least cost the paths of fastdtw are
- simple: against the definition in NumPy
- search: whether the own original is the nearest, with and without leaving out what cannot matter, under growing noise
  and on the versions of the corpus that ``perturb`` described
- the whole study: time on this machine's cores and disk, from the measured rates

fastdtw is nothing that the pipeline needs. To measure against it, make an environment outside of this repository:
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
NOISE = (0.1, 0.5, 1.0, 1.5, 2.0)  # of a query, relative to how clips differ
TEMPI = ([0.3 + 0.1 * i for i in range(7)] + [0.92, 0.94, 0.96, 0.98, 1.02, 1.04, 1.06, 1.08]
         + [1.1 + 0.1 * i for i in range(5)])  # fmt: skip


def main(arguments=()):
    import numpy as np

    from earshift.analysis.sequences import packed

    rng = np.random.default_rng(0)
    clips = _clips(rng, CLIPS)
    sequences = packed(clips)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    dtw, rows = _dtw(sequences, clips, rng, cores)
    simple, more = _simple(sequences, clips, rng, cores)
    searches = _search(rng, clips, sequences) + _search_of_the_corpus()
    return [
        compared(rows + more, f"A pair of {FRAMES} x {FRAMES} frames, against fastdtw and NumPy on one core"),
        compared(searches, "Is the own original the nearest: against searching with all distances"),
        _study(dtw, simple),
    ]


def _clips(rng, count):
    """Smooth paths of what MFCCs are like: the lower ones move more."""
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

    dtw_matrix(sequences, sequences)  # compiled, or found compiled
    one, matrix = _seconds(dtw_matrix, sequences, sequences)
    one /= len(sequences) ** 2
    all_cores = _on_all_cores(lambda part: dtw_matrix(part, sequences), sequences, cores)
    speed = f"{one * 1e6:.0f} us a pair on 1 core, {all_cores * 1e6:.0f} on {cores}"
    pairs = rng.integers(0, len(clips), (PEER_PAIRS, 2))
    exact = np.array([exact_dtw(clips[i], clips[j]) for i, j in pairs])
    error = np.abs(matrix[tuple(pairs.T)] - exact)[exact > 0] / exact[exact > 0]
    print(f"dtw: {FRAMES} x {FRAMES} frames x {DIMS}: {speed}; largest relative error {error.max():.1e}")
    try:
        from fastdtw.fastdtw import fastdtw  # in Python, also where a compiled one was installed with it
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


def _search(rng, clips, sequences):
    import numpy as np

    from earshift.analysis.dtw import own_nearest
    from earshift.analysis.sequences import packed

    own_nearest(sequences, sequences)  # compiled, or found compiled
    spread, rows = np.std(np.concatenate(clips), axis=0), []
    for noise in NOISE:
        shift = rng.normal(0, noise, (len(clips), 1, DIMS)) * spread
        queries = [(c + s + rng.normal(0, noise / 2, c.shape) * spread).astype(np.float32)
                   for c, s in zip(clips, shift, strict=True)]  # fmt: skip
        rows.append(_searched(f"noise {noise:g}", [(packed(queries), sequences)]))
    return rows


def _searched(label, pairs):
    """A row of the times of pruned and full search over pairs of queries and candidates, and whether they agree."""
    from earshift.analysis.dtw import dtw_matrix, own_nearest

    times, shares, agree = [], [], True
    for queries, candidates in pairs:
        full, expected = _seconds(lambda q=queries, c=candidates: _from_matrix(dtw_matrix(q, c)), repeats=1)
        pruned, found = _seconds(own_nearest, queries, candidates, repeats=1)
        times.append((full, pruned))
        shares.append(found.mean())
        agree &= bool((found == expected).all())
    full, pruned = map(sum, zip(*times, strict=True))
    lowest = f", at least {min(f / p for f, p in times):.1f} x" if len(times) > 1 else ""
    share = "/".join(f"{share:.0%}" for share in shares)
    answers = "the same answers" if agree else "DIFFERENT ANSWERS"
    print(f"search: {label}: {full / pruned:.1f} x{lowest} ({full:.2f} s to {pruned:.2f} s), own nearest {share}, "
          f"{answers}")  # fmt: skip
    return label, "s", pruned, full, f"own nearest {share}, {answers}"


def _from_matrix(matrix):
    import numpy as np

    return np.diag(matrix) < np.where(np.eye(len(matrix), dtype=bool), np.inf, matrix).min(axis=1)


def _search_of_the_corpus():
    """The same on what lies in data/, if anything does."""
    from earshift.analysis.mfcc_sequences import mfcc_sequence
    from earshift.analysis.sequences import packed
    from earshift.pipeline import paths
    from earshift.pipeline.audio_files import corpus_audio_path
    from earshift.pipeline.config import load
    from earshift.pipeline.versions import ORIGINAL, audio_versions, chunks, read, with_audio
    from earshift.storage.clips import read_clips

    if not (paths.CLIPS.is_file() and corpus_audio_path().is_file()):
        print("search: no corpus in data/, `dvc repro` makes one")
        return []
    params, clips, rows = load(), read_clips(paths.CLIPS), []

    def sequences(version):
        parts = (read(*chunk) for chunk in chunks(version, clips, params.compute.chunk))
        return packed([mfcc_sequence(a, rate, DIMS + 1) for part in parts for a, rate in part if a.size])

    (original,) = with_audio(audio_versions(params, ORIGINAL, clips), params)
    candidates = sequences(original)
    for perturbation in params.run.perturbations:
        if not paths.perturbed(perturbation).is_dir():
            continue
        found = list(with_audio(audio_versions(params, perturbation, clips), params))
        rows.append(_searched(perturbation, ((sequences(version), candidates) for version in found)))
    return rows


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
    title = f"The third study: {clips:,} originals x {magnitudes} magnitudes, on the cores here"
    return Table(("measure", "million pairs", "hours", "GiB"), rows, title)


if __name__ == "__main__":
    main()
