"""How networks are run here: the same clip gives the same bits, wherever the settings of torch come from."""

import contextlib


@contextlib.contextmanager
def reproducible_inference():
    """No gradients, one thread, float32 throughout; what was set before comes back afterwards.

    On one thread sums have one order, so the bits do not depend on the number of cores, and batches of one clip are
    quicker than any larger ones; several cores are used by several processes (:mod:`stages.compute`). On a GPU,
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
