"""Stage ``distances``: ``python -m stages.distances PERTURBATION``, or ``... original``.

How far perturbed clips are from the original ones as sounds: data/distances/PERTURBATION/VALUE.h5 (or original.h5)
holds, for every measure, the distance from each perturbed clip to each original one.

Conventions
-----------
Clips are sequences of MFCCs (:mod:`earshift.analysis.mfcc_sequences`). Measures, as in Kim et al. (2019): ``dtw``, the
exact cost of dynamic time warping where the study had an approximation (:mod:`earshift.analysis.dtw`), and ``simple``, the
median of the similarity matrix profile (:mod:`earshift.analysis.simple_profile`). Row i is perturbed clip i, column j is
original clip j; NaN where either is not valid, or for ``simple`` has fewer frames than a passage.

Pairs are computed in square blocks by threads of this process or workers of a cluster. A file whose fingerprint still
holds and that is whole is kept; one whose value left the grid is removed; a killed run goes on at the first value that
is not whole.
"""

import argparse
import json

import numpy as np

from earshift.analysis import dtw, mfcc_sequences, simple_profile
from earshift.analysis.sequences import packed
from earshift.audio import mel
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.config import load
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import ORIGINAL, audio_versions, chunks, read, with_audio
from earshift.storage.clips import read_clips
from earshift.storage.distances import Distances, write_distances
from earshift.storage.files import remove_leftovers, require_space, sole_writer
from earshift.storage.hdf5 import read_fingerprint, remove_damaged
from earshift.storage.provenance import fingerprint, source_sha256, versions

_PACKAGES = (*mfcc_sequences.PACKAGES, "numba")
_SIDE = 32  # clips on each side of a block of pairs, fewer where they are long:
_CELLS = 1 << 30  # pairs of frames per block, a few seconds of work


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("perturbation", help=f"a perturbation, or {ORIGINAL}")
    perturbation = parser.parse_args().perturbation
    with sole_writer(_target(perturbation, "").parent, paths.LOCKS):
        distances(load(), perturbation)


def distances(params, perturbation):
    """Bring the distances of one perturbation up to date."""
    clips = read_clips(paths.CLIPS)
    if clips.valid.sum() < 2:
        raise UserError(f"distances need at least 2 valid clips, {paths.CLIPS} has {clips.valid.sum()}; add some")
    options = params.distances
    found = audio_versions(params, perturbation, clips)
    targets = {version.value: _target(perturbation, version.value) for version in found}
    identity = {
        "originals": audio_versions(params, ORIGINAL, clips)[0].fingerprint,
        "options": {"measures": sorted(options.measures), "mfcc": options.mfcc, "subsequence": options.subsequence},
        "code": source_sha256(dtw, mfcc_sequences, mel, simple_profile),
        "packages": versions(*_PACKAGES),
    }
    _tidy(targets.values())
    missing = [v for v in found if read_fingerprint(targets[v.value]) != _fingerprint(identity, v)]
    label, pairs = f"distances {perturbation}", len(clips) ** 2
    too_short = {}
    with Progress(label, len(found) * pairs, (len(found) - len(missing)) * pairs, unit="pairs") as progress:
        if missing:
            _require_space(len(missing) * len(options.measures) * pairs)
            (original,) = with_audio(audio_versions(params, ORIGINAL, clips), params)
            originals = _sequences(original, clips, params)
        for version in with_audio(missing, params):
            perturbed = originals if perturbation == ORIGINAL else _sequences(version, clips, params)
            shortest = [min(len(a), len(b)) for a, b in zip(perturbed, originals, strict=True)]
            too_short[version.value] = sum(0 < frames < options.subsequence for frames in shortest)
            attributes = {
                **version.attributes,
                "mfcc": options.mfcc,
                "subsequence": options.subsequence,
                "packages": json.dumps(identity["packages"]),
                "fingerprint": _fingerprint(identity, version),
            }
            matrices = _matrices(perturbed, originals, params, progress)
            written = Distances(matrices, list(clips["clip"]), clips.valid.to_numpy(), attributes)
            write_distances(targets[version.value], written)
    if "simple" in options.measures:
        _report_short(label, too_short, len(clips), options.subsequence)
    print(
        f"{label}: computed {len(missing)} of {len(found)} values"
        + (f" ({', '.join(v.value for v in missing)}; {progress.rate:.0f} pairs/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
    )


def _fingerprint(identity, version):
    return fingerprint(**identity, audio=version.fingerprint)


def _target(perturbation, value):
    return paths.original_distances() if perturbation == ORIGINAL else paths.distances(perturbation, value)


def _tidy(targets):
    """Remove what a killed run left, what is damaged, and the files of values that left the grid."""
    folder = next(iter(targets)).parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_damaged(targets)
    for path in folder.glob("*.h5"):
        if path not in targets:
            path.unlink()


def _require_space(numbers):
    fix = "free some space, shorten the grid, or take fewer of distances.measures"
    require_space(paths.DISTANCES, numbers * np.dtype(np.float32).itemsize, fix=fix)


def _report_short(label, too_short, clips, subsequence):
    counts = ", ".join(f"{count} at {value}" for value, count in too_short.items() if count)
    if counts:
        seconds = (subsequence - 1) * mfcc_sequences.HOP / mfcc_sequences.SAMPLE_RATE
        print(
            f"{label}: of {clips} clips, {counts} are shorter than a passage of SiMPle, {subsequence} frames or "
            f"{seconds:.2f} s, and have no such distance (NaN)"
        )


# ----------------------------------------------------------------------------------------------------------- sequences


def _sequences(version, clips, params):
    """The MFCCs of all clips of a version; without frames for a clip that is not valid."""
    found = []
    tasks = ((*chunk, params.distances.mfcc) for chunk in chunks(version, clips, params.compute.chunk))
    for part in ordered_map(_chunk_sequences, tasks, params.compute, threads=True):
        for sequence in part:
            if not np.isfinite(sequence).all():
                clip = clips["clip"][len(found)]
                raise UserError(f"clip {clip} at {version.value} holds NaN or infinity; finished values stay")
            found.append(sequence)
    return found


def _chunk_sequences(start, stop, audio, coefficients):
    nothing = np.empty((0, coefficients - 1), dtype=np.float32)
    return [
        mfcc_sequences.mfcc_sequence(clip, rate, coefficients) if clip.size else nothing
        for clip, rate in read(start, stop, audio)
    ]


# ------------------------------------------------------------------------------------------------------------ distances


def _matrices(queries, candidates, params, progress):
    """Distances from every query to every candidate by measure, float32 [shape=(queries, candidates)] each."""
    side = _side(queries, candidates)
    blocks = [
        (slice(row, row + side), slice(column, column + side))
        for row in range(0, len(queries), side)
        for column in range(0, len(candidates), side)
    ]
    options = params.distances
    tasks = ((packed(queries[r]), packed(candidates[c]), options.measures, options.subsequence) for r, c in blocks)
    matrices = {m: np.empty((len(queries), len(candidates)), dtype=np.float32) for m in options.measures}
    for block, part in zip(blocks, ordered_map(_block, tasks, params.compute, threads=True), strict=True):
        for measure, numbers in part.items():
            matrices[measure][block] = numbers
        progress.advance(numbers.size)
    return matrices


def _side(queries, candidates):
    longest = [max(map(len, sequences)) for sequences in (queries, candidates)]
    return max(1, min(_SIDE, int(np.sqrt(_CELLS / max(1, np.prod(longest))))))


def _block(queries, candidates, measures, subsequence):
    found = {}
    if "dtw" in measures:
        found["dtw"] = dtw.dtw_matrix(queries, candidates)
    if "simple" in measures:
        found["simple"] = simple_profile.simple_matrix(queries, candidates, subsequence)
    return found


if __name__ == "__main__":
    main()
