"""The streams of verma2023: ``python -m benchmarks.diverse``.

- features: chunks per second of every front end on one core, against librosa called chunk by chunk where librosa has
  the same transform
- training: chunks per second, forward and backward, at the sizes of params.yaml, on this machine's GPU if PyTorch finds
  one, else on its CPU
- encoding: chunks per second of a trained stream
- combination: the linear model on 40,000 chunks and 200 classes against scikit-learn's, extrapolated from a few classes
- the whole study: 300 epochs of FSD50K's 80.4 h of development clips, from the measured rates
"""

import time

import stages  # noqa: F401
from benchmarks._results import Table, compared
from earshift.pipeline import config as params

CHUNKS = 256
STUDY_CHUNKS = round(80.4 * 3600)  # of FSD50K's development set, Fonseca et al. (2022)
EPOCHS, CLASSES = 300, 200
PEER_CHUNKS = 24
LINEAR = {"chunks": 40_000, "dim": 256, "classes": 200, "peer_classes": 2}


def main(arguments=()):
    import numpy as np

    options = params.load().diverse
    rng = np.random.default_rng(0)
    tones = np.sin(2 * np.pi * rng.uniform(50, 4000, (CHUNKS, 1)) * np.arange(16000) / 16000)
    chunks = (0.3 * tones + 0.02 * rng.standard_normal((CHUNKS, 16000))).astype(np.float32)
    rates, features = _features(chunks, options)
    more, training = _training(chunks, options)
    rates |= more
    return [features, training, _combination(rng), _study(rates, options)]


def _seconds(function, *arguments, repeats=3):
    """Shortest wall time of some calls, after a first call that is not counted."""
    function(*arguments)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def _features(chunks, options):
    import librosa

    from earshift.training.verma2023 import neuralogram, pitch, timbre
    from earshift.training.verma2023.features import compute_features
    from earshift.training.verma2023.options import END_TO_END, PITCH, TIMBRE

    found = {}
    for stream in (PITCH, TIMBRE, END_TO_END):
        found[stream] = len(chunks) / _seconds(compute_features, stream, chunks, options.networks)
    found["log_mel"] = len(chunks) / _seconds(neuralogram.log_mel, chunks)

    def each(function):
        return PEER_CHUNKS / _seconds(lambda: [function(chunk) for chunk in chunks[:PEER_CHUNKS]], repeats=1)

    peers = {
        PITCH: each(lambda y: librosa.cqt(y, sr=16000, hop_length=400, fmin=40, n_bins=pitch.BINS,
                                                  bins_per_octave=12)),
        TIMBRE: each(lambda y: librosa.feature.mfcc(
            y=y, sr=16000, n_mfcc=timbre.COEFFICIENTS + 1, n_fft=options.networks.timbre.n_fft, hop_length=400,
            n_mels=options.networks.timbre.bands)),
    }  # fmt: skip
    print("features, chunks/s on one core")
    for stream, rate in found.items():
        against = f", {rate / peers[stream]:.0f} x librosa chunk by chunk" if stream in peers else ""
        print(f"  {stream:<12} {rate:8.0f}{against}")
    rows = [(stream, "chunks/s", rate, peers.get(stream), "") for stream, rate in found.items()]
    table = compared(rows, "Features on one core, against librosa chunk by chunk")
    return {("features", stream): rate for stream, rate in found.items()}, table


def _training(chunks, options):
    import numpy as np
    import torch

    from earshift.training import loop
    from earshift.training.verma2023 import losses, neuralogram, streams
    from earshift.training.verma2023.features import compute_features, has_statistics, shape_of
    from earshift.training.verma2023.mobilenet import MobileNet
    from earshift.training.verma2023.options import NEURALOGRAM, STREAMS

    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {options.threads} threads"
    networks = options.networks
    targets = torch.rand(options.batch, CLASSES, device=device) < 0.02
    found, rows = {}, []
    print(f"training and encoding, chunks/s, {name}, batches of {options.batch}")

    def rate_of(label, network, inputs, targets):
        network.to(device)
        optimiser = torch.optim.Adam(network.parameters())

        def step():
            value = losses.loss_of(network(inputs), targets, options.loss)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            float(value.detach())

        def encode():
            with torch.inference_mode():
                network.eval().embedding(inputs).cpu()
            network.train()

        with loop.limit_threads(options.threads):
            trained, encoded = (options.batch / _seconds(call) for call in (step, encode))
        count = loop.count_parameters(network)
        print(f"  {label:<12} {trained:8.0f} trained {encoded:8.0f} encoded, {count:,} parameters")
        found["training", label], found["encoding", label] = trained, encoded
        rows.append((label, trained, encoded, count))

    for stream in STREAMS:
        kind, shape = shape_of(stream, networks)
        if stream == NEURALOGRAM:
            features = np.random.default_rng(0).random((options.batch, *shape)).astype(kind)
        else:
            features = compute_features(stream, chunks[: options.batch], networks)
        statistics = (np.zeros(shape[-1]), np.ones(shape[-1])) if has_statistics(stream) else None
        network = streams.build_network(stream, CLASSES, networks, statistics=statistics)
        rate_of(stream, network, torch.from_numpy(features).to(device), targets)
    pieces = torch.from_numpy(neuralogram.log_mel(chunks[: options.batch])).flatten(0, 1).to(device)
    network = MobileNet(CLASSES, networks.mobilenet)
    rate_of("mobilenet", network, pieces, targets.repeat_interleave(neuralogram.PIECES, dim=0))
    columns = ("network", "chunks/s trained", "chunks/s encoded", "parameters")
    return found, Table(columns, rows, f"Networks on {name}, batches of {options.batch}")


def _combination(rng):
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from earshift.training.verma2023 import combination

    vectors = rng.standard_normal((LINEAR["chunks"], LINEAR["dim"]))
    decisions = vectors @ rng.standard_normal((LINEAR["dim"], LINEAR["classes"])) / 16
    targets = decisions + rng.logistic(size=decisions.shape) > 4
    start = time.perf_counter()
    combination.fit_linear(vectors, targets, cost=0.01)
    ours = time.perf_counter() - start
    some = LINEAR["peer_classes"]
    start = time.perf_counter()
    scaled = StandardScaler().fit_transform(vectors)
    for place in range(some):
        LogisticRegression(C=0.01, tol=1e-6, max_iter=1000).fit(scaled, targets[:, place])
    peer = (time.perf_counter() - start) * LINEAR["classes"] / some
    assert np.isfinite(ours)
    size = f"{LINEAR['chunks']:,} chunks x {LINEAR['dim']} numbers, {LINEAR['classes']} classes"
    print(f"combination, {size}: {ours:.1f} s, "
          f"scikit-learn {peer:.0f} s ({peer / ours:.1f} x), from {some} classes")  # fmt: skip
    return compared([("combination", "s", ours, peer, f"peer from {some} classes")], f"{size}, against scikit-learn")


def _study(rates, options):
    from earshift.training.verma2023.options import STREAMS

    print(f"the whole study: {STUDY_CHUNKS:,} chunks, {EPOCHS} epochs")
    total, rows = 0.0, []
    for stream in STREAMS:
        hours = EPOCHS * STUDY_CHUNKS / rates["training", stream] / 3600
        total += hours
        rows.append((stream, hours))
        print(f"  {stream:<12} {hours:8.1f} h")
    hours = options.mobilenet_epochs * STUDY_CHUNKS / rates["training", "mobilenet"] / 3600
    features = sum(STUDY_CHUNKS / rate for (kind, _), rate in rates.items() if kind == "features") / 3600
    print(f"  mobilenet    {hours:8.1f} h, {options.mobilenet_epochs} epochs")
    print(f"  features     {features:8.2f} h on one core, once")
    print(f"  together     {total + hours + features:8.1f} h")
    rows += [("mobilenet", hours), ("features, once", features), ("together", total + hours + features)]
    return Table(("part", "hours"), rows, f"The whole study from these rates: {STUDY_CHUNKS:,} chunks, {EPOCHS} epochs")


if __name__ == "__main__":
    main()
