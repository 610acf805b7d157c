"""How networks are run here: the same clip gives the same bits, wherever the settings of torch come from."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.weights.record import open_weights
from earshift.errors import UserError

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def reproducible_inference() -> Iterator[None]:
    """No gradients, one thread, float32 throughout; what was set before comes back afterwards.

    On one thread sums have one order, so the bits do not depend on the number of cores, and batches of one clip are
    quicker than any larger ones; several cores are used by several processes. On a GPU, TensorFloat-32 would cost more
    accuracy than the encoders promise.
    """
    import torch

    threads = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def open_tensors(folder: Path) -> "dict[str, torch.Tensor]":
    """What :func:`earshift.encoders.weights.record.open_weights` opens, as tensors on the CPU."""
    import torch

    return {name: torch.from_numpy(array) for name, array in open_weights(folder).items()}


def run_in_parts(
    network: "Callable[[torch.Tensor], torch.Tensor]", waveforms: Floats, clips: int, device: "torch.device"
) -> Floats:
    """Vectors of a network, so many clips at a time.

    Parameters
    ----------
    network : float32 tensor [shape=(any, samples)] on `device` -> float32 tensor [shape=(any, dim)]
    waveforms : float32 [shape=(clips, samples)]
    """
    import torch

    parts = (torch.from_numpy(waveforms[start : start + clips]) for start in range(0, len(waveforms), clips))
    return torch.cat([network(part.to(device)) for part in parts]).cpu().numpy()


class Batches:
    """A loaded encoder that takes any number of equally long clips, in batches that fit into memory.

    Parameters
    ----------
    network : as :meth:`earshift.encoders.base.Encoder.load` returns it
    encoder : whose network it is
    limit : clips per call, None for all at once; halved, for good, whenever memory runs out
    """

    def __init__(self, network: Embed, encoder: Encoder, limit: int | None = None) -> None:
        self._network, self._encoder, self.limit = network, encoder, limit

    def __call__(self, waveforms: Floats) -> Floats:
        """Vectors of the clips.

        Parameters
        ----------
        waveforms : float32 [shape=(clips, samples)]

        Returns
        -------
        float32 [shape=(clips, dim)]

        Raises
        ------
        UserError
            If the encoder gives another shape, or memory does not suffice for a single clip.
        """
        vectors, start = [], 0
        while start < len(waveforms):
            batch = waveforms[start : start + (self.limit or len(waveforms))]
            found = self._try(batch)
            if found is not None:
                vectors.append(found)
                start += len(batch)
            elif len(batch) == 1:
                seconds = waveforms.shape[1] / self._encoder.sample_rate
                raise UserError(
                    f"memory does not suffice for {type(self._encoder).__name__} on one clip of {seconds:.1f} s; close "
                    "what else uses the GPU, cut clips shorter, or set compute.device: cpu"
                )
            else:
                self.limit = len(batch) // 2
        return np.concatenate(vectors)

    def _try(self, batch: Floats) -> Floats | None:
        """Vectors of a batch, or None where memory ran out."""
        try:
            vectors: Floats | None = np.asarray(self._network(batch), dtype=np.float32)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            vectors = None
        if vectors is None:  # only here, outside the handler, are the tensors of the failed call gone
            import torch

            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return None
        if vectors.shape != (len(batch), self._encoder.dim):
            raise UserError(
                f"{type(self._encoder).__name__} gave an array of shape {vectors.shape} for {len(batch)} clips; with "
                f"dim = {self._encoder.dim} it must be {(len(batch), self._encoder.dim)}"
            )
        return vectors


def _out_of_memory(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"OutOfMemoryError", "MemoryError"}) or "DefaultCPUAllocator" in str(error)


# ------------------------------------------------------------------------------------------ wherever a map runs


@dataclass(frozen=True)
class Job:
    """An encoder that is loaded in whatever process makes vectors.

    folder : with its weights
    device : "cpu", "cuda" or "cuda:N"
    key : tells one configured encoder on one device from another
    """

    encoder: Encoder
    folder: Path
    device: str
    key: str

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def open(self) -> Embed:
        """The network with its weights."""
        return self.encoder.load(self.folder, self.device)

    def encode(self, waveforms: Mapping[int, Floats]) -> dict[int, Floats]:
        """Vectors [shape=(dim,)] of waveforms [shape=(samples,)] by number, equally long ones together."""
        by_length: dict[int, list[int]] = {}
        for number, waveform in waveforms.items():
            by_length.setdefault(len(waveform), []).append(number)
        vectors: dict[int, Floats] = {}
        with _in_use:
            network = _network(self)
            for numbers in by_length.values():
                vectors |= zip(numbers, network(np.stack([waveforms[n] for n in numbers])), strict=True)
        return vectors


_loaded: tuple[str, Batches] | None = None
_in_use = threading.Lock()  # one network in a process, and one thread in it: the number of torch's threads is global


def _network(job: Job) -> Batches:
    """The loaded encoder; a process keeps the last one."""
    global _loaded
    if _loaded is None or _loaded[0] != job.key:
        _loaded = None  # not two of them in memory
        _loaded = job.key, Batches(job.open(), job.encoder, None if job.on_gpu else job.encoder.batch)
    return _loaded[1]
