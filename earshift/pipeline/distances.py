"""Distances between the clips as sounds, value by value.

data/distances/PERTURBATION/VALUE.h5 (and original.h5) holds, for every measure, the distance from each perturbed clip
to each original one (:mod:`earshift.analysis.distances`). Row i is perturbed clip i, column j is original clip j. It is
NaN where either is not valid, or for ``simple`` has fewer frames than a passage.

Pairs are computed in square blocks by threads of this process or workers of a cluster. Each value is an artifact of its
own (:mod:`earshift.pipeline.artifacts`).
"""

import json
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import mfcc_sequences
from earshift.analysis.distances import DistanceOptions, distance_matrices
from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.perturbations.recipe import Batch
from earshift.pipeline import config, paths
from earshift.pipeline.artifacts import Artifact, make_key, making, open_output
from earshift.pipeline.compute import mapper
from earshift.pipeline.progress import Progress
from earshift.pipeline.versions import Version, audio_versions, version_batches, with_audio
from earshift.storage.clips import read_clips
from earshift.storage.distances import Distances, write_distances
from earshift.storage.files import require_space

if TYPE_CHECKING:
    import pandas as pd

Sequences = list[NDArray[np.float32]]


def update_distances(params: config.Config) -> None:
    """Bring data/distances up to date: between the originals, and from them to the clips under every perturbation.

    Raises
    ------
    UserError
        If fewer than two clips are valid, the disk is too full, or audio is not finite.
    """
    clips = read_clips(paths.CLIPS)
    if clips.valid.sum() < 2:
        raise UserError(f"distances need at least 2 valid clips, {paths.CLIPS} has {clips.valid.sum()}; add some")
    options, pairs = params.distances, len(clips) ** 2
    found = {
        _artifact(version, options): version
        for perturbation in (ORIGINAL, *params.run.perturbations)
        for version in audio_versions(params, perturbation, clips)
    }
    output, too_short = open_output(paths.DISTANCES, list(found)), {}
    missing = output.missing()
    with Progress("distances", len(found) * pairs, (len(found) - len(missing)) * pairs, unit="pairs") as progress:
        if missing:
            fix = "free some space, shorten the grid, or take fewer of distances.measures"
            size = len(missing) * len(options.measures) * pairs * np.dtype(np.float32).itemsize
            require_space(paths.DISTANCES, size, fix=fix)
            (original,) = with_audio(audio_versions(params, ORIGINAL, clips), params)
            originals = _sequences(original, clips, params)
        for artifact, version in zip(missing, with_audio(map(found.__getitem__, missing), params), strict=True):
            perturbed = originals if version.value == ORIGINAL else _sequences(version, clips, params)
            shortest = [min(len(a), len(b)) for a, b in zip(perturbed, originals, strict=True)]
            too_short[artifact.name] = sum(0 < frames < options.subsequence for frames in shortest)
            attributes = {
                **version.attributes,
                "mfcc": options.mfcc,
                "subsequence": options.subsequence,
                "packages": json.dumps(artifact.key.packages),
            }
            matrices = distance_matrices(
                perturbed, originals, options, map=mapper(params.compute, threads=True), advance=progress.advance
            )
            written = Distances(matrices, list(clips["clip"]), clips.valid.to_numpy(), attributes)
            with making(artifact) as root:
                write_distances(root / artifact.places[0], written)
            output.take(artifact)
    if "simple" in options.measures:
        _report_short("distances", too_short, len(clips), options.subsequence)
    print(
        f"distances: computed {len(missing)} of {len(found)} values"
        + (f" ({', '.join(each.name for each in missing)}; {progress.rate:.0f} pairs/s)" if missing else "")
        + f", reused {len(found) - len(missing)}"
    )


def _artifact(version: Version, options: DistanceOptions) -> Artifact:
    key = make_key(
        "distances",
        contents={"audio": version.key.basis, "clips": version.key.contents["clips"]},
        options={"measures": sorted(options.measures), "mfcc": options.mfcc, "subsequence": options.subsequence},
        code=["stages.distances", *version.modules],
    )
    perturbation = version.attributes["perturbation"]
    if perturbation == ORIGINAL:
        return Artifact(ORIGINAL, key, (paths.original_distances(),))
    return Artifact(f"{perturbation}/{version.value}", key, (paths.distances(perturbation, version.value),))


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
    batches = version_batches(version, range(len(clips)), params.compute.chunk)
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
