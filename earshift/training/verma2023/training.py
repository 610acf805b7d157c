"""Trains the streams of verma2023, each alone, and the Neuralogram's own network before it.

Imports torch: import this module inside functions.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earshift.corpora.split import TEST, TRAIN
from earshift.protocols import Advance, ignore
from earshift.training import loop
from earshift.training.arrays import arrays_of
from earshift.training.records import TrainedNetwork
from earshift.training.verma2023.corpus import ChunkedCorpus
from earshift.training.verma2023.features import has_statistics
from earshift.training.verma2023.losses import loss_of, scores_of
from earshift.training.verma2023.mobilenet import MobileNet
from earshift.training.verma2023.options import STREAMS, Diverse
from earshift.training.verma2023.scores import chance, score_part
from earshift.training.verma2023.streams import MOBILENET, STREAM, build_network
from earshift.training.verma2023.transformer import statistics_of

Features = NDArray[Any]  # of all chunks, in their order; may be mapped from a file


def train_mobilenet(
    pieces: Features,
    corpus: ChunkedCorpus,
    options: Diverse,
    trial: int,
    *,
    device: str = "cpu",
    checkpoint: loop.Checkpoint | None = None,
    advance: Advance = ignore,
) -> TrainedNetwork:
    """Train the Neuralogram's own network on pieces of 100 ms with the tags of their clips.

    Parameters
    ----------
    pieces : float16 [shape=(chunks, 10, 10, 64)], from :func:`earshift.training.verma2023.neuralogram.log_mel`
    corpus, options, trial, device, checkpoint, advance : as for :func:`train_stream`
    """
    loop.seed_torch(options.seed, 5, trial, len(STREAMS))
    network = MobileNet(len(corpus.tags), options.networks.mobilenet).to(device)

    def loss(made: MobileNet, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        inputs, targets = batch
        of_pieces = targets.repeat_interleave(inputs.shape[1], dim=0)
        return loss_of(made(inputs.flatten(0, 1)), of_pieces, options.loss), len(inputs)

    outcome = loop.fit(
        network, _batches(pieces, corpus, options, device), loss,
        options.schedule(options.mobilenet_epochs, trial, amsgrad=False), device=device, label="mobilenet",
        checkpoint=checkpoint, advance=advance,
    )  # fmt: skip
    return TrainedNetwork(arrays_of(network), outcome, loop.count_parameters(network), chance(corpus))


def train_stream(
    stream: str,
    features: Features,
    corpus: ChunkedCorpus,
    options: Diverse,
    trial: int,
    *,
    mobilenet: MobileNet | None = None,
    device: str = "cpu",
    checkpoint: loop.Checkpoint | None = None,
    advance: Advance = ignore,
) -> TrainedNetwork:
    """Train one stream.

    Parameters
    ----------
    stream : one of :data:`earshift.training.verma2023.options.STREAMS`
    features : of all chunks, see :func:`earshift.training.verma2023.features.shape_of`
    corpus : ChunkedCorpus
    options : Diverse
    trial : int, which draw of the training recordings and which initial weights
    mobilenet : the network that computed the Neuralogram, kept beside the stream's arrays
    device : "cpu", "cuda" or "cuda:N"
    checkpoint : earshift.training.loop.Checkpoint or None, to go on from and to keep
    advance : called with how many chunks were seen

    Raises
    ------
    UserError
        If training diverges at once.
    """
    loop.seed_torch(options.seed, 5, trial, STREAMS.index(stream))
    statistics = statistics_of(features, corpus.places(TRAIN)) if has_statistics(stream) else None
    network = build_network(stream, len(corpus.tags), options.networks, statistics=statistics).to(device)

    def loss(made: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        inputs, targets = batch
        return loss_of(made(inputs), targets, options.loss), len(inputs)

    outcome = loop.fit(
        network, _batches(features, corpus, options, device), loss,
        options.schedule(options.epochs, trial, amsgrad=False), device=device, label=stream, checkpoint=checkpoint,
        advance=advance,
    )  # fmt: skip
    network.eval()
    scores = apply_in_batches(
        lambda inputs: scores_of(network(inputs), options.loss), features, corpus.places(TEST), options.threads, device
    )
    arrays = arrays_of(network)
    if mobilenet is not None:
        arrays = {f"{STREAM}{name}": array for name, array in arrays.items()}
        arrays |= {f"{MOBILENET}{name}": array for name, array in arrays_of(mobilenet).items()}
    return TrainedNetwork(
        arrays, outcome, loop.count_parameters(network), chance(corpus), score_part(scores, corpus, TEST, options)
    )


def _batches(features: Features, corpus: ChunkedCorpus, options: Diverse, device: str) -> loop.Batches[Any]:
    """Batches of chunks with the tags of their clips; see :func:`earshift.training.loop.fit`."""

    def batches(part: str, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        places = corpus.places(part)
        places = rng.permutation(places) if part == TRAIN else places
        for some in np.array_split(places, -(-len(places) // options.batch)):
            order = np.sort(some)  # reading forward is quicker, and within a batch order does not matter
            yield (
                torch.from_numpy(np.ascontiguousarray(features[order])).to(device),
                torch.from_numpy(corpus.targets[corpus.clip[order]]).to(device),
            )

    return batches


def apply_in_batches(
    function: Callable[[Tensor], Tensor], features: Features, places: NDArray[np.int64], threads: int, device: str
) -> NDArray[np.float32]:
    """What a function of features makes of some chunks, float32 [shape=(places, numbers)]."""
    found = []
    with loop.limit_threads(threads), torch.inference_mode():
        for some in np.array_split(places, max(-(-len(places) // 256), 1)):
            inputs = torch.from_numpy(np.ascontiguousarray(features[some])).to(device)
            found.append(function(inputs).float().cpu().numpy())
    return np.concatenate(found)
