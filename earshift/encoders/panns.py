"""PANNs: Cnn14, the AudioSet tagger of Kong et al. (2020), 2,048 numbers per clip.

Conventions
-----------
The network is ``Cnn14`` of panns_inference 0.1.1 (:func:`cnn14`), with the weights of the published file. What is
computed is a rearrangement of it (:class:`Network`) that gives the same numbers in less time: batch normalisation goes
into the convolutions before it, these need fewer products (:mod:`earshift.encoders.kernels.winograd` and, for the last
blocks, :mod:`earshift.encoders.kernels.few_columns`), and the classifier is left out. Maps have channels last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import open_tensors, reproducible_inference, run_in_parts
from earshift.encoders.weights.official import Official, OwnWeights
from earshift.encoders.weights.package_modules import load_module, without_initialisation
from earshift.encoders.weights.record import Arrays
from earshift.encoders.weights.torch_checkpoint import check_tensors, read_state_dict
from earshift.encoders.windows import mean_over_windows
from earshift.storage.downloads import Remote

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    Block = Callable[[torch.Tensor], torch.Tensor]
    Folded = tuple[torch.Tensor, torch.Tensor]  # weight and bias

_REQUIREMENT = "panns-inference==0.1.1"
_SPECTROGRAM = "spectrogram_extractor."
_UNUSED = "fc_audioset."  # the classifier, which the embedding does not pass

# as AudioTagging of the package sets them up
_SAMPLE_RATE, _HOP, _BANDS = 32000, 320, 64
_CONFIG = {
    "sample_rate": _SAMPLE_RATE,
    "window_size": 1024,
    "hop_size": _HOP,
    "mel_bins": _BANDS,
    "fmin": 50,
    "fmax": 14000,
    "classes_num": 527,
}
_BLOCKS = 6  # of two convolutions; all but the last halve time and bands
_SHORTEST = (2 ** (_BLOCKS - 1) - 1) * _HOP  # samples of 32 frames, of which one is left
_WINDOW = 10 * _SAMPLE_RATE  # samples, what the network was trained on

# On a CPU
_FRAMES = 301  # of a clip of 3 s; others work too
_CLIPS = 16  # at a time, since most of the time of a single one would go into moving weights
_APART = 3  # blocks that take one clip after another all the same: their maps are large, their weights are few
_WIDE = 4  # blocks whose maps are at least 8 bands wide


def cnn14() -> Any:
    """The package's network, its weights unset."""
    from earshift.encoders.kernels.log_mel import stand_ins

    modules = {**stand_ins(), "matplotlib.pyplot": None}
    build = load_module("panns_inference.models", _REQUIREMENT, modules).Cnn14
    with without_initialisation():
        return build(**_CONFIG).eval()


def _arrays(path: Path) -> Arrays:
    """What of the published checkpoint the embedding needs, in the checkpoint's names."""
    from earshift.encoders.kernels.log_mel import without_kernels

    tensors = check_tensors(read_state_dict(path), cnn14().state_dict(), path, network=f"Cnn14 of {_REQUIREMENT}")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
    return without_kernels(arrays, _SPECTROGRAM)


# --------------------------------------------------------------------------------------------------------- the network


class Network:
    """The embedding of ``Cnn14``, rearranged for speed.

    Parameters
    ----------
    cnn14 : Cnn14, with its weights
    device : torch.device
    dtype : torch.dtype, of the convolutions' products; everything between them is float32
    """

    def __init__(self, cnn14: Any, device: "torch.device", dtype: "torch.dtype") -> None:
        from earshift.encoders.kernels.log_mel import LogMel

        self._frames = LogMel(cnn14.spectrogram_extractor, cnn14.logmel_extractor, cnn14.bn0, device)
        self._blocks: list[Block] = []
        for number in range(_BLOCKS):
            block = getattr(cnn14, f"conv_block{number + 1}")
            folded = (_fold(block.conv1, block.bn1), _fold(block.conv2, block.bn2))
            build = _plain if device.type != "cpu" else _wide if number < _WIDE else _narrow
            self._blocks.append(build(folded, number, device, dtype))
        self._apart = _APART if device.type == "cpu" else 0
        self._last: Block = cnn14.fc1.to(device)

    def __call__(self, waveforms: "torch.Tensor") -> "torch.Tensor":
        """Vectors of clips.

        Parameters
        ----------
        waveforms : float32 tensor [shape=(clips, samples)], at least 9,920 samples

        Returns
        -------
        float32 tensor [shape=(clips, 2048)]
        """
        import torch

        some = 1 if self._apart else len(waveforms)
        maps = torch.cat([self._begin(clips) for clips in torch.split(waveforms, some)])
        for block in self._blocks[self._apart :]:
            maps = block(maps)
        maps = maps.mean(dim=2)
        return self._last(maps.amax(dim=1) + maps.mean(dim=1)).relu_()

    def _begin(self, waveforms: "torch.Tensor") -> "torch.Tensor":
        maps = self._frames(waveforms)[..., None]
        for block in self._blocks[: self._apart]:
            maps = block(maps)
        return maps


def _fold(convolution: "torch.nn.Conv2d", normalisation: Any) -> "Folded":
    """Weight and bias of a convolution with its batch normalisation in it."""
    import torch

    scale = normalisation.weight.double() / torch.sqrt(normalisation.running_var.double() + normalisation.eps)
    bias = normalisation.bias.double() - normalisation.running_mean.double() * scale
    return convolution.weight.detach() * scale.float().detach()[:, None, None, None], bias.float().detach()


def _plain(convolutions: "tuple[Folded, Folded]", number: int, device: "torch.device", dtype: "torch.dtype") -> "Block":
    """A block as the package has it, from maps to maps: what a GPU does best."""
    import torch
    from torch.nn import functional as F

    layers = [(w.to(device, dtype).contiguous(memory_format=torch.channels_last), b.to(device, dtype))
              for w, b in convolutions]  # fmt: skip

    def block(maps: "torch.Tensor") -> "torch.Tensor":
        planes = maps.permute(0, 3, 1, 2).to(dtype)
        for weight, bias in layers:
            planes = F.conv2d(planes, weight, bias, padding=1).relu_()
        if number < _BLOCKS - 1:
            planes = F.avg_pool2d(planes, 2)
        return planes.permute(0, 2, 3, 1).float()

    return block


def _wide(convolutions: "tuple[Folded, Folded]", number: int, device: "torch.device", dtype: "torch.dtype") -> "Block":
    """A block of large maps, from maps to maps."""
    import torch

    from earshift.encoders.kernels.onednn import convolution
    from earshift.encoders.kernels.winograd import convolve, prepare

    (weight, bias), second = convolutions
    layer = prepare(second[0].numpy(), second[1].numpy(), dtype)
    if number == 0:  # one channel in, which costs next to nothing
        plain = convolution(weight, bias, shape=(1, 1, _FRAMES, _BANDS))

        def first(maps: "torch.Tensor") -> Floats:
            return plain(maps).numpy()
    else:
        fast = prepare(weight.numpy(), bias.numpy(), dtype)

        def first(maps: "torch.Tensor") -> Floats:
            return convolve(maps.numpy(), fast)

    def block(maps: "torch.Tensor") -> "torch.Tensor":
        return torch.from_numpy(convolve(first(maps), layer, pool="mean"))

    return block


def _narrow(
    convolutions: "tuple[Folded, Folded]", number: int, device: "torch.device", dtype: "torch.dtype"
) -> "Block":
    """A block of narrow maps, from maps to maps."""
    from torch.nn import functional as F

    from earshift.encoders.kernels.few_columns import few_columns_convolution

    width = _BANDS >> number
    layers = [few_columns_convolution(weight, bias, width=width, dtype=dtype) for weight, bias in convolutions]

    def block(maps: "torch.Tensor") -> "torch.Tensor":
        for layer in layers:
            maps = layer(maps)
        if number < _BLOCKS - 1:
            maps = F.avg_pool2d(maps.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).contiguous()
        return maps

    return block


# --------------------------------------------------------------------------------------------------------- the encoder


@dataclass(frozen=True)
class Panns(Encoder):
    """The 2,048 numbers behind Cnn14's first fully connected layer and its rectifier.

    Input: the mean of the channels at 32 kHz. policy "paper", as the study's code path did: resampled and brought to
    length as ``librosa.load`` does, the whole clip at once. policy "corrected": a clip of more than 10 s, what the
    network was trained on, is cut into windows of 10 s, the last aligned with its end, and its vector is their mean.
    Clips of less than 0.31 s, which the original cannot take, are repeated up to it under both.

    precision "bfloat16" rounds what enters the products of matrices: with random weights, vectors of noise, tones and
    silence were within 2.5e-2 of their largest value of those of float32.
    """

    policy: Literal["paper", "corrected"] | None
    precision: Literal["float32", "bfloat16"]
    weights: OwnWeights

    name = "panns"
    example = {"policy": "corrected", "precision": "float32", "weights": {"path": None}}
    sample_rate = _SAMPLE_RATE
    window = _SHORTEST / _SAMPLE_RATE
    batch = _CLIPS
    packages = ("numba", "numpy", "panns-inference", "soxr", "torch")
    dim = 2048

    def weights_source(self, *, downloads: Path, networks: Path) -> Official:
        """See :meth:`Encoder.weights_source`."""
        return Official(
            remote=Remote(
                file="Cnn14_mAP=0.431.pth",
                urls=("https://zenodo.org/records/3987831/files/Cnn14_mAP%3D0.431.pth?download=1",),
                hashes=(
                    ("md5", "541141fa2ee191a88f24a3219fff024e"),
                    ("sha256", "0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31"),
                ),
                size=327428481,
            ),
            folder=downloads,
            licence="CC BY 4.0",
            description="PANNs, Cnn14 at 32 kHz with mAP 0.431, Zenodo record 3987831 (Kong et al. 2020, PANNs: "
            "large-scale pretrained audio neural networks for audio pattern recognition)",
            convert=_arrays,
            own=self.weights.path,
            option="encoders.panns.weights.path",
        )

    def waveform(self, audio: Floats, sample_rate: int) -> Floats:
        """See :meth:`Encoder.waveform`; the length is librosa's where ``policy`` is "paper"."""
        mono = super().waveform(audio, sample_rate)
        if self.policy != "paper" or sample_rate == _SAMPLE_RATE:
            return mono
        samples = int(np.ceil(audio.shape[1] * (float(_SAMPLE_RATE) / sample_rate)))
        if samples < _SHORTEST:
            return mono
        return np.pad(mono, (0, max(0, samples - len(mono))))[:samples]

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        import torch

        from earshift.encoders.kernels.onednn import number_type

        place, dtype = torch.device(device), number_type(self.precision, device)
        model = cnn14()
        model.load_state_dict(
            open_tensors(folder), strict=False, assign=True
        )  # complete, or _arrays would have refused it
        network = Network(model, place, dtype)
        clips = _CLIPS if place.type == "cpu" else 4 * _CLIPS

        def encode(waveforms: Floats) -> Floats:
            return run_in_parts(network, waveforms, clips, place)

        def vectors(waveforms: Floats) -> Floats:
            samples = waveforms.shape[1]
            window = samples if self.policy == "paper" else min(samples, _WINDOW)
            with reproducible_inference():
                return mean_over_windows(encode, waveforms, window)

        return vectors
