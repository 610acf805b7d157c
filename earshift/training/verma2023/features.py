"""Chunks of the training corpus and what each stream reads of them, computed once and packed.

Conventions
-----------
Chunks stand in the order of the clips. Their features lie in one .npy file a stream beside the pipeline
(paths.training_features), which is mapped into memory and read batch by batch, so that a corpus may be larger than
memory. Files are named by what determines them and renamed when whole.
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.compute import ordered_map
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.progress import Progress
from earshift.storage.files import remove_leftovers, replacing, require_space
from earshift.storage.packed_audio import AudioReader
from earshift.storage.provenance import fingerprint, source_sha256, versions
from earshift.training import data as material
from earshift.training.verma2023 import chunks, neuralogram, streams

LOG_MEL = "log_mel"  # what the Neuralogram's own network reads
_CLIPS = 8  # per task


@dataclass(frozen=True)
class Chunks:
    """The training corpus in chunks.

    material : earshift.training.data.Material
    tags : list of str, the classes: those of the training clips
    targets : bool [shape=(clips, tags)]
    clip : int [shape=(chunks,)], the clip of each chunk
    """

    material: material.Material
    tags: list
    targets: np.ndarray
    clip: np.ndarray

    def places(self, part):
        """The chunks of a part, "train", "valid" or "test"."""
        return np.flatnonzero(self.material.part[self.clip] == part)

    def is_own(self, params):
        """Whether these are the clips of the pipeline."""
        return material.source_of(params, params.diverse.corpus) is params.corpus

    def packed(self, params):
        """The clips as the corpus has them, at their own rate and with all channels."""
        return corpus_audio(params) if self.is_own(params) else self.material.whole

    def clips(self, part):
        """The clips of a part, and for each of its chunks which of these clips it belongs to."""
        clips = self.material.places(part)
        member = np.searchsorted(clips, self.clip[self.places(part)])
        return clips, member


def chunked(params, trial):
    """The corpus that streams learn from, as :class:`Chunks`.

    Raises
    ------
    UserError
        If the corpus cannot be used, or has fewer than two tags.
    """
    options = params.diverse
    data = material.material(params, options.corpus, options, trial=trial, rate=chunks.SAMPLE_RATE)
    own = data.clips["tags"].to_numpy(dtype=str)[data.part == material.TRAINED]
    found = sorted({tag for tags in own for tag in tags.split(material.TAG_SEPARATOR) if tag})
    if len(found) < 2:
        raise UserError(
            f"diverse streams need a corpus with tags, the training clips have {len(found)}; name one in "
            "diverse.corpus or corpus.name: soundscapes, fsd50k, general_midi"
        )
    with AudioReader(data.audio) as reader:
        lengths = [reader.samples(int(row)) for row in data.clips["row"]]
    return Chunks(data, found, data.tag_table(found), chunks.clips_of_chunks(lengths))


def features(params, data, stream, mobilenet=None, mobilenet_digest=""):
    """What a stream reads of every chunk.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    data : Chunks
    stream : one of earshift.training.verma2023.streams.STREAMS, or LOG_MEL
    mobilenet : torch.nn.Module, for the Neuralogram
    mobilenet_digest : str, its weights

    Returns
    -------
    memory-mapped array [shape=(chunks, ...)]
    """
    options = params.diverse
    digest = fingerprint(
        data=data.material.digest, stream=stream, filling=options.filling, mobilenet=mobilenet_digest,
        timbre=[options.networks.timbre.n_fft, options.networks.timbre.bands] if stream == streams.TIMBRE else None,
        code=source_sha256(*map(import_module, CODE)), packages=versions("numpy", "scipy"),
    )  # fmt: skip
    path = paths.training_features(digest)
    if not path.is_file():
        kind, shape = _shape(stream, options.networks)
        size = len(data.clip) * int(np.prod(shape)) * np.dtype(kind).itemsize
        remove_leftovers(path.parent, shared=True)
        require_space(path.parent, size)
        with replacing(path) as temporary:
            packed = np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=(len(data.clip), *shape))
            _fill(packed, params, data, stream, mobilenet)
            packed.flush()
            del packed
    return np.load(path, mmap_mode="r")


CODE = tuple(
    f"earshift.training.verma2023.{name}" for name in ("chunks", "pitch", "timbre", "end_to_end", "neuralogram")
)


def _shape(stream, networks):
    if stream == LOG_MEL:
        return "float16", (neuralogram.PIECES, neuralogram.FRAMES, neuralogram.BANDS)
    return streams.shape(stream, networks)


def _fill(packed, params, data, stream, mobilenet):
    if stream == streams.NEURALOGRAM:
        heard = features(params, data, LOG_MEL)
        size = params.diverse.batch
        found = (neuralogram.features(mobilenet, heard[i : i + size]) for i in range(0, len(heard), size))
    else:
        rows = data.material.clips["row"].to_numpy()
        arguments = data.material.audio, params.diverse.filling, stream, params.diverse.networks
        tasks = ((*arguments, rows[i : i + _CLIPS].tolist()) for i in range(0, len(rows), _CLIPS))
        found = ordered_map(_features, tasks, params.compute)
    start = 0
    with Progress(f"features {stream}", len(packed), unit="chunks") as progress:
        for some in found:
            packed[start : start + len(some)] = some
            start += len(some)
            progress.advance(len(some))


def _features(audio, filling, stream, networks, rows):
    with AudioReader(audio) as reader:
        cut = np.concatenate([chunks.chunks(reader[row][0][0], filling=filling) for row in rows])
    return of_chunks(stream, cut, networks)


def of_chunks(stream, cut, networks, mobilenet=None):
    """Features of chunks, float32 [shape=(chunks, 16000)], for a stream or LOG_MEL."""
    if stream == LOG_MEL:
        return neuralogram.log_mel(cut)
    return streams.features(stream, cut, networks, mobilenet=mobilenet)
