"""The training loop: the same weights whether it ran through or was killed and went on.

Conventions
-----------
Epochs are numbered from 1, and all that is random in one follows from the seed and its number. After every epoch a
checkpoint is written, whole or not at all: weights, the optimiser's state, the best weights so far and the history. A
run that finds one goes on behind it. The best weights are those with the lowest loss on the validation clips; they are
what comes out. On a CPU the number of threads is an option, so results do not depend on the machine's cores.

Imports torch: import this module inside functions.
"""

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import torch

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.progress import Progress
from earshift.storage.files import replacing

FINISHED, EARLY, DIVERGED = "finished", "stopped early", "diverged"


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    epochs : int, at most
    patience : int or None, epochs without a better validation loss after which it stops
    learning_rate, final_learning_rate : float, of the first and the last epoch, geometric in between
    weight_decay : float
    amsgrad : bool, see torch.optim.Adam
    seed : int
    threads : int, of a CPU
    mixed_precision : bool, bfloat16 on a GPU
    """

    epochs: int
    patience: int | None
    learning_rate: float
    final_learning_rate: float
    weight_decay: float
    amsgrad: bool
    seed: int
    threads: int
    mixed_precision: bool

    def rate(self, epoch):
        """Learning rate of an epoch."""
        share = (epoch - 1) / max(self.epochs - 1, 1)
        return self.learning_rate * (self.final_learning_rate / self.learning_rate) ** share


@dataclass(frozen=True)
class Outcome:
    """What training came to.

    history : list of dict (epoch, training_loss, validation_loss, learning_rate)
    best : int, the epoch whose weights were taken
    ended : FINISHED, EARLY or DIVERGED
    """

    history: list
    best: int
    ended: str


def seeded(seed, *numbers):
    """A generator of random numbers that belongs to these numbers alone; torch is seeded from it too."""
    rng = np.random.default_rng([seed, *numbers])
    torch.manual_seed(int(rng.integers(2**62)))
    return rng


def fit(network, batches, loss, schedule, *, fingerprint, device, label, examples):
    """Train a network and leave the best weights in it.

    Parameters
    ----------
    network : torch.nn.Module, on `device`
    batches : callable
        ("train" or "valid", numpy Generator) -> iterable of batches, on `device`; of "valid" always the same ones
    loss : callable
        (network, batch) -> (0-d tensor to descend on, int, how many examples it is the mean over)
    schedule : Schedule
    fingerprint : str, of all that determines the result; names the checkpoint
    device : "cpu", "cuda" or "cuda:N"
    label : str, of the progress bar
    examples : int, in an epoch

    Returns
    -------
    Outcome

    Raises
    ------
    UserError
        If it diverges before a single epoch was good.
    """
    with threads(schedule.threads):
        optimiser = torch.optim.Adam(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay,
            amsgrad=schedule.amsgrad,
        )  # fmt: skip
        path = paths.checkpoint(fingerprint)
        state = _resumed(path, fingerprint, network, optimiser, device)
        history, best = state["history"], state["best"]
        done = len(history)
        if done:
            print(f"{label}: going on after epoch {done}")
        ended = state["ended"]
        with Progress(label, schedule.epochs * examples, done * examples, unit="examples") as progress:
            while ended is None and len(history) < schedule.epochs:
                epoch = len(history) + 1
                row = _epoch(network, batches, loss, optimiser, schedule, epoch, device, progress)
                if not (math.isfinite(row["training_loss"]) and math.isfinite(row["validation_loss"])):
                    ended = DIVERGED
                    break
                history.append(row)
                if not best["epoch"] or row["validation_loss"] < best["loss"]:
                    weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
                    best = {"epoch": epoch, "loss": row["validation_loss"], "weights": weights}
                if schedule.patience is not None and epoch - best["epoch"] >= schedule.patience:
                    ended = EARLY
                _keep(path, fingerprint, network, optimiser, history, best, ended)
    if not best["epoch"]:
        raise UserError(
            f"{label}: the loss is not finite in the first epoch; lower the learning rate "
            f"({schedule.learning_rate:g}), or look for broken audio"
        )
    network.load_state_dict(best["weights"])
    ended = ended or FINISHED
    speed = f", {progress.rate:.0f} examples/s" if progress.done else ""
    print(f"{label}: {ended} after {len(history)} epochs, best {best['epoch']}, "
          f"validation loss {best['loss']:.4g}{speed}")  # fmt: skip
    if ended == DIVERGED:
        print(f"{label}: the loss of epoch {len(history) + 1} was not finite; those of epoch {best['epoch']} stay")
    return Outcome(history, best["epoch"], ended)


def _epoch(network, batches, loss, optimiser, schedule, epoch, device, progress):
    """One row of the history."""
    rng = seeded(schedule.seed, 2, epoch)
    rate = schedule.rate(epoch)
    for group in optimiser.param_groups:
        group["lr"] = rate
    network.train()
    total, count = 0.0, 0
    for batch in batches("train", rng):
        with _precision(schedule, device):
            value, examples = loss(network, batch)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        total, count = total + float(value.detach()) * examples, count + examples
        progress.advance(examples)
        if not math.isfinite(total):
            break
    return {
        "epoch": epoch,
        "training_loss": total / max(count, 1),
        "validation_loss": mean_loss(network, batches("valid", seeded(schedule.seed, 3)), loss),
        "learning_rate": rate,
    }


def mean_loss(network, batches, loss):
    """Mean of a loss over all examples of some batches, without a trace in the network."""
    network.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            value, examples = loss(network, batch)
            total, count = total + float(value) * examples, count + examples
    return total / max(count, 1)


def _precision(schedule, device):
    if schedule.mixed_precision and device != "cpu":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def threads(count):
    """So many threads of a CPU: the same run gives the same bits. A GPU takes its deterministic algorithms where it has
    some; the gradients of mirrored edges and of unpooling have none there."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(before)


# --------------------------------------------------------------------------------------------------------- checkpoints


def _keep(path, fingerprint, network, optimiser, history, best, ended):
    with replacing(path) as temporary:
        torch.save(
            {
                "fingerprint": fingerprint,
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "history": history,
                "best": best,
                "ended": ended,
            },
            temporary,
        )


def _resumed(path, fingerprint, network, optimiser, device):
    """What a killed run left, put into network and optimiser, or a beginning."""
    nothing = {"history": [], "best": {"epoch": 0, "loss": math.inf, "weights": None}, "ended": None}
    if not path.is_file():
        return nothing
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # whatever is wrong with it: it costs time, not results
        print(f"{path} cannot be read ({type(error).__name__}); training starts from the beginning")
        return nothing
    if state.get("fingerprint") != fingerprint:
        return nothing
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return state


def forget(fingerprint):
    """Remove the checkpoint of a training whose result is safe."""
    paths.checkpoint(fingerprint).unlink(missing_ok=True)
