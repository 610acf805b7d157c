"""OpenL3: the audio half of Look, Listen and Learn (Cramer, Wu, Salamon and Bello 2019), a network on windows of 1 s.

Conventions
-----------
Everything is as openl3 0.4.2 computes it with its default front end (kapre), on TensorFlow: the same weights, read in
the order of the network (:mod:`earshift.encoders.weights.keras_checkpoint`); the same resampler
(:mod:`earshift.audio.kaiser`); spectrograms that agree to the last bits but one. The last bits matter, because the
spectrograms reach 80 dB below the maximum of 10 log10 of *magnitudes*, which is 160 dB in level. On clean sounds the
lowest bands hold nothing but the rounding errors of the resampled signal, of the window function and of the Fourier
transform in single precision. So the window comes from the same polynomial (:func:`hann`), and the transform from
scipy, whose sums are those of TensorFlow's. The transform of PyTorch, as exact, moves embeddings by 2e-3 of their
standard deviation; these differ from openl3's by 1e-5.

The network is a plain function of a stack of spectrograms: batch normalisation goes into the convolutions, and on a CPU
these need a quarter of the products (:mod:`earshift.encoders.kernels.winograd`). Maps have channels last.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from earshift.audio.kaiser import resample
from earshift.audio.mel import mel_filters
from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.keras_checkpoint import read_layers
from earshift.encoders.weights.official import Official, OwnWeights
from earshift.encoders.weights.record import Arrays, open_weights
from earshift.options import Interval
from earshift.storage.downloads import Remote

if TYPE_CHECKING:
    import torch

    Network = Callable[[Floats], Any]  # spectra -> embeddings, an array on a CPU and a tensor on a GPU

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]  # kernel and bias
_SAMPLE_RATE = 48000
_WINDOW = 48000  # samples that the network sees at once
_HOP = 242  # samples from frame to frame
_FLOOR, _RANGE = 1e-10, 80.0  # smallest magnitude in the logarithm; what is further below the maximum is cut
_EPSILON = 1e-3  # of batch normalisation, Keras' default

_CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)  # into the first convolution, out of the first, the second, ...
_POOLED = (1, 3, 5)  # convolutions that a pool of 2 x 2 follows
_LAST = len(_CHANNELS) - 2  # the embedding layer: neither batch normalisation nor rectifier
_GRID = {512: (1, 1), 6144: (4, 3)}  # into how many fields of (frequency, time) the last maps are pooled

_APART = 4  # convolutions that take one window after another on a CPU
_CHUNK = 32  # windows at a time on a CPU, so that memory does not grow with the length of a clip
_FORWARD = 256  # windows at a time on a GPU: some 4 GB in float32

_BLOBS = {
    ("linear", "music"): "4e2e61beb17865481c8b8791c72eac8307e2753a",
    ("linear", "env"): "7837407f033f3564c7e8d53fc4a4241fe160478b",
    ("mel128", "music"): "73ff29de441865318c4b3a3f98c40763c4773e7c",
    ("mel128", "env"): "8c3dfee140f7776373841e5938a3e76c54f28942",
    ("mel256", "music"): "15e483646fa3d4091a463f0affbb706e6bbbb098",
    ("mel256", "env"): "34dbd7a91cdd2de6a3d6d036ac0a24d27d78e3cc",
}


@dataclass(frozen=True)
class Representation:
    """A time-frequency representation.

    n_fft : int, samples of a frame
    bands : int or None, mel bands (Slaney's scale and areas, 0 Hz to 24 kHz); None: all frequency bins
    padded : bool, whether frames begin everywhere in the window, with zeros behind it, or have to fit in
    """

    n_fft: int
    bands: int | None
    padded: bool


_REPRESENTATIONS = {
    "linear": Representation(512, None, False),
    "mel128": Representation(2048, 128, True),
    "mel256": Representation(2048, 256, True),
}


def _arrays(path: Path) -> Arrays:
    """Weights of a published file by the number of their layer: "0/gamma" of the input, "1/kernel", "1/bias", ..."""
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    layers: list[tuple[str, tuple[str, ...], list[tuple[int, ...]]]] = [("0", statistics, [(1,)] * 4)]
    for n, (inputs, outputs) in enumerate(zip(_CHANNELS, _CHANNELS[1:], strict=False)):
        layers.append((f"{n + 1}", ("kernel", "bias"), [(3, 3, inputs, outputs), (outputs,)]))
        if n != _LAST:
            layers.append((f"{n + 1}", statistics, [(outputs,)] * 4))
    found = read_layers(path, [shapes for _, _, shapes in layers], network="OpenL3's audio network")
    return {
        f"{number}/{name}": array
        for (number, names, _), arrays in zip(layers, found, strict=True)
        for name, array in zip(names, arrays, strict=True)
    }


@dataclass(frozen=True)
class Openl3(Encoder):
    """The embedding of OpenL3, averaged over windows of one second.

    representation : str
        mel128 (as in deng2025), mel256 or linear.
    content : str
        music or env (environmental sounds): what the network was trained on.
    embedding_size : int
        512 (the largest response anywhere in a window) or 6144 (in each of 4 x 3 fields of frequency and time, ordered
        frequency, time, channel).
    hop : float
        Seconds from window to window.
    centre : bool
        Whether half a second of silence comes first, so that windows are centred on multiples of the hop. The last
        window is filled up with zeros, and so is a clip of less than a second.
    policy : str
        Makes no difference: the study's code path averaged the channels and used whole windows in a fixed order, which
        is what "corrected" asks for too.
    precision : str
        "bfloat16" rounds what enters the products of matrices on a CPU (1.9 times as quick), and everything but
        spectrograms and sums on a GPU. With the weights of the tests a clip's vector then differs by 0.7 to 0.9 % of
        the standard deviation of its elements (root mean square; 4 % at most), a single window's by 1.1 % (6.5 %).

    Each clip is computed by itself, on one thread of a CPU: its vector does not depend on its batch.
    """

    representation: Literal["linear", "mel128", "mel256"]
    content: Literal["music", "env"]
    embedding_size: Literal[512, 6144]
    hop: Annotated[float, Interval(ge=0.001, le=3600)]
    centre: bool
    policy: Literal["paper", "corrected"] | None
    precision: Literal["float32", "bfloat16"]
    weights: OwnWeights

    name = "openl3"
    example = {
        "representation": "mel128", "content": "music", "embedding_size": 512, "hop": 0.1, "centre": True,
        "policy": "corrected", "precision": "float32", "weights": {"path": None},
    }  # fmt: skip
    sample_rate = _SAMPLE_RATE
    packages = ("numba", "numpy", "scipy", "torch")

    @property
    def dim(self) -> int:
        return self.embedding_size

    def weights_source(self, *, downloads: Path, networks: Path) -> Official:
        """See :meth:`Encoder.weights_source`."""
        file = f"openl3_audio_{self.representation}_{self.content}-v0_4_0.h5.gz"
        return Official(
            remote=Remote(
                file=file,
                urls=(f"https://github.com/marl/openl3/raw/models/{file}",),
                hashes=(("git-blob", _BLOBS[self.representation, self.content]),),
            ),
            folder=downloads,
            licence="CC BY 4.0",
            description=f"OpenL3 0.4.0, audio, {self.representation}, {self.content}, github.com/marl/openl3, branch "
            "models (Cramer, Wu, Salamon and Bello 2019, Look, listen and learn more)",
            convert=_arrays,
            own=self.weights.path,
            option="encoders.openl3.weights.path",
        )

    def waveform(self, audio: Floats, sample_rate: int) -> Floats:
        """The mean of the channels at 48 kHz; see :meth:`Encoder.waveform`. Short clips are not repeated."""
        mono = audio.mean(axis=0, dtype=np.float64)
        waveform: Floats = resample(mono, int(sample_rate), _SAMPLE_RATE).astype(np.float32)
        return waveform

    def load(self, folder: Path, device: str) -> Embed:
        """See :meth:`Encoder.load`."""
        frames = self.frames(folder, device)
        return lambda waveforms: frames(waveforms).mean(axis=1, dtype=np.float64).astype(np.float32)

    def frames(self, folder: Path, device: str) -> Embed:
        """Open the weights, as :meth:`load` does, for the embeddings of single windows.

        Returns
        -------
        callable
            waveforms, float32 [shape=(clips, samples)] -> float32 [shape=(clips, windows, dim)]
        """
        from earshift.encoders.kernels.onednn import number_type

        dtype = number_type(self.precision, device)
        scale, offset, layers = fold(open_weights(folder))
        network = (_on_cpu if device == "cpu" else _on_gpu)(layers, dtype, device, _GRID[self.embedding_size])
        run = _one_by_one if device == "cpu" else _together
        representation = _REPRESENTATIONS[self.representation]
        hop = int(self.hop * _SAMPLE_RATE)

        def spectrum(window: Floats) -> Floats:
            scaled: Floats = scale * decibels(window, representation) + offset
            return scaled

        def embeddings(waveforms: Floats) -> Floats:
            with reproducible_inference():
                return run([windows(waveform, hop, self.centre) for waveform in waveforms], spectrum, network)

        return embeddings


# ------------------------------------------------------------------------------------------------------------ the input


def windows(waveform: Floats, hop: int, centre: bool) -> Floats:
    """Windows of a clip, so many that with hops of up to a window every sample is in one.

    Parameters
    ----------
    waveform : float32 [shape=(samples,)], 48 kHz
    hop : int, samples
    centre : bool, whether half a window of zeros comes first

    Returns
    -------
    float32 view [shape=(windows, 48000)]
    """
    before = _WINDOW // 2 if centre else 0
    rest = len(waveform) + before - _WINDOW  # samples after the first window
    after = -rest if rest < 0 else -rest % hop
    return np.lib.stride_tricks.sliding_window_view(np.pad(waveform, (before, after)), _WINDOW)[::hop]


def decibels(window: Floats, representation: Representation) -> Floats:
    """Spectrogram of one window, in decibels below its maximum.

    Parameters
    ----------
    window : float32 [shape=(48000,)]
    representation : Representation

    Returns
    -------
    float32 [shape=(bands, frames)], from -80 to 0; all 0 where there is silence
    """
    from scipy.fft import rfft

    n_fft = representation.n_fft
    if representation.padded:
        window = np.pad(window, (0, (_WINDOW - 1) // _HOP * _HOP + n_fft - _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(window, n_fft)[::_HOP]
    magnitude = np.abs(rfft(frames * hann(n_fft))).T
    if representation.bands is not None:
        magnitude = mel_filters(sample_rate=_SAMPLE_RATE, n_fft=n_fft, bands=representation.bands) @ magnitude
    levels = 10 * np.log10(np.maximum(magnitude, np.float32(_FLOOR)))
    below: Floats = np.maximum(levels - levels.max(), np.float32(-_RANGE))
    return below


@cache
def hann(length: int) -> Floats:
    """Periodic Hann window with the rounding errors of ``tf.signal.hann_window``, float32 [shape=(length,)].

    TensorFlow computes angle and cosine in single precision, the latter with the polynomials of the Cephes library (as
    Eigen has them in GenericPacketMathFunctions.h). They are up to 2e-7 off, where exact values are rounded to 3e-8.
    """
    f = np.float32
    angle = f(2 * np.pi) * np.arange(length, dtype=f) / f(length)
    quarters = np.rint(angle * f(2 / np.pi))
    for part in (1.57079601287841796875, 3.1391647326017846e-07, 5.390302529957765e-15):  # which sum up to pi / 2
        angle = angle - quarters * f(part)
    square = angle * angle
    cosine, sine = np.full_like(angle, 2.4372266125283204e-05), np.full_like(angle, -0.00019592341140837015)
    for coefficient in (-0.00138865201734006405, 0.04166661947965622, -0.5, 1.0):
        cosine = cosine * square + f(coefficient)
    for coefficient in (0.008332687365566168, -0.16666662039822983):
        sine = sine * square + f(coefficient)
    sine = sine * square * angle + angle
    quarter = quarters.astype(int) % 4
    value = np.where(quarter % 2 == 0, cosine, sine)
    return f(0.5) - f(0.5) * np.where((quarter == 1) | (quarter == 2), -value, value)


# ---------------------------------------------------------------------------------------------------------- the network


def fold(arrays: Arrays) -> tuple[np.float32, np.float32, list[Layer]]:
    """The network's layers, with batch normalisation in them.

    Parameters
    ----------
    arrays : dict of str to np.ndarray, as in weights.npz

    Returns
    -------
    scale, offset : float32, of the input
    layers : list of (float64 kernel [shape=(outputs, inputs, 3, 3)], height before width; float64 bias)
    """
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}

    def affine(layer: int) -> Layer:
        scale = arrays[f"{layer}/gamma"] / np.sqrt(arrays[f"{layer}/moving_variance"] + _EPSILON)
        return scale, arrays[f"{layer}/beta"] - arrays[f"{layer}/moving_mean"] * scale

    layers = []
    for n in range(_LAST + 1):
        kernel, bias = arrays[f"{n + 1}/kernel"].transpose(3, 2, 0, 1), arrays[f"{n + 1}/bias"]
        if n != _LAST:
            scale, offset = affine(n + 1)
            kernel, bias = kernel * scale[:, None, None, None], bias * scale + offset
        layers.append((kernel, bias))
    scale, offset = affine(0)
    return np.float32(scale[0]), np.float32(offset[0]), layers


def _on_cpu(layers: list[Layer], dtype: "torch.dtype", device: str, grid: tuple[int, int]) -> "Network":
    """The network in numbers of one type: spectra, float32 [shape=(n, bands, frames)] -> float32 [shape=(n, dim)].

    The first layers take one window after another, so that their large maps stay in the cache; the last ones take all
    together, because their weights do not.
    """
    import torch

    from earshift.encoders.kernels.winograd import convolve, prepare

    kernel, bias = (torch.from_numpy(array.astype(np.float32)) for array in layers[0])
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    fast = {n: prepare(*layer, dtype) for n, layer in enumerate(layers) if n}

    def run(maps: Floats, numbers: range) -> Floats:
        for n in numbers:
            maps = convolve(maps, fast[n], relu=n != _LAST, pool="max" if n in _POOLED else None)
        return maps

    def begin(spectrum: Floats) -> Floats:
        maps = torch.conv2d(torch.from_numpy(spectrum)[None, None], kernel, bias, padding=1).relu_()
        return run(maps.permute(0, 2, 3, 1).contiguous().numpy(), range(1, _APART))

    def network(spectra: Floats) -> Floats:
        maps = run(np.concatenate([begin(spectrum) for spectrum in spectra]), range(_APART, _LAST + 1))
        return pool_fields(torch.from_numpy(maps), grid).numpy()

    return network


def _on_gpu(layers: list[Layer], dtype: "torch.dtype", device: str, grid: tuple[int, int]) -> "Network":
    """The same with plain convolutions, to a tensor on the device."""
    import torch

    # in float32 the quick algorithms want channels first; in bfloat16, the tensor cores want them last
    order = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    tensors = [
        (torch.from_numpy(kernel).to(device, dtype, memory_format=order), torch.from_numpy(bias).to(device, dtype))
        for kernel, bias in layers
    ]

    def network(spectra: Floats) -> "torch.Tensor":
        maps = torch.from_numpy(spectra)[:, None].to(device, dtype)
        for n, (kernel, bias) in enumerate(tensors):
            maps = torch.conv2d(maps, kernel, bias, padding=1)
            if n != _LAST:
                maps = maps.relu_()
            if n in _POOLED:
                maps = torch.max_pool2d(maps, 2)
        return pool_fields(maps.permute(0, 2, 3, 1), grid).float()

    return network


def pool_fields(maps: "torch.Tensor", grid: tuple[int, int]) -> "torch.Tensor":
    """The largest value in every field of the maps.

    Parameters
    ----------
    maps : tensor [shape=(n, height, width, channels)]
    grid : (int, int), fields along height and width

    Returns
    -------
    tensor [shape=(n, fields * channels)], ordered height, width, channel
    """
    n, height, width, channels = maps.shape
    fields = maps.reshape(n, grid[0], height // grid[0], grid[1], width // grid[1], channels)
    return fields.amax((2, 4)).flatten(1)


def _one_by_one(clips: Sequence[Floats], spectrum: Callable[[Floats], Floats], network: "Network") -> Floats:
    """Embeddings of the windows of every clip, [shape=(clips, windows, dim)]: clip by clip, in this thread."""
    return np.stack([
        np.concatenate([
            network(np.stack([spectrum(window) for window in clip[at : at + _CHUNK]]))
            for at in range(0, len(clip), _CHUNK)
        ])
        for clip in clips
    ])  # fmt: skip


def _together(clips: Sequence[Floats], spectrum: Callable[[Floats], Floats], network: "Network") -> Floats:
    """The same with windows of several clips at once, while threads compute the spectra of those that come next."""
    import torch

    every = [window for clip in clips for window in clip]
    with ThreadPoolExecutor() as pool:
        spectra = pool.map(spectrum, every)
        parts = [network(np.stack(list(islice(spectra, _FORWARD)))) for _ in range(0, len(every), _FORWARD)]
    return torch.cat(parts).view(len(clips), len(clips[0]), -1).cpu().numpy()
