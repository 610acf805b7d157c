"""MS-CLAP 2023: the audio branch of Elizalde et al.'s language-audio model (2023), 1,024 numbers per 7 s of audio.

Conventions
-----------
The network is ``AudioEncoder`` of msclap 1.3.4, an HTS-AT and a projection (:func:`audio_encoder`), with the weights of
the published file. What is computed is a rearrangement of it (:class:`Network`) that gives the same numbers in less
time. Nothing of the text branch is imported or kept, and neither torchaudio nor transformers is needed.

The mel filters are those in the file. The package builds HTS-AT for 32 kHz, whatever config_2023.yml has, and gives it
44.1 kHz: filters from 50 Hz to 14 kHz then hear from 69 Hz to 19.3 kHz.

HTS-AT sees a clip of 7 s as a square of 64 x 64 patches, each 4 frames x 4 bands: its rows are the bands of four
quarters of the clip, one below the other. It attends within windows of 8 x 8 patches, which every other block shifts by
half a window; three times four neighbouring patches are merged into one. Here patches are rows of a matrix in the order
of the windows they belong to, so that a window is a run of 64 rows; only between blocks does the order change.
"""

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
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

    Rows = Callable[[torch.Tensor], torch.Tensor]
    Step = Callable[[torch.Tensor, int], torch.Tensor]

_REQUIREMENT = "msclap==1.3.4"
_BRANCH = "audio_encoder."  # where the audio branch lies in the published state dict
_SPECTROGRAM = "base.htsat.spectrogram_extractor."
_UNUSED = ("base.htsat.tscam_conv.", "base.htsat.head.")  # classifiers, which the embedding does not pass

# configs/config_2023.yml of the package; HTS-AT itself ignores all but the last two and takes models/config.py's
_SAMPLE_RATE, _SECONDS = 44100, 7
_CONFIG = {
    "audioenc_name": "HTSAT",
    "sample_rate": _SAMPLE_RATE,
    "window_size": 1024,
    "hop_size": 320,
    "mel_bins": 64,
    "fmin": 50,
    "fmax": 8000,
    "classes_num": 527,
    "d_in": 768,
    "d_out": 1024,
}
_SAMPLES = _SECONDS * _SAMPLE_RATE

# torchaudio.transforms.Resample's defaults
_ZERO_CROSSINGS, _ROLLOFF = 6, 0.99

_FRAMES, _QUARTERS, _PATCH, _WINDOW = 1024, 4, 4, 8
_ROWS = 1024  # of a matrix that a perceptron takes at once, so that what lies between its layers stays in the cache
_CLIPS = {"cpu": 1, "cuda": 64}  # at a time; on a CPU single ones are quickest, and their bits depend on no others


def audio_encoder() -> Any:
    """The package's audio branch, its weights unset, its other tensors as the package computes them."""
    from types import SimpleNamespace

    from earshift.encoders.kernels.log_mel import stand_ins

    modules = {**stand_ins(), "transformers": SimpleNamespace(AutoModel=None)}
    build = load_module("msclap.models.clap", _REQUIREMENT, modules).AudioEncoder
    with warnings.catch_warnings(), without_initialisation():
        warnings.simplefilter("ignore")  # torch.meshgrid warns of a future change
        return build(**_CONFIG).eval()


def _arrays(path: Path) -> Arrays:
    """What of the published checkpoint the audio branch needs, in names of ``AudioEncoder``."""
    from earshift.encoders.kernels.log_mel import without_kernels

    state = read_state_dict(path)
    branch = {name.removeprefix(_BRANCH): tensor for name, tensor in state.items() if name.startswith(_BRANCH)}
    tensors = check_tensors(branch, audio_encoder().state_dict(), path, network=f"the audio branch of {_REQUIREMENT}")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
    return without_kernels(arrays, _SPECTROGRAM)


# --------------------------------------------------------------------------------------------------------- the network


class Network:
    """``AudioEncoder`` of the package, rearranged for speed.

    Parameters
    ----------
    encoder : AudioEncoder, with its weights
    device : torch.device
    dtype : torch.dtype, of the products of matrices and of attention; everything between them is float32
    """

    def __init__(self, encoder: Any, device: "torch.device", dtype: "torch.dtype") -> None:
        import torch

        from earshift.encoders.kernels.log_mel import LogMel

        htsat = encoder.base.htsat
        self._device, self._dtype = device, dtype
        self._frames = LogMel(htsat.spectrogram_extractor, htsat.logmel_extractor, htsat.bn0, device)
        side, width = _FRAMES // _QUARTERS // _PATCH, htsat.embed_dim
        order = window_order(side, 0)
        self._patches = _patches(order).to(device)
        kernel = htsat.patch_embed.proj
        self._embed = self._linear(kernel.weight.reshape(width, -1), kernel.bias, side**2)
        self._embedded = self._norm(htsat.patch_embed.norm, torch.float32)
        self._steps: list[Step] = []
        for layer in htsat.layers:
            for block in layer.blocks:
                wanted = window_order(side, block.shift_size)
                if not torch.equal(wanted, order):
                    self._steps.append(self._reordering(_places(order)[wanted]))
                    order = wanted
                self._steps += [self._attention(block, side**2), self._perceptron(block, side**2)]
            if layer.downsample is not None:
                merged = window_order(side // 2, 0)
                self._steps.append(self._merging(layer.downsample, _places(order)[_fours(side)[merged]], side**2 // 4))
                order, side = merged, side // 2
        self._last = self._norm(htsat.norm, torch.float32)
        self._projection: Rows = encoder.projection.to(device)

    def __call__(self, waveforms: "torch.Tensor") -> "torch.Tensor":
        """Vectors of clips.

        Parameters
        ----------
        waveforms : float32 tensor [shape=(clips, 308700)]

        Returns
        -------
        float32 tensor [shape=(clips, 1024)]
        """
        from torch.nn import functional as F

        frames = self._frames(waveforms)
        frames = F.interpolate(frames[:, None], (_FRAMES, frames.shape[-1]), mode="bicubic", align_corners=True)
        patches = frames.reshape(len(frames), -1).index_select(1, self._patches)
        tokens = self._embedded(self._embed(patches.view(-1, _PATCH**2).to(self._dtype)).float())
        for step in self._steps:
            tokens = step(tokens, len(frames))
        tokens = self._last(tokens).view(len(frames), -1, tokens.shape[-1])
        return self._projection(tokens.mean(dim=1))

    # Every step takes the rows of all clips, float32 [shape=(clips * patches, width)], and gives the rows after it.

    def _reordering(self, order: "torch.Tensor") -> "Step":
        places = order.to(self._device)
        return lambda tokens, clips: _rows(tokens.view(clips, -1, tokens.shape[-1]).index_select(1, places))

    def _attention(self, block: Any, rows: int) -> "Step":
        """Attention within windows, added to the rows."""
        import torch
        from torch.nn import functional as F

        attention, patches = block.attn, _WINDOW**2
        heads, width = attention.num_heads, attention.dim
        norm, join = self._norm(block.norm1), self._linear(attention.proj.weight, attention.proj.bias, rows)
        # queries scaled beforehand
        scale = torch.ones(3, width).index_fill_(0, torch.tensor(0), attention.scale).view(-1)
        weight, offset = attention.qkv.weight * scale[:, None], attention.qkv.bias * scale
        split = self._linear(weight, offset, rows)
        table = attention.relative_position_bias_table[attention.relative_position_index.view(-1)]
        bias = table.view(patches, patches, heads).permute(2, 0, 1)[None]
        if block.attn_mask is not None:  # window by window, for shifted ones join what does not belong together
            bias = bias + block.attn_mask[:, None]
        on_cpu = self._device.type == "cpu"  # where a float32 mask costs nothing; elsewhere it must be as the rest
        bias = bias.detach().contiguous().to(self._device, torch.float32 if on_cpu else self._dtype)

        def step(tokens: "torch.Tensor", clips: int) -> "torch.Tensor":
            query, key, value = split(norm(tokens)).view(-1, patches, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            mask = bias if clips == 1 or len(bias) == 1 else bias.repeat(clips, 1, 1, 1)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
            return tokens.add_(join(mixed.transpose(1, 2).reshape(-1, width)))

        return step

    def _perceptron(self, block: Any, rows: int) -> "Step":
        """The block's perceptron, added to the rows."""
        import torch

        some = min(rows, _ROWS) if self._device.type == "cpu" else None
        norm = self._norm(block.norm2)
        widen = self._linear(block.mlp.fc1.weight, block.mlp.fc1.bias, some or rows)
        narrow = self._linear(block.mlp.fc2.weight, block.mlp.fc2.bias, some or rows)

        def step(tokens: "torch.Tensor", clips: int) -> "torch.Tensor":
            for part in torch.split(tokens, some or len(tokens)):
                part += narrow(torch.ops.aten.gelu_(widen(norm(part))))
            return tokens

        return step

    def _merging(self, merging: Any, order: "torch.Tensor", rows: int) -> "Step":
        """Four neighbours into one, twice as wide."""
        norm, reduce = self._norm(merging.norm), self._linear(merging.reduction.weight, None, rows)
        places = order.reshape(-1).to(self._device)

        def step(tokens: "torch.Tensor", clips: int) -> "torch.Tensor":
            width = tokens.shape[-1]
            fours = tokens.view(clips, -1, width).index_select(1, places)
            return reduce(norm(fours.view(-1, 4 * width))).float()

        return step

    def _linear(self, weight: "torch.Tensor", bias: "torch.Tensor | None", rows: int) -> "Rows":
        from earshift.encoders.kernels.onednn import linear

        weight = weight.to(self._device, self._dtype)
        return linear(weight, None if bias is None else bias.to(self._device, self._dtype), rows=rows)

    def _norm(self, norm: "torch.nn.LayerNorm", dtype: "torch.dtype | None" = None) -> "Rows":
        from torch.nn import functional as F

        dtype = dtype or self._dtype
        weight, bias = norm.weight.detach().to(self._device), norm.bias.detach().to(self._device)
        return lambda rows: F.layer_norm(rows, weight.shape, weight, bias, norm.eps).to(dtype)


def window_order(side: int, shift: int) -> "torch.Tensor":
    """Which patch of a square stands where when patches are sorted by window.

    Parameters
    ----------
    side : int, patches along an edge
    shift : int, by how many patches windows are moved, around the edges, down and to the right

    Returns
    -------
    int64 tensor [shape=(side * side,)], patches numbered row by row
    """
    import torch

    along = (torch.arange(side) + shift) % side
    square = along[:, None] * side + along
    windows = square.view(side // _WINDOW, _WINDOW, side // _WINDOW, _WINDOW)
    return windows.transpose(1, 2).reshape(-1)


def _places(order: "torch.Tensor") -> "torch.Tensor":
    """Where in an order each patch stands."""
    return order.argsort()


def _fours(side: int) -> "torch.Tensor":
    """The four patches that are merged into each one of a square of half the side, in the package's order."""
    import torch

    square = torch.arange(side**2).view(side, side)
    corners = [square[row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return torch.stack(corners, dim=-1).view(-1, 4)


def _patches(order: "torch.Tensor") -> "torch.Tensor":
    """Which values of a clip's frames (frame by frame) make up the patches of the square, in the given order."""
    import torch

    bands = _FRAMES // _QUARTERS // _QUARTERS
    values = torch.arange(_FRAMES * bands).view(_QUARTERS, -1, _PATCH, bands // _PATCH, _PATCH)
    square = values.permute(0, 3, 1, 4, 2)  # quarter, patches up the bands, patches along time, bands, frames
    return square.reshape(-1, _PATCH**2)[order].view(-1)


def _rows(tokens: "torch.Tensor") -> "torch.Tensor":
    return tokens.view(-1, tokens.shape[-1])


# ----------------------------------------------------------------------------------------------------------- its input


def resample(audio: Floats, old: int, new: int) -> Floats:
    """Audio at another rate, as ``torchaudio.transforms.Resample`` gives it: a sinc under a Hann window, 6 zeros wide.

    Parameters
    ----------
    audio : float32 [shape=(channels, samples)]
    old, new : int, Hz

    Returns
    -------
    float32 [shape=(channels, ceil(samples * new / old))]
    """
    if old == new:
        return audio
    common = math.gcd(old, new)
    old, new = old // common, new // common
    kernels = _resampling_kernels(old, new)  # (old + 2 * margin, new)
    margin = (len(kernels) - old) // 2
    padded = np.pad(audio, ((0, 0), (margin, margin + old)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(kernels), axis=1)[:, ::old]
    samples = int(np.ceil(np.float32(new * audio.shape[1] / old)))  # torchaudio rounds to float32 here
    return (frames @ kernels).reshape(len(audio), -1)[:, :samples]


@lru_cache
def _resampling_kernels(old: int, new: int) -> Floats:
    cutoff = _ROLLOFF * min(old, new)
    margin = math.ceil(_ZERO_CROSSINGS * old / cutoff)
    # torchaudio divides whole numbers, which gives float32; the rest is float64
    late = (np.arange(0, -new, -1, dtype=np.float32) / np.float32(new)).astype(np.float64)
    crossings = (np.arange(-margin, margin + old) / old)[:, None] + late
    crossings = np.clip(crossings * cutoff, -_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(crossings * np.pi / _ZERO_CROSSINGS / 2) ** 2
    kernels: Floats = (np.sinc(crossings) * window * (cutoff / old)).astype(np.float32)
    return kernels


# --------------------------------------------------------------------------------------------------------- the encoder


@dataclass(frozen=True)
class Clap(Encoder):
    """The 1,024 numbers after the projection (with its last normalisation, before any other).

    policy "paper", as the study's code path did: every channel resampled as torchaudio does, the channels one after
    another, repeated and cut to 7 s. Three seconds of stereo are left, right and the first second of left. What is
    longer than 7 s msclap crops at random; here its first 7 s are taken, so that a clip has one vector (IRMAS has no
    such clip). policy "corrected": the mean of the channels, repeated up to 7 s; a longer clip is cut into windows of
    7 s, the last aligned with its end, and its vector is their mean.

    precision "bfloat16" rounds what enters the products of matrices: with random weights, vectors of noise, tones and
    silence were within 9e-3 of their largest value of those of float32.
    """

    policy: Literal["paper", "corrected"] | None
    precision: Literal["float32", "bfloat16"]
    weights: OwnWeights

    name = "clap"
    example = {"policy": "corrected", "precision": "float32", "weights": {"path": None}}
    sample_rate = _SAMPLE_RATE
    window = float(_SECONDS)
    packages = ("msclap", "numpy", "soxr", "torch")
    dim = 1024

    def weights_source(self, *, downloads: Path, networks: Path) -> Official:
        """See :meth:`Encoder.weights_source`."""
        return Official(
            remote=Remote(
                file="CLAP_weights_2023.pth",
                urls=(
                    "https://huggingface.co/microsoft/msclap/resolve/main/CLAP_weights_2023.pth",
                    "https://zenodo.org/records/8378278/files/CLAP_weights_2023.pth?download=1",
                ),
                # as several projects recorded it independently; the hub's own report is compared besides
                hashes=(("sha256", "2cef4016d47d00eb28d153d522f397222057f95000e9bad6b9583c631284a1e6"),),
                size=689950036,
            ),
            folder=downloads,
            licence="Ms-PL by the model's page (the code is MIT)",
            description="MS-CLAP 2023, microsoft/msclap (Elizalde, Deshmukh and Wang 2023, Natural language "
            "supervision for general-purpose audio representations)",
            convert=_arrays,
            own=self.weights.path,
            option="encoders.clap.weights.path",
        )

    def waveform(self, audio: Floats, sample_rate: int) -> Floats:
        """See :meth:`Encoder.waveform`; here ``policy`` decides."""
        if self.policy != "paper":
            return super().waveform(audio, sample_rate)
        flat = resample(audio, sample_rate, _SAMPLE_RATE).reshape(-1)
        return np.resize(flat, _SAMPLES)  # repeats, and cuts

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        import torch

        from earshift.encoders.kernels.onednn import number_type

        place, dtype = torch.device(device), number_type(self.precision, device)
        encoder = audio_encoder()
        encoder.load_state_dict(
            open_tensors(folder), strict=False, assign=True
        )  # complete, or _arrays would have refused it
        network = Network(encoder, place, dtype)
        clips = _CLIPS[place.type]

        def encode(waveforms: Floats) -> Floats:
            return run_in_parts(network, waveforms, clips, place)

        def vectors(waveforms: Floats) -> Floats:
            with reproducible_inference():
                return mean_over_windows(encode, waveforms, _SAMPLES)

        return vectors
