"""Rows of embeddings that are known from earlier artifacts: clips that are added to a corpus cost themselves."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earshift.errors import UserError
from earshift.pipeline import artifacts
from earshift.pipeline.artifacts import Artifact
from earshift.storage.clips import corpus_digest
from earshift.storage.vectors import read_embeddings

if TYPE_CHECKING:
    import pandas as pd


class ClipRows:
    """The clips of a corpus, and the vectors that artifacts of other corpora have of them.

    Parameters
    ----------
    clips : table as :func:`earshift.storage.clips.read_clips` returns
    """

    def __init__(self, clips: "pd.DataFrame") -> None:
        self._store, self._clips = artifacts.store(), clips
        self._hashes = [f"{row.sha256}-{row.sample_rate}-{row.valid:d}" for row in clips.itertuples()]
        self._places: dict[str, dict[str, int]] = {}
        self._store.remember_rows(corpus_digest(clips), self._hashes)

    def known(self, artifact: Artifact, dim: int) -> tuple[NDArray[np.float32], list[int]]:
        """Vectors of the clips [shape=(clips, dim)], NaN where they are not known, and the rows of these."""
        features = np.full((len(self._hashes), dim), np.nan, dtype=np.float32)
        left = list(range(len(features)))
        if artifact.by_rows:
            for key, manifest in self._store.relatives(artifact.key.family):
                places = self._places_in(manifest.rows)
                if not places.keys() & {self._hashes[row] for row in left}:
                    continue
                earlier = self._read(key, next(iter(manifest.files)), dim)
                if earlier is not None and max(places.values()) < len(earlier):  # else they are of other clips
                    known = [row for row in left if self._hashes[row] in places]
                    features[known] = earlier[[places[self._hashes[row]] for row in known]]
                    left = [row for row in left if self._hashes[row] not in places]
        return features, left

    def _places_in(self, rows: str) -> dict[str, int]:
        if rows not in self._places:
            self._places[rows] = {clip: row for row, clip in enumerate(self._store.rows(rows) or [])}
        return self._places[rows]

    def _read(self, key: str, path: str, dim: int) -> NDArray[np.float32] | None:
        file = self._store.file(key, path)
        try:
            features = read_embeddings(file).features[:] if file else None
        except UserError:  # damaged: these vectors are computed again
            return None
        return features if features is not None and features.shape[1] == dim else None
