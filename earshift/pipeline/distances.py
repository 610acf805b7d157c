"""Distances between the clips as sounds, value by value.

data/distances/PERTURBATION/VALUE.h5 (or original.h5) holds, for every measure, the distance from each perturbed clip
to each original one (:mod:`earshift.analysis.distances`). Row i is perturbed clip i, column j is original clip j. It is
NaN where either is not valid, or for ``simple`` has fewer frames than a passage.

Pairs are computed in square blocks by threads of this process or workers of a cluster. A file whose fingerprint still
holds and that is whole is kept; one whose value left the grid is removed; a killed run goes on at the first value that
is not whole.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import dtw, mfcc_sequences, simple_profile
from earshift.analysis.distances import distance_matrices
from earshift.audio import mel
from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch
from earshift.pipeline import config, paths
from earshift.pipeline.compute import mapper
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import Version, audio_versions, version_batches, with_audio
from earshift.storage.clips import read_clips
from earshift.storage.distances import Distances, write_distances
from earshift.storage.files import remove_leftovers, require_space
from earshift.storage.hdf5 import read_fingerprint, remove_damaged
from earshift.storage.provenance import fingerprint, source_sha256, versions

if TYPE_CHECKING:
    import pandas as pd

Sequences = list[NDArray[np.float32]]

_PACKAGES = (*mfcc_sequences.PACKAGES, "numba")


def folder_of(perturbation: str) -> Path:
    """Where the distances of a perturbation, or of ``original``, lie."""
    return _target(perturbation, "").parent


def update_distances(params: config.Config, perturbation: str) -> None:
    """Bring the distances of one perturbation, or of ``original``, up to date.

    Raises
    ------
    UserError
        If fewer than two clips are valid, the perturbation is unknown, the disk is too full, or audio is not finite.
    """
    clips = read_clips(paths.CLIPS)
    if clips.valid.sum() < 2:
        raise UserError(f"distances need at least 2 valid clips, {paths.CLIPS} has {clips.valid.sum()}; add some")
    options = params.distances
    found = audio_versions(params, perturbation, clips)
    targets = {version.value: _target(perturbation, version.value) for version in found}
    computed_from = {
        "originals": audio_versions(params, ORIGINAL, clips)[0].fingerprint,
        "options": {"measures": sorted(options.measures), "mfcc": options.mfcc, "subsequence": options.subsequence},
        "code": source_sha256(dtw, mfcc_sequences, mel, simple_profile),
        "packages": versions(*_PACKAGES),
    }
    fingerprints = {version.value: fingerprint(**computed_from, audio=version.fingerprint) for version in found}
    _tidy(list(targets.values()))
    missing = [v for v in found if read_fingerprint(targets[v.value]) != fingerprints[v.value]]
    label, pairs = f"distances {perturbation}", len(clips) ** 2
    too_short = {}
    with Progress(label, len(found) * pairs, (len(found) - len(missing)) * pairs, unit="pairs") as progress:
        if missing:
            fix = "free some space, shorten the grid, or take fewer of distances.measures"
            size = len(missing) * len(options.measures) * pairs * np.dtype(np.float32).itemsize
            require_space(paths.DISTANCES, size, fix=fix)
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
                "packages": json.dumps(computed_from["packages"]),
                "fingerprint": fingerprints[version.value],
            }
            matrices = distance_matrices(
                perturbed, originals, options, map=mapper(params.compute, threads=True), advance=progress.advance
            )
            written = Distances(matrices, list(clips["clip"]), clips.valid.to_numpy(), attributes)
            write_distances(targets[version.value], written)
    if "simple" in options.measures:
        _report_short(label, too_short, len(clips), options.subsequence)
    print(
        f"{label}: computed {len(missing)} of {len(found)} values"
        + (f" ({', '.join(v.value for v in missing)}; {progress.rate:.0f} pairs/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
    )


def _target(perturbation: str, value: str) -> Path:
    return paths.original_distances() if perturbation == ORIGINAL else paths.distances(perturbation, value)


def _tidy(targets: Sequence[Path]) -> None:
    """Remove what a killed run left, what is damaged, and the files of values that left the grid."""
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_damaged(targets)
    for path in folder.glob("*.h5"):
        if path not in targets:
            path.unlink()


def _report_short(label: str, too_short: dict[str, int], clips: int, subsequence: int) -> None:
    counts = ", ".join(f"{count} at {value}" for value, count in too_short.items() if count)
    if counts:
        seconds = (subsequence - 1) * mfcc_sequences.HOP / mfcc_sequences.SAMPLE_RATE
        print(
            f"{label}: of {clips} clips, {counts} are shorter than a passage of SiMPle, {subsequence} frames or "
            f"{seconds:.2f} s, and have no such distance (NaN)"
        )


def _sequences(version: Version, clips: "pd.DataFrame", params: config.Config) -> Sequences:
    """The MFCCs of all clips of a version; without frames for a clip that is not valid."""
    found: Sequences = []
    over_threads = mapper(params.compute, threads=True)
    batches = version_batches(version, clips, params.compute.chunk)
    for part in over_threads(partial(_batch_sequences, params.distances.mfcc), batches):
        for sequence in part:
            if not np.isfinite(sequence).all():
                clip = clips["clip"][len(found)]
                raise UserError(f"clip {clip} at {version.value} holds NaN or infinity; finished values stay")
            found.append(sequence)
    return found


def _batch_sequences(coefficients: int, batch: Batch) -> Sequences:
    nothing = np.empty((0, coefficients - 1), dtype=np.float32)
    return [
        mfcc_sequences.mfcc_sequence(clip, rate, coefficients) if clip.size else nothing for clip, rate in batch.read()
    ]
