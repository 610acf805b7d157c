"""Networks of the streams of verma2023: sizes, shapes, what is trained and what is not."""

import dataclasses

import numpy as np
import pytest
import torch

from earshift.errors import UserError
from earshift.options import check
from earshift.training.loop import count_parameters
from earshift.training.verma2023 import losses, neuralogram, streams, transformer
from earshift.training.verma2023.features import LOG_MEL, compute_features, has_statistics, shape_of
from earshift.training.verma2023.mobilenet import MobileNet, compute_neuralogram
from earshift.training.verma2023.options import STREAMS, Loss, Networks, Transformer
from earshift.training.verma2023.options import MobileNet as MobileNetOptions

PUBLISHED = dict(layers=6, width=64, mlp=256, dropout=0.3, pool_last=True, hidden=2048, dense_activation="relu")
FRONTS = {"pitch": 5184, "timbre": 832, "end_to_end": 33984, "neuralogram": 65600}  # facts of the text, counted by hand


@pytest.mark.parametrize("heads, head_width, layer", [(12, 64, 232320), (8, 8, 49984), (12, 5, 48948)])
def test_the_published_size_has_as_many_parameters_as_one_counts(heads, head_width, layer):
    options = Transformer(heads=heads, head_width=head_width, **PUBLISHED)
    whole = Networks(options, None, filters=128, mobilenet=MobileNetOptions(1.0, 1024))
    for stream, front in FRONTS.items():
        network = streams.build_network(stream, 200, whole)
        assert count_parameters(network.front) == front
        assert count_parameters(network.head) == 542920
        assert count_parameters(network) == 6 * layer + 542920 + front


def test_a_mobilenet_of_full_width_has_the_published_size():
    network = MobileNet(1000, MobileNetOptions(1.0, 1024))
    # 4.23 million in Howard et al., whose first convolution reads three colours; 2 are the input's normalisation
    assert count_parameters(network) == 4231976 - 2 * 32 * 9 + 2
    narrow = MobileNet(10, MobileNetOptions(0.25, 1024))
    assert narrow.embedding(torch.zeros(3, 10, 64)).shape == (3, 1024)


@pytest.mark.parametrize("tokens, pool_last, counts", [
    (40, True, [40, 40, 20, 20, 10, 10, 5]), (10, True, [10, 10, 5, 5, 3, 3, 2]),
    (40, False, [40, 40, 20, 20, 10, 10, 10]),
])  # fmt: skip
def test_tokens_are_halved_behind_every_second_layer_and_none_is_dropped(options, rng, tokens, pool_last, counts):
    wanted = dataclasses.replace(options.transformer, pool_last=pool_last)
    network = transformer.Stream(torch.nn.Identity(), 3, wanted, tokens).eval()
    read = []
    for layer in network.layers:
        layer.register_forward_hook(lambda layer, inputs, output: read.append((inputs[0].shape[1], output[0])))
    embedding = network.embedding(torch.from_numpy(rng.normal(size=(1, tokens, 16))).float())[0]
    assert [count for count, _ in read] == counts[:-1]
    last = read[-1][1].detach().numpy()
    if pool_last:
        last = np.stack([last[i : i + 2].max(axis=0) for i in range(0, len(last), 2)])
    assert len(last) == counts[-1]
    np.testing.assert_allclose(embedding.detach(), last.mean(axis=0), atol=1e-6)


def test_attention_of_one_head_is_the_textbooks(options, rng):
    one = dataclasses.replace(options.transformer, heads=1, head_width=7, layers=1, dropout=0.0)
    network = transformer.Stream(torch.nn.Identity(), 3, one, tokens=4)
    layer, tokens = network.layers[0], rng.normal(size=(4, 16))
    weights = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalised(x):
        return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)

    read = tokens + transformer.positions(4, 16)
    queries, keys, values = np.split(linear(read, "asked"), 3, axis=1)
    share = np.exp(queries @ keys.T / np.sqrt(7))
    mixed = normalised(read + linear(share / share.sum(axis=1, keepdims=True) @ values, "answered"))
    hidden = np.maximum(linear(mixed, "mlp.0"), 0)
    expected = normalised(mixed + linear(hidden, "mlp.2")).mean(axis=0)
    found = network.embedding(torch.from_numpy(tokens[None]).float())[0]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_positions_are_sinusoids_of_the_place():
    found = transformer.positions(40, 64)
    assert found[7, 10] == pytest.approx(np.sin(7 / 10000 ** (10 / 64)), abs=1e-6)
    assert found[7, 11] == pytest.approx(np.cos(7 / 10000 ** (10 / 64)), abs=1e-6)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_learns_and_embeds(stream, options, rng):
    tones = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 800, (4, 1)) * np.arange(16000) / 16000)
    chunks = np.concatenate([tones, rng.normal(0, 0.1, (4, 16000))]).astype(np.float32)
    targets = torch.from_numpy(np.repeat(np.eye(2), 4, axis=0))
    torch.manual_seed(0)
    mobilenet = MobileNet(2, options.mobilenet)
    for _ in range(20 * (stream == "neuralogram")):  # its normalisation has to know the level of its maps
        mobilenet(torch.from_numpy(neuralogram.log_mel(chunks)).flatten(0, 1))
    if stream == "neuralogram":
        features = compute_neuralogram(mobilenet, compute_features(LOG_MEL, chunks, options))
    else:
        features = compute_features(stream, chunks, options)
    assert (str(features.dtype), features.shape[1:]) == shape_of(stream, options)
    statistics = transformer.statistics_of(features) if has_statistics(stream) else None
    network = streams.build_network(stream, 2, options, statistics=statistics)
    read, loss = torch.from_numpy(features), Loss("huber", 1.0, "none")
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    values = []
    for _ in range(25):
        value = losses.loss_of(network(read), targets, loss)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert np.mean(values[-3:]) < 0.7 * values[0]
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.eval()
    with torch.inference_mode():
        vectors = network.embedding(read)
        np.testing.assert_allclose(network.head(vectors), network(read), atol=1e-6)
    assert vectors.shape == (8, 16)
    again = streams.build_network(stream, 2, options)
    again.load_state_dict(network.state_dict())
    again.eval()
    with torch.inference_mode():
        np.testing.assert_array_equal(again.embedding(read), vectors)


def test_mobilenet_learns_from_pieces(options, rng):
    chunks = rng.normal(0, 0.1, (4, 16000)).astype(np.float32)
    network = MobileNet(3, options.mobilenet)
    pieces = torch.from_numpy(neuralogram.log_mel(chunks)).flatten(0, 1)
    outputs = network(pieces)
    assert outputs.shape == (40, 3)
    losses.loss_of(outputs, torch.ones(40, 3), Loss("bce", 1.0, "sigmoid")).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_statistics_bring_features_to_mean_0_and_deviation_1(rng):
    features = rng.normal([5, -3, 0], [2, 0.5, 0], (50, 40, 3)).astype(np.float16)
    mean, deviation = transformer.statistics_of(features)
    exact = features.astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(mean, exact.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(deviation, [*exact.std(axis=0)[:2], 1], rtol=1e-5)


def test_losses_are_their_definitions(rng):
    outputs, targets = rng.normal(0, 2, (6, 4)), rng.random((6, 4)) > 0.7
    tensors = torch.from_numpy(outputs), torch.from_numpy(targets)
    likely = 1 / (1 + np.exp(-outputs))

    def huber(scores, delta):
        far = np.abs(scores - targets)
        return np.where(far <= delta, far**2 / 2, delta * (far - delta / 2)).mean()

    for delta in (0.5, 1.0):
        assert float(losses.loss_of(*tensors, Loss("huber", delta, "none"))) == pytest.approx(huber(outputs, delta))
        assert float(losses.loss_of(*tensors, Loss("huber", delta, "sigmoid"))) == pytest.approx(huber(likely, delta))
    expected = -(targets * np.log(likely) + ~targets * np.log(1 - likely)).mean()
    assert float(losses.loss_of(*tensors, Loss("bce", 1.0, "sigmoid"))) == pytest.approx(expected)
    with pytest.raises(UserError, match="diverse.loss.output is 'none'.*sigmoid"):
        check(Loss, {"name": "bce", "delta": 1.0, "output": "none"}, "diverse.loss")
