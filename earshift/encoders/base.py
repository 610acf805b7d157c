"""What every encoder offers.

An encoder is a frozen dataclass: its fields are its options in params.yaml, typed as :mod:`earshift.options` says. It
never loads anything when constructed; :meth:`Encoder.load` opens weights and returns the function that makes vectors.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from earshift.encoders.weights.record import WeightsSource
from earshift.options import Options

Floats = NDArray[np.float32]
Embed = Callable[[Floats], Floats]  # waveforms [shape=(clips, samples)] -> vectors [shape=(clips, dim)]


class Encoder(Options):
    """Waveform in, one vector per clip out.

    name : str, as in ``encoders.NAME`` (not needed for one that params.yaml names by import path)
    sample_rate : int, Hz, what :meth:`load`'s function expects
    window : float, seconds; the shortest input the network takes. Shorter clips are repeated up to it.
    batch : int, equal-length clips per call on a CPU
    packages : tuple of str, whose versions determine the numbers
    dim : int, length of a vector
    training : which training makes its networks, None where nothing is trained here
    tasks : tuple of str, the networks that are trained
    gpu : bool, whether it can make use of a GPU
    example : its options as the committed params.yaml has them, for :func:`earshift.encoders.load`

    Options that mean the same everywhere: ``policy``, "paper" or "corrected", how channels and length of a clip are
    dealt with, null standing for ``fidelity``; ``precision`` of the network's arithmetic; ``weights``, an
    :class:`earshift.encoders.weights.official.OwnWeights`.
    """

    name: ClassVar[str | None] = None
    sample_rate: ClassVar[int] = 0
    window: ClassVar[float] = 0.0
    batch: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("numpy", "soxr")
    training: ClassVar[Literal["kim2019", "verma2023"] | None] = None
    gpu: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {}

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return 0

    @property
    def tasks(self) -> tuple[str, ...]:
        """The networks that are trained for it."""
        return ()

    def weights_source(self, *, downloads: Path, networks: Path) -> WeightsSource | None:
        """Where the weights come from; None for an encoder without weights.

        Parameters
        ----------
        downloads : folder in which files from the internet are kept
        networks : folder with the networks that were trained for this encoder
        """
        return None

    def load(self, folder: Path, device: str) -> Embed:
        """Open the weights.

        Parameters
        ----------
        folder : with the weights as :func:`earshift.encoders.weights.record.write_weights` left them
        device : "cpu", "cuda" or "cuda:N"

        Returns
        -------
        callable
            waveforms, float32 [shape=(clips, samples)], mono at ``sample_rate`` -> float32 [shape=(clips, dim)]
        """
        raise NotImplementedError

    def waveform(self, audio: Floats, sample_rate: int) -> Floats:
        """What of a clip reaches the network: the mean of its channels, resampled (soxr HQ), repeated up to ``window``.

        Parameters
        ----------
        audio : float32 [shape=(channels, samples)]
        sample_rate : int, Hz

        Returns
        -------
        float32 [shape=(samples,)], at ``sample_rate`` of the encoder
        """
        import soxr

        mono: Floats = audio.mean(axis=0, dtype=np.float32)
        if sample_rate != self.sample_rate:
            mono = soxr.resample(mono, sample_rate, self.sample_rate, quality="HQ")
        shortest = int(np.ceil(self.window * self.sample_rate))
        return np.resize(mono, shortest) if 0 < len(mono) < shortest else mono


def options_of(encoder: Encoder) -> dict[str, Any]:
    """Options that determine vectors: where weights lie does not, their hash does; heads stand above the vectors."""
    options: dict[str, Any] = asdict(encoder) if is_dataclass(encoder) else {}
    return {key: value for key, value in options.items() if key not in ("weights", "heads")}


def encoder_modules(encoder: Encoder) -> list[str]:
    """Names of the modules that define an encoder's class and the classes it inherits from."""
    return [each.__module__ for each in type(encoder).__mro__ if issubclass(each, Encoder)]
