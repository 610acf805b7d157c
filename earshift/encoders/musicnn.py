"""musicnn: the music taggers of Pons and Serra (2019), trained on the Million Song Dataset or MagnaTagATune.

Conventions
-----------
Networks are plain functions of one log-mel window and a dictionary of tensors, prepared once from the variables of the
published checkpoints. Time comes first in spectrograms, channels in what the networks compute from them.

The checkpoints lie as hidden files in the wheel of the ``musicnn`` package, which is never imported: it needs
TensorFlow 1. What is known about them, and how each trap is handled here (docs/weights.md):

- MSD_vgg was trained with other pools than the package's ``models.py`` describes: those of its training graph are used.
- The package takes the logarithm in half precision, which overflows on loud tones: single precision here.
- Convolutions are followed by ReLU, then by batch normalisation (epsilon 0.001); "same" padding of an even kernel has
  one more zero behind than before.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from earshift.audio.mel import hann, mel_filters, mel_spectrogram
from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.record import Arrays, open_weights
from earshift.encoders.weights.tf_checkpoint import read_checkpoint
from earshift.encoders.weights.wheel import Wheel
from earshift.errors import UserError

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]
    Layers = dict[str, torch.Tensor]

_SAMPLE_RATE = 16000
_N_FFT, _HOP, _BANDS = 512, 256, 96
_FRAMES = 187  # of one window: what the networks were trained on
_EPSILON = 1e-3
_STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")

_DIMS = {"mean_pool": 753, "max_pool": 753, "penultimate": 200, "pool5": 256}
_LAYERS = {
    "MSD_musicnn": ("mean_pool", "max_pool", "penultimate"),
    "MTT_musicnn": ("mean_pool", "max_pool", "penultimate"),
    "MSD_vgg": ("pool5",),
    "MTT_vgg": ("pool5",),
}
# Size and stride of the five max-pools, (time, frequency), as the training graphs in the wheel's .meta files have them
_POOLS = {
    "MSD_vgg": (((4, 1), (4, 1)), ((1, 4), (1, 4)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))),
    "MTT_vgg": (((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))),
}
_INDEX, _DATA = "musicnn/{}/.index", "musicnn/{}/.data-00000-of-00001"


def _variables(files: dict[str, bytes]) -> Arrays:
    """Variables of all four networks, "MODEL/VARIABLE", without what only their optimiser needed."""
    return {
        f"{model}/{name}": array
        for model in _LAYERS
        for name, array in read_checkpoint(
            files[_INDEX.format(model)],
            files[_DATA.format(model)],
            name=f"the checkpoint of {model}",
            keep=lambda name: "Adam" not in name and not name.endswith("_power"),
        ).items()
    }


WHEEL = Wheel(
    package="musicnn",
    version="0.1.0",
    wheel="musicnn-0.1.0-py3-none-any.whl",
    wheel_sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    files=(
        (_INDEX.format("MSD_musicnn"), "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8"),
        (_DATA.format("MSD_musicnn"), "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"),
        (_INDEX.format("MTT_musicnn"), "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57"),
        (_DATA.format("MTT_musicnn"), "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab"),
        (_INDEX.format("MSD_vgg"), "50e499238457558bba9f34f8b84d4afb8279afd43520cdf0a4fdf805a49c9ca3"),
        (_DATA.format("MSD_vgg"), "9683d756b8311146534f333502ebf4a2a78a3e320c54ab0411dff6186d8375fc"),
        (_INDEX.format("MTT_vgg"), "4b0d3d2d02bbe0919c063c1fb74bfa9018ac3517e362d681b07444d4207a5f5f"),
        (_DATA.format("MTT_vgg"), "458f5c8bcecc086a3bba3dce83809df6da6e0a3560a59ddd84711bf3d5fd8303"),
    ),
    licence="ISC, Copyright Music Technology Group, Universitat Pompeu Fabra 2019",
    description="the checkpoints in the wheel of musicnn 0.1.0, github.com/jordipons/musicnn",
    convert=_variables,
)


@dataclass(frozen=True)
class Musicnn(Encoder):
    """One layer of a music tagger, averaged over consecutive windows of three seconds.

    model : str
        MSD_musicnn or MTT_musicnn (musically motivated filters), MSD_vgg or MTT_vgg (3 x 3 filters).
    layer : str
        mean_pool or max_pool (753: mean or maximum over time of all feature maps), penultimate (200) of a musicnn;
        pool5 (256, in the order time, frequency, channel) of a vgg.

    Input as in the package: power mel spectrogram as ``librosa.feature.melspectrogram`` computes it, 16 kHz, 512
    samples every 256, 96 bands; log10(1 + 10000 x); windows of 187 frames (2.976 s) one after another, what is left at
    the end dropped. Edges are padded with zeros, as librosa does since 0.10; releases of the package's time mirrored
    them, which touches one frame.

    Each window is computed by itself, on one thread of a CPU: a clip's vector does not depend on its batch.

    Raises
    ------
    UserError
        If the model has no such layer.
    """

    model: Literal["MSD_musicnn", "MTT_musicnn", "MSD_vgg", "MTT_vgg"]
    layer: Literal["mean_pool", "max_pool", "penultimate", "pool5"]

    name = "musicnn"
    example = {"model": "MSD_musicnn", "layer": "mean_pool"}
    sample_rate = _SAMPLE_RATE
    window = (_FRAMES - 1) * _HOP / _SAMPLE_RATE
    packages = ("numpy", "scipy", "soxr", "torch")

    def __post_init__(self) -> None:
        if self.layer not in _LAYERS[self.model]:
            raise UserError(
                f"encoders.musicnn: model {self.model} has no layer {self.layer}; "
                f"its layers are {', '.join(_LAYERS[self.model])}"
            )

    @property
    def dim(self) -> int:
        return _DIMS[self.layer]

    def weights_source(self, *, downloads: Path, networks: Path) -> Wheel:
        """See :meth:`Encoder.weights_source`."""
        return WHEEL

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        import torch

        prefix = f"{self.model}/"
        arrays = {name.removeprefix(prefix): a for name, a in open_weights(folder).items() if name.startswith(prefix)}
        pools = _POOLS.get(self.model)
        arrays = prepare_vgg(arrays) if pools else prepare_musicnn(arrays)
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        network = partial(vgg, pools=pools) if pools else musicnn

        def vectors(waveforms: Floats) -> Floats:
            with reproducible_inference():
                return np.stack([vector(log_mel(waveform)) for waveform in waveforms])

        def vector(frames: Floats) -> Floats:
            windows = [
                network(torch.from_numpy(frames[start : start + _FRAMES]).to(device), tensors)[self.layer]
                for start in range(0, len(frames) - _FRAMES + 1, _FRAMES)
            ]
            return torch.stack(windows).mean(0).cpu().numpy()

        return vectors


# ------------------------------------------------------------------------------------------------------------ the input


def log_mel(waveform: Floats) -> Floats:
    """What the networks see.

    Parameters
    ----------
    waveform : float32 [shape=(samples,)], 16 kHz

    Returns
    -------
    float32 [shape=(1 + samples // 256, 96)]
    """
    power = mel_spectrogram(
        np.pad(waveform, _N_FFT // 2),
        window=hann(_N_FFT),
        n_fft=_N_FFT,
        hop=_HOP,
        filters=mel_filters(sample_rate=_SAMPLE_RATE, n_fft=_N_FFT, bands=_BANDS),
        power=2,
    )
    frames: Floats = np.log10(1 + 10000 * power)
    return frames


# -------------------------------------------------------------------------------------------------------------- musicnn


def prepare_musicnn(variables: Arrays) -> Arrays:
    """Tensors of :func:`musicnn` from the variables of a checkpoint, all float32.

    Batch normalisation keeps its place after ReLU. Where it is followed by a maximum, maximum and ReLU come first here,
    on fewer numbers: of a channel with negative scale that takes the minimum, so its filter changes sign before the
    maximum and its output after.
    """
    tensors = _affine(variables, "input", [0])
    tensors |= _affine(variables, "front", [1, 2, 3, 4, 5])
    signs = [np.where(variables[f"batch_normalization_{n}/gamma"] < 0, -1.0, 1.0) for n in (1, 2, 3, 4, 5)]
    tensors["front/sign"] = np.concatenate(signs)
    tensors["front/bias"] = np.concatenate([variables[f"{name}/bias"] for name in _convolutions(0, 5)])
    for name, sign in zip(_convolutions(0, 2), signs[:2], strict=True):
        tensors |= _spectral_filter(variables[f"{name}/kernel"][:, :, 0] * sign, name)
    tensors["transform"] = _transform(_BANDS)
    for name, sign in zip(_convolutions(2, 5), signs[2:], strict=True):
        tensors[name] = np.transpose(variables[f"{name}/kernel"] * sign, (3, 2, 0, 1))
    for n in (5, 6, 7):
        tensors[f"conv2d_{n}"] = np.transpose(variables[f"conv2d_{n}/kernel"][:, :, 0], (2, 1, 0))
        tensors[f"conv2d_{n}/bias"] = variables[f"conv2d_{n}/bias"]
        tensors |= {key: a[:, None] for key, a in _affine(variables, f"conv2d_{n}", [n + 1]).items()}
    pooled, dense = _affine(variables, "", [9]), variables["dense/kernel"].astype(np.float64)
    tensors["dense/max"], tensors["dense/mean"] = (  # the dense layer takes maximum and mean of a channel in turn
        (pooled["/scale"][:, None] * dense)[start::2] for start in (0, 1)
    )
    tensors["dense/bias"] = variables["dense/bias"] + pooled["/offset"] @ dense
    tensors |= _affine(variables, "dense", [10])
    tensors["logits"], tensors["logits/bias"] = variables["dense_1/kernel"], variables["dense_1/bias"]
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()}


def musicnn(frames: "torch.Tensor", tensors: "Tensors") -> "Layers":
    """All layers of a musicnn for one window.

    Parameters
    ----------
    frames : float32 tensor [shape=(187, 96)], log-mel
    tensors : from :func:`prepare_musicnn`

    Returns
    -------
    dict of str to float32 tensor: mean_pool, max_pool [shape=(753,)], penultimate [shape=(200,)], logits [shape=(50,)]
    """
    import torch
    from torch.nn import functional as F

    frames = frames * tensors["input/scale"] + tensors["input/offset"]
    spectra = _spectra(F.pad(frames, (0, 0, 3, 3)), tensors["transform"])
    extremes = [_filtered_maximum(spectra, tensors, name) for name in _convolutions(0, 2)]
    for name in _convolutions(2, 5):
        length = tensors[name].shape[2]
        padded = F.pad(frames, (0, 0, (length - 1) // 2, length // 2))
        extremes.append(F.conv2d(padded[None, None], tensors[name])[0].amax(2).T)
    front = torch.relu(torch.cat(extremes, 1) * tensors["front/sign"] + tensors["front/bias"])
    front = (front * tensors["front/scale"] + tensors["front/offset"]).T

    layers = [front, _convolve(front, tensors, "conv2d_5")]
    layers.append(_convolve(layers[-1], tensors, "conv2d_6") + layers[-1])
    layers.append(_convolve(layers[-1], tensors, "conv2d_7") + layers[-1])
    maps = torch.cat(layers)

    max_pool, mean_pool = maps.amax(1), maps.mean(1)
    dense = max_pool @ tensors["dense/max"] + mean_pool @ tensors["dense/mean"] + tensors["dense/bias"]
    penultimate = torch.relu(dense) * tensors["dense/scale"] + tensors["dense/offset"]
    logits = penultimate @ tensors["logits"] + tensors["logits/bias"]
    return {"mean_pool": mean_pool, "max_pool": max_pool, "penultimate": penultimate, "logits": logits}


def _convolutions(first: int, stop: int) -> list[str]:
    return [f"conv2d_{n}" if n else "conv2d" for n in range(first, stop)]


def _affine(variables: Arrays, name: str, numbers: list[int]) -> Arrays:
    """Scale and offset that batch normalisation with stored statistics amounts to, of one or more layers in a row."""
    scales, offsets = [], []
    for layer in (f"batch_normalization_{n}" if n else "batch_normalization" for n in numbers):
        values = {key: variables[f"{layer}/{key}"].astype(np.float64) for key in _STATISTICS}
        scales.append(values["gamma"] / np.sqrt(values["moving_variance"] + _EPSILON))
        offsets.append(values["beta"] - values["moving_mean"] * scales[-1])
    return {f"{name}/scale": np.concatenate(scales), f"{name}/offset": np.concatenate(offsets)}


def _convolve(maps: "torch.Tensor", tensors: "Tensors", name: str) -> "torch.Tensor":
    """One of the three layers behind the front end: convolution over time, ReLU, batch normalisation."""
    import torch
    from torch.nn import functional as F

    convolved = F.conv1d(maps[None], tensors[name], tensors[f"{name}/bias"], padding=3)[0]
    return torch.relu(convolved) * tensors[f"{name}/scale"] + tensors[f"{name}/offset"]


# Two layers of musicnn slide filters of 7 frames x 38 or 67 bands over 96 bands and keep the largest value of every
# frame: most of all the work. It is done in the Fourier domain of the frequency axis, with a quarter of the
# multiplications: a circular correlation of length 96 leaves the positions where a filter fits whole untouched.
#
# With positions counted from the middle one, y[n] = E[n] + O[n], where E (cosines of the real parts) is even in n and O
# (sines of the imaginary parts) is odd. So max(y[n], y[-n]) = E[n] + |O[n]|, and half the positions suffice.

_BLOCK = 47  # frames at a time: what is computed from them stays in the cache


def _transform(size: int) -> NDArray[np.float64]:
    """Discrete Fourier transform of a real signal: a real and an imaginary row for each of size // 2 + 1 bins."""
    wave = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size)
    return np.stack([wave.real, wave.imag], axis=1).reshape(-1, size)


def _spectra(padded: "torch.Tensor", transform: "torch.Tensor") -> "torch.Tensor":
    """Spectra of seven neighbouring frames at a time [shape=(bins, frames, 2 * 7)], real parts first."""
    spectra = (transform @ padded.T).view(len(transform) // 2, 2, -1)
    return spectra.unfold(2, len(padded) - 6, 1).reshape(len(spectra), 14, -1).transpose(1, 2)


def _spectral_filter(kernel: NDArray[Any], name: str) -> Arrays:
    """Tables with which :func:`_filtered_maximum` applies a kernel [shape=(7, bands, filters)]."""
    bins, positions = np.arange(_BANDS // 2 + 1), _BANDS - kernel.shape[1] + 1
    middle = (positions - 1) / 2
    shift = np.exp(2j * np.pi * bins * middle / _BANDS)[:, None]
    spectrum = np.conj(np.fft.rfft(kernel.astype(np.float64), _BANDS, axis=1)) * shift
    angle = 2 * np.pi * np.outer(np.arange(positions // 2, positions) - middle, bins) / _BANDS
    weight = np.where((bins == 0) | (bins == _BANDS // 2), 1, 2) / _BANDS
    real, imaginary = (
        np.concatenate(parts).transpose(1, 0, 2)  # (bins, 2 * 7, filters)
        for parts in ((spectrum.real, -spectrum.imag), (spectrum.imag, spectrum.real))
    )
    return {
        f"{name}/real": real,
        f"{name}/imaginary": imaginary,
        f"{name}/cosines": weight * np.cos(angle),
        f"{name}/sines": weight * np.sin(angle),
    }


def _filtered_maximum(spectra: "torch.Tensor", tensors: "Tensors", name: str) -> "torch.Tensor":
    """Largest response of every filter over all positions along frequency [shape=(frames, filters)]."""
    import torch

    real, imaginary, cosines, sines = (tensors[f"{name}/{part}"] for part in ("real", "imaginary", "cosines", "sines"))
    largest = []
    for start in range(0, spectra.shape[1], _BLOCK):
        block = spectra[:, start : start + _BLOCK]
        even = cosines @ torch.bmm(block, real).flatten(1)
        odd = sines @ torch.bmm(block, imaginary).flatten(1)
        largest.append(even.add_(odd.abs_()).amax(0))
    return torch.cat(largest).view(spectra.shape[1], -1)


# ------------------------------------------------------------------------------------------------------------------ vgg


def prepare_vgg(variables: Arrays) -> Arrays:
    """Tensors of :func:`vgg` from the variables of a checkpoint, all float32; signs as in :func:`prepare_musicnn`."""
    tensors = _affine(variables, "input", [0])
    for n in range(1, 6):
        sign = np.where(variables[f"batch_normalization_{n}/gamma"] < 0, -1.0, 1.0)
        tensors[f"{n}"] = np.transpose(variables[f"{n}CNN/kernel"] * sign, (3, 2, 0, 1))
        layer = {f"{n}/sign": sign, f"{n}/bias": variables[f"{n}CNN/bias"], **_affine(variables, f"{n}", [n])}
        tensors |= {key: array[:, None, None] for key, array in layer.items()}
    tensors["logits"], tensors["logits/bias"] = variables["dense/kernel"], variables["dense/bias"]
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()}


def vgg(frames: "torch.Tensor", tensors: "Tensors", *, pools: tuple[tuple[Any, Any], ...]) -> "Layers":
    """All layers of a vgg for one window.

    Parameters
    ----------
    frames : float32 tensor [shape=(187, 96)], log-mel
    tensors : from :func:`prepare_vgg`
    pools : size and stride of each of the five pools, (time, frequency)

    Returns
    -------
    dict of str to float32 tensor: pool5 [shape=(256,)], logits [shape=(50,)]
    """
    import torch
    from torch.nn import functional as F

    maps = (frames * tensors["input/scale"] + tensors["input/offset"])[None, :, :, None]
    for n, (size, stride) in enumerate(pools, start=1):
        channels_last = maps.contiguous().permute(0, 3, 1, 2)  # the layout in which pooling is quick
        pooled = F.max_pool2d(F.conv2d(channels_last, tensors[f"{n}"], padding=1), size, stride)
        maps = torch.relu(pooled * tensors[f"{n}/sign"] + tensors[f"{n}/bias"])
        maps = (maps * tensors[f"{n}/scale"] + tensors[f"{n}/offset"]).permute(0, 2, 3, 1)
    pool5 = maps.flatten()
    return {"pool5": pool5, "logits": pool5 @ tensors["logits"] + tensors["logits/bias"]}
