"""How networks are run here: the same clip gives the same bits, wherever the settings of torch come from."""

import contextlib

import numpy as np

from earshift.errors import UserError


@contextlib.contextmanager
def reproducible_inference():
    """No gradients, one thread, float32 throughout; what was set before comes back afterwards.

    On one thread sums have one order, so the bits do not depend on the number of cores, and batches of one clip are
    quicker than any larger ones; several cores are used by several processes (:mod:`earshift.pipeline.compute`). On a GPU,
    TensorFloat-32 would cost more accuracy than the encoders promise.
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


class Batches:
    """A loaded encoder that takes any number of equally long clips, in batches that fit into memory.

    Parameters
    ----------
    network : callable, as :meth:`earshift.encoders.base.Encoder.load` returns it
    encoder : earshift.encoders.base.Encoder
    limit : int or None, clips per call; halved, for good, whenever memory runs out
    """

    def __init__(self, network, encoder, limit=None):
        self._network, self._encoder, self.limit = network, encoder, limit

    def __call__(self, waveforms):
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
            found = self._tried(batch)
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

    def _tried(self, batch):
        """Vectors of a batch, or None where memory ran out."""
        try:
            vectors = np.asarray(self._network(batch), dtype=np.float32)
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


def _out_of_memory(error):
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"OutOfMemoryError", "MemoryError"}) or "DefaultCPUAllocator" in str(error)
