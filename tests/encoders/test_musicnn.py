"""musicnn against what the published TensorFlow graphs give, and against a port that takes no short cut."""

import re
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from earshift.encoders import musicnn
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.musicnn import Musicnn
from earshift.encoders.weights.record import open_weights
from earshift.errors import UserError
from earshift.options import check

REFERENCE = np.load(Path(__file__).with_name("fixtures") / "musicnn_reference.npz")
POOLS = {  # of the training graphs: size, stride
    "MSD_vgg": [((4, 1), (4, 1)), ((1, 4), (1, 4)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))],
    "MTT_vgg": [((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))],
}
LAYERS = {"musicnn": ["mean_pool", "max_pool", "penultimate", "logits"], "vgg": ["pool5", "logits"]}


@pytest.fixture(scope="module")
def variables(weights_folder):
    """A function from a model to its checkpoint's variables."""
    arrays = open_weights(weights_folder("musicnn"))
    return lambda model: {n.partition("/")[2]: torch.from_numpy(a) for n, a in arrays.items() if n.startswith(model)}


@pytest.fixture(scope="module")
def layers(variables):
    """A function from a model and log-mel windows to all layers of our network."""

    def run(model, windows):
        arrays = {name: tensor.numpy() for name, tensor in variables(model).items()}
        prepared = musicnn.prepare_vgg if model in POOLS else musicnn.prepare_musicnn
        tensors = {name: torch.from_numpy(array) for name, array in prepared(arrays).items()}
        network = musicnn.vgg if model in POOLS else musicnn.musicnn
        options = {"pools": musicnn._POOLS[model]} if model in POOLS else {}
        with reproducible_inference():
            found = [network(torch.from_numpy(window), tensors, **options) for window in windows]
        return {layer: np.stack([one[layer].numpy() for one in found]) for layer in found[0]}

    return run


def difference(found, expected):
    """Largest difference as a share of the largest value."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("expected", sorted(set(REFERENCE.files) - {"x"}))
def test_answers_are_those_of_the_published_graphs(layers, expected):
    model, layer = re.fullmatch(r"(MSD_[a-z]+?)_(.*)", expected).groups()
    assert difference(layers(model, REFERENCE["x"])[layer], REFERENCE[expected]) < 2e-5


def normalised(x, v, number):
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    values = (v[f"{name}/{key}"] for key in ("gamma", "beta", "moving_mean", "moving_variance"))
    gamma, beta, mean, variance = (value.view([1, -1] + [1] * (x.ndim - 2)) for value in values)
    return gamma * (x - mean) / torch.sqrt(variance + 1e-3) + beta


def convolved(x, v, name, number, padding=(0, 0, 0, 0)):
    kernel = v[f"{name}/kernel"].permute(3, 2, 0, 1)
    return normalised(F.relu(F.conv2d(F.pad(x, padding), kernel, v[f"{name}/bias"])), v, number)


def published_musicnn(x, v):
    """The graph in the order in which the package's models.py builds it."""
    x = normalised(x[:, None], v, 0)
    front = [convolved(x, v, n, i, (0, 0, 3, 3)).amax(3) for i, n in ((1, "conv2d"), (2, "conv2d_1"))]
    for number, length in ((3, 128), (4, 64), (5, 32)):
        padding = (0, 0, (length - 1) // 2, length // 2)
        front.append(convolved(x, v, f"conv2d_{number - 1}", number, padding).amax(3))
    maps = [torch.cat(front, 1)]
    for number in (6, 7, 8):
        last = maps[-1].transpose(1, 2)[:, None]
        new = convolved(last, v, f"conv2d_{number - 1}", number, (0, 0, 3, 3))[..., 0]
        maps.append(new if number == 6 else new + maps[-1])
    maps = torch.cat(maps, 1)
    pooled = torch.stack([maps.amax(2), maps.mean(2)], dim=2).flatten(1)
    dense = F.relu(normalised(pooled, v, 9) @ v["dense/kernel"] + v["dense/bias"])
    penultimate = normalised(dense, v, 10)
    logits = penultimate @ v["dense_1/kernel"] + v["dense_1/bias"]
    return {"mean_pool": maps.mean(2), "max_pool": maps.amax(2), "penultimate": penultimate, "logits": logits}


def published_vgg(x, v, pools):
    x = normalised(x[:, None], v, 0)
    for number, (size, stride) in enumerate(pools, start=1):
        x = F.max_pool2d(convolved(x, v, f"{number}CNN", number, (1, 1, 1, 1)), size, stride)
    pool5 = x.permute(0, 2, 3, 1).flatten(1)
    return {"pool5": pool5, "logits": pool5 @ v["dense/kernel"] + v["dense/bias"]}


@pytest.mark.parametrize("model", ["MSD_musicnn", "MTT_musicnn", "MSD_vgg", "MTT_vgg"])
def test_every_layer_is_that_of_the_plain_network(layers, variables, model):
    windows = np.stack([REFERENCE["x"][0], np.zeros((187, 96), dtype=np.float32)])
    v = {name: tensor.double() for name, tensor in variables(model).items()}
    with torch.inference_mode():
        x = torch.from_numpy(windows).double()
        expected = published_vgg(x, v, POOLS[model]) if model in POOLS else published_musicnn(x, v)
    found = layers(model, windows)
    for layer in LAYERS[model.partition("_")[2]]:
        assert difference(found[layer], expected[layer].numpy()) < 2e-5, layer


@pytest.mark.parametrize("model", ["MSD_musicnn", "MTT_musicnn", "MSD_vgg", "MTT_vgg"])
def test_checkpoints_hold_what_tensorflow_counts(variables, model):
    found = variables(model)
    assert sum(tensor.numel() for tensor in found.values()) == (607_030 if model in POOLS else 792_079)
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in found.values())


def test_filters_with_negative_scale_occur_so_that_signs_are_tested(variables):
    gammas = [t for n, t in variables("MSD_musicnn").items() if re.fullmatch(r"batch_normalization_[1-5]/gamma", n)]
    assert sum((gamma < 0).sum() for gamma in gammas) > 0


@pytest.mark.parametrize("samples", [47616, 48000, 100_001])
def test_input_is_that_of_librosa(rng, samples):
    waveform = rng.normal(0, 0.1, samples).astype(np.float32)
    mel = librosa.feature.melspectrogram(y=waveform, sr=16000, n_fft=512, hop_length=256, n_mels=96).T
    found = musicnn.log_mel(waveform)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.log10(1 + 10000 * mel), atol=1e-5)


def test_a_loud_tone_does_not_overflow(weights_folder):
    tone = np.sin(2 * np.pi * 440 / 16000 * np.arange(48000)).astype(np.float32)
    frames = musicnn.log_mel(tone)
    assert frames.max() > np.log10(np.finfo(np.float16).max)  # where the package's half precision gives infinity
    encoder = Musicnn(model="MSD_musicnn", layer="max_pool")
    assert np.isfinite(encoder.load(weights_folder("musicnn"), "cpu")(tone[None])).all()


def test_long_clips_average_whole_windows(weights_folder, rng):
    embed = Musicnn(model="MTT_musicnn", layer="penultimate").load(weights_folder("musicnn"), "cpu")
    waveform = rng.normal(0, 0.1, 3 * 187 * 256 - 5000).astype(np.float32)  # frames for two windows and most of a third
    frames = musicnn.log_mel(waveform)
    assert 2 * 187 <= len(frames) < 3 * 187
    cut = waveform[: 2 * 187 * 256 + 1024]  # hardly more than two windows
    assert len(musicnn.log_mel(cut)) // 187 == 2
    np.testing.assert_allclose(embed(waveform[None]), embed(cut[None]), atol=1e-6)


def test_the_average_is_that_of_the_windows(weights_folder, layers, rng):
    waveform = rng.normal(0, 0.1, 100_000).astype(np.float32)
    windows = musicnn.log_mel(waveform)[: 2 * 187].reshape(2, 187, 96)
    embed = Musicnn(model="MSD_musicnn", layer="mean_pool").load(weights_folder("musicnn"), "cpu")
    np.testing.assert_allclose(embed(waveform[None])[0], layers("MSD_musicnn", windows)["mean_pool"].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "layer"), [("MSD_vgg", "mean_pool"), ("MTT_vgg", "penultimate"), ("MSD_musicnn", "pool5")]
)
def test_a_layer_that_the_model_lacks_is_refused_when_params_are_read(model, layer):
    with pytest.raises(UserError, match=f"model {model} has no layer {layer}; its layers are"):
        check(Musicnn, {"model": model, "layer": layer}, "encoders.musicnn")


@pytest.mark.parametrize(
    ("model", "layer", "dim"),
    [("MSD_musicnn", "mean_pool", 753), ("MTT_musicnn", "max_pool", 753), ("MTT_musicnn", "penultimate", 200),
     ("MSD_vgg", "pool5", 256), ("MTT_vgg", "pool5", 256)],
)  # fmt: skip
def test_dim_is_that_of_the_layer(weights_folder, rng, model, layer, dim):
    encoder = Musicnn(model=model, layer=layer)
    vectors = encoder.load(weights_folder("musicnn"), "cpu")(rng.normal(0, 0.1, (1, 48000)).astype(np.float32))
    assert encoder.dim == dim and vectors.shape == (1, dim)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("model", "layer"), [("MSD_musicnn", "mean_pool"), ("MSD_vgg", "pool5")])
def test_a_gpu_gives_the_same(weights_folder, rng, model, layer):
    waveforms = rng.normal(0, 0.1, (2, 48000)).astype(np.float32)
    encoder, folder = Musicnn(model=model, layer=layer), weights_folder("musicnn")
    assert difference(encoder.load(folder, "cuda")(waveforms), encoder.load(folder, "cpu")(waveforms)) < 1e-4
