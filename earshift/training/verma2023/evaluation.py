"""How the streams do on test clips, as these are and at every value: mean average precision over tags."""

import numpy as np

from earshift.training.data import TESTED
from earshift.training.excerpt import mono
from earshift.training.perturbed import perturbed
from earshift.training.verma2023 import chunks, combination, losses, streams
from earshift.training.verma2023.features import chunked, of_chunks
from earshift.training.verma2023.training import LINEAR, below, measured, opened_stream


def evaluated(params, name, about, arrays, recipes):
    """Numbers of one encoder; see :func:`earshift.training.verma2023.training.evaluated`, which has its arrays read."""
    encoder = params.encoders[name]
    data = chunked(params, encoder.trial)
    clips, _ = data.clips(TESTED)
    rows = data.material.clips["row"].to_numpy()[clips].tolist()
    groups = data.material.clips["group"].to_numpy(dtype=str)[clips]
    ask = asked(arrays, encoder.streams, len(about["outputs"]), params.diverse)

    def number(signals):
        cut = [chunks.chunks(signal, filling=params.diverse.filling) for signal in signals]
        member = np.repeat(np.arange(len(cut)), [len(of_clip) for of_clip in cut])
        found = measured(ask(np.concatenate(cut)), member, data.targets[clips], groups, params.diverse)
        return tuple(_known(found[key]) for key in ("map", "map_low", "map_high")) + (len(clips),)

    from earshift.storage.packed_audio import AudioReader

    with AudioReader(data.material.audio) as reader:
        original = number([reader[row][0][0] for row in rows])
    shown = {}
    for recipe, fingerprint in recipes:
        signals = perturbed(at_16_khz, rows, recipe, fingerprint, packed=lambda: data.packed(params),
                            own=data.is_own(params), compute=params.compute)  # fmt: skip
        shown[recipe.value] = number(list(signals))
    return original, shown


def _known(number):
    return float("nan") if number is None else number


def at_16_khz(audio, sample_rate):
    """The mean of a clip's channels at 16 kHz."""
    return mono(audio, sample_rate, chunks.SAMPLE_RATE)


def asked(arrays, names, classes, options):
    """A function from chunks, float32 [shape=(chunks, 16000)], to scores [shape=(chunks, classes)].

    Parameters
    ----------
    arrays : dict of str to tensor, of a model file
    names : streams, one or all
    classes : int
    options : earshift.training.verma2023.options.Diverse
    """
    import torch

    from earshift.training import loop

    vectors = embedder(arrays, names, classes, options)
    if len(names) > 1:
        linear = combination.Linear(**{key: a.numpy() for key, a in below(arrays, LINEAR).items()})
        return lambda cut: linear.scores(vectors(cut).astype(np.float64))
    (stream,) = names
    network, _ = opened_stream(arrays, stream, classes, options.networks)

    def scores(cut):
        with loop.threads(options.threads), torch.inference_mode():
            return losses.scores_of(network.head(torch.from_numpy(vectors(cut))), options.loss).numpy()

    return scores


def embedder(arrays, names, classes, options, device="cpu", size=64):
    """A function from chunks, float32 [shape=(chunks, 16000)], to embeddings side by side, float32.

    size : int, chunks at a time
    """
    import torch

    several = len(names) > 1
    opened = {
        stream: opened_stream(below(arrays, f"{stream}.") if several else arrays, stream, classes, options.networks)
        for stream in names
    }
    for pair in opened.values():
        for network in pair:
            if network is not None:
                network.to(device)

    def of_stream(stream, cut):
        network, mobilenet = opened[stream]
        heard = of_chunks(stream, cut, options.networks, mobilenet)
        return network.embedding(torch.from_numpy(heard).to(device)).float().cpu().numpy()

    def vectors(cut):
        with torch.inference_mode():
            parts = [cut[start : start + size] for start in range(0, len(cut), size)]
            return np.concatenate([np.hstack([of_stream(s, part) for s in streams.STREAMS if s in names])
                                   for part in parts])  # fmt: skip

    return vectors
