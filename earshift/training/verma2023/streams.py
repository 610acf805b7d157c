"""The four streams by name: what each computes of a chunk, and the front end that makes it tokens.

Conventions
-----------
Features are computed once and packed, so they are of the smallest number type that says what they say: a mask is bool,
everything else float16. The Neuralogram is computed by a network that is trained before; its *first* features are what
that network reads.
"""

from dataclasses import dataclass
from typing import Annotated

from earshift.options import Interval, Options
from earshift.training.verma2023 import end_to_end, neuralogram, pitch, timbre, transformer
from earshift.training.verma2023.chunks import CHUNK, SLICES
from earshift.training.verma2023.neuralogram import MobileNet
from earshift.training.verma2023.timbre import Timbre
from earshift.training.verma2023.transformer import Transformer

PITCH, TIMBRE, END_TO_END, NEURALOGRAM = "pitch", "timbre", "end_to_end", "neuralogram"
STREAMS = (PITCH, TIMBRE, END_TO_END, NEURALOGRAM)


@dataclass(frozen=True)
class Networks(Options):
    """Options of the networks. ``filters``: learned ones of the end-to-end stream."""

    transformer: Transformer
    timbre: Timbre
    filters: Annotated[int, Interval(ge=1, le=4096)]
    mobilenet: MobileNet


def features(stream, chunks, options, *, mobilenet=None):
    """What a stream reads of chunks.

    Parameters
    ----------
    stream : one of :data:`STREAMS`
    chunks : float32 [shape=(chunks, 16000)]
    options : Networks
    mobilenet : torch.nn.Module, the trained network of the Neuralogram

    Returns
    -------
    np.ndarray, of the type and shape that :func:`shape` says, one row a chunk
    """
    if stream == PITCH:
        return pitch.features(chunks)
    if stream == TIMBRE:
        return timbre.features(chunks, n_fft=options.timbre.n_fft, bands=options.timbre.bands)
    if stream == END_TO_END:
        return end_to_end.features(chunks)
    return neuralogram.features(mobilenet, neuralogram.log_mel(chunks))


def shape(stream, options):
    """Number type and shape of the features of one chunk: (str, tuple of int)."""
    return {
        PITCH: ("bool", (SLICES, pitch.BINS)),
        TIMBRE: ("float16", (SLICES, timbre.COEFFICIENTS)),
        END_TO_END: ("float16", (CHUNK,)),
        NEURALOGRAM: ("float16", (neuralogram.PIECES, options.mobilenet.last)),
    }[stream]


def has_statistics(stream):
    """Whether a stream's features have no scale of their own, and are brought to mean 0 and deviation 1."""
    return stream in (TIMBRE, NEURALOGRAM)


def network(stream, classes, options, *, statistics=None):
    """A stream from features to outputs, see :func:`earshift.training.verma2023.transformer.network`.

    Parameters
    ----------
    stream : one of :data:`STREAMS`
    classes : int
    options : Networks
    statistics : of the training chunks' features (:func:`earshift.training.verma2023.transformer.statistics_of`), where
        :func:`has_statistics`; None where weights are loaded, which bring them along

    Returns
    -------
    torch.nn.Module
    """
    from torch import nn

    width = options.transformer.width
    if stream == END_TO_END:
        front = nn.Sequential(end_to_end.filter_bank(options.filters), transformer.projection(options.filters, width))
        tokens = SLICES
    else:
        _, (tokens, numbers) = shape(stream, options)
        front = transformer.projection(numbers, width, statistics=statistics)
    return transformer.network(front, classes, options.transformer, tokens=tokens)
