"""Streams of verma2023: what determines them, in which order they are trained, how they are opened again.

Conventions
-----------
A stream's network is kept in the store under all that determines it, so the combination, which needs all four, and the
stages of single streams train each only once, whichever runs first. The Neuralogram's own network is trained before it.
Features of all chunks lie in one .npy file a stream (paths.training_features), which is mapped into memory and read
batch by batch, so that a corpus may be larger than memory.

Imports torch: import this module inside functions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from earshift.corpora.split import TEST, TRAIN
from earshift.pipeline import paths
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.compute import mapper, torch_device
from earshift.pipeline.config import Config
from earshift.pipeline.networks import Evaluation, obtain_network, train_network
from earshift.pipeline.progress import Progress
from earshift.pipeline.training_data import TrainingCorpus
from earshift.protocols import Advance
from earshift.storage.files import remove_leftovers, replacing, require_space, write_table
from earshift.storage.hashes import digest
from earshift.training.arrays import load_arrays, read_arrays, write_arrays
from earshift.training.loop import Checkpoint
from earshift.training.records import NetworkRecord, TrainedNetwork
from earshift.training.verma2023 import combination, evaluation, mobilenet, scores, streams, training
from earshift.training.verma2023.chunks import SAMPLE_RATE
from earshift.training.verma2023.corpus import ChunkedCorpus, cut_corpus, iterate_features
from earshift.training.verma2023.features import LOG_MEL, shape_of
from earshift.training.verma2023.options import END_TO_END, NEURALOGRAM, TIMBRE

_MOBILENET = "mobilenet"
_NOT_OF_NETWORKS = ("networks", "costs", "bootstrap", "confidence", "threads")
_NETWORKS = {TIMBRE: ("timbre",), END_TO_END: ("filters",), NEURALOGRAM: ("mobilenet",)}  # options of a stream alone
_FEATURES = (
    "earshift.training.verma2023.features",
    "earshift.training.verma2023.mobilenet",
    "earshift.training.verma2023.corpus",
)  # modules that compute what a network reads
_TABLES = ("subsets.csv", "classes.csv")


class _Encoder(Protocol):
    """What an encoder of the study has: its streams, and which trial of them."""

    streams: tuple[str, ...]
    trial: int


class Trainer:
    """See :class:`earshift.pipeline.networks.Trainer`."""

    def train(self, config: Config, name: str, task: str) -> NetworkRecord:
        """See :meth:`earshift.pipeline.networks.Trainer.train`."""
        encoder = cast(_Encoder, config.encoders[name])
        run = StreamRun(config, encoder.trial)
        trained = {stream: run.network(stream) for stream in encoder.streams}
        if len(trained) > 1:
            return _combine(run, trained)
        ((_, about),) = trained.values()
        return about

    def open(self, config: Config, name: str, task: str, record: NetworkRecord) -> Evaluation:
        """See :meth:`earshift.pipeline.networks.Trainer.open`."""
        encoder = cast(_Encoder, config.encoders[name])
        run = StreamRun(config, encoder.trial)
        arrays = read_arrays(paths.model(name) / f"{task}.npz")
        scorer = evaluation.build_scorer(arrays, encoder.streams, len(record["outputs"]), config.diverse)
        evaluator = evaluation.Evaluator(run.corpus, scorer, config.diverse, mapper(config.compute, threads=True))
        data = run.corpus.data
        return Evaluation("map", "higher", evaluator, run.training_corpus, data.rows(data.places(TEST)))


class StreamRun:
    """The streams of one trial: features and networks, computed where they are not yet."""

    def __init__(self, config: Config, trial: int) -> None:
        self.config, self.options, self.trial = config, config.diverse, trial
        self.device = torch_device(config.compute.device)
        self.training_corpus = TrainingCorpus(config, config.diverse.corpus)

    @cached_property
    def corpus(self) -> ChunkedCorpus:
        """The training corpus in chunks."""
        data = self.training_corpus.prepare(self.options, trial=self.trial, rate=SAMPLE_RATE)
        return cut_corpus(data)

    def network(self, what: str) -> tuple[Path, NetworkRecord]:
        """Path of the arrays of a network, and what is known about it.

        Parameters
        ----------
        what : a stream, or _MOBILENET
        """
        key, label = self._key(what), f"train {what}"
        return obtain_network(key, label, partial(self._train, what, key, label))

    def _train(self, what: str, key: str, label: str, path: Path) -> NetworkRecord:
        record = train_network(
            path, key, self._training(what), label=label, data=self.corpus.data, outputs=self.corpus.tags,
            epochs=self.options.mobilenet_epochs if what == _MOBILENET else self.options.epochs,
            examples=len(self.corpus.places(TRAIN)),
        )  # fmt: skip
        if what == NEURALOGRAM:
            record["mobilenet"] = self.mobilenet[1]
        return record

    def _training(self, what: str) -> Callable[[Checkpoint, Advance], TrainedNetwork]:
        """What trains a network once its features are there."""
        train: Callable[..., TrainedNetwork] = training.train_mobilenet
        if what != _MOBILENET:
            train = partial(training.train_stream, what, mobilenet=self.mobilenet[0] if what == NEURALOGRAM else None)
        read = self.read_features(LOG_MEL if what == _MOBILENET else what)
        ready = partial(train, read, self.corpus, self.options, self.trial, device=self.device)
        return lambda checkpoint, advance: ready(checkpoint=checkpoint, advance=advance)

    @cached_property
    def mobilenet(self) -> tuple[mobilenet.MobileNet, str]:
        """The Neuralogram's own network, and the SHA-256 of its arrays."""
        path, record = self.network(_MOBILENET)
        network = mobilenet.MobileNet(len(self.corpus.tags), self.options.networks.mobilenet)
        load_arrays(network, read_arrays(path))
        return network.to(self.device).eval(), record["sha256"]

    def _key(self, what: str) -> str:
        options, networks = asdict(self.options), asdict(self.options.networks)
        own = ("mobilenet",) if what == _MOBILENET else ("transformer", *_NETWORKS.get(what, ()))
        determined = {
            "what": what, "options": {k: v for k, v in options.items() if k not in _NOT_OF_NETWORKS},
            "networks": {k: networks[k] for k in own}, "trial": self.trial, "threads": self.options.threads,
            "tags": self.corpus.tags,
        }  # fmt: skip
        return make_key(
            "network", contents={"data": self.corpus.data.digest}, options=determined, code=[__name__]
        ).sha256

    def read_features(self, stream: str) -> NDArray[Any]:
        """What a stream reads of every chunk, mapped from a file, [shape=(chunks, ...)]."""
        wanted = self.options.networks
        mobilenet_sha256 = self.mobilenet[1] if stream == NEURALOGRAM else ""
        known = make_key(
            "features",
            contents={"data": self.corpus.data.digest, "mobilenet": mobilenet_sha256},
            options=[stream, self.options.filling, wanted.timbre if stream == TIMBRE else None],
            code=_FEATURES,
        ).sha256
        path, count = paths.training_features(known), len(self.corpus.clip)
        if not path.is_file():
            kind, shape = shape_of(stream, wanted)
            remove_leftovers(path.parent, shared=True)
            require_space(path.parent, count * int(np.prod(shape)) * np.dtype(kind).itemsize)
            with replacing(path) as temporary:
                packed = np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=(count, *shape))
                _fill(packed, self._compute(stream), f"features {stream}")
                packed.flush()
                del packed
        found: NDArray[Any] = np.load(path, mmap_mode="r")
        return found

    def _compute(self, stream: str) -> Iterable[NDArray[Any]]:
        if stream != NEURALOGRAM:
            return iterate_features(stream, self.corpus.data, self.options, map=mapper(self.config.compute))
        pieces, size = self.read_features(LOG_MEL), self.options.batch
        return (
            mobilenet.compute_neuralogram(self.mobilenet[0], pieces[i : i + size]) for i in range(0, len(pieces), size)
        )

    def embed(self, stream: str, arrays: Path) -> NDArray[np.float32]:
        """A stream's embeddings of all chunks, float32 [shape=(chunks, width)]."""
        opened = streams.open_stream(
            stream, read_arrays(arrays), len(self.corpus.tags), self.options.networks, self.device
        )
        places = np.arange(len(self.corpus.clip))
        return training.apply_in_batches(
            opened.network.embedding, self.read_features(stream), places, self.options.threads, self.device
        )


def _fill(packed: NDArray[Any], blocks: Iterable[NDArray[Any]], label: str) -> None:
    start = 0
    with Progress(label, len(packed), unit="chunks") as progress:
        for block in blocks:
            packed[start : start + len(block)] = block
            start += len(block)
            progress.advance(len(block))


def _combine(run: StreamRun, trained: Mapping[str, tuple[Path, NetworkRecord]]) -> NetworkRecord:
    """The linear model on the embeddings of all streams, and of every subset of them."""
    options = run.options
    key = make_key(
        "network",
        contents={stream: about["sha256"] for stream, (_, about) in trained.items()},
        options=[*options.costs, options.seed, options.bootstrap, options.confidence],
        code=[__name__],
    ).sha256
    return obtain_network(key, "train combination", partial(_fit, run, trained, key))[1]


def _fit(run: StreamRun, trained: Mapping[str, tuple[Path, NetworkRecord]], key: str, path: Path) -> NetworkRecord:
    options, records = run.options, [about for _, about in trained.values()]
    found = combination.combine({s: run.embed(s, arrays) for s, (arrays, _) in trained.items()}, run.corpus, options)
    for name, rows in zip(_TABLES, (found.subsets, found.classes), strict=True):
        write_table(path.with_name(name), pd.DataFrame(rows))
    arrays = {f"{evaluation.LINEAR}{name}": array for name, array in vars(found.model).items()}
    for stream, (own, _) in trained.items():
        arrays |= {f"{stream}.{name}": array for name, array in read_arrays(own).items()}
    write_arrays(path, arrays)
    alone = ", ".join(f"{row['subset']} {row['map']:.3f}" for row in found.subsets[: len(trained)])
    print(f"train combination: mAP {found.scores['map']:.3f} on all streams, {alone}")
    about = {
        "fingerprint": key,
        "outputs": run.corpus.tags,
        "clips": records[0]["clips"],
        "parameters": sum(about["parameters"] for about in records),
        "epochs": max(about["epochs"] for about in records),
        "best": None,
        "ended": "fitted",
        "baseline": scores.chance(run.corpus),
        "sha256": digest(path),
        **found.scores,
        "files": list(_TABLES),
    }
    return cast(NetworkRecord, about)
